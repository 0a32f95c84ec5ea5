"""Are our own addresses on a list? Looked up now and then, for a metric that an administrator can be warned by."""

import asyncio
from collections.abc import Callable, Sequence

from mox import metrics
from mox.dns.names import IPAddress
from mox.dns.resolver import Resolver
from mox.mailauth import dnsbl
from mox.mailauth.dnsbl import DnsblStatus

WAKE_S = 300.0
# A round is due after this many deliveries to others, or this long.
MANY_CONNECTIONS = 100
LONG_S = 3 * 3600.0
_GOOD, _BAD, _UNKNOWN = 1, 0, -1


class DnsblMonitor:
    """Sets the gauge `mox_dnsbl_ips_success` for each zone and address. `run` it in one process of a host.

    `zones` and `addresses` are asked anew for each round; `addresses` gives None when they cannot be determined.
    `connections` counts connections for outgoing deliveries since the program started.
    """

    def __init__(
        self,
        resolver: Resolver,
        zones: Callable[[], Sequence[str]],
        addresses: Callable[[], Sequence[IPAddress] | None],
        connections: Callable[[], int],
        pause_s: float = 1.0,
    ) -> None:
        self._resolver = resolver.tagged("dnsbl")
        self._zones = zones
        self._addresses = addresses
        self._connections = connections
        self._pause_s = pause_s
        self._seen: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Until cancelled: a round now, then whenever one is due."""
        loop = asyncio.get_running_loop()
        due, many = loop.time(), 0
        while True:
            if loop.time() >= due or self._connections() >= many:
                await self.check()
                due, many = loop.time() + LONG_S, self._connections() + MANY_CONNECTIONS
            await asyncio.sleep(WAKE_S)

    async def check(self) -> None:
        """One round."""
        addresses = self._addresses()
        if addresses is None:
            for pair in self._seen:
                metrics.dnsbl_own_addresses.labels(*pair).set(_UNKNOWN)
            return
        public = [ip for ip in addresses if not (ip.is_loopback or ip.is_private)]
        zones = list(dict.fromkeys(self._zones()))
        wanted = {(zone, str(ip)) for zone in zones for ip in public}
        for pair in self._seen - wanted:
            metrics.forget(metrics.dnsbl_own_addresses, *pair)
        self._seen = wanted
        for zone in zones:
            for ip in public:
                result = await dnsbl.lookup(self._resolver, zone, ip)
                value = _GOOD if result.status is DnsblStatus.PASS else _BAD
                metrics.dnsbl_own_addresses.labels(zone, str(ip)).set(value)
                await asyncio.sleep(self._pause_s)
