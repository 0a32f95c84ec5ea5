"""Stored offsets: a message is parsed once, and every part is a slice of it (spec store.md section 21)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mox._rust import parse_message, part_info, read_ranges, section_range, stage_bytes

MESSAGE = (
    b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n"
    b"--a\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
    b"--a\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    b"--b\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>rich\r\n--b--\r\n"
    b"--a--\r\nepilogue\r\n"
)


def numbers(structure: bytes, above: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Part numbers of all parts, depth first."""
    at = 1
    while len(above) < 20 and section_range(structure, [*above, at], "") is not None:
        part = (*above, at)
        yield part
        info = part_info(structure, part)
        # The only part of a message that is no multipart is numbered as itself.
        if info is not None and not info.is_leaf:
            yield from numbers(structure, part)
        at += 1


@pytest.mark.holds("store-c481ea")
def test_parts_are_slices_of_the_file_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "message"
    stage_bytes(MESSAGE[9:]).store(str(path))
    structure = parse_message(MESSAGE[9:], MESSAGE[:9]).structure
    parts = list(numbers(structure))
    assert parts == [(1,), (2,), (2, 1), (2, 2)]
    ranges = [section_range(structure, part, "") for part in parts]
    slices = [MESSAGE[start:end] for start, end in (found for found in ranges if found is not None)]
    # Read at the stored offsets, in any order: the same octets as going through the message once.
    backwards = read_ranges([(MESSAGE[:9], str(path), *found) for found in reversed(ranges) if found is not None])
    assert backwards[::-1] == slices
    assert slices[0] == b"first"
    assert slices[1].startswith(b"Subject: inner\r\n") and slices[1].endswith(b"--b--")
    assert slices[2:] == [b"plain", b"<p>rich"]


@pytest.mark.holds("store-c481ea")
def test_parts_of_the_corpora_lie_in_their_parents_one_after_the_other(corpus: list[Path]) -> None:
    seen = 0
    for path in corpus:
        data = path.read_bytes()
        structure = parse_message(data).structure
        ends: dict[tuple[int, ...], int] = {}
        for part in numbers(structure):
            found = section_range(structure, part, "")
            assert found is not None
            start, end = found
            assert ends.get((*part[:-1], part[-1] - 1), 0) <= start <= end <= len(data), (path, part)
            ends[part] = end
            seen += 1
    assert seen > len(corpus)
