"""The queue of outgoing messages: durable records, added here and claimed by runners of one or several processes."""

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from mox import log, metrics
from mox._rust import StagedMessage
from mox.net.bus import Bus
from mox.outbound import contents, holdrules, lanes
from mox.outbound.events import Surroundings
from mox.outbound.records import Message, NewMessage, derived, insert, next_id, now_ms
from mox.smtp.address import to_unicode
from mox.store.engine import Engine, Tx

_TOPICS = {lanes.Kind.MESSAGE: "queue", lanes.Kind.HOOK: "hooks"}
# A file without a record may belong to an `add` that is not committed yet; after this time it does not.
ORPHAN_AGE_S = 3600.0
# Enough for the header of any message that we accept.
_HEADER_BYTES = 1 << 20

T = TypeVar("T")

_logger = log.get("queue")


class FromIdError(Exception):
    """A `from_id` was used before, by a message that is queued or kept."""


class _Recent:
    """Small contents that were just added, most of which are delivered at once: a bounded memory of what the database
    has."""

    MAX_BYTES = 8 << 20

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._bytes = 0

    def put(self, file: str, content: bytes) -> None:
        """Keep it, at the cost of the oldest."""
        self._kept[file] = content
        self._bytes += len(content)
        while self._bytes > self.MAX_BYTES:
            self._bytes -= len(self._kept.pop(next(iter(self._kept))))

    def get(self, file: str) -> bytes | None:
        """None when it is not kept (any more)."""
        return self._kept.get(file)


class Queue:
    """The queue of a data directory; several processes may use it."""

    def __init__(self, data_dir: Path, bus: Bus, surroundings: Surroundings) -> None:
        self.folder = data_dir / "queue"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o770)
        self.surroundings = surroundings
        self._bus = bus
        self._engine = Engine(self.folder / "index.db", "mox.outbound.migrations")
        self._recent = _Recent()

    async def add(
        self,
        account: str,
        staged: StagedMessage,
        messages: Sequence[NewMessage],
        also: Callable[[Tx, list[int]], None] | None = None,
    ) -> list[int]:
        """Queue a message for each recipient; durable on return. Returns their ids.

        Recipients with the same sender and prefix are grouped: they may share a transaction. `also` gets the ids in the
        same transaction; what it raises undoes everything. Raises FromIdError, OSError. Nobody who calls may hold a
        lock that delivery needs.
        """
        assert messages
        file = uuid.uuid4().hex
        small = staged.content() if staged.size <= contents.MAX_ROW_BYTES else None
        if small is None:
            await asyncio.to_thread(staged.store, str(self.folder / file))

        def add(tx: Tx) -> list[int]:
            if small is not None:
                contents.add(tx, file, small)
            else:
                tx.sync_directory(str(self.folder))
            ids = _insert(tx, account, file, staged, messages)
            if also is not None:
                also(tx, ids)
            return ids

        try:
            ids = await self._engine.write(add)
        except BaseException:
            if small is None:
                await asyncio.to_thread(self.remove_files, [file])
            raise
        next_ms = min(message.next_ms for message in messages)
        if small is not None and next_ms <= now_ms():
            self._recent.put(file, small)
        self.kick(next_ms)
        return ids

    async def write(self, change: Callable[[Tx], T]) -> T:
        """Run an operation of this package in a transaction and wake the runners."""
        result = await self._engine.write(change)
        self.kick()
        self.kick_hooks()
        return result

    async def record(self, change: Callable[[Tx], T]) -> T:
        """As `write`, for changes after which nothing is due."""
        return await self._engine.write(change)

    async def read(self, look: Callable[[Tx], T]) -> T:
        """Run a function on a snapshot."""
        return await self._engine.read(look)

    def kick(self, at_ms: int = 0) -> None:
        """Have the runners of all processes look at the queue, at the latest when something is due at `at_ms`."""
        self._bus.publish(_TOPICS[lanes.Kind.MESSAGE], b"%d" % at_ms)

    def kick_hooks(self) -> None:
        """The same for those who call webhooks."""
        self._bus.publish(_TOPICS[lanes.Kind.HOOK], b"0")

    def on_kick(self, callback: Callable[[int], None], kind: lanes.Kind) -> Callable[[], None]:
        """Call `callback` on the loop whenever something may be due, with the time of that; returns what ends it."""
        return self._bus.subscribe(_TOPICS[kind], lambda payload: callback(int(payload)))

    async def body(self, message: Message) -> bytes | Path:
        """What follows the prefix of a message: its bytes, or the file that has them. Raises apsw.Error."""
        content = self._recent.get(message.file)
        if content is None:
            content = await self._engine.read(lambda tx: contents.find(tx, message.file))
        return self.folder / message.file if content is None else content

    async def content(self, message: Message) -> bytes:
        """The whole message. Raises OSError, apsw.Error."""
        body = await self.body(message)
        return message.prefix + (body if isinstance(body, bytes) else await asyncio.to_thread(body.read_bytes))

    async def header(self, message: Message) -> bytes:
        """The start of the message, with the whole header. Raises OSError, apsw.Error."""
        body = await self.body(message)
        return message.prefix + (body if isinstance(body, bytes) else await asyncio.to_thread(_start, body))

    def remove_files(self, names: Iterable[str | None]) -> None:
        """Remove files that no record needs; after the commit, for a thread that may block."""
        for name in filter(None, names):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.folder / name)

    async def remove_files_later(self, names: Sequence[str | None]) -> None:
        """The same from a coroutine."""
        if any(names):
            await asyncio.to_thread(self.remove_files, names)

    async def sweep(self) -> int:
        """Remove files that a crash left without a record; how many."""
        return await self._engine.read(lambda tx: len(self._sweep(tx)))

    def _sweep(self, tx: Tx) -> list[str]:
        before = time.time() - ORPHAN_AGE_S
        with os.scandir(self.folder) as entries:
            old = [e.name for e in entries if len(e.name) == 32 and e.stat().st_mtime < before]
        orphans = [name for name in old if tx.one("SELECT 1 FROM queued WHERE file = ? LIMIT 1", name) is None]
        for name in orphans:
            _logger.warning("removing a file without a message", file=name)
        self.remove_files(orphans)
        return orphans

    async def count_held(self) -> None:
        """Bring the metric of held messages up to date."""
        row = await self._engine.read(lambda tx: tx.one("SELECT count(*) FROM queued WHERE hold = 1"))
        metrics.queue_hold.set(row[0] if row else 0)

    async def close(self) -> None:
        """Close the database."""
        await self._engine.close()


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES)


def _insert(tx: Tx, account: str, file: str, staged: StagedMessage, messages: Sequence[NewMessage]) -> list[int]:
    first = messages[0]
    grouped = len(messages) > 1 and all((m.sender, m.prefix) == (first.sender, first.prefix) for m in messages)
    first_id = next_id(tx, "queued", len(messages))
    rules = holdrules.list_all(tx)
    now = now_ms()
    for number, new in enumerate(messages):
        if new.from_id and _is_used(tx, new.from_id):
            raise FromIdError("fromid not unique")
        domains = to_unicode(new.sender.domain), to_unicode(new.recipient.domain)
        hold = any(holdrules.matches(rule, account, *domains) for rule in rules)
        message = _record(first_id + number, first_id if grouped else 0, now, hold, account, file, staged, new)
        insert(tx, "queued", message)
        if not hold:
            lanes.touch(tx, lanes.Kind.MESSAGE, message.recipient_domain, message.next_ms)
    return [first_id + number for number in range(len(messages))]


def _is_used(tx: Tx, from_id: str) -> bool:
    found = tx.one(
        "SELECT 1 FROM queued WHERE from_id = ? UNION ALL SELECT 1 FROM retired WHERE from_id = ? LIMIT 1",
        from_id,
        from_id,
    )
    return found is not None


def _record(
    message_id: int, base_id: int, now: int, hold: bool, account: str, file: str, staged: StagedMessage, new: NewMessage
) -> Message:
    return derived(
        Message,
        new,
        id=message_id,
        base_id=base_id,
        queued_ms=now,
        hold=hold,
        account=account,
        sender_localpart=new.sender.localpart,
        sender_domain=to_unicode(new.sender.domain),
        recipient_localpart=new.recipient.localpart,
        recipient_domain=to_unicode(new.recipient.domain),
        attempts=0,
        dialed_ips={},
        next_ms=new.next_ms or now,
        last_ms=None,
        results=[],
        has_8bit=staged.has_8bit or not new.prefix.isascii(),
        size=len(new.prefix) + staged.size,
        extra=dict(new.extra),
        file=file,
    )
