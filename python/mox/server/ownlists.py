"""Watching whether our own addresses are on DNS lists, as configured: which lists, which addresses, how often."""

from mox import metrics
from mox.config.live import Config
from mox.dns.names import IPAddress, parse_ip
from mox.dns.resolver import Resolver
from mox.mailauth.dnsblmonitor import DnsblMonitor

# The listener that the world sees.
_LISTENER = "public"


def monitor(config: Config, resolver: Resolver) -> DnsblMonitor:
    """The monitor of this host; run it in one process."""
    return DnsblMonitor(resolver, lambda: zones(config), lambda: addresses(config), connections)


def zones(config: Config) -> list[str]:
    """Those that decide about incoming mail, and those that are only watched."""
    listener = config.static.Listeners.get(_LISTENER)
    deciding = listener.SMTP.DNSBLs if listener is not None else []
    return list(dict.fromkeys([*deciding, *config.dynamic.MonitorDNSBLs]))


def addresses(config: Config) -> list[IPAddress] | None:
    """The public addresses; None when the configuration does not name them."""
    listener = config.static.Listeners.get(_LISTENER)
    if listener is None:
        return []
    if listener.IPsNATed:
        return None
    ips = [parse_ip(text) for text in listener.NATIPs or listener.IPs]
    return None if any(ip.is_unspecified for ip in ips) else ips


def connections() -> int:
    """Connections to other mail servers, of this process."""
    families = metrics.queue_connections.collect()
    samples = [sample for family in families for sample in family.samples if sample.name.endswith("_total")]
    return int(sum(sample.value for sample in samples))
