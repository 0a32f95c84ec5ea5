"""An account: its database, message files, change reader and shared mailbox indexes.

The database is opened when it is needed and closed when nobody used it for a while, so that an idle account costs
nothing but this object.
"""

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw
from msgspec import Struct

from mox import log
from mox._rust import MailboxIndex, StagedMessage
from mox.net.bus import Bus
from mox.store import blobs, deferred, erasing, fresh, mailboxes, messages, reputation
from mox.store.blobs import BlobFolder
from mox.store.changes import Changes
from mox.store.engine import Engine, Settling, Tx
from mox.store.errors import EngineClosed
from mox.store.folder import AccountFolder
from mox.store.fresh import FreshFiles
from mox.store.policy import Policy
from mox.store.reader import News, Reader, last_modseq, read_news
from mox.store.textindex import TextFolder
from mox.store.types import Mailbox
from mox.store.workers import Workers

T = TypeVar("T")

HOUSEKEEPING_S = 10.0
# Wake-ups of other processes may be lost; this is how late their changes are seen then.
POLL_S = 30.0
TIDY_S = 3600.0
IDLE_S = 300.0
# Deferred changes of flags are done to the rows after this time at the latest.
SETTLE_S = 0.3
# A process that died keeps messages from being erased for this long.
LEASE_MS = 600_000

SPARE_INDEXES = 4

_logger = log.get("store")
_PROCESS = uuid.uuid4().hex


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Prepared(Struct, frozen=True):
    """A message whose file is written and parsed, not yet in a mailbox. `content` of a file that may not be on disk yet
    is committed with the record."""

    blob_id: int
    path: str
    prefix: bytes
    parsed: Any
    size: int
    content: bytes | None = None


class Writing:
    """A message whose file is written by the first call, which is made in the transaction that records it: for a small
    one that takes less than another change of threads. Later calls give the same."""

    __slots__ = ("_store", "prepared")

    def __init__(self, store: Callable[[], Prepared], prepared: Prepared | None = None) -> None:
        self._store = store
        self.prepared = prepared

    @classmethod
    def done(cls, prepared: Prepared) -> "Writing":
        """The file is there."""
        return cls(lambda: prepared, prepared)

    def __call__(self) -> Prepared:
        """Raises OSError."""
        if self.prepared is None:
            self.prepared = self._store()
        return self.prepared


class Account:
    """Use it through Store.open. All methods are for the loop's thread."""

    def __init__(self, name: str, folder: Path, bus: Bus, files: Workers, policy: Callable[[], Policy]) -> None:
        self.name = name
        self._place = AccountFolder(folder)
        self._blobs = BlobFolder(folder / "msg")
        self.text = TextFolder(folder / "text", files)
        self._bus = bus
        self._files = files
        self._policy = policy
        self._topic = f"account/{name}"
        self._engine: Engine | None = None
        self._waking = asyncio.Lock()
        self._calls = 0
        self._used_at = time.monotonic()
        self._closed = False
        self._leaving: asyncio.Event | None = None
        self._sessions: set[Changes] = set()
        self._index_users: dict[int, int] = {}
        # Indexes that nobody uses now, the latest last: SELECT of the same mailbox again is common.
        self._spare_indexes: dict[int, None] = {}
        self._state = Reader()
        self._is_stale = False
        self._reading = asyncio.Lock()
        self._holding = asyncio.Lock()
        self._wanted = 0
        # Of the database when it was last read; None: not read since it was opened.
        self._version: int | None = None
        self._reader: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._deferred = asyncio.Event()
        self._settler: asyncio.Task[None] | None = None
        self._fresh: FreshFiles | None = None
        self._lease_until_ms = 0
        self._may_erase = True

    # Opening and closing

    async def _wake(self) -> Engine:
        """Open the database. Raises EngineClosed, DatabaseVersionError, apsw.Error, OSError."""
        async with self._waking:
            if self._engine is not None:
                return self._engine
            if self._closed:
                raise EngineClosed(f"account {self.name} is closed")
            loop = asyncio.get_running_loop()
            await self._files.run(self._prepare_folder)
            engine = Engine(
                self._place.path / "index.db",
                "mox.store.migrations",
                self._committed,
                self._policy,
                settling=Settling(deferred.is_pending, deferred.settle),
            )
            try:
                if await engine.read(lambda tx: last_modseq(tx) == 0):
                    await engine.write(mailboxes.initialize)
                last, boxes, next_id = await engine.read(
                    lambda tx: (last_modseq(tx), mailboxes.list_mailboxes(tx), messages.next_id(tx))
                )
                self._fresh = FreshFiles(engine, self._blobs, self._files)
                if restored := await self._fresh.restore():
                    _logger.info("message files written again after a failure", account=self.name, files=restored)
                await self._files.run(self.text.check, next_id)
            except BaseException:
                await engine.close()
                self._place.release()
                raise
            self._state.restart(last, boxes)
            self._version = None
            self._unsubscribe = self._bus.subscribe(self._topic, self._woken)
            self._keeper = loop.create_task(self._housekeeping(), name=f"housekeeping of account {self.name}")
            self._settler = loop.create_task(self._settle(), name=f"settling of account {self.name}")
            self._engine = engine
            return engine

    def _prepare_folder(self) -> None:
        self._blobs.create()
        self._place.hold()

    @property
    def is_awake(self) -> bool:
        """The database is open."""
        return self._engine is not None

    async def start(self) -> None:
        """Open the database now, to see that it can be. Raises what `read` does."""
        await self._wake()

    async def read(self, fn: Callable[[Tx], T], early: bool = False) -> T:
        """Run `fn` on a snapshot, in a thread; `early` when it knows of deferred changes itself or does not look at
        flags. Raises EngineClosed, apsw.Error, OSError, and what `fn` raises."""
        self._calls += 1
        try:
            return await (self._engine or await self._wake()).read(fn, early)
        finally:
            self._calls -= 1
            self._left()

    async def write(self, fn: Callable[[Tx], T], early: bool = False) -> T:
        """Run `fn` in a transaction, in the writer's thread; returns when it is on disk. Otherwise like `read`."""
        self._calls += 1
        try:
            return await (self._engine or await self._wake()).write(fn, early)
        finally:
            self._calls -= 1
            self._left()

    @property
    def quota(self) -> int:
        """Bytes that all messages together may take; 0 for no limit."""
        return self._policy().quota

    @property
    def is_open(self) -> bool:
        """The database is open: somebody used it lately."""
        return self._engine is not None

    @property
    def is_used(self) -> bool:
        """There are sessions or calls in progress."""
        return bool(self._calls or self._sessions or self._index_users)

    def _left(self) -> None:
        if self._leaving is not None and not self.is_used:
            self._leaving.set()

    async def unused(self) -> None:
        """Return when the last user has left. Nobody may come while this waits."""
        self._leaving = asyncio.Event()
        self._left()
        await self._leaving.wait()

    async def close(self) -> None:
        """Finish what was begun and close the database for good."""
        self._closed = True
        async with self._waking:
            engine, self._engine = self._engine, None
            if engine is None:
                return
            if self._keeper is not None:
                self._keeper.cancel()
                await asyncio.wait([self._keeper])
            if self._reader is not None:
                await asyncio.wait([self._reader])
            await self._release(engine)

    async def _release(self, engine: Engine) -> None:
        await self.text.stop()
        if self._settler is not None:
            self._settler.cancel()
            await asyncio.wait([self._settler])
        self._unsubscribe()
        await self._erase(engine, closing=True)
        if self._fresh is not None:
            await self._fresh.close()
            self._fresh = None
        await engine.close()
        self._place.release()

    async def _sleep(self) -> None:
        """Close the database until it is needed again."""
        async with self._waking:
            engine = self._engine
            if engine is None or self.is_used:
                return
            self._engine = None
            self._drop_spare_indexes()
            await self._release(engine)

    async def in_thread(self, fn: Callable[[], T]) -> T:
        """Run what reads files of the account. Raises what `fn` raises."""
        return await self._files.run(fn)

    # Message files

    def blob_path(self, blob_id: int) -> str:
        """Where the content of a blob is."""
        return self._blobs.path(blob_id)

    @staticmethod
    def is_small(staged: StagedMessage) -> bool:
        """Its file may be written within the transaction."""
        return staged.size <= fresh.MAX_OCTETS

    def writing(self, staged: StagedMessage, prefix: bytes = b"") -> Writing:
        """The file of a small message, to be used by one transaction of this account, which is awake."""
        if self._fresh is not None:
            self._fresh.expect()
        return Writing(partial(self._store_file, staged, prefix))

    async def prepare(self, staged: StagedMessage, prefix: bytes = b"") -> Prepared:
        """Write the message's file and parse it, before any transaction. Raises OSError."""
        if self._engine is None:
            await self._wake()
        prepared = await self._files.run(self._store_file, staged, prefix)
        if prepared.content is not None and self._fresh is not None:
            self._fresh.expect()
        return prepared

    def _store_file(self, staged: StagedMessage, prefix: bytes) -> Prepared:
        blob_id = self._blobs.new()
        path = self._blobs.path(blob_id)
        is_small = self.is_small(staged)
        parsed = staged.parse_and_store(prefix, path, durable=not is_small)
        content = staged.content() if is_small else None
        return Prepared(blob_id, path, prefix, parsed, staged.size + len(prefix), content)

    async def discard(self, *blob_ids: int) -> None:
        """Remove files of messages that went nowhere. Who gives up while a transaction runs cannot know what becomes of
        it: the writer, which comes to this after that, keeps what has a record. Failures leave files to the sweep."""
        try:
            known = await self.write(lambda tx: blobs.known(tx, blob_ids), early=True)
            await self._files.run(self._blobs.unlink, set(blob_ids) - known)
        except (EngineClosed, apsw.Error, OSError) as err:
            _logger.error("removing unused message files", account=self.name, err=str(err))

    def new_message(self, prepared: Prepared, **facts: Any) -> messages.NewMessage:
        """A record for `messages.add`; `facts` are its other fields, dates default to now."""
        now = now_ms()
        facts = {"received_ms": now, "save_ms": now, **facts}
        return messages.NewMessage(
            prepared.blob_id,
            os.path.dirname(prepared.path),
            prepared.prefix,
            prepared.parsed,
            prepared.size,
            content=prepared.content,
            **facts,
        )

    # Changes

    def _committed(self, modseq: int) -> None:
        self._bus.publish(self._topic, str(modseq).encode())

    def _woken(self, payload: bytes) -> None:
        self._wanted = max(self._wanted, int(payload))
        self._may_erase = True
        if self._sessions and (self._reader is None or self._reader.done()):
            self._reader = asyncio.get_running_loop().create_task(self._catch_up())

    async def _catch_up(self) -> None:
        while self._sessions and self._state.position < self._wanted:
            await self.sync()

    async def catch_up(self) -> None:
        """Read everything that is committed, by any process; takes next to no time when there is no news."""
        version = self._engine.version() if self._engine is not None else None
        if self._is_stale or version is None or version != self._version:
            await self.sync()

    def known_by_name(self, name: str) -> Mailbox | None:
        """A mailbox as of the last `sync`."""
        return next((box for box in self._state.known.values() if box.name == name), None)

    def known(self, mailbox_id: int) -> Mailbox | None:
        """A mailbox as of the last `sync`."""
        return self._state.known.get(mailbox_id)

    async def sync(self) -> None:
        """Read everything that is committed into the indexes and the sessions' queues."""
        async with self._reading:
            # From before the reading: what is committed meanwhile is found the next time.
            version = (self._engine or await self._wake()).version()
            if self._is_stale:
                last, boxes = await self.read(lambda tx: (last_modseq(tx), mailboxes.list_mailboxes(tx)))
                self._is_stale, self._version = False, version
                self._drop_spare_indexes()
                self._state.restart(last, boxes)
                for session in self._sessions:
                    session.put([], last)
                return
            after = self._state.position
            news = await self.read(lambda tx: read_news(tx, after), early=True)
            if self._state.needs_rows(news):
                news = await self.read(lambda tx: read_news(tx, after))
            self._version = version
            if news.last > after:
                self._tell(news)

    def _tell(self, news: News) -> None:
        changes = self._state.apply(news)
        for session in self._sessions:
            session.put(changes, news.last)

    async def take_in(self, news: News) -> None:
        """Like `sync`, after an operation of this process that knows what it did: that need not be read."""
        async with self._reading:
            if not self._is_stale and self._state.follows(news):
                self._tell(news)
        if self._state.position < news.last:
            await self.sync()

    def subscribe(self) -> Changes:
        """A session's queue of changes from now on."""
        if not self._sessions and not self._index_users:
            # Nobody was told anything for a while: the next `sync` starts anew instead of reading all of it.
            self._is_stale = True
        changes = Changes(self._state.position)
        self._sessions.add(changes)
        return changes

    def unsubscribe(self, changes: Changes) -> None:
        """The session ended."""
        self._sessions.discard(changes)
        self._used_at = time.monotonic()
        self._may_erase = True
        self._left()

    async def open_index(self, mailbox_id: int) -> MailboxIndex:
        """The shared index of a mailbox, as of the last `sync`; give it back with `release_index`."""
        self._index_users[mailbox_id] = self._index_users.get(mailbox_id, 0) + 1
        self._spare_indexes.pop(mailbox_id, None)
        try:
            await self._hold_messages()
            index = self._state.indexes.get(mailbox_id)
            if index is not None:
                return index
            async with self._reading:
                index = self._state.indexes.get(mailbox_id)
                if index is None:
                    rows = await self.read(lambda tx: messages.hot_rows(tx, mailbox_id))
                    index = self._state.indexes[mailbox_id] = MailboxIndex()
                    index.upsert(rows)
                return index
        except BaseException:
            self.release_index(mailbox_id)
            raise

    def release_index(self, mailbox_id: int) -> None:
        """One session less uses the index."""
        self._index_users[mailbox_id] -= 1
        if not self._index_users[mailbox_id]:
            del self._index_users[mailbox_id]
            if mailbox_id in self._state.indexes:
                self._state.indexes[mailbox_id].purge()
                self._spare_indexes[mailbox_id] = None
            if len(self._spare_indexes) > SPARE_INDEXES:
                oldest = next(iter(self._spare_indexes))
                del self._spare_indexes[oldest], self._state.indexes[oldest]
            self._left()

    def _drop_spare_indexes(self) -> None:
        """They are not kept current while nobody is told of changes."""
        for mailbox_id in self._spare_indexes:
            del self._state.indexes[mailbox_id]
        self._spare_indexes.clear()

    async def defer(self, mailbox_id: int, fn: Callable[[Tx, MailboxIndex], T | None]) -> T | None:
        """Run one of the operations of `deferred` on a mailbox whose index is open. None when it was not done: it is
        one for `messages` then. Raises like `write`."""
        index = self._state.indexes[mailbox_id]

        def work(tx: Tx) -> T | None:
            return fn(tx, index) if last_modseq(tx) == self._state.position else None

        done = await self.write(work, early=True)
        if done is not None:
            self._deferred.set()
        return done

    async def _settle(self) -> None:
        """Settle what was deferred, while nobody waits for it."""
        while True:
            await self._deferred.wait()
            await asyncio.sleep(SETTLE_S)
            self._deferred.clear()
            await self._try(lambda: self.write(lambda tx: None))

    # Housekeeping

    def _position(self) -> int | None:
        """What the slowest session has taken; None without sessions. Also for the writer's thread."""
        return min((s.position for s in tuple(self._sessions)), default=None)

    async def _hold_messages(self) -> None:
        """Before a session can refer to messages, other processes must know that there is one."""
        if self._lease_until_ms >= now_ms() + LEASE_MS // 2:
            return
        async with self._holding:
            position, now = self._position(), now_ms()
            if position is None or self._lease_until_ms >= now + LEASE_MS // 2:
                return
            await self.write(lambda tx: erasing.hold(tx, _PROCESS, position, now, LEASE_MS))
            self._lease_until_ms = now + LEASE_MS

    async def _housekeeping(self) -> None:
        """Sweep once; then erase, renew the lease, look for lost wake-ups now and then, until the account is idle."""
        await self._try(self._sweep)
        polled, tidied = time.monotonic(), 0.0
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            await self._try(self.erase)
            now = time.monotonic()
            if now - tidied > TIDY_S:
                tidied = now
                await self._try(self._tidy)
            if self._sessions and now - polled > POLL_S:
                polled = now
                await self._try(self.sync)
            if self.is_used:
                self._used_at = now
            elif now - self._used_at > IDLE_S:
                break
        await self._try(self._sleep)

    async def _tidy(self) -> None:
        """Drop counters that have had their time, and what the text index knows of messages that are gone."""
        now = now_ms()
        await self.text.tidy(self)
        if await self.read(lambda tx: reputation.has_old_volume(tx, now)):
            await self.write(lambda tx: reputation.forget_volume(tx, now))

    async def _try(self, step: Callable[[], Awaitable[None]]) -> None:
        """What fails now is done the next time."""
        try:
            await step()
        except (apsw.Error, OSError) as err:
            _logger.error("housekeeping failed", account=self.name, err=str(err))

    async def _sweep(self) -> None:
        """Remove files that no record names, in the directories that were written to since the last time."""
        first = await self.read(blobs.swept_to)
        shards = [s for s in await self._files.run(self._blobs.shards) if s >= first]
        for shard in shards:
            known = await self.read(lambda tx, shard=shard: blobs.known_blobs(tx, shard))  # type: ignore[misc]
            await self._files.run(self._blobs.sweep, shard, known)
        if len(shards) > 2:
            # The newest may still have files of messages on their way.
            await self.write(lambda tx: blobs.set_swept(tx, shards[-2]))

    async def erase(self) -> None:
        """Erase what no session anywhere can still read, and tell other processes how far this one's sessions are."""
        if self._engine is not None:
            await self._erase(self._engine, closing=False)

    async def _erase(self, engine: Engine, closing: bool) -> None:
        now = now_ms()
        has_sessions = not closing and bool(self._sessions)
        lease_ends = self._lease_until_ms < now + LEASE_MS // 2 if has_sessions else bool(self._lease_until_ms)
        if not lease_ends and not self._may_erase:
            return
        self._may_erase = await engine.read(erasing.has_erasures)
        if not lease_ends and not self._may_erase:
            return

        def step(tx: Tx) -> tuple[int, list[int], bool]:
            # Asked only now: since this began, sessions may have come, and messages they know may have been removed.
            position = None if closing else self._position()
            erased = erasing.erase(tx, erasing.hold(tx, _PROCESS, position, now, LEASE_MS))
            return erased, blobs.unused(tx), position is not None

        more = True
        while more:
            erased, unused, has_sessions = await engine.write(step)
            if unused:
                await self._files.run(self._blobs.unlink, unused)
                await engine.write(lambda tx, gone=unused: blobs.forget(tx, gone))  # type: ignore[misc]
            more = erased == erasing.ERASE_BATCH
        self._lease_until_ms = now + LEASE_MS if has_sessions else 0
