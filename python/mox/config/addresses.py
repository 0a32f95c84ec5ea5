"""Mail addresses as configuration and commands write them (RFC 5321 §4.1.2, RFC 6531 §3.3), with their domain in both
forms."""

import re
import unicodedata
from dataclasses import dataclass

from mox.dns.names import Domain, DomainError, parse_domain

MAX_LOCALPART = 128
# What may not stand there is listed: a set of all that is above ASCII would take `re` milliseconds to compile.
_ATEXT = r'[^\x00-\x20"(),.:;<>@\[\\\]\x7f]'
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED = re.compile(r'"((?:[^\x00-\x1f"\\\x7f]|\\[ -~])*)"')


class AddressError(ValueError):
    """Not an address; the text says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """A localpart, decoded, and a domain."""

    localpart: str
    domain: Domain

    def __str__(self) -> str:
        """The form for people and for keys: the domain in Unicode."""
        return f"{render_localpart(self.localpart)}@{self.domain.name}"


def render_localpart(localpart: str) -> str:
    """As in an address: in quotes if it has to be."""
    if _DOT_STRING.fullmatch(localpart):
        return localpart
    escaped = localpart.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _split(text: str) -> tuple[str, str]:
    """The decoded localpart at the start of `text`, and the rest. Raises AddressError."""
    if quoted := _QUOTED.match(text):
        local, rest = re.sub(r"\\(.)", r"\1", quoted[1]), text[quoted.end() :]
    elif dotted := _DOT_STRING.match(text):
        local, rest = dotted[0], text[dotted.end() :]
    else:
        raise AddressError(f"{text!r} does not start with a localpart")
    if len(local.encode()) > MAX_LOCALPART:
        raise AddressError("localpart too long")
    return unicodedata.normalize("NFC", local), rest


def parse_localpart(text: str) -> str:
    """The decoded form of a localpart. Raises AddressError."""
    local, rest = _split(text)
    if rest:
        raise AddressError(f"{text!r} is not a localpart")
    return local


def parse_address(text: str) -> Address:
    """`localpart@domain`. Raises AddressError."""
    local, rest = _split(text)
    if not rest.startswith("@"):
        raise AddressError(f"{text!r} is not an address: expected @ and a domain after the localpart")
    try:
        return Address(local, parse_domain(rest[1:]))
    except DomainError as err:
        raise AddressError(f"{text!r} is not an address: {err}") from err
