"""What the TLS handshakes of a process need and others change: ticket keys, and the keys of known clients."""

import asyncio
import base64
from collections.abc import Callable

from mox._rust import TlsKnownKeys, TlsTicketKeys
from mox.net.bus import Bus
from mox.server import tickets
from mox.store import tlskeys
from mox.store.store import AUTH_CHANGED_TOPIC, Store

CALL_TIMEOUT_S = 10.0


class Handshakes:
    """Kept current over the bus; configurations of listeners hold on to its two parts."""

    def __init__(self, bus: Bus, store: Store, on_keys: Callable[[frozenset[str]], None]) -> None:
        self._bus = bus
        # Called with the fingerprints of all known keys when they may have changed.
        self._on_keys = on_keys
        self._store = store
        self._reloading: asyncio.Task[None] | None = None
        self._is_stale = False
        self._unsubscribe: list[Callable[[], None]] = []
        self.tickets = TlsTicketKeys([])
        self.client_keys = TlsKnownKeys([])

    async def start(self) -> None:
        """Get both parts. Raises TimeoutError when the core does not answer."""
        self._unsubscribe = [
            self._bus.subscribe(tickets.TOPIC, lambda payload: self.tickets.replace(tickets.decode(payload))),
            self._bus.subscribe(AUTH_CHANGED_TOPIC, self._auth_changed),
        ]
        keys = await self._bus.call(tickets.SERVICE, b"", CALL_TIMEOUT_S)
        self.tickets.replace(tickets.decode(keys))
        await self._reload()

    def _auth_changed(self, _payload: bytes) -> None:
        self._is_stale = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._reload(), name="client keys")

    async def _reload(self) -> None:
        while True:
            self._is_stale = False
            known = await self._store.read_auth(tlskeys.list_keys)
            self.client_keys.replace([_digest(key.fingerprint) for key in known])
            self._on_keys(frozenset(key.fingerprint for key in known))
            if not self._is_stale:
                return

    async def close(self) -> None:
        """Hear no more."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        if self._reloading is not None:
            await self._reloading


def _digest(fingerprint: str) -> bytes:
    return base64.urlsafe_b64decode(fingerprint + "=")
