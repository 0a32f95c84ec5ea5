"""Bodies of HTML forms: application/x-www-form-urlencoded and multipart/form-data (RFC 7578), with limits.

Files go to temporary files when they are large; whoever asks for a form closes it.
"""

import asyncio
import contextlib
import email.parser
import posixpath
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import SpooledTemporaryFile
from urllib.parse import unquote_to_bytes

MAX_FIELDS_BYTES = 10 << 20
MAX_PARTS = 1000
MAX_PART_HEADER_BYTES = 16 << 10
# A file is kept in memory up to this.
MEMORY_FILE_BYTES = 200 << 10

_MEDIA_TYPE = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+(?:/[!#$%&'*+\-.^_`|~0-9a-z]+)?")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class FormError(Exception):
    """The body is not the form that its content type announces."""


@dataclass(slots=True)
class UploadedFile:
    """A file of a form. Its data is read once, from the start."""

    name: str
    content_type: str
    content_id: str
    size: int
    file: "SpooledTemporaryFile[bytes]"

    def read(self) -> bytes:
        """All of it. Blocks: for a thread when it is large."""
        self.file.seek(0)
        return self.file.read()


@dataclass(slots=True)
class Form:
    """Text fields by name, in order; files by field name."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[UploadedFile]] = field(default_factory=dict)

    def first(self, name: str) -> str:
        """The first value of a field, or ""."""
        return self.fields.get(name, [""])[0]

    def close(self) -> None:
        """Remove temporary files."""
        for files in self.files.values():
            for file in files:
                file.file.close()


def parse_urlencoded(body: bytes) -> Form:
    """Raises FormError for a bad escape or a semicolon, which is no separator (WHATWG URL §5.1)."""
    form = Form()
    for pair in body.split(b"&"):
        if not pair:
            continue
        if b";" in pair:
            raise FormError("invalid semicolon separator")
        if bad := _BAD_ESCAPE.search(pair):
            raise FormError(f"invalid URL escape {pair[bad.start() : bad.start() + 3].decode('ascii', 'replace')!r}")
        name, _, value = (
            unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8", "replace") for part in pair.partition(b"=")
        )
        form.fields.setdefault(name, []).append(value)
    return form


@dataclass(frozen=True, slots=True)
class PartBegin:
    """The header of a part."""

    header: bytes


@dataclass(frozen=True, slots=True)
class PartData:
    """A piece of a part's body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


Event = PartBegin | PartData | PartEnd


class MultipartParser:
    """Splits a multipart body (RFC 2046 §5.1.1) as it comes; knows no fields or files."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        # The first delimiter may stand at the very start.
        self._buffer = bytearray(b"\r\n")
        self._step = self._preamble
        self.is_complete = False

    def feed(self, data: bytes) -> list[Event]:
        """What `data` completes. Raises FormError."""
        self._buffer += data
        events: list[Event] = []
        while self._step(events):
            pass
        return events

    def _preamble(self, events: list[Event]) -> bool:
        at = self._buffer.find(self._delimiter)
        if at < 0:
            del self._buffer[: max(0, len(self._buffer) - len(self._delimiter) + 1)]
            return False
        del self._buffer[: at + len(self._delimiter)]
        self._step = self._after_delimiter
        return True

    def _after_delimiter(self, events: list[Event]) -> bool:
        if self._buffer.startswith(b"--"):
            self.is_complete = True
            self._step = self._epilogue
            return True
        line_end = self._buffer.find(b"\r\n")
        if line_end < 0:
            if len(self._buffer) > MAX_PART_HEADER_BYTES:
                raise FormError("multipart: delimiter line too long")
            return False
        if self._buffer[:line_end].strip(b" \t"):
            raise FormError("multipart: text after a delimiter")
        # The line end stays: it ends an empty header.
        del self._buffer[:line_end]
        self._step = self._header
        return True

    def _header(self, events: list[Event]) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > MAX_PART_HEADER_BYTES:
            if len(self._buffer) > MAX_PART_HEADER_BYTES:
                raise FormError("multipart: part header too long")
            return False
        events.append(PartBegin(bytes(self._buffer[2 : end + 2])))
        # The line end before the body may begin the delimiter of an empty part.
        del self._buffer[: end + 2]
        self._step = self._body_start
        return True

    def _body_start(self, events: list[Event]) -> bool:
        if len(self._buffer) < len(self._delimiter):
            return False
        if not self._buffer.startswith(self._delimiter):
            del self._buffer[:2]
        self._step = self._body
        return True

    def _body(self, events: list[Event]) -> bool:
        at = self._buffer.find(self._delimiter)
        keep = len(self._delimiter) - 1
        ready = at if at >= 0 else max(0, len(self._buffer) - keep)
        if ready:
            events.append(PartData(bytes(self._buffer[:ready])))
        if at < 0:
            del self._buffer[:ready]
            return False
        events.append(PartEnd())
        del self._buffer[: at + len(self._delimiter)]
        self._step = self._after_delimiter
        return True

    def _epilogue(self, events: list[Event]) -> bool:
        self._buffer.clear()
        return False


def media_type(value: str) -> tuple[str, dict[str, str]]:
    """(lower-case type, parameters) of a Content-Type value. Raises FormError when it is none. RFC 9110 §8.3.1"""
    kind = value.partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(kind):
        raise FormError(f"unknown content-type {value[:200]}")
    if ";" not in value:
        return kind, {}
    headers = email.parser.HeaderParser().parsestr(f"Content-Type: {value}\n\n")
    return kind, {key.lower(): str(item) for key, item in (headers.get_params(unquote=True) or [])[1:]}


class _Collector:
    """Turns the events of a parser into a form."""

    def __init__(self, folder: Path) -> None:
        self.form = Form()
        self._folder = folder
        self._parts = 0
        self._field_bytes = 0
        self._name = ""
        self._text: bytearray | None = None
        self._file: UploadedFile | None = None

    def begin(self, header: bytes) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise FormError(f"multipart: more than {MAX_PARTS} parts")
        fields = email.parser.HeaderParser().parsestr(header.decode("utf-8", "replace").replace("\r\n", "\n") + "\n")
        disposition = fields.get_content_disposition()
        name = fields.get_param("name", header="content-disposition")
        self._name = name if isinstance(name, str) and disposition == "form-data" else ""
        filename = fields.get_filename()
        self._text = self._file = None
        if filename is None:
            self._text = bytearray()
            return
        spool: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(MEMORY_FILE_BYTES, dir=str(self._folder))
        base = posixpath.basename(filename.replace("\\", "/"))
        self._file = UploadedFile(
            base, str(fields.get("Content-Type", "")), str(fields.get("Content-ID", "")), 0, spool
        )
        # In the form at once, so that closing the form closes it whatever happens.
        self.form.files.setdefault(self._name, []).append(self._file)

    async def data(self, data: bytes) -> None:
        if self._text is not None:
            self._field_bytes += len(data)
            if self._field_bytes > MAX_FIELDS_BYTES:
                raise FormError("multipart: fields too large")
            self._text += data
        elif self._file is not None:
            self._file.size += len(data)
            if self._file.size > MEMORY_FILE_BYTES:
                await asyncio.to_thread(self._file.file.write, data)
            else:
                self._file.file.write(data)

    def end(self) -> None:
        if self._text is not None:
            self.form.fields.setdefault(self._name, []).append(self._text.decode("utf-8", "replace"))


async def read_multipart(chunks: AsyncIterator[bytes], boundary: str, folder: Path) -> Form:
    """The form of a body; temporary files in `folder`. Raises FormError."""
    if not 0 < len(boundary) <= 70:
        raise FormError("multipart: no boundary, or a bad one")
    parser = MultipartParser(boundary.encode("utf-8", "replace"))
    collector = _Collector(folder)
    with contextlib.ExitStack() as on_error:
        on_error.callback(collector.form.close)
        async for chunk in chunks:
            for event in parser.feed(chunk):
                match event:
                    case PartBegin(header):
                        collector.begin(header)
                    case PartData(data):
                        await collector.data(data)
                    case PartEnd():
                        collector.end()
        if not parser.is_complete:
            raise FormError("multipart: unexpected end of the body")
        on_error.pop_all()
    return collector.form
