"""Open sessions that wait for another message to the same host under the same conditions."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass

from mox.smtp.client import SmtpClient
from mox.smtp.client_errors import SmtpClientError

IDLE_S = 5.0
MAX_IDLE = 50
# Transactions after which a session is given up; some servers count.
MAX_TRANSACTIONS = 100


@dataclass(slots=True)
class _Idle:
    client: SmtpClient
    closer: asyncio.Task[None]


class Pool:
    """Sessions by key. The key holds everything that the session was made for."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._idle: dict[Hashable, list[_Idle]] = {}
        self._count = 0
        self._closing: set[asyncio.Task[None]] = set()

    async def take(self, key: object) -> SmtpClient | None:
        """A session that still works, or None."""
        while idle := self._idle.get(key):
            entry = idle.pop()
            if not idle:
                del self._idle[key]
            self._count -= 1
            entry.closer.cancel()
            try:
                await entry.client.reset()
            except SmtpClientError:
                self._close(entry.client)
                continue
            return entry.client
        return None

    async def give(self, key: object, client: SmtpClient) -> None:
        """Keep a session for a moment, if it is of use."""
        limit = client.peer.extensions.mail_max or MAX_TRANSACTIONS
        if not client.is_usable or client.transactions >= limit or self._count >= MAX_IDLE or self._idle_s <= 0:
            self._close(client)
            return
        entry = _Idle(client, asyncio.create_task(self._expire(key, client)))
        self._idle.setdefault(key, []).append(entry)
        self._count += 1

    async def _expire(self, key: object, client: SmtpClient) -> None:
        await asyncio.sleep(self._idle_s)
        left = [entry for entry in self._idle.get(key, []) if entry.client is not client]
        if left:
            self._idle[key] = left
        else:
            self._idle.pop(key, None)
        self._count -= 1
        self._close(client)

    def _close(self, client: SmtpClient) -> None:
        task = asyncio.create_task(client.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End all sessions."""
        entries = [entry for idle in self._idle.values() for entry in idle]
        self._idle.clear()
        self._count = 0
        for entry in entries:
            entry.closer.cancel()
            self._close(entry.client)
        if self._closing:
            await asyncio.wait(set(self._closing))
