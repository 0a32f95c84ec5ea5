"""Tag lists, the syntax that DKIM and ARC fields and key records share. RFC 6376 §3.2."""

import base64
import binascii
import re

from mox.dns.names import Domain, DomainError, parse_domain

_FWS = " \t\r\n"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# Fields and records are rarely longer than 2 kB.
_MAX_LENGTH = 32 * 1024
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f;\x7f]*")
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_WHITE = re.compile(r"[ \t\r\n]+")


class TagError(ValueError):
    """A malformed tag list or tag value."""


def parse_tags(text: str) -> dict[str, str]:
    """Tags in order, values unfolded. An empty tag at the end is allowed. Raises TagError for anything else."""
    if len(text) > _MAX_LENGTH:
        raise TagError("tag list too long")
    tags: dict[str, str] = {}
    specs = text.split(";")
    if len(specs) > 1 and not specs[-1].strip(_FWS):
        specs.pop()
    for spec in specs:
        # tag-spec = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
        name, equals, value = spec.partition("=")
        name, value = name.strip(_FWS), value.strip(_FWS)
        if not equals or not _NAME.fullmatch(name):
            raise TagError(f"not a tag: {spec.strip(_FWS)[:40]!r}")
        if "\r" in value:
            value = value.replace("\r\n", "")
        if not _VALUE.fullmatch(value):
            raise TagError(f"bad character in tag {name[:40]}")
        if name in tags:
            raise TagError(f"duplicate tag {name[:40]}")
        tags[name] = value
    return tags


def parse_base64(value: str) -> bytes:
    """Base64 with white space anywhere; padding may lack, as some signers leave it out. Raises TagError."""
    compact = _WHITE.sub("", value).rstrip("=")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as err:
        raise TagError("bad base64") from err


def parse_number(value: str, digits: int) -> int:
    """An unsigned number. Raises TagError."""
    if not value.isascii() or not value.isdigit() or len(value) > digits:
        raise TagError(f"bad number {value[:20]!r}")
    return int(value)


def parse_list(value: str) -> list[str]:
    """Values between colons, white space around them dropped."""
    return [part.strip(" \t") for part in value.split(":")]


def parse_tag_domain(value: str) -> Domain:
    """A domain in A-labels. Raises TagError."""
    try:
        if not value.isascii():
            raise DomainError("not in ASCII form")
        return parse_domain(value, lax=True)
    except DomainError as err:
        raise TagError(f"bad domain {value[:80]!r}: {err}") from err


def parse_selector(value: str) -> str:
    """A selector in lower case: one or more labels, no IDNA. Raises TagError."""
    if (
        not re.fullmatch(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*", value)
        or len(value) > 200
    ):
        raise TagError(f"bad selector {value[:80]!r}")
    return value.lower()


def decode_quoted_printable(value: str) -> str:
    """dkim-quoted-printable: white space dropped, `=XX` decoded. RFC 6376 §2.11. Raises TagError."""
    compact = _WHITE.sub("", value)
    if re.search(r"=(?![0-9A-F]{2})", compact):
        raise TagError("bad quoted-printable")
    data = re.sub(
        rb"=([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), compact.encode("utf-8", "surrogateescape")
    )
    return data.decode("utf-8", "surrogateescape")
