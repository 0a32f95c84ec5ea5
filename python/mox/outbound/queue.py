"""The queue of submitted messages: durable records, claimed by lease, tried until they succeed or are given up."""

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mox import log, metrics
from mox._rust import StagedMessage, fsync_dir
from mox.net.bus import Bus
from mox.store.engine import Engine, Tx

TOPIC = "queue"
LEASE_MS = 300_000
# Waits between attempts double from here; after the last the message is given up (spec/outbound.md).
FIRST_RETRY_MS = 7 * 60_000 + 30_000
MAX_ATTEMPTS = 8
BATCH = 20
IDLE_POLL_S = 30.0

_logger = log.get("queue")


@dataclass(frozen=True, slots=True)
class Queued:
    """A message for one recipient."""

    id: int
    sender: str
    recipient: str
    file: str
    prefix: bytes
    remote_ip: str
    attempts: int


class PermanentError(Exception):
    """Trying again would not help."""


class TemporaryError(Exception):
    """The attempt failed; a later one may succeed."""


class Queue:
    """The queue of a data directory; several processes may use it."""

    def __init__(self, data_dir: Path, bus: Bus) -> None:
        self.folder = data_dir / "queue"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o770)
        self._bus = bus
        self._engine = Engine(data_dir / "queue.db", "mox.outbound.migrations")
        self._due = asyncio.Event()
        self._unsubscribe = bus.subscribe(TOPIC, lambda _payload: self._due.set())

    async def add(
        self, sender: str, recipients: Sequence[str], staged: StagedMessage, prefix: bytes, remote_ip: str
    ) -> None:
        """Queue a message; durable on return. Raises OSError."""
        file = uuid.uuid4().hex
        await asyncio.to_thread(staged.store, str(self.folder / file))
        now = _now_ms()

        def insert(tx: Tx) -> None:
            fsync_dir(str(self.folder))
            tx.many(
                "INSERT INTO queued (account_id, sender, recipient, file, prefix, remote_ip, next_ms) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(tx.account_id, sender, recipient, file, prefix, remote_ip, now) for recipient in recipients],
            )

        await self._engine.write(insert)
        self._bus.publish(TOPIC, b"")

    async def run(self, deliver: Callable[[Queued], Awaitable[None]]) -> None:
        """Deliver what is due, for ever. `deliver` raises TemporaryError or PermanentError."""
        while True:
            self._due.clear()
            claimed = await self._engine.write(_claim)
            if not claimed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_POLL_S):
                        await self._due.wait()
                continue
            await asyncio.gather(*(self._attempt(item, deliver) for item in claimed))

    async def _attempt(self, item: Queued, deliver: Callable[[Queued], Awaitable[None]]) -> None:
        try:
            await deliver(item)
        except TemporaryError as err:
            text = str(err)
            await self._engine.write(lambda tx: _retry(tx, item, text))
        except PermanentError as err:
            _logger.info("message given up", id=item.id, recipient=item.recipient, err=str(err))
            metrics.queue_deliveries.labels("failed").inc()
            await self._done(item)
        except Exception as err:  # a bug must not stop the queue or lose the message
            metrics.panics.labels("queue").inc()
            _logger.exception("delivery attempt failed", id=item.id)
            text = repr(err)
            await self._engine.write(lambda tx: _retry(tx, item, text))
        else:
            metrics.queue_deliveries.labels("ok").inc()
            await self._done(item)

    async def _done(self, item: Queued) -> None:
        def remove(tx: Tx) -> bool:
            tx.run("DELETE FROM queued WHERE id = ?", item.id)
            return tx.one("SELECT 1 FROM queued WHERE file = ?", item.file) is None

        if await self._engine.write(remove):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.folder / item.file)

    async def close(self) -> None:
        """Close the database."""
        self._unsubscribe()
        await self._engine.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _claim(tx: Tx) -> list[Queued]:
    now = _now_ms()
    rows = tx.run(
        "UPDATE queued SET lease_ms = ? WHERE id IN "
        "(SELECT id FROM queued WHERE next_ms <= ? AND lease_ms < ? ORDER BY next_ms LIMIT ?) "
        "RETURNING id, sender, recipient, file, prefix, remote_ip, attempts",
        now + LEASE_MS,
        now,
        now,
        BATCH,
    )
    return [Queued(*row) for row in rows]


def _retry(tx: Tx, item: Queued, error: str) -> None:
    if item.attempts + 1 >= MAX_ATTEMPTS:
        _logger.warning("message given up after the last attempt", id=item.id, recipient=item.recipient, err=error)
        tx.run("DELETE FROM queued WHERE id = ?", item.id)
        return
    metrics.queue_deliveries.labels("temperror").inc()
    tx.run(
        "UPDATE queued SET attempts = attempts + 1, lease_ms = 0, next_ms = ?, last_error = ? WHERE id = ?",
        _now_ms() + (FIRST_RETRY_MS << item.attempts),
        error,
        item.id,
    )
