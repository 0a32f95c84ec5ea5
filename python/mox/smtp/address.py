"""Addresses and paths of commands (RFC 5321 §4.1.2, §4.1.3, RFC 6531 §3.3).

A localpart is kept decoded and NFC-normalised, a domain as lower-case A-labels or as an address literal in brackets.
"""

import ipaddress
import re
import unicodedata
from functools import lru_cache

import idna
from msgspec import Struct

MAX_PATH = 256
MAX_DOMAIN = 255
# RFC 5321 §4.5.3.1.1 says 64; bounce addresses of large services are longer.
MAX_LOCALPART = 128
MAX_LOCALPART_PEDANTIC = 64

# What may not stand there is listed: a set of all that is above ASCII would take `re` milliseconds to compile.
_SURROGATES = r"\ud800-\udfff"
_ATEXT = rf'[^\x00-\x20"(),.:;<>@\[\\\]\x7f{_SURROGATES}]'
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED = re.compile(rf'"((?:[^\x00-\x1f"\\\x7f{_SURROGATES}]|\\[ -~])*)"')
_NO_LETTER = rf"\x00-,./:-@\[-`{{-\x7f{_SURROGATES}"
_LABEL = rf"[^{_NO_LETTER}\-][^{_NO_LETTER}]*"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ROUTE = re.compile(rf"@{_DOMAIN.pattern}(?:,@{_DOMAIN.pattern})*:")


class AddressError(Exception):
    """Not an address; the text says why."""


class NotAsciiError(AddressError):
    """The localpart needs SMTPUTF8, which was not given (RFC 6531 §3.7.4.2)."""


class Path(Struct, frozen=True):
    """A mailbox; both parts empty is the null reverse-path, only the domain empty is `<postmaster>`."""

    localpart: str
    domain: str

    def __str__(self) -> str:
        """Encoded localpart and A-label domain, as in commands and trace fields; empty for the null path."""
        if not self.domain:
            return self.localpart
        return f"{encode_localpart(self.localpart)}@{self.domain}"

    @property
    def is_null(self) -> bool:
        """The reverse-path of notifications (RFC 5321 §4.5.5)."""
        return not self.localpart and not self.domain

    @property
    def is_literal(self) -> bool:
        """The domain is an address literal (RFC 5321 §4.1.3)."""
        return self.domain.startswith("[")

    @property
    def is_ascii(self) -> bool:
        """Can be sent without SMTPUTF8."""
        return self.localpart.isascii()

    def unicode(self) -> str:
        """With the domain in U-labels, for people and for messages with SMTPUTF8."""
        if not self.domain:
            return self.localpart
        return f"{encode_localpart(self.localpart)}@{to_unicode(self.domain)}"


NULL_PATH = Path("", "")


@lru_cache(maxsize=4096)
def encode_localpart(localpart: str) -> str:
    """As a dot-string when it is one, else quoted."""
    if _DOT_STRING.fullmatch(localpart):
        return localpart
    escaped = localpart.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@lru_cache(maxsize=4096)
def to_unicode(domain: str) -> str:
    """U-labels of a domain, or the domain itself where it has none."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except idna.IDNAError:
        return domain


@lru_cache(maxsize=4096)
def parse_domain(text: str, allow_utf8: bool = True) -> str:
    """Lower-case A-labels. Raises AddressError."""
    if not _DOMAIN.fullmatch(text) or (not allow_utf8 and not text.isascii()):
        raise AddressError("bad domain")
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode()
        except idna.IDNAError as err:
            raise AddressError("domain cannot be an internationalised name") from err
    if len(text) > MAX_DOMAIN or any(len(label) > 63 for label in text.split(".")):
        raise AddressError("domain too long")
    return text.lower()


def parse_literal(text: str) -> str:
    """An address literal with its brackets, in canonical form. Raises AddressError."""
    inner = text[1:-1]
    if not text.startswith("[") or not text.endswith("]"):
        raise AddressError("bad address literal")
    try:
        if inner[:5].upper() == "IPV6:":
            six = ipaddress.IPv6Address(inner[5:])
            if six.ipv4_mapped is None and not six.scope_id:
                return f"[IPv6:{six}]"
        elif inner[:1].isdigit():
            return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError as err:
        raise AddressError("bad address literal") from err
    raise AddressError("bad address literal")


def literal(ip: str) -> str:
    """The address literal of an IP address."""
    return f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"


def split_localpart(text: str, pedantic: bool = False) -> tuple[str, str]:
    """The decoded localpart at the start of `text`, and what follows. Raises AddressError."""
    quoted = _QUOTED.match(text)
    if quoted:
        local, rest = re.sub(r"\\(.)", r"\1", quoted[1]), text[quoted.end() :]
    else:
        dotted = _DOT_STRING.match(text)
        if dotted is None:
            raise AddressError("bad localpart")
        local, rest = dotted[0], text[dotted.end() :]
    if len(local.encode()) > (MAX_LOCALPART_PEDANTIC if pedantic else MAX_LOCALPART):
        raise AddressError("localpart too long")
    return unicodedata.normalize("NFC", local), rest


def parse_mailbox(text: str, *, allow_utf8: bool = True, pedantic: bool = False) -> Path:
    """`localpart@domain` or `localpart@[literal]`. Raises AddressError, NotAsciiError."""
    local, rest = split_localpart(text, pedantic)
    if not rest.startswith("@"):
        raise AddressError("expected @ and a domain")
    domain = parse_literal(rest[1:]) if rest.startswith("@[") else parse_domain(rest[1:], allow_utf8)
    if not allow_utf8 and not local.isascii():
        raise NotAsciiError("SMTPUTF8 is needed for this localpart")
    return Path(local, domain)


def parse_address(text: str) -> Path:
    """`localpart@domain` without address literals. Raises AddressError."""
    path = parse_mailbox(text)
    if path.is_literal:
        raise AddressError("address literals are not possible here")
    return path


def parse_reverse_path(raw: str, *, allow_utf8: bool, pedantic: bool = False) -> Path:
    """What stands between the brackets of MAIL FROM. Raises AddressError, NotAsciiError."""
    return parse_forward_path(raw, allow_utf8=allow_utf8, pedantic=pedantic) if raw else NULL_PATH


def parse_forward_path(raw: str, *, allow_utf8: bool, pedantic: bool = False) -> Path:
    """What stands between the brackets of RCPT TO; a source route is ignored. Raises AddressError, NotAsciiError."""
    if raw.lower() == "postmaster":
        return Path("postmaster", "")
    if len(raw.encode(errors="replace")) + 2 > MAX_PATH:
        raise AddressError("path too long")
    route = _ROUTE.match(raw)
    return parse_mailbox(raw[route.end() :] if route else raw, allow_utf8=allow_utf8, pedantic=pedantic)
