"""Limits per network: an address, and the two wider networks around it."""

import ipaddress
import time
from collections.abc import Callable, Sequence

_PREFIXES = {4: (32, 26, 21), 6: (64, 48, 32)}


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
        self._limits = tuple(limits)
        self._clock = clock
        self._window = 0
        self._counts: dict[str, int] = {}

    def _keys(self, ip: str) -> tuple[str, str, str]:
        window = int(self._clock() // self._window_s)
        if window != self._window:
            self._window = window
            self._counts.clear()
        return networks(ip)

    def is_open(self, ip: str) -> bool:
        """One more event would be allowed."""
        pairs = zip(self._keys(ip), self._limits, strict=True)
        return all(self._counts.get(key, 0) < limit for key, limit in pairs)

    def add(self, ip: str) -> bool:
        """Count an event unless it is over a limit."""
        if not self.is_open(ip):
            return False
        for key in networks(ip):
            self._counts[key] = self._counts.get(key, 0) + 1
        return True

    def reset(self, ip: str) -> None:
        """Forget the events of the address, also in its networks."""
        first, *wider = self._keys(ip)
        count = self._counts.pop(first, 0)
        for key in wider:
            self._counts[key] = max(0, self._counts.get(key, 0) - count)


class ConnectionLimiter:
    """At most `limits` open connections of each class."""

    def __init__(self, limits: Sequence[int]) -> None:
        self._limits = tuple(limits)
        self._counts: dict[str, int] = {}

    def add(self, ip: str) -> bool:
        """Count a connection unless it is over a limit; `remove` it when it ends."""
        keys = networks(ip)
        if any(self._counts.get(key, 0) >= limit for key, limit in zip(keys, self._limits, strict=True)):
            return False
        for key in keys:
            self._counts[key] = self._counts.get(key, 0) + 1
        return True

    def remove(self, ip: str) -> None:
        """A counted connection ended."""
        for key in networks(ip):
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]
