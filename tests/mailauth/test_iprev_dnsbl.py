"""Reverse names and DNS lists."""

import asyncio
from typing import Any

import pytest

from mox.dns.names import parse_ip
from mox.dns.resolver import Answer, DnsTemporary, Kind, Resolver
from mox.dns.static import StaticResolver
from mox.mailauth import dnsbl, iprev
from mox.mailauth.dnsbl import DnsblStatus, HealthCache

IP = parse_ip("192.0.2.1")
PTR = "1.2.0.192.in-addr.arpa"


@pytest.mark.holds("smtp-in-af1459")
@pytest.mark.parametrize(
    ("names", "fail", "status", "name"),
    [
        (["good.org"], [], "pass", "good.org"),
        (["absent.org", "wrong.org", "broken.org", "good.org"], ["broken.org"], "pass", "good.org"),
        (["broken.org"], ["broken.org"], "temperror", ""),
        (["wrong.org", "broken.org"], ["broken.org"], "temperror", ""),
        (["wrong.org", "absent.org", "six.org"], [], "fail", ""),
        ([], [], "permerror", ""),
        (["good.org"], [PTR], "temperror", ""),
        ([f"n{i}.org" for i in range(10)] + ["good.org"], [], "fail", ""),
    ],
    ids=[
        "pass",
        "one-matches",
        "only-temporary",
        "wrong-and-temporary",
        "only-wrong",
        "no-ptr",
        "ptr-fails",
        "bounded",
    ],
)
async def test_iprev(names: list[str], fail: list[str], status: str, name: str) -> None:
    zone: dict[str, dict[str, list[Any]]] = {
        "good.org": {"A": ["192.0.2.9", "192.0.2.1"]},
        "wrong.org": {"A": ["192.0.2.9"]},
        "six.org": {"AAAA": ["2001:db8::1"]},
    }
    if names:
        zone[PTR] = {"PTR": names}
    result = await iprev.verify(StaticResolver(zone, fail=[("*", f) for f in fail], authentic=True), IP)
    assert (result.status, result.name) == (status, name)
    if status in ("pass", "fail"):
        assert result.names == tuple(names)


async def test_iprev_of_ipv6() -> None:
    ip = parse_ip("2001:db8::1")
    resolver = StaticResolver({"six.org": {"AAAA": ["2001:db8::1"]}}, authentic=True)
    resolver.add_ptr(ip, "SIX.org")
    result = await iprev.verify(resolver, ip)
    assert (result.status, result.name, result.authentic) == ("pass", "six.org", True)


LISTED = "1.2.0.192.list.org"


@pytest.mark.parametrize(
    ("zone", "fail", "status", "explanation"),
    [
        ({}, [], "pass", ""),
        ({LISTED: {"A": ["127.0.0.2"], "TXT": ["see\nhttp://x", "and more"]}}, [], "fail", "see http://x; and more"),
        ({LISTED: {"A": ["127.0.0.2"]}}, [("TXT", LISTED)], "fail", ""),
        ({}, [("A", LISTED)], "temperror", ""),
        ({LISTED: {"A": ["198.51.100.7"]}}, [], "pass", ""),
        ({LISTED: {"A": ["127.255.255.254"]}}, [], "temperror", ""),
    ],
    ids=["absent", "listed", "without-text", "failure", "parked-zone", "refused"],
)
async def test_dnsbl(zone: Any, fail: Any, status: str, explanation: str) -> None:
    result = await dnsbl.lookup(StaticResolver(zone, fail=fail), "list.org", IP)
    assert (result.status, result.explanation) == (status, explanation)


async def test_dnsbl_name_of_ipv6() -> None:
    """RFC 5782 §2.4."""
    name = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.org"
    resolver = StaticResolver({name: {"A": ["127.0.0.2"]}})
    assert (await dnsbl.lookup(resolver, "list.org", parse_ip("2001:db8::567:89ab"))).status is DnsblStatus.FAIL


HEALTHY = {"2.0.0.127.list.org": {"A": ["127.0.0.2"]}, LISTED: {"A": ["127.0.0.2"]}}


@pytest.mark.parametrize(
    ("zone", "fail", "problem"),
    [
        (HEALTHY, [], ""),
        ({}, [], "does not list 127.0.0.2"),
        ({**HEALTHY, "1.0.0.127.list.org": {"A": ["127.0.0.2"]}}, [], "lists 127.0.0.1"),
        ({}, [("A", "2.0.0.127.list.org")], ""),
    ],
    ids=["healthy", "lists-nothing", "lists-everything", "temporary-failure"],
)
async def test_health(zone: Any, fail: Any, problem: str) -> None:
    assert problem in await dnsbl.check_health(StaticResolver(zone, fail=fail), "list.org")


class Counting(Resolver):
    def __init__(self, inner: Resolver) -> None:
        self.inner = inner
        self.names: list[str] = []

    async def lookup(self, name: str, kind: Kind) -> Answer[object]:
        self.names.append(name)
        return await self.inner.lookup(name, kind)


async def test_first_listing_asks_healthy_zones_in_order_and_remembers_their_health() -> None:
    now = 0.0
    health = HealthCache(lambda: now)
    resolver = Counting(StaticResolver(HEALTHY))
    zones = ["sick.org", "list.org", "never.org"]
    found = await dnsbl.first_listing(resolver, zones, IP, health)
    assert found is not None
    assert found.zone == "list.org"
    assert not any(name.endswith("never.org") for name in resolver.names)
    assert "1.2.0.192.sick.org" not in resolver.names
    resolver.names.clear()
    await dnsbl.first_listing(resolver, zones, IP, health)
    assert resolver.names == [LISTED, LISTED]
    now = dnsbl.HEALTH_LIFETIME_S
    resolver.names.clear()
    await dnsbl.first_listing(resolver, zones, IP, health)
    assert "2.0.0.127.list.org" in resolver.names


class Silent(Resolver):
    async def lookup(self, name: str, kind: Kind) -> Answer[object]:
        await asyncio.Event().wait()
        raise DnsTemporary("never")


async def test_a_silent_zone_is_passed_over() -> None:
    assert await dnsbl.first_listing(Silent(), ["list.org"], IP, HealthCache(), 0.01) is None
