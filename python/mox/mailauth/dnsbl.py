"""Lists of addresses in DNS. RFC 5782.

An answer outside 127.0.0.0/8 is no listing (§2.1): lapsed zones answer everything with the address of some web site.
Answers in 127.255.255.0/24 are how several lists say that they refuse to answer; they count as a failure.
"""

import asyncio
import enum
import ipaddress
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mox import metrics
from mox.dns.names import IPAddress, reverse_labels
from mox.dns.resolver import DnsNotFound, DnsTemporary, Resolver

TIMEOUT_S = 30.0
HEALTH_LIFETIME_S = 4 * 3600.0
_LISTING = ipaddress.IPv4Network("127.0.0.0/8")
_REFUSAL = ipaddress.IPv4Network("127.255.255.0/24")
_NEVER_LISTED = ipaddress.IPv4Address("127.0.0.1")
_ALWAYS_LISTED = ipaddress.IPv4Address("127.0.0.2")


class DnsblStatus(enum.StrEnum):
    """Fail: listed. Pass: not listed."""

    PASS = "pass"
    FAIL = "fail"
    TEMPERROR = "temperror"


@dataclass(frozen=True, slots=True)
class DnsblResult:
    """The verdict of `zone`; `explanation` is the list's own text for a listing, one line."""

    status: DnsblStatus
    zone: str
    explanation: str = ""
    problem: str = ""


async def lookup(resolver: Resolver, zone: str, ip: IPAddress) -> DnsblResult:
    """Ask whether `ip` is listed. RFC 5782 §2.1, §2.4."""
    name = f"{reverse_labels(ip)}.{zone}"
    try:
        answer = await resolver.a(name)
    except DnsNotFound:
        return DnsblResult(DnsblStatus.PASS, zone)
    except DnsTemporary as err:
        return DnsblResult(DnsblStatus.TEMPERROR, zone, problem=str(err))
    if any(record in _REFUSAL for record in answer.records):
        return DnsblResult(DnsblStatus.TEMPERROR, zone, problem=f"{zone} refuses to answer: {answer.records[0]}")
    if not any(record in _LISTING for record in answer.records):
        return DnsblResult(DnsblStatus.PASS, zone, problem=f"{zone} answers {answer.records[0]}, which means nothing")
    return DnsblResult(DnsblStatus.FAIL, zone, await _explanation(resolver, name))


async def _explanation(resolver: Resolver, name: str) -> str:
    try:
        answer = await resolver.txt(name)
    except (DnsNotFound, DnsTemporary):
        return ""
    text = "; ".join(answer.records)
    return "".join(char if char.isprintable() else " " for char in text)[:500]


async def check_health(resolver: Resolver, zone: str) -> str:
    """What is wrong with a zone, empty when nothing is; a temporary failure is nothing. RFC 5782 §5."""
    never, always = await asyncio.gather(lookup(resolver, zone, _NEVER_LISTED), lookup(resolver, zone, _ALWAYS_LISTED))
    if never.status is DnsblStatus.FAIL:
        return f"{zone} lists 127.0.0.1, so probably everything"
    if always.status is DnsblStatus.PASS:
        return f"{zone} does not list 127.0.0.2, so probably nothing"
    return ""


class HealthCache:
    """What `check_health` said of each zone, for HEALTH_LIFETIME_S. Zones come from settings, so they are few."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, str]] = {}

    async def is_healthy(self, resolver: Resolver, zone: str) -> bool:
        """Whether listings of `zone` may be believed."""
        known = self._known.get(zone)
        if known is None or known[0] <= self._clock():
            known = self._known[zone] = (self._clock() + HEALTH_LIFETIME_S, await check_health(resolver, zone))
        return not known[1]


async def first_listing(
    resolver: Resolver, zones: Sequence[str], ip: IPAddress, health: HealthCache, timeout_s: float = TIMEOUT_S
) -> DnsblResult | None:
    """The first healthy zone, in order, that lists `ip`; later zones learn nothing of the address.

    A zone that does not answer within `timeout_s` is passed over.
    """
    resolver = resolver.tagged("dnsbl")
    for zone in zones:
        started = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                if not await health.is_healthy(resolver, zone):
                    continue
                result = await lookup(resolver, zone, ip)
        except TimeoutError:
            result = DnsblResult(DnsblStatus.TEMPERROR, zone, problem="no answer in time")
        metrics.dnsbl_lookups.labels(zone, result.status).observe(time.monotonic() - started)
        if result.status is DnsblStatus.FAIL:
            return result
    return None
