"""Addresses as text in composed messages: forms for peers that know no UTF-8 (RFC 6533 §3, RFC 5890)."""

import re

from mox.dns.names import DomainError, parse_domain

_ESCAPED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}", re.IGNORECASE)
_VERBATIM = frozenset(chr(c) for c in range(0x21, 0x7F)) - set("\\+=")


def split_address(address: str) -> tuple[str, str]:
    """(localpart, domain) of an addr-spec; the domain is empty where there is none."""
    local, at, domain = address.rpartition("@")
    return (local, domain) if at else (address, "")


def ascii_domain(domain: str) -> str:
    """A-labels of a domain; an address literal and a domain that IDNA does not know stay as they are."""
    if domain.isascii():
        return domain.lower() if not domain.startswith("[") else domain
    try:
        return parse_domain(domain, lax=True).ascii
    except DomainError:
        return domain.encode("ascii", "replace").decode()


def ascii_address(address: str) -> str:
    """The address with A-labels, and with the localpart escaped when it is not ASCII: utf-8-addr-xtext.
    RFC 6533 §3."""
    local, domain = split_address(address)
    if not local.isascii():
        local = "".join(c if c in _VERBATIM else f"\\x{{{ord(c):x}}}" for c in local)
    return f"{local}@{ascii_domain(domain)}" if domain else local


def unescape_address(text: str) -> str:
    """Undo the escapes of `ascii_address`. Raises ValueError for a number that is no character."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
