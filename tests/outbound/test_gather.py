"""Destinations: aliases, MX, addresses, TLSA records, names of certificates."""

import ipaddress

import pytest

from mox.dns.resolver import Mx, Tlsa
from mox.dns.static import StaticResolver
from mox.outbound.gather import (
    Addresses,
    Destination,
    GatherError,
    certificate_names,
    gather_addresses,
    gather_destination,
    gather_tlsa,
    order,
    usable,
)

ZONE = {
    "x.example": {"MX": [Mx(20, "mx2.example"), Mx(10, "mx1.example")]},
    "alias.example": {"CNAME": ["x.example"]},
    "nomx.example": {"A": ["10.0.0.1"]},
    "null.example": {"MX": [Mx(0, ".")]},
    "bad.example": {"MX": [Mx(5, "bad..name"), Mx(10, "mx1.example")]},
    "loop1.example": {"CNAME": ["loop2.example"]},
    "loop2.example": {"CNAME": ["loop1.example"]},
    "mx1.example": {"A": ["10.0.0.1"], "AAAA": ["2001:db8::1"]},
    "cname-mx.example": {"CNAME": ["mx1.example"]},
} | {f"c{n}.example": {"CNAME": [f"c{n + 1}.example"]} for n in range(30)}


@pytest.mark.parametrize(
    ("domain", "hosts", "has_mx", "expanded"),
    [
        ("x.example", ("mx1.example", "mx2.example"), True, "x.example"),
        ("alias.example", ("mx1.example", "mx2.example"), True, "x.example"),
        ("nomx.example", ("nomx.example",), False, "nomx.example"),
        ("bad.example", ("mx1.example",), True, "bad.example"),
        ("[10.0.0.1]", ("10.0.0.1",), False, "[10.0.0.1]"),
        ("[IPv6:2001:db8::1]", ("2001:db8::1",), False, "[IPv6:2001:db8::1]"),
    ],
)
async def test_destinations(domain: str, hosts: tuple[str, ...], has_mx: bool, expanded: str) -> None:
    found = await gather_destination(StaticResolver(ZONE, authentic=True), domain)
    assert (found.hosts, found.has_mx, found.expanded_next_hop) == (hosts, has_mx, expanded)
    assert found.authentic is not domain.startswith("[")


@pytest.mark.parametrize(
    ("domain", "permanent", "text"),
    [
        ("null.example", True, "does not accept email"),
        ("loop1.example", False, "loop"),
        ("c0.example", False, "too many"),
        ("[300.1.1.1]", True, "address literal"),
    ],
)
async def test_no_destination(domain: str, permanent: bool, text: str) -> None:
    with pytest.raises(GatherError, match=text) as failure:
        await gather_destination(StaticResolver(ZONE), domain)
    assert failure.value.permanent is permanent


async def test_what_is_authentic_of_an_alias() -> None:
    dns = StaticResolver(ZONE, authentic=True, exceptions=[("MX", "x.example")])
    found = await gather_destination(dns, "alias.example")
    assert (found.authentic, found.expanded_authentic) == (True, False)


async def test_addresses() -> None:
    dns = StaticResolver(ZONE, authentic=True)
    found = await gather_addresses(dns, "cname-mx.example", {})
    assert found.expanded_host == "mx1.example" and found.is_dual_stack and found.expanded_authentic
    assert [ip.version for ip in (await gather_addresses(dns, "mx1.example", {}, frozenset((4,)))).ips] == [4]
    with pytest.raises(GatherError, match="family"):
        await gather_addresses(dns, "nomx.example", {}, frozenset((6,)))
    with pytest.raises(GatherError, match="too many"):
        await gather_addresses(dns, "c0.example", {})


V4, V4B, V6 = "10.0.0.1", "10.0.0.2", "2001:db8::1"


@pytest.mark.parametrize(
    ("dialed", "expected"),
    [
        ([], [V6, V4, V4B]),
        ([V6], [V4, V4B, V6]),
        ([V4B], [V6, V4B, V4]),
        ([V4, V4B], [V6, V4, V4B]),
        ([V4B, V6], [V4, V4B, V6]),
    ],
)
def test_order(dialed: list[str], expected: list[str]) -> None:
    ips = [ipaddress.ip_address(ip) for ip in (V6, V4, V4B)]
    assert [str(ip) for ip in order(ips, dialed)] == expected


RECORD = Tlsa(3, 1, 1, bytes(32))


async def test_tlsa_through_aliases() -> None:
    zone = {
        "_25._tcp.mx.example": {"CNAME": ["tlsa.example"]},
        "tlsa.example": {"TLSA": [RECORD]},
        "_25._tcp.expanded.example": {"TLSA": [Tlsa(2, 0, 1, bytes(32))]},
    }
    own = Addresses((), "mx.example", True, True)
    other = Addresses((), "expanded.example", True, True)
    dns = StaticResolver(zone, authentic=True)
    assert (await gather_tlsa(dns, "mx.example", own, True)).records == (RECORD,)
    assert (await gather_tlsa(dns, "mx.example", other, True)).base_domain == "expanded.example"
    assert (await gather_tlsa(dns, "mx.example", other, False)).base_domain == "mx.example"
    forged = StaticResolver(zone, authentic=True, exceptions=[("CNAME", "_25._tcp.mx.example")])
    assert not (await gather_tlsa(forged, "mx.example", own, True)).required
    broken = StaticResolver(zone, authentic=True, fail=[("TLSA", "tlsa.example")])
    with pytest.raises(GatherError):
        await gather_tlsa(broken, "mx.example", own, True)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (RECORD, True),
        (Tlsa(2, 0, 2, bytes(64)), True),
        (Tlsa(0, 0, 1, bytes(32)), False),
        (Tlsa(1, 0, 1, bytes(32)), False),
        (Tlsa(4, 0, 1, bytes(32)), False),
        (Tlsa(3, 2, 1, bytes(32)), False),
        (Tlsa(3, 1, 1, bytes(31)), False),
        (Tlsa(3, 1, 0, b"no key"), False),
        (Tlsa(3, 0, 0, b"no certificate"), False),
        (Tlsa(3, 1, 3, bytes(32)), False),
    ],
)
def test_usable_records(record: Tlsa, expected: bool) -> None:
    """RFC 7672 §3.1"""
    assert bool(usable([record])) is expected


@pytest.mark.parametrize(
    ("has_mx", "authentic", "expanded", "expected"),
    [
        (False, True, ("host.example", True), ["host.example"]),
        (False, True, ("exp.example", False), ["host.example"]),
        (False, True, ("exp.example", True), ["exp.example", "host.example"]),
        (True, True, ("exp.example", True), ["exp.example", "host.example", "next.example", "expnext.example"]),
        (True, True, ("exp.example", False), ["host.example", "next.example", "expnext.example"]),
        (True, False, ("exp.example", True), ["next.example"]),
    ],
)
def test_certificate_names(has_mx: bool, authentic: bool, expanded: tuple[str, bool], expected: list[str]) -> None:
    destination = Destination(("host.example",), has_mx, "next.example", "expnext.example", authentic, True)
    addresses = Addresses((), expanded[0], True, expanded[1])
    assert list(certificate_names(destination, "host.example", addresses, "host.example")) == expected
