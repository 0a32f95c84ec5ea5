"""Getting at a report in a message: MIME parts, and decompression that a hostile file cannot blow up."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from mox._rust import decode_part, parse_message, part_info

MAX_MESSAGE_BYTES = 15 << 20
MAX_REPORT_BYTES = 20 << 20
_MAX_PARTS = 100
_MAX_DEPTH = 8


class ReportError(Exception):
    """No report, or one that cannot be read; the text says why."""


class Leaf(NamedTuple):
    """A part without parts: its type (lower case, `/` alone when there is none), its data, and the type of what it
    stands in."""

    media_type: str
    data: bytes
    parent: str


def leaves(content: bytes) -> Iterator[Leaf]:
    """The parts of a message. Raises ReportError for one that is too large."""
    if len(content) > MAX_MESSAGE_BYTES:
        raise ReportError("message too large")
    structure = parse_message(content).structure
    budget = [_MAX_PARTS]

    def walk(path: list[int], parent: str) -> Iterator[Leaf]:
        info = part_info(structure, path)
        budget[0] -= 1
        if info is None or budget[0] < 0 or len(path) > _MAX_DEPTH:
            return
        media_type = f"{info.media_type}/{info.media_subtype}".lower()
        if info.is_leaf:
            data = decode_part(content[info.start : info.end], info.encoding)
            if data is not None:
                yield Leaf(media_type, data, parent)
            return
        for number in range(1, _MAX_PARTS):
            child = [*path, number]
            if part_info(structure, child) is None:
                return
            yield from walk(child, media_type)

    root = part_info(structure, [])
    if root is not None and root.is_leaf:
        yield from walk([1], "")
    else:
        yield from walk([], "")


def gunzip(data: bytes) -> bytes:
    """Raises ReportError."""
    decompressor = zlib.decompressobj(wbits=31)
    try:
        found = decompressor.decompress(data, MAX_REPORT_BYTES + 1)
    except zlib.error as err:
        raise ReportError(f"gzip: {err}") from err
    if len(found) > MAX_REPORT_BYTES:
        raise ReportError("report too large")
    if not decompressor.eof:
        raise ReportError("gzip: data ends early")
    return found


def unzip(data: bytes) -> bytes:
    """The one file of a zip archive. Raises ReportError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if len(names) != 1:
                raise ReportError(f"zip archive with {len(names)} files, expected one")
            with archive.open(names[0]) as file:
                found = file.read(MAX_REPORT_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as err:
        raise ReportError(f"zip: {err}") from err
    if len(found) > MAX_REPORT_BYTES:
        raise ReportError("report too large")
    return found


def unpack(data: bytes) -> bytes:
    """By what the data looks like: gzip, zip, or as it is. Raises ReportError."""
    if data.startswith(b"\x1f\x8b"):
        return gunzip(data)
    if data.startswith(b"PK\x03\x04"):
        return unzip(data)
    if len(data) > MAX_REPORT_BYTES:
        raise ReportError("report too large")
    return data
