"""Does an address have a name that leads back to it? RFC 8601 §3."""

import asyncio
import enum

from msgspec import Struct

from mox.dns.names import IPAddress
from mox.dns.resolver import DnsNotFound, DnsTemporary, Resolver

# The owner of the address chooses how many names there are.
MAX_NAMES = 10


class IprevStatus(enum.StrEnum):
    """RFC 8601 §2.7.3."""

    PASS = "pass"
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class IprevResult(Struct, frozen=True):
    """The verdict; `name` is the one that leads back, `names` all that the address has."""

    status: IprevStatus
    name: str = ""
    names: tuple[str, ...] = ()
    authentic: bool = False
    problem: str = ""


async def verify(resolver: Resolver, ip: IPAddress) -> IprevResult:
    """Look up the names of `ip` and their addresses, at most MAX_NAMES of them, at once."""
    try:
        answer = await resolver.ptr(ip)
    except DnsNotFound as err:
        return IprevResult(IprevStatus.PERMERROR, authentic=err.authentic, problem="no name")
    except DnsTemporary as err:
        return IprevResult(IprevStatus.TEMPERROR, problem=str(err))
    names = tuple(name.lower() for name in answer.records)
    found = await asyncio.gather(*(_leads_back(resolver, name, ip) for name in names[:MAX_NAMES]))
    for name, (leads_back, authentic) in zip(names, found, strict=False):
        if leads_back:
            return IprevResult(IprevStatus.PASS, name, names, answer.authentic and authentic)
    if any(leads_back is None for leads_back, _ in found):
        return IprevResult(IprevStatus.TEMPERROR, "", names, problem="looking up the addresses of a name failed")
    authentic = answer.authentic and all(authentic for _, authentic in found)
    return IprevResult(IprevStatus.FAIL, "", names, authentic, "no name leads back to the address")


async def _leads_back(resolver: Resolver, name: str, ip: IPAddress) -> tuple[bool | None, bool]:
    """(whether the name has the address, authentic); None when DNS does not say."""
    try:
        answer = await (resolver.a(name) if ip.version == 4 else resolver.aaaa(name))
    except DnsNotFound as err:
        return False, err.authentic
    except DnsTemporary:
        return None, False
    return ip in answer.records, answer.authentic
