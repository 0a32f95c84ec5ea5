"""The parts of a message as applications see them: types, file names, texts to read (RFC 2045, RFC 2183, RFC 2231).

Built on the structure that `mox._rust.parse_message` gives; a message inside a message counts as one part here.
"""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value

from mox._rust import decode_part, header_values, part_info, section_range

MAX_TEXT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TreePart:
    """A part. `content_type` is lower case, empty without the field; `start` and `end` are of its body in the message;
    `encoding` is in upper case."""

    content_type: str
    parameters: dict[str, str]
    content_id: str
    disposition: str
    filename: str
    encoding: str
    start: int
    end: int
    parts: tuple["TreePart", ...] = ()

    @property
    def is_multipart(self) -> bool:
        """Its body is other parts."""
        return self.content_type.startswith("multipart/")

    def decoded(self, data: bytes) -> bytes:
        """The body without transfer encoding; as it is where that is unknown. `data` is the whole message."""
        raw = data[self.start : self.end]
        if self.is_multipart:
            return raw
        found = decode_part(raw, self.encoding)
        return raw if found is None else found

    def text(self, data: bytes, limit: int = MAX_TEXT_BYTES) -> str:
        """The body as text with LF line ends, of at most `limit` bytes in UTF-8."""
        raw = self.decoded(data)
        try:
            codec = codecs.lookup(self.parameters.get("charset", "utf-8").strip() or "utf-8")
            text = raw.decode(codec.name, "replace") if codec._is_text_encoding else raw.decode("utf-8", "replace")
        except (LookupError, ValueError):
            text = raw.decode("utf-8", "replace")
        text = text.replace("\r\n", "\n")
        # Unpaired surrogates, which a charset such as UTF-7 can give, do not survive.
        encoded = text.encode("utf-8", "replace")[:limit]
        return encoded.decode("utf-8", "ignore")

    def child(self, path: Sequence[int]) -> "TreePart":
        """The part at indices from here. Raises PartNotFound."""
        part = self
        for position, index in enumerate(path):
            if not 0 <= index < len(part.parts):
                raise PartNotFound(f"part {index} at index {position} not found")
            part = part.parts[index]
        return part


class PartNotFound(Exception):
    """No part at a path; the text says where it ends."""


def build(data: bytes, structure: bytes) -> TreePart:
    """The tree of a message, whose `structure` comes from `parse_message`."""
    top = part_info(structure, [])
    assert top is not None
    return _build(data, structure, [], data[: top.start])


def _build(data: bytes, structure: bytes, path: list[int], header: bytes) -> TreePart:
    info = part_info(structure, path)
    assert info is not None
    described = describe(header)
    parts: tuple[TreePart, ...] = ()
    if info.media_type == "MULTIPART":
        parts = tuple(_children(data, structure, path))
    return TreePart(*described, info.encoding, info.start, info.end, parts)


def _children(data: bytes, structure: bytes, path: list[int]) -> Iterator[TreePart]:
    number = 1
    while (mime := section_range(structure, [*path, number], "MIME")) is not None:
        yield _build(data, structure, [*path, number], data[mime[0] : mime[1]])
        number += 1


def describe(header: bytes) -> tuple[str, dict[str, str], str, str, str]:
    """(content type, its parameters, Content-ID, disposition, file name) that a part's header declares."""
    fields = Message()
    for name in ("Content-Type", "Content-Disposition"):
        for value in header_values(header, name)[:1]:
            fields[name] = " ".join(value.split())
    content_type = str(fields.get("Content-Type", "")).partition(";")[0].strip().lower()
    parameters = _parameters(fields, "Content-Type")
    disposition = str(fields.get("Content-Disposition", "")).partition(";")[0].strip().lower()
    filename = _parameters(fields, "Content-Disposition").get("filename") or parameters.get("name", "")
    content_id = next((value.strip() for value in header_values(header, "Content-Id")), "")
    return content_type, parameters, content_id, disposition, filename


def _parameters(fields: Message, name: str) -> dict[str, str]:
    try:
        pairs = fields.get_params(failobj=[], header=name)[1:]
        return {key.lower(): str(collapse_rfc2231_value(value)) for key, value in pairs}
    except (ValueError, LookupError):
        # Broken encodings of parameters (RFC 2231 §4) say nothing.
        return {}


@dataclass(frozen=True, slots=True)
class Readable:
    """The parts a person reads; either may be missing."""

    text: TreePart | None = None
    html: TreePart | None = None

    def __bool__(self) -> bool:
        return self.text is not None or self.html is not None


def readable(part: TreePart) -> Readable:
    """The texts of a message: the first of its parts, for multipart/alternative both forms; no attachments."""
    own = _as_text(part)
    if own:
        return own
    found = Readable()
    for child in part.parts:
        kind = _as_text(child)
        if not kind:
            continue
        found = Readable(kind.text or found.text, kind.html or found.html)
        if part.content_type != "multipart/alternative":
            break
    if found:
        return found
    return next((inner for child in part.parts if (inner := readable(child))), Readable())


def _as_text(part: TreePart) -> Readable:
    """What the part is itself. A part without type is text, unless it is a file."""
    if part.disposition == "attachment":
        return Readable()
    if part.content_type == "text/plain" or (not part.content_type and not part.filename and not part.parts):
        return Readable(text=part)
    return Readable(html=part) if part.content_type == "text/html" else Readable()
