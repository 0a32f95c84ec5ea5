"""Forms: both encodings, in pieces of any size, with limits."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.web import forms
from mox.web.forms import (
    FormError,
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    media_type,
    parse_urlencoded,
    read_multipart,
)

BODY = (
    b'preamble\r\n--b\r\nContent-Disposition: form-data; name="request"\r\n\r\n{"a":1}\r\n'
    b'--b  \r\nContent-Disposition: form-data; name=file; filename="C:\\\\dir\\\\na me.txt"\r\n'
    b"Content-Type: text/plain\r\nContent-ID: <x>\r\n\r\nline\r\n--cb\r\n-- b\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n'
    b'--b\r\nContent-Disposition: form-data; name=file; filename*=utf-8\'\'%e2%98%ba\r\n\r\n\x00\xff\r\n'
    b"--b--\r\nepilogue"
)  # fmt: skip


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
async def test_multipart(tmp_path: Path, size: int) -> None:
    form = await read_multipart(pieces(BODY, size), "b", tmp_path)
    assert form.fields == {"request": ['{"a":1}'], "empty": [""]}
    first, second = form.files["file"]
    assert (first.name, first.content_type, first.content_id) == ("na me.txt", "text/plain", "<x>")
    assert first.read() == b"line\r\n--cb\r\n-- b\r\n" and first.size == 18
    assert (second.name, second.read()) == ("\u263a", b"\x00\xff")
    form.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\n",
        b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx",
        b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b",
        b"--b text\r\n\r\n--b--",
        b"--b\r\nx: " + b"y" * 20_000,
        b"--b" + b" " * 20_000,
        b"--b\r\n\r\n\r\n" * 2000 + b"--b--",
    ],
)
async def test_bad_multipart(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(FormError):
        await read_multipart(pieces(body, 1000), "b", tmp_path)


async def test_fields_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "MAX_FIELDS_BYTES", 100)
    body = b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n" + b"x" * 101 + b"\r\n--b--"
    with pytest.raises(FormError):
        await read_multipart(pieces(body, 10), "b", tmp_path)


async def test_large_files_are_on_disk_until_closed(tmp_path: Path) -> None:
    data = bytes(range(256)) * 2000
    head = b"--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n"
    form = await read_multipart(pieces(head + data + b"\r\n--b--", 65536), "b", tmp_path)
    (file,) = form.files["f"]
    assert file.size == len(data) and file.read() == data
    form.close()
    assert file.file.closed and not os.listdir(tmp_path)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_split_gives_the_same(content: bytes, size: int) -> None:
    content = content.replace(b"\r\n--b", b"")
    body = b"--b\r\nx: y\r\n\r\n" + content + b"\r\n--b--"
    parser = MultipartParser(b"b")
    events = [e for at in range(0, len(body), size) for e in parser.feed(body[at : at + size])]
    assert parser.is_complete
    assert isinstance(events[0], PartBegin) and isinstance(events[-1], PartEnd)
    assert b"".join(e.data for e in events if isinstance(e, PartData)) == content


@given(st.binary(max_size=500))
def test_multipart_survives_anything(data: bytes) -> None:
    try:
        MultipartParser(b"b").feed(b"--b\r\n" + data)
    except FormError as err:
        assert str(err)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        (b"a=%41+b%20", {"a": ["A b "]}),
        (b"a=%e2%98%ba&&=x&c", {"a": ["\u263a"], "": ["x"], "c": [""]}),
        (b"a=%ff", {"a": ["\ufffd"]}),
        (b"", {}),
    ],
)
def test_urlencoded(body: bytes, fields: dict[str, list[str]]) -> None:
    assert parse_urlencoded(body).fields == fields


@pytest.mark.parametrize("body", [b"a=%", b"a=%4", b"a=%zz", b"a;b=1"])
def test_bad_urlencoded(body: bytes) -> None:
    with pytest.raises(FormError):
        parse_urlencoded(body)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text/plain", ("text/plain", {})),
        ("Text/PLAIN; Charset=UTF-8", ("text/plain", {"charset": "UTF-8"})),
        ('multipart/form-data; boundary="a b"', ("multipart/form-data", {"boundary": "a b"})),
        ("", None),
        ("a/b/c", None),
        ("te xt/plain", None),
    ],
)
def test_media_type(value: str, expected: tuple[str, dict[str, str]] | None) -> None:
    if expected is None:
        with pytest.raises(FormError):
            media_type(value)
    else:
        assert media_type(value) == expected
