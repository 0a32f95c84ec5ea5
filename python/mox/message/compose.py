"""Composing messages: header fields with folding and encoded words, text parts, multiparts, dates and message-ids.

RFC 5322 §2.1.1 and §2.2.3 (line lengths, folding), RFC 2047 (encoded words), RFC 2045 §6.7 (quoted-printable),
RFC 6532 (UTF-8 headers with SMTPUTF8). It leaves to callers what is said and to whom it is sent.
"""

import base64
import binascii
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from mox.message.addresses import ascii_domain, split_address

MAX_FOLDED_LINE = 77
MAX_TEXT_LINE = 76
# RFC 2047 §2 allows 75 characters; with fewer, one fits behind the name of its field.
MAX_ENCODED_WORD = 66
_ENCODED_OVERHEAD = len("=?utf-8?q?") + len("?=")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NAME = re.compile(r"[!-9;-~]+")
# Controls but tab: a line end in a value would start a new field.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~ ]+")
# What may stand for itself in an encoded word within a phrase (RFC 2047 §5 (3)).
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


class ComposeError(Exception):
    """What was given cannot be written as a message; the text says why."""


class NamedAddress(NamedTuple):
    """A mailbox: display name (may be empty) and addr-spec."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Part:
    """A MIME part: values of its Content-Type and Content-Transfer-Encoding, its body with CRLF line ends,
    and further header fields as (name, value)."""

    content_type: str
    encoding: str
    body: bytes
    fields: tuple[tuple[str, str], ...] = ()

    def render(self) -> bytes:
        """Header and body."""
        header = Header(smtputf8=True)
        header.add("Content-Type", self.content_type)
        header.add("Content-Transfer-Encoding", self.encoding)
        for name, value in self.fields:
            header.add(name, value)
        return header.render() + b"\r\n" + self.body


class Header:
    """Fields of a header in order. With `smtputf8` text stays UTF-8, otherwise everything becomes ASCII."""

    def __init__(self, smtputf8: bool = False) -> None:
        self._smtputf8 = smtputf8
        self._fields: list[str] = []

    def add(self, name: str, value: str) -> None:
        """A structured field: folded at its spaces, otherwise as given. Raises ComposeError."""
        if not (self._smtputf8 or value.isascii()):
            raise ComposeError(f"{name} is not ASCII")
        self._put(name, value.split(" "))

    def addresses(self, name: str, addresses: Sequence[NamedAddress]) -> None:
        """A field of mailboxes (RFC 5322 §3.4); nothing for an empty list. Raises ComposeError."""
        words: list[str] = []
        for at, (display, address) in enumerate(addresses):
            comma = "," if at + 1 < len(addresses) else ""
            spec = self._addr_spec(address)
            if display:
                words += [*self._phrase(display), f"<{spec}>{comma}"]
            else:
                words.append(f"<{spec}>{comma}")
        if words:
            self._put(name, words)

    def subject(self, text: str) -> None:
        """The subject, as encoded words where it needs them (RFC 2047). Raises ComposeError."""
        self.text("Subject", text)

    def text(self, name: str, text: str) -> None:
        """An unstructured field. Raises ComposeError."""
        _check(text)
        self._put(name, text.split(" ") if self._smtputf8 else encode_words(text, in_phrase=False))

    def render(self) -> bytes:
        """The fields, each with CRLF; without the empty line."""
        return "".join(self._fields).encode()

    def _put(self, name: str, words: Iterable[str]) -> None:
        if not _NAME.fullmatch(name):
            raise ComposeError(f"bad header field name {name!r}")
        field = fold(name, words)
        _check(field.replace("\r\n\t", ""))
        self._fields.append(field + "\r\n")

    def _addr_spec(self, address: str) -> str:
        local, domain = split_address(address)
        if not self._smtputf8:
            if not local.isascii():
                raise ComposeError(f"address {address} needs SMTPUTF8")
            domain = ascii_domain(domain)
        return f"{local}@{domain}"

    def _phrase(self, display: str) -> list[str]:
        _check(display)
        if not display.isascii() and not self._smtputf8:
            return encode_words(display, in_phrase=True)
        if _ATOMS.fullmatch(display):
            return display.split(" ")
        escaped = display.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'.split(" ")


def _check(text: str) -> None:
    if _CONTROL.search(text):
        raise ComposeError("a header field cannot hold line ends or control characters")


def fold(name: str, words: Iterable[str], limit: int = MAX_FOLDED_LINE) -> str:
    """`name: words`, continued with CRLF and tab before a word that would pass `limit` octets; without final CRLF."""
    text, used, is_first = f"{name}:", len(name) + 1, True
    for word in words:
        size = (len(word) if word.isascii() else len(word.encode())) + 1
        if used + size > limit and not is_first and word:
            text += "\r\n\t" + word
            used = size
        else:
            text += " " + word
            used += size
        is_first = False
    return text


def encode_words(text: str, in_phrase: bool) -> list[str]:
    """Words of a field; runs of words that are not ASCII, or look like encoded words, as encoded words (RFC 2047)."""
    words: list[str] = []
    run: list[str] = []
    for word in text.split(" "):
        plain = word.isascii() and "=?" not in word and not (in_phrase and not _ATOMS.fullmatch(word or "x"))
        if plain and word:
            words += _encoded_run(run)
            run = []
            words.append(word)
        else:
            run.append(word)
    # Empty words are runs of spaces; alone they need no encoding.
    return words + (_encoded_run(run) if any(run) else run)


def _encoded_run(run: Sequence[str]) -> list[str]:
    if not any(run):
        return list(run)
    words, current = [], ""
    for char in " ".join(run):
        encoded = "".join("_" if c == 0x20 else chr(c) if c in _Q_SAFE else f"={c:02X}" for c in char.encode())
        if len(current) + len(encoded) + _ENCODED_OVERHEAD > MAX_ENCODED_WORD:
            words.append(current)
            current = ""
        current += encoded
    words.append(current)
    return [f"=?utf-8?q?{word}?=" for word in words]


def text_part(text: str, allow_8bit: bool = True, content_type: str = "text/plain") -> Part:
    """A text part: final line end added, LF made CRLF; quoted-printable for long lines and bare CR, and for text that
    is not ASCII unless `allow_8bit`."""
    data = text.encode().replace(b"\r\n", b"\n").removesuffix(b"\n")
    lines = data.split(b"\n")
    is_ascii = text.isascii()
    charset = "us-ascii" if is_ascii else "utf-8"
    has_odd_line = max(map(len, lines)) > MAX_TEXT_LINE or b"\r" in data or b"\0" in data
    if has_odd_line or not (is_ascii or allow_8bit):
        encoding = "quoted-printable"
        lines = [binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in lines]
    else:
        encoding = "7bit" if is_ascii else "8bit"
    return Part(f"{content_type}; charset={charset}", encoding, b"\r\n".join(lines) + b"\r\n")


def base64_part(data: bytes, content_type: str, fields: tuple[tuple[str, str], ...] = ()) -> Part:
    """Any data, in lines of 76 characters."""
    lines = base64.encodebytes(data).replace(b"\n", b"\r\n")
    return Part(content_type, "base64", lines, fields)


def multipart(subtype: str, parts: Sequence[Part], parameters: str = "") -> Part:
    """A multipart of `parts`; `parameters` such as `; report-type="tlsrpt"` precede the boundary."""
    rendered = [part.render() for part in parts]
    while True:
        boundary = secrets.token_hex(15)
        if not any(boundary.encode() in part for part in rendered):
            break
    line = f"--{boundary}".encode()
    body = b"".join(line + b"\r\n" + part + b"\r\n" for part in rendered) + line + b"--\r\n"
    is_8bit = any(part.encoding.lower() == "8bit" for part in parts)
    return Part(f'multipart/{subtype}{parameters}; boundary="{boundary}"', "8bit" if is_8bit else "7bit", body)


def message(header: Header, content: Part) -> bytes:
    """A whole message: `header`, then the fields of `content` and its body."""
    header.add("MIME-Version", "1.0")
    return header.render() + content.render()


def new_message_id(hostname: str) -> str:
    """A message-id with angle brackets that no other message has (RFC 5322 §3.6.4)."""
    return f"<{secrets.token_urlsafe(16)}@{hostname}>"


def format_date(when: datetime) -> str:
    """`2 Jan 2006 15:04:05 -0700`; `when` is aware. RFC 5322 §3.3"""
    offset = when.utcoffset()
    assert offset is not None
    minutes = offset // timedelta(minutes=1)
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year} {when.hour:02}:{when.minute:02}:{when.second:02} {zone}"


def now() -> datetime:
    """The local time, aware of its zone."""
    return datetime.fromtimestamp(time.time()).astimezone()
