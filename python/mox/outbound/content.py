"""What submission does to the header of a message, and what it has to know of it. Pure."""

import base64
import os
import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime

from mox._rust import ParsedMessage, header_fields, header_values, split_fields
from mox.dns.names import DomainError, parse_domain
from mox.smtp.address import Path

EXTRA = "x-mox-extra-"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class ContentError(Exception):
    """The message cannot be submitted as it is; the text says why."""


def author(parsed: ParsedMessage, header: bytes) -> Path:
    """The one address of the one From field (RFC 6409 §8.1 lets us insist). Raises ContentError."""
    fields = header_values(header, "From")
    if len(fields) != 1 or len(parsed.from_) != 1:
        raise ContentError("message must have exactly one From header with exactly one address")
    _, localpart, domain = parsed.from_[0]
    try:
        return Path(localpart, parse_domain(domain).ascii)
    except DomainError as err:
        raise ContentError(f"address in From header: {err}") from err


def missing_fields(header: bytes, hostname: str, now: datetime) -> tuple[bytes, str]:
    """Message-ID and Date where they are missing (RFC 6409 §8.2, §8.3), and the Message-ID in brackets."""
    lines = ""
    found = header_values(header, "Message-Id")
    message_id = found[0].strip() if found else ""
    if not found:
        unique = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
        message_id = f"<{unique}@{hostname}>"
        lines += f"Message-Id: {message_id}\r\n"
    if not header_values(header, "Date"):
        lines += f"Date: {format_datetime(now)}\r\n"
    return lines.encode(), message_id


def extras(header: bytes) -> dict[str, str]:
    """Values of X-Mox-Extra fields by canonical key. Raises ContentError for a repeated one."""
    found: dict[str, str] = {}
    for name, raw in _fields(header):
        if not name.lower().startswith(EXTRA):
            continue
        key = canonical_key(name[len(EXTRA) :])
        if key in found:
            raise ContentError(f"duplicate header X-Mox-Extra-{key}")
        found[key] = header_values(raw + b"\r\n", name)[0].strip()
    return found


def canonical_key(key: str) -> str:
    """As HTTP header names are written; keys that are no token stay as they are."""
    if not _TOKEN.fullmatch(key):
        return key
    return "-".join(word[:1].upper() + word[1:].lower() for word in key.split("-"))


def private_fields(header: bytes) -> list[str]:
    """Names of fields that are not for the recipients' eyes."""
    names = {name for name, _ in _fields(header)}
    return sorted(n for n in names if n.lower() == "bcc" or n.lower().startswith(EXTRA))


def without_fields(content: bytes, header_size: int, names: Sequence[str]) -> bytes:
    """The message without these fields."""
    return header_fields(content[:header_size], names, True) + content[header_size:]


def tls_required(header: bytes) -> bool | None:
    """False when every TLS-Required field says no (RFC 8689 §4), None otherwise."""
    values = [value.strip().lower() for value in header_values(header, "TLS-Required")]
    return False if values and all(value == "no" for value in values) else None


def needs_utf8(sender: Path, recipients: Sequence[Path], parsed: ParsedMessage) -> bool:
    """Something of it can only go to servers with SMTPUTF8 (RFC 6531 §3.1): a localpart, or a header field anywhere.
    Internationalised domains alone do not need it."""
    if not sender.is_ascii or not all(path.is_ascii for path in recipients):
        return True
    return parsed.needs_smtputf8


def _fields(header: bytes) -> list[tuple[str, bytes]]:
    try:
        return split_fields(header)
    except ValueError as err:
        raise ContentError(f"header cannot be read: {err}") from err
