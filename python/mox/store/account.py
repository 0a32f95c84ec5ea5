"""An open account: its database, message files, change reader and shared mailbox indexes."""

import asyncio
import os
import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mox import log
from mox._rust import MailboxIndex, StagedMessage, fsync_dir
from mox.net.bus import Bus
from mox.store import erasing, mailboxes, messages
from mox.store.changes import (
    Change,
    Changes,
    FlagsChanged,
    MailboxChanged,
    MessageAdded,
    MessagesRemoved,
    SubscriptionChanged,
)
from mox.store.engine import Engine, Tx
from mox.store.policy import Policy
from mox.store.types import Mailbox

T = TypeVar("T")

HOUSEKEEPING_S = 10.0
LEASE_MS = 60_000
ORPHAN_AGE_S = 3600.0

_logger = log.get("store")
_PROCESS = uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message whose file is durable and parsed, not yet in a mailbox."""

    blob_id: int
    path: str
    prefix: bytes
    parsed: Any
    size: int


class Account:
    """Use it through Store.open. All methods are for the loop's thread."""

    def __init__(
        self, name: str, folder: Path, bus: Bus, files: ThreadPoolExecutor, policy: Callable[[], Policy]
    ) -> None:
        self.name = name
        self.folder = folder
        self._bus = bus
        self._files = files
        self._topic = f"account/{name}"
        self._sessions: set[Changes] = set()
        self._indexes: dict[int, tuple[MailboxIndex, int]] = {}
        self._known: dict[int, Mailbox] = {}
        self._read_to = 0
        self._reading = asyncio.Lock()
        self._wanted = 0
        self._reader: asyncio.Task[None] | None = None
        self._directories: set[Path] = set()
        (folder / "msg").mkdir(parents=True, exist_ok=True, mode=0o770)
        self._engine = Engine(folder / "index.db", "mox.store.migrations", self._committed, policy)

    async def start(self) -> None:
        """Make a new database's contents, read where the account stands."""
        await self._engine.write(mailboxes.initialize)
        self._read_to, known = await self._engine.read(lambda tx: (_last_modseq(tx), mailboxes.list_mailboxes(tx)))
        self._known = {m.id: m for m in known}
        self._unsubscribe = self._bus.subscribe(self._topic, self._woken)
        self._keeper = asyncio.get_running_loop().create_task(self._housekeeping())

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a snapshot, in a thread."""
        return await self._engine.read(fn)

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in a transaction, in the writer's thread; returns when it is on disk."""
        return await self._engine.write(fn)

    # Message files

    def blob_path(self, blob_id: int) -> str:
        """Where the content of a blob is."""
        return str(self.folder / "msg" / f"{blob_id >> 44:x}" / str(blob_id))

    async def prepare(self, staged: StagedMessage, prefix: bytes = b"") -> Prepared:
        """Write the message's file durably and parse it. Raises OSError."""
        blob_id = ((time.time_ns() // 1000) << 12) | random.getrandbits(12)
        path = self.blob_path(blob_id)
        directory = Path(path).parent
        if directory not in self._directories:
            directory.mkdir(exist_ok=True, mode=0o770)
            fsync_dir(str(directory.parent))
            self._directories.add(directory)
        loop = asyncio.get_running_loop()
        parsed = await loop.run_in_executor(self._files, staged.parse_and_store, prefix, path)
        return Prepared(blob_id, path, prefix, parsed, staged.size + len(prefix))

    def discard(self, prepared: Prepared) -> None:
        """Remove the file of a message that went nowhere."""
        Path(prepared.path).unlink(missing_ok=True)

    def new_message(self, prepared: Prepared, **facts: Any) -> messages.NewMessage:
        """A record for `messages.add`; `facts` are its other fields, dates default to now."""
        now = time.time_ns() // 1_000_000
        facts = {"received_ms": now, "save_ms": now, **facts}
        return messages.NewMessage(
            prepared.blob_id, os.path.dirname(prepared.path), prepared.prefix, prepared.parsed, prepared.size, **facts
        )

    # Changes

    def _committed(self, modseq: int) -> None:
        self._bus.publish(self._topic, str(modseq).encode())

    def _woken(self, payload: bytes) -> None:
        self._wanted = max(self._wanted, int(payload))
        if self._sessions and (self._reader is None or self._reader.done()):
            self._reader = asyncio.get_running_loop().create_task(self._catch_up())

    async def _catch_up(self) -> None:
        while self._sessions and self._read_to < self._wanted:
            await self.sync()

    async def catch_up(self) -> None:
        """Read what is known to be committed; does nothing when there is no news."""
        if self._read_to < self._wanted:
            await self.sync()

    def known(self, mailbox_id: int) -> Mailbox | None:
        """A mailbox as of the last `sync`."""
        return self._known.get(mailbox_id)

    async def sync(self) -> None:
        """Read everything that is committed into the indexes and the sessions' queues."""
        async with self._reading:
            after = self._read_to

            def read(tx: Tx) -> tuple[int, list[Any], list[Mailbox], list[Any]]:
                last = _last_modseq(tx)
                if last <= after:
                    return last, [], [], []
                return (
                    last,
                    messages.changed_rows(tx, after),
                    mailboxes.changed_mailboxes(tx, after),
                    mailboxes.changed_subscriptions(tx, after),
                )

            last, rows, boxes, subscribed = await self._engine.read(read)
            if last <= after:
                return
            changes = [*self._mailbox_changes(boxes), *self._message_changes(rows, after)]
            changes += [SubscriptionChanged(modseq, name, gone) for name, modseq, gone in subscribed]
            changes.sort(key=lambda c: c.modseq)
            self._read_to = last
            for session in self._sessions:
                session.put(changes, last)

    def _mailbox_changes(self, boxes: list[Mailbox]) -> list[Change]:
        changes: list[Change] = []
        for box in boxes:
            old = self._known.get(box.id)
            if box.expunged:
                self._known.pop(box.id, None)
            else:
                self._known[box.id] = box
            if old is None and not box.expunged:
                changes.append(MailboxChanged(box.modseq, box, is_new=True))
            elif old is not None and (box.expunged or old.name != box.name or old.keywords != box.keywords):
                old_name = old.name if old.name != box.name else ""
                changes.append(MailboxChanged(box.modseq, box, False, old_name, old.keywords != box.keywords))
        return changes

    def _message_changes(self, rows: list[Any], after: int) -> list[Change]:
        changes: list[Change] = []
        removed: dict[tuple[int, int], list[int]] = {}
        updated: dict[int, list[Any]] = {}
        for mailbox_id, create_seq, expunged, *hot in rows:
            uid, modseq = hot[0], hot[3]
            if expunged:
                removed.setdefault((modseq, mailbox_id), []).append(uid)
                continue
            updated.setdefault(mailbox_id, []).append(tuple(hot))
            kind = MessageAdded if create_seq > after else FlagsChanged
            changes.append(kind(modseq, mailbox_id, uid))
        for mailbox_id, hots in updated.items():
            if mailbox_id in self._indexes:
                self._indexes[mailbox_id][0].upsert(hots)
        for (modseq, mailbox_id), uids in removed.items():
            changes.append(MessagesRemoved(modseq, mailbox_id, tuple(sorted(uids))))
            if mailbox_id in self._indexes:
                self._indexes[mailbox_id][0].remove(uids)
        return changes

    def subscribe(self) -> Changes:
        """A session's queue of changes from now on."""
        changes = Changes(self._read_to)
        self._sessions.add(changes)
        return changes

    def unsubscribe(self, changes: Changes) -> None:
        """The session ended."""
        self._sessions.discard(changes)

    async def open_index(self, mailbox_id: int) -> MailboxIndex:
        """The shared index of a mailbox, as of the last `sync`; give it back with `release_index`."""
        held = self._indexes.get(mailbox_id)
        if held is None:
            async with self._reading:
                held = self._indexes.get(mailbox_id)
                if held is None:
                    rows = await self._engine.read(lambda tx: messages.hot_rows(tx, mailbox_id))
                    index = MailboxIndex()
                    index.upsert(rows)
                    held = self._indexes.get(mailbox_id, (index, 0))
        self._indexes[mailbox_id] = (held[0], self._indexes.get(mailbox_id, held)[1] + 1)
        return held[0]

    def release_index(self, mailbox_id: int) -> None:
        """One session less uses the index."""
        index, users = self._indexes[mailbox_id]
        if users > 1:
            self._indexes[mailbox_id] = (index, users - 1)
        else:
            del self._indexes[mailbox_id]

    # Erasing

    async def _housekeeping(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._files, self._list_orphans)
        while True:
            await self.erase()
            await asyncio.sleep(HOUSEKEEPING_S)

    def _list_orphans(self) -> None:
        """Remove files that no record names: left by a crash between file and commit."""
        limit = time.time() - ORPHAN_AGE_S
        connection_rows = self._engine.read_now(lambda tx: tx.run("SELECT blob_id FROM blob WHERE account_id = 1"))
        known = {str(row[0]) for row in connection_rows}
        for directory in (self.folder / "msg").iterdir():
            for entry in os.scandir(directory):
                if entry.name not in known and entry.name.isdigit() and entry.stat().st_mtime < limit:
                    _logger.info("removing message file without record", account=self.name, file=entry.name)
                    os.unlink(entry.path)

    async def erase(self, closing: bool = False) -> None:
        """Tell how far this process's sessions are, and erase what no session anywhere can still read."""
        position = min((s.position for s in self._sessions), default=None)
        now = time.time_ns() // 1_000_000

        def step(tx: Tx) -> list[int]:
            tx.run(
                "DELETE FROM reader_position WHERE account_id = ? AND (lease_ms < ? OR process = ?)",
                tx.account_id,
                now,
                _PROCESS,
            )
            if position is not None and not closing:
                tx.run(
                    "INSERT INTO reader_position VALUES (?, ?, ?, ?)", tx.account_id, _PROCESS, position, now + LEASE_MS
                )
            row = tx.one("SELECT min(modseq) FROM reader_position WHERE account_id = ?", tx.account_id)
            lowest = row[0] if row is not None and row[0] is not None else _last_modseq(tx)
            return erasing.erase(tx, lowest)

        if position is None and not closing and not await self._engine.read(erasing.has_erasures):
            return
        blobs = await self._engine.write(step)
        if blobs:
            await asyncio.get_running_loop().run_in_executor(self._files, self._unlink, blobs)

    def _unlink(self, blobs: list[int]) -> None:
        for blob_id in blobs:
            Path(self.blob_path(blob_id)).unlink(missing_ok=True)

    async def close(self) -> None:
        """Last user is gone."""
        self._keeper.cancel()
        self._unsubscribe()
        if self._reader is not None:
            await asyncio.wait([self._reader])
        await self.erase(closing=True)
        await self._engine.close()


def _last_modseq(tx: Tx) -> int:
    row = tx.one("SELECT last_modseq FROM sync_state WHERE account_id = ?", tx.account_id)
    return int(row[0]) if row is not None else 0
