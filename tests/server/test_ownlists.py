"""Which lists and addresses the server watches."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from mox import metrics
from mox.config.listener import Listener, SMTPService
from mox.config.live import Config
from mox.server import ownlists


def config(monitored: list[str], **listener: Any) -> Config:
    """The part of a configuration that counts; an empty listener is none."""
    listeners = (
        {"public": Listener(SMTP=SMTPService(Enabled=True, DNSBLs=["a.org", "b.org"]), **listener)} if listener else {}
    )
    static = SimpleNamespace(Listeners=listeners)
    return cast(Config, SimpleNamespace(static=static, dynamic=SimpleNamespace(MonitorDNSBLs=monitored)))


def test_zones_are_those_of_the_listener_and_those_only_watched() -> None:
    assert ownlists.zones(config(["b.org", "c.org"], IPs=["192.0.2.1"])) == ["a.org", "b.org", "c.org"]
    assert ownlists.zones(config(["c.org"])) == ["c.org"]


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ({"IPs": ["192.0.2.1", "2001:db8::1"]}, ["192.0.2.1", "2001:db8::1"]),
        ({"IPs": ["10.0.0.1"], "NATIPs": ["192.0.2.1"]}, ["192.0.2.1"]),
        ({"IPs": ["0.0.0.0", "::"]}, None),
        ({"IPs": ["192.0.2.1"], "IPsNATed": True}, None),
        ({}, []),
    ],
    ids=["listed", "behind-nat", "all-addresses", "natted-without-names", "no-public-listener"],
)
def test_addresses(listener: dict[str, Any], expected: list[str] | None) -> None:
    found = ownlists.addresses(config([], **listener))
    assert (None if found is None else [str(ip) for ip in found]) == expected


def test_connections_are_counted_whatever_became_of_them() -> None:
    before = ownlists.connections()
    metrics.queue_connections.labels("ok").inc()
    metrics.queue_connections.labels("error").inc()
    assert ownlists.connections() == before + 2
