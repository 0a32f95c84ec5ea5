"""Domain names as mail uses them: both their IDNA forms, validity, and reverse names.

Inside mox every name in a DNS query is the ASCII form, lower case, absolute, without final dot.
Sizes: RFC 1035 §2.3.4. Unicode form: RFC 5890-5891 and UTS 46, non-transitional as browsers do.
"""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import idna

MAX_NAME = 253
MAX_LABEL = 63
_JOINERS = "\u200c\u200d"
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_LAX_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class DomainError(ValueError):
    """Not a domain name; the text says why."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain in both forms. `unicode` is empty when the name has no label in IDNA form."""

    ascii: str
    unicode: str = ""

    @property
    def name(self) -> str:
        """The form for people."""
        return self.unicode or self.ascii

    def xname(self, utf8: bool) -> str:
        """The Unicode form where `utf8` allows it."""
        return self.unicode if utf8 and self.unicode else self.ascii

    def ascii_extra(self, utf8: bool) -> str:
        """The ASCII form if `xname` gave the other one, for a comment beside it; else empty."""
        return self.ascii if utf8 and self.unicode else ""

    @property
    def log_string(self) -> str:
        """`unicode/ascii` of an IDNA name."""
        return f"{self.unicode}/{self.ascii}" if self.unicode else self.ascii

    def __str__(self) -> str:
        return self.name


@lru_cache(maxsize=16384)
def parse_domain(text: str, lax: bool = False) -> Domain:
    """Parse a name in either form, without final dot. `lax` allows underscores in ASCII names. Raises DomainError."""
    if not text:
        raise DomainError("empty domain")
    # Mapping may drop characters, so a Unicode name may be longer than what it stands for, within reason.
    if len(text) > 2 * MAX_NAME:
        raise DomainError("domain too long")
    if text.endswith("."):
        raise DomainError("domain with final dot")
    if is_ip(text):
        raise DomainError("domain is an IP address")
    try:
        ascii_form = text.lower() if text.isascii() else _to_ascii(text)
        _check_labels(ascii_form, lax)
        unicode_form = _to_unicode(ascii_form)
    except (idna.IDNAError, UnicodeError) as err:
        raise DomainError(f"bad internationalized domain: {err}") from err
    return Domain(ascii_form, "" if unicode_form == ascii_form else unicode_form)


def _to_ascii(text: str) -> str:
    """UTS 46 ToASCII: also symbols such as ☺, which IDNA 2008 alone would refuse."""
    return ".".join(_label_to_ascii(label) for label in idna.uts46_remap(text, True, False).split("."))


def _label_to_ascii(label: str) -> str:
    if label.isascii():
        return label
    idna.check_hyphen_ok(label)
    idna.check_initial_combiner(label)
    if any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in label):
        idna.check_bidi(label)
    for at, char in enumerate(label):
        if char in _JOINERS and not idna.valid_contextj(label, at):
            raise idna.InvalidCodepointContext(f"joiner not allowed in {label!r}")
    return "xn--" + label.encode("punycode").decode()


def _to_unicode(name: str) -> str:
    labels = []
    for label in name.split("."):
        decoded = label.removeprefix("xn--").encode().decode("punycode") if label.startswith("xn--") else label
        if decoded != label and _to_ascii(decoded) != label:
            raise idna.IDNAError(f"{label!r} is not the encoding of a label")
        labels.append(decoded)
    return ".".join(labels)


def _check_labels(name: str, lax: bool) -> None:
    if len(name) > MAX_NAME:
        raise DomainError("domain too long")
    pattern = _LAX_LABEL if lax else _LABEL
    for label in name.split("."):
        if len(label) > MAX_LABEL:
            raise DomainError("label too long")
        if not pattern.fullmatch(label):
            raise DomainError("empty label" if not label else "bad character in label")


def is_valid_name(name: str) -> bool:
    """Whether `name` can be asked for in DNS: printable ASCII, label and total sizes. RFC 1035 §2.3.4."""
    return len(name) <= MAX_NAME and _has_valid_labels(name)


@lru_cache(maxsize=16384)
def _has_valid_labels(name: str) -> bool:
    return name.isascii() and all(0 < len(label) <= MAX_LABEL for label in name.split("."))


def is_ip(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address."""
    if ":" not in text and not text[-1:].isdigit():
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def parse_ip(text: str) -> IPAddress:
    """An address; IPv4-mapped IPv6 becomes IPv4, a zone is dropped. Raises ValueError."""
    ip = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


def reverse_name(ip: IPAddress) -> str:
    """The name that holds the PTR records of `ip`. RFC 1035 §3.5, RFC 3596 §2.5."""
    return ip.reverse_pointer


def reverse_labels(ip: IPAddress) -> str:
    """Octets of IPv4 or nibbles of IPv6, reversed, with dots, as DNS lists use. RFC 5782 §2.1, §2.4."""
    return ip.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def is_same_or_below(name: str, parent: str) -> bool:
    """Whether `name` equals `parent` or is a name under it; both in lower case."""
    return name == parent or name.endswith("." + parent)
