"""Watching our own addresses in DNS lists."""

import asyncio

from mox import metrics
from mox.dns.names import IPAddress, parse_ip
from mox.dns.static import StaticResolver
from mox.mailauth.dnsblmonitor import DnsblMonitor


def values() -> dict[tuple[str, str], float]:
    (family,) = metrics.dnsbl_own_addresses.collect()
    return {(sample.labels["zone"], sample.labels["ip"]): sample.value for sample in family.samples}


async def test_gauge_follows_zones_and_addresses() -> None:
    zones = ["list.org", "broken.org", "list.org"]
    resolver = StaticResolver(
        {"9.9.0.45.list.org": {"A": ["127.0.0.2"]}}, fail=[("A", "9.9.0.45.broken.org"), ("A", "8.8.0.45.broken.org")]
    )
    addresses: list[IPAddress] | None
    addresses = [parse_ip("45.0.9.9"), parse_ip("45.0.8.8"), parse_ip("10.0.0.1"), parse_ip("127.0.0.1")]
    monitor = DnsblMonitor(resolver, lambda: zones, lambda: addresses, lambda: 0, pause_s=0)
    await monitor.check()
    assert values() == {
        ("list.org", "45.0.9.9"): 0,
        ("list.org", "45.0.8.8"): 1,
        ("broken.org", "45.0.9.9"): 0,
        ("broken.org", "45.0.8.8"): 0,
    }
    zones.remove("broken.org")
    await monitor.check()
    assert set(values()) == {("list.org", "45.0.9.9"), ("list.org", "45.0.8.8")}
    addresses = None
    await monitor.check()
    assert set(values().values()) == {-1}
    addresses = []
    await monitor.check()
    assert values() == {}


async def test_runs_at_once_and_stops_when_cancelled() -> None:
    checked = asyncio.Event()

    def addresses() -> list[IPAddress]:
        checked.set()
        return []

    task = asyncio.create_task(DnsblMonitor(StaticResolver(), list, addresses, lambda: 0).run())
    await asyncio.wait_for(checked.wait(), 5)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
