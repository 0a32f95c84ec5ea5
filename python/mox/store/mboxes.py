"""The mbox format: one file, messages after `From ` lines, flags in Status, X-Status and X-Keywords headers."""

import re
import time
from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from mox.store.errors import BadArchive
from mox.store.types import FLAG_NAMES, Flag, is_keyword

_DROPPED = re.compile(rb"(?im)^(?:status|x-status|x-keywords|content-length)[ \t]*:.*(?:\r?\n[ \t].*)*(?:\r?\n|\Z)")
_STATUS = re.compile(rb"(?im)^(status|x-status|x-keywords)[ \t]*:(.*(?:\r?\n[ \t].*)*)")
_X_STATUS = ((b"A", Flag.ANSWERED), (b"F", Flag.FLAGGED), (b"T", Flag.DRAFT), (b"D", Flag.DELETED))
_X_KEYWORDS = {
    Flag.FORWARDED: "$Forwarded",
    Flag.JUNK: "$Junk",
    Flag.NOTJUNK: "$NotJunk",
    Flag.PHISHING: "$Phishing",
    Flag.MDNSENT: "$MDNSent",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """A message from outside, with CRLF line ends. `received_ms` None: not known."""

    content: bytes
    flags: int = 0
    keywords: frozenset[str] = field(default_factory=frozenset)
    received_ms: int | None = None


def parse_words(words: list[str]) -> tuple[int, frozenset[str]]:
    """Flags and keywords of names that other programs use, with or without `$`; impossible ones are left out."""
    flags, keywords = 0, set()
    for word in (w.strip().lower() for w in words):
        name = "$" + word.removeprefix("$")
        name = "$notjunk" if name == "$nonjunk" else name
        if name in FLAG_NAMES:
            flags |= FLAG_NAMES[name]
        elif is_keyword(word):
            keywords.add(word)
    return int(flags), frozenset(keywords)


def read(file: BinaryIO) -> Iterator[Imported]:
    """Messages of an mbox file. Raises BadArchive for a file that is none."""
    line = file.readline()
    if line and not line.startswith(b"From "):
        raise BadArchive("not an mbox file: it does not start with `From `")
    while line.endswith(b"\n"):
        received_ms, lines, is_separated, line = _from_time(line), [], False, b""
        for text in file:
            if is_separated and text.startswith(b"From "):
                line = text
                break
            bare = text.rstrip(b"\n").removesuffix(b"\r")
            is_separated = not bare
            if bare.startswith(b">") and bare.lstrip(b">").startswith(b"From "):
                bare = bare[1:]
            lines.append(bare)
        yield _message(lines, received_ms)


def _message(lines: list[bytes], received_ms: int | None) -> Imported:
    # The empty line before the next `From ` belongs to the format, unless it is the one after the header.
    if len(lines) > 1 and not lines[-1] and b"" in lines[:-1]:
        lines.pop()
    header_size = lines.index(b"") if b"" in lines else len(lines)
    header = b"".join(line + b"\r\n" for line in lines[:header_size])
    body = b"".join(line + b"\r\n" for line in lines[header_size:])
    flags, words = 0, []
    for name, value in _STATUS.findall(header):
        match name.lower():
            case b"status":
                flags |= Flag.SEEN if b"R" in value else 0
            case b"x-status":
                flags |= sum(flag for letter, flag in _X_STATUS if letter in value)
            case _:
                words += value.decode(errors="replace").split(",")
    named, keywords = parse_words(words)
    return Imported(_DROPPED.sub(b"", header) + body, int(flags | named), keywords, received_ms)


def _from_time(line: bytes) -> int | None:
    """Milliseconds of a `From ` line; without zone, or with a named one, it is UTC."""
    words = line.decode(errors="replace").split()[2:]
    zone = 0
    if len(words) == 6:
        offset = words.pop(4)
        if re.fullmatch(r"[+-]\d{4}", offset):
            zone = (int(offset[1:3]) * 60 + int(offset[3:])) * (-60 if offset[0] == "-" else 60)
    try:
        return (timegm(time.strptime(" ".join(words), "%a %b %d %H:%M:%S %Y")) - zone) * 1000
    except (ValueError, OverflowError):
        return None


def render(message: Imported, mail_from: str) -> bytes:
    """A message as it stands in an mbox file, with the `From ` line before and the empty line after it."""
    when = time.asctime(time.gmtime((message.received_ms or 0) // 1000))
    header, separator, body = message.content.partition(b"\r\n\r\n")
    kept = _DROPPED.sub(b"", header + b"\r\n")
    text = kept + _status(message.flags, message.keywords) + b"\r\n" + (body if separator else b"")
    text = re.sub(rb"(?m)^(>*From )", rb">\1", text.replace(b"\r\n", b"\n"))
    end = b"\n" if text.endswith(b"\n") else b"\n\n"
    return f"From {mail_from or 'mox'} {when}\n".encode() + text + end


def _status(flags: int, keywords: frozenset[str]) -> bytes:
    lines = []
    if flags & Flag.SEEN:
        lines.append(b"Status: R\r\n")
    letters = b"".join(letter for letter, flag in _X_STATUS if flags & flag)
    if letters:
        lines.append(b"X-Status: " + letters + b"\r\n")
    words = keyword_names(flags, keywords)
    if words:
        lines.append(b"X-Keywords: " + ",".join(words).encode() + b"\r\n")
    return b"".join(lines)


def keyword_names(flags: int, keywords: frozenset[str]) -> list[str]:
    """Flags that are keywords in other programs, and keywords. Junk and not junk together say nothing."""
    if flags & Flag.JUNK and flags & Flag.NOTJUNK:
        flags &= ~(Flag.JUNK | Flag.NOTJUNK)
    return [*(name for flag, name in _X_KEYWORDS.items() if flags & flag), *sorted(keywords)]
