"""The resolver of the running program: name servers behind a cache.

The cache holds positive and negative answers for their time to live within bounds, and failures for a moment
(RFC 2308, RFC 9520). Equal questions that are asked at once go out once. Without any name server (offline) every
look-up fails at once.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mox import metrics
from mox.dns.exchange import Reply, ask
from mox.dns.resolvconf import Settings, load_resolv_conf, parse_server
from mox.dns.resolver import Answer, DnsNotFound, DnsTemporary, Kind, Resolver, check_name

_Key = tuple[str, Kind]
RESOLV_CONF = Path("/etc/resolv.conf")
# How old what was read from resolv.conf may be.
_RELOAD_S = 5.0


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """Bounds of the cache; times in seconds."""

    entries: int = 20_000
    min_ttl_s: float = 1.0
    max_ttl_s: float = 3600.0
    max_negative_ttl_s: float = 300.0
    failure_ttl_s: float = 1.0


class Cache:
    """Answers and errors by question, least recently used out first."""

    def __init__(self, limits: CacheLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._entries: OrderedDict[_Key, tuple[float, Answer[object] | DnsNotFound | DnsTemporary]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: _Key) -> Answer[object] | DnsNotFound | DnsTemporary | None:
        """What is known and not too old."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put_reply(self, key: _Key, reply: Reply) -> Answer[object] | DnsNotFound:
        """Keep a server's answer, and give it in the form that look-ups give or raise."""
        limit_s = self._limits.max_ttl_s if reply.records else self._limits.max_negative_ttl_s
        expires = self._clock() + max(self._limits.min_ttl_s, min(limit_s, reply.ttl_s))
        value: Answer[object] | DnsNotFound
        if reply.records:
            value = Answer(reply.records, reply.authentic, expires)
        else:
            value = DnsNotFound(f"no {key[1].value} records for {key[0]}", reply.authentic, expires)
        self._put(key, expires, value)
        return value

    def put_failure(self, key: _Key, failure: DnsTemporary) -> None:
        """Keep a failure for a moment, so that a broken zone is not asked by every message at once."""
        self._put(key, self._clock() + self._limits.failure_ttl_s, failure)

    def _put(self, key: _Key, expires: float, value: Answer[object] | DnsNotFound | DnsTemporary) -> None:
        self._entries[key] = (expires, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._limits.entries:
            self._entries.popitem(last=False)


class _Flight:
    """A question on its way and how many wait for it."""

    __slots__ = ("task", "waiting")

    def __init__(self, task: asyncio.Task[Reply]) -> None:
        self.task = task
        self.waiting = 0


class _Core:
    """What all tagged views of one resolver share."""

    def __init__(self, settings: Settings | Path, cache: Cache, clock: Callable[[], float], max_queries: int) -> None:
        self._file = settings if isinstance(settings, Path) else None
        self.settings = load_resolv_conf(settings) if isinstance(settings, Path) else settings
        self._clock = clock
        self._look_again = clock() + _RELOAD_S
        self.cache = cache
        self._flights: dict[_Key, _Flight] = {}
        self._slots = asyncio.Semaphore(max_queries)
        self._turn = 0

    async def _fetch(self, key: _Key) -> Reply:
        async with self._slots:
            if self._file is not None and self._clock() >= self._look_again:
                self._look_again = self._clock() + _RELOAD_S
                self.settings = await asyncio.to_thread(load_resolv_conf, self._file)
            self._turn += 1
            return await ask(self.settings, *key, self._turn)

    async def join(self, key: _Key) -> Reply:
        """Wait for the one task that asks; the last waiter to give up ends it."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(self._fetch(key)))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0:
                flight.task.cancel()
            if self._flights.get(key) is flight and (flight.waiting == 0 or flight.task.done()):
                del self._flights[key]


class SystemResolver(Resolver):
    """Asks the servers of `settings`, or those of a resolv.conf(5), which is read again when it may have changed.

    Bind it to one event loop.
    `clock` gives seconds and only moves forward; `max_queries` bounds the questions under way at one time.
    """

    def __init__(
        self,
        settings: Settings | Path = RESOLV_CONF,
        *,
        limits: CacheLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        max_queries: int = 256,
    ) -> None:
        self._core = _Core(settings, Cache(limits or CacheLimits(), clock), clock, max_queries)
        self._package = "dns"

    @classmethod
    def from_servers(cls, servers: list[str], trust_ad: bool = False) -> "SystemResolver":
        """With servers as `1.2.3.4` or `127.0.0.1:5353`; none means offline. Raises ValueError."""
        return cls(Settings(tuple(parse_server(text) for text in servers), trust_ad=trust_ad))

    @classmethod
    def from_resolv_conf(cls, path: Path, clock: Callable[[], float] = time.monotonic) -> "SystemResolver":
        """With the servers and options of a resolv.conf."""
        return cls(path, clock=clock)

    @property
    def settings(self) -> Settings:
        """How it asks now."""
        return self._core.settings

    def tagged(self, package: str) -> "SystemResolver":
        view = object.__new__(SystemResolver)
        view._core = self._core
        view._package = package
        return view

    async def lookup(self, name: str, kind: Kind) -> Answer[object]:
        key = (check_name(name), kind)
        known = self._core.cache.get(key)
        if known is None:
            known = await self._look_up(key)
        if isinstance(known, Answer):
            return known
        raise _copy(known)

    async def _look_up(self, key: _Key) -> Answer[object] | DnsNotFound | DnsTemporary:
        started = time.monotonic()
        result = "canceled"
        try:
            reply = await self._core.join(key)
            result = "ok" if reply.records else "nxdomain"
            return self._core.cache.put_reply(key, reply)
        except DnsTemporary as failure:
            result = "temporary"
            self._core.cache.put_failure(key, failure)
            return failure
        finally:
            seconds = time.monotonic() - started
            metrics.dns_lookups.labels(self._package, key[1].value.lower(), result).observe(seconds)


def _copy(error: DnsNotFound | DnsTemporary) -> DnsNotFound | DnsTemporary:
    """A fresh exception, because a raised one carries the traceback and context of whoever caught it."""
    if isinstance(error, DnsNotFound):
        return DnsNotFound(str(error), error.authentic, error.expires)
    return DnsTemporary(str(error), error.code, error.code_text)
