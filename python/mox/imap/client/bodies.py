"""FETCH items: envelopes, part trees and the rest (RFC 9051 §7.5.2)."""

from typing import Any

from mox.imap.client.scanner import Scanner
from mox.imap.client.types import Address, Envelope, Extension, Multipart, Part


def fetch_items(scan: Scanner) -> dict[str, Any]:
    """The parenthesised list of a FETCH response, by label."""
    return dict(scan.listed(lambda: _item(scan)))


def _label(scan: Scanner) -> str:
    """A name, with a section in brackets that may hold a list and an offset behind it."""
    name = scan.word(rb"[A-Za-z0-9.]+").upper()
    if scan.peek(b"["):
        name += scan.word(rb'\[(?:"(?:[^"\\]|\\.)*"|[^\]"])*\](?:<\d+>)?')
    return name


def _item(scan: Scanner) -> tuple[str, Any]:
    label = _label(scan)
    scan.space()
    return label, _value(scan, label)


def _value(scan: Scanner, label: str) -> Any:
    if label.startswith("BINARY.SIZE["):
        return scan.number()
    if "[" in label or label in ("RFC822", "RFC822.HEADER", "RFC822.TEXT"):
        return scan.nbytes()
    match label:
        case "UID" | "RFC822.SIZE":
            return scan.number()
        case "FLAGS":
            return tuple(scan.listed(scan.atom))
        case "MODSEQ":
            return scan.listed(scan.number)[0]
        case "ENVELOPE":
            return envelope(scan)
        case "BODY" | "BODYSTRUCTURE":
            return body(scan)
        case "EMAILID" | "THREADID":
            return None if scan.nil() else scan.listed(scan.atom)[0]
        case "INTERNALDATE" | "SAVEDATE" | "PREVIEW":
            return scan.nstring()
    raise scan.fail(f"a known item instead of {label}")


def _addresses(scan: Scanner) -> tuple[Address, ...]:
    if scan.nil():
        return ()
    out = []
    scan.expect(b"(")
    while not scan.take(b")"):
        scan.take(b" ")
        fields = scan.listed(scan.nstring)
        if len(fields) != 4:
            raise scan.fail("an address of four fields")
        out.append(Address(*fields))
    return tuple(out)


def _next_addresses(scan: Scanner) -> tuple[Address, ...]:
    scan.space()
    return _addresses(scan)


def envelope(scan: Scanner) -> Envelope:
    """`env-date SP env-subject SP …` in parentheses."""
    scan.expect(b"(")
    date = scan.nstring()
    scan.space()
    subject = scan.nstring()
    from_, sender, reply_to, to, cc, bcc = (_next_addresses(scan) for _ in range(6))
    scan.space()
    in_reply_to = scan.nstring()
    scan.space()
    message_id = scan.nstring()
    scan.expect(b")")
    return Envelope(date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, message_id)


def body(scan: Scanner) -> Part | Multipart:
    """A part tree, with or without extension data."""
    scan.expect(b"(")
    scan.depth += 1
    if scan.depth > 200:
        raise scan.fail("less nesting")
    found = _multipart(scan) if scan.peek(b"(") else _part(scan)
    scan.depth -= 1
    return found


def _multipart(scan: Scanner) -> Multipart:
    parts = []
    while scan.peek(b"("):
        parts.append(body(scan))
    scan.space()
    subtype = scan.text()
    params: dict[str, str] = {}
    extension = None
    if scan.take(b" "):
        params = _params(scan)
        extension = _extension(scan)
    scan.expect(b")")
    return Multipart(tuple(parts), subtype, params, extension)


def _part(scan: Scanner) -> Part:
    media_type = scan.text()
    scan.space()
    subtype = scan.text()
    scan.space()
    params = _params(scan)
    scan.space()
    content_id = scan.nstring()
    scan.space()
    description = scan.nstring()
    scan.space()
    encoding = scan.text()
    scan.space()
    octets = scan.number()
    inner_envelope, inner_body, lines = None, None, None
    if media_type.upper() == "MESSAGE" and subtype.upper() in ("RFC822", "GLOBAL") and scan.peek(b" ("):
        scan.space()
        inner_envelope = envelope(scan)
        scan.space()
        inner_body = body(scan)
        scan.space()
        lines = scan.number()
    elif media_type.upper() == "TEXT":
        scan.space()
        lines = scan.number()
    extension = None
    if scan.take(b" "):
        md5 = scan.nstring()
        extension = _extension(scan, md5)
    scan.expect(b")")
    return Part(
        media_type, subtype, params, content_id, description, encoding, octets, lines, inner_envelope, inner_body,
        extension,
    )  # fmt: skip


def _params(scan: Scanner) -> dict[str, str]:
    if scan.nil():
        return {}
    words = scan.listed(scan.text)
    return dict(zip(words[::2], words[1::2], strict=True))


def _extension(scan: Scanner, md5: str | None = None) -> Extension:
    """Disposition, language, location, each optional, and anything newer."""
    disposition = None
    language: tuple[str, ...] = ()
    location = None
    if scan.take(b" ") and not scan.nil():
        scan.expect(b"(")
        kind = scan.text()
        scan.space()
        disposition = (kind, _params(scan))
        scan.expect(b")")
    if scan.take(b" ") and not scan.nil():
        language = tuple(scan.listed(scan.text)) if scan.peek(b"(") else (scan.text(),)
    if scan.take(b" "):
        location = scan.nstring()
    while scan.take(b" "):
        _skip(scan)
    return Extension(md5, disposition, language, location)


def _skip(scan: Scanner) -> None:
    if scan.peek(b"("):
        scan.listed(lambda: _skip(scan))
    elif not scan.nil():
        scan.astring_bytes()
