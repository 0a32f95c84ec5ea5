"""What the rest of mox sees of DNS: record types, answers, errors, and the Resolver all look-ups go through.

A Resolver answers typed questions. `mox.dns.system.SystemResolver` asks name servers, `mox.dns.static.StaticResolver`
reads a table. Both only implement `lookup`; everything typed is here, so that they cannot differ.

"Not found" covers NXDOMAIN and no data of that type. Names are ASCII, absolute, without final dot, in any case.
"""

import asyncio
import enum
import ipaddress
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from mox.dns.names import DomainError, IPAddress, is_valid_name, parse_domain, reverse_name

T = TypeVar("T", covariant=True)

# Extended error codes that say that DNSSEC validation failed. RFC 8914 §4.
_DNSSEC_CODES = frozenset({1, 2, *range(5, 13)})


class Kind(enum.Enum):
    """A record type."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    MX = "MX"
    NS = "NS"
    PTR = "PTR"
    SRV = "SRV"
    TLSA = "TLSA"
    TXT = "TXT"


@dataclass(frozen=True, slots=True)
class Mx:
    """`host` is "." (as in RFC 7505), or a name without final dot."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Srv:
    """RFC 2782."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Tlsa:
    """RFC 6698 §2.1; `data` is the certificate association data."""

    usage: int
    selector: int
    matching_type: int
    data: bytes

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching_type} {self.data.hex()}"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """At least one record. `authentic`: validated by DNSSEC. `expires` is in seconds of `time.monotonic`."""

    records: Sequence[T]
    authentic: bool = False
    expires: float = 0.0


class DnsError(Exception):
    """A look-up gave no records."""


class DnsNotFound(DnsError):
    """There is no such name, or no record of the type. `authentic`: DNSSEC proves it."""

    def __init__(self, text: str, authentic: bool = False, expires: float = 0.0) -> None:
        super().__init__(text)
        self.authentic = authentic
        self.expires = expires


class DnsInvalidRecords(DnsNotFound):
    """There are records, but none that may be used (for example MX whose targets are not host names)."""


class DnsTemporary(DnsError):
    """No usable answer now. `code` and `code_text` are the server's extended error, RFC 8914, when it gave one."""

    def __init__(self, text: str, code: int | None = None, code_text: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.code_text = code_text

    @property
    def is_dnssec_failure(self) -> bool:
        """The name server could not validate the answer."""
        return self.code in _DNSSEC_CODES


class Resolver(ABC):
    """Every method raises DnsNotFound or DnsTemporary, and nothing else."""

    @abstractmethod
    async def lookup(self, name: str, kind: Kind) -> Answer[object]:
        """Records of `kind` at `name`, CNAMEs followed (but for CNAME itself)."""

    def tagged(self, package: str) -> "Resolver":
        """This resolver (and cache), its look-ups counted in the metrics as those of `package`."""
        return self

    async def txt(self, name: str) -> Answer[str]:
        """Each record's strings joined; octets that are not UTF-8 are escaped as surrogates."""
        return cast(Answer[str], await self.lookup(name, Kind.TXT))

    async def cname(self, name: str) -> Answer[str]:
        """The one target; not found when the name is no alias."""
        return cast(Answer[str], await self.lookup(name, Kind.CNAME))

    async def ns(self, name: str) -> Answer[str]:
        """Name servers."""
        return cast(Answer[str], await self.lookup(name, Kind.NS))

    async def srv(self, name: str) -> Answer[Srv]:
        """Services, lowest priority first."""
        answer = cast(Answer[Srv], await self.lookup(name, Kind.SRV))
        return Answer(sorted(answer.records, key=lambda r: (r.priority, -r.weight)), answer.authentic, answer.expires)

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """`name` includes port and protocol. RFC 6698 §3."""
        return cast(Answer[Tlsa], await self.lookup(name, Kind.TLSA))

    async def a(self, name: str) -> Answer[ipaddress.IPv4Address]:
        """IPv4 addresses."""
        return cast(Answer[ipaddress.IPv4Address], await self.lookup(name, Kind.A))

    async def aaaa(self, name: str) -> Answer[ipaddress.IPv6Address]:
        """IPv6 addresses."""
        return cast(Answer[ipaddress.IPv6Address], await self.lookup(name, Kind.AAAA))

    async def ips(self, name: str) -> Answer[IPAddress]:
        """Addresses of both families. A family that fails does not hide the other; none and a failure is temporary."""
        results = await asyncio.gather(self.lookup(name, Kind.AAAA), self.lookup(name, Kind.A), return_exceptions=True)
        found: list[IPAddress] = []
        authentic, expires, temporary = True, float("inf"), None
        for result in results:
            match result:
                case Answer(records, is_authentic, until):
                    found += cast(Sequence[IPAddress], records)
                    authentic, expires = authentic and is_authentic, min(expires, until)
                case DnsNotFound():
                    authentic, expires = authentic and result.authentic, min(expires, result.expires)
                case DnsTemporary():
                    authentic, temporary = False, result
                case _:
                    raise result
        if found:
            return Answer(tuple(found), authentic, 0.0 if temporary else expires)
        if temporary is not None:
            raise temporary
        raise DnsNotFound(f"no addresses for {name}", authentic, expires)

    async def mx(self, name: str) -> Answer[Mx]:
        """By preference, equal ones in random order. Targets that are no host names are left out.

        Raises DnsInvalidRecords when none is left. A single target "." means that the domain takes no mail, RFC 7505.
        """
        answer = cast(Answer[Mx], await self.lookup(name, Kind.MX))
        usable = [r for r in answer.records if r.host == "." or _is_host(r.host)]
        if not usable:
            raise DnsInvalidRecords(f"MX records of {name} hold no valid host name", answer.authentic, answer.expires)
        usable.sort(key=lambda r: (r.preference, random.random()))
        return Answer(tuple(usable), answer.authentic, answer.expires)

    async def ptr(self, ip: IPAddress) -> Answer[str]:
        """Names of an address; those that are no host names are left out."""
        name = reverse_name(ip)
        answer = cast(Answer[str], await self.lookup(name, Kind.PTR))
        usable = tuple(r for r in answer.records if _is_host(r))
        if not usable:
            raise DnsInvalidRecords(f"PTR records of {name} hold no valid host name", answer.authentic, answer.expires)
        return Answer(usable, answer.authentic, answer.expires)


def check_name(name: str) -> str:
    """`name` in lower case. Raises DnsNotFound when no such name can exist in DNS."""
    if not is_valid_name(name):
        raise DnsNotFound(f"{name!r} is no valid DNS name")
    return name.lower()


def _is_host(name: str) -> bool:
    try:
        parse_domain(name, lax=True)
    except DomainError:
        return False
    return True
