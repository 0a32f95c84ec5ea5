"""Limits per network: an address, and the two wider networks around it.

Every process counts for itself and tells the others over the bus, so a limit holds for the host. The numbers of the
others arrive a moment later: a limit can be passed by what happens within that moment, never for longer.
"""

import ipaddress
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache

from mox.net.bus import PROCESS_ENDED, Bus

_PREFIXES = {4: (32, 26, 21), 6: (64, 48, 32)}


@lru_cache(8192)
def networks(ip: str) -> tuple[str, str, str]:
    """The three classes of an address."""
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    first, second, third = (
        str(ipaddress.ip_network((address, prefix), strict=False)) for prefix in _PREFIXES[address.version]
    )
    return first, second, third


class RateLimiter:
    """At most `limits` events of each class in fixed windows of `window_s` seconds."""

    def __init__(self, window_s: float, limits: Sequence[int], clock: Callable[[], float] = time.time) -> None:
        self._window_s = window_s
        narrow, middle, wide = limits
        self._limits = narrow, middle, wide
        self._clock = clock
        self._window = 0
        self._counts: dict[str, int] = {}
        self._tell: Callable[[str, str], None] = _nobody

    def share(self, bus: Bus, name: str) -> None:
        """Count together with the limiters of this name in other processes."""
        self._tell = _exchange(bus, name, self._heard)

    def _heard(self, _process: str, what: str, ip: str) -> None:
        if what == "+":
            self._count(ip)
        else:
            self._forget(ip)

    def _keys(self, ip: str) -> tuple[str, str, str]:
        window = int(self._clock() // self._window_s)
        if window != self._window:
            self._window = window
            self._counts.clear()
        return networks(ip)

    def is_open(self, ip: str) -> bool:
        """One more event would be allowed."""
        first, second, third = self._limits
        narrow, middle, wide = self._keys(ip)
        count = self._counts.get
        return count(narrow, 0) < first and count(middle, 0) < second and count(wide, 0) < third

    def add(self, ip: str) -> bool:
        """Count an event unless it is over a limit."""
        if not self.is_open(ip):
            return False
        self._count(ip)
        self._tell("+", ip)
        return True

    def reset(self, ip: str) -> None:
        """Forget the events of the address, also in its networks."""
        self._forget(ip)
        self._tell("0", ip)

    def _count(self, ip: str) -> None:
        for key in self._keys(ip):
            self._counts[key] = self._counts.get(key, 0) + 1

    def _forget(self, ip: str) -> None:
        first, *wider = self._keys(ip)
        count = self._counts.pop(first, 0)
        for key in wider:
            self._counts[key] = max(0, self._counts.get(key, 0) - count)


class ConnectionLimiter:
    """At most `limits` open connections of each class."""

    def __init__(self, limits: Sequence[int]) -> None:
        self._limits = tuple(limits)
        # By process, so that those of a process that died can be forgotten.
        self._counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._process = ""
        self._tell: Callable[[str, str], None] = _nobody

    def share(self, bus: Bus, name: str) -> None:
        """Count together with the limiters of this name in other processes."""
        self._process = bus.process
        self._tell = _exchange(bus, name, self._heard)
        bus.subscribe(PROCESS_ENDED, self._process_ended)

    def _process_ended(self, process: bytes) -> None:
        self._counts.pop(process.decode(), None)

    def _heard(self, process: str, what: str, ip: str) -> None:
        self._change(process, ip, 1 if what == "+" else -1)

    def add(self, ip: str) -> bool:
        """Count a connection unless it is over a limit; `remove` it when it ends."""
        for key, limit in zip(networks(ip), self._limits, strict=True):
            if sum(counts.get(key, 0) for counts in self._counts.values()) >= limit:
                return False
        self._change(self._process, ip, 1)
        self._tell("+", ip)
        return True

    def remove(self, ip: str) -> None:
        """A counted connection ended."""
        self._change(self._process, ip, -1)
        self._tell("-", ip)

    def _change(self, process: str, ip: str, by: int) -> None:
        counts = self._counts[process]
        for key in networks(ip):
            count = counts.get(key, 0) + by
            if count > 0:
                counts[key] = count
            else:
                counts.pop(key, None)


def _nobody(_what: str, _ip: str) -> None:
    """A limiter that is not shared tells nobody."""


def _exchange(bus: Bus, name: str, heard: Callable[[str, str, str], None]) -> Callable[[str, str], None]:
    """Call `heard(process, what, ip)` for messages of other processes; the result tells them."""
    topic = f"limit/{name}"

    def receive(payload: bytes) -> None:
        process, what, ip = payload.decode().split(" ")
        if process != bus.process:
            heard(process, what, ip)

    bus.subscribe(topic, receive)
    return lambda what, ip: bus.publish(topic, f"{bus.process} {what} {ip}".encode())
