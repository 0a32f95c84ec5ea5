"""SQLite with one writer and group commit (DESIGN section 4).

Write functions of concurrent callers run one after the other in one transaction, each in its own savepoint; they are
acknowledged together after one commit, so the cost of the disk is shared.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import apsw

from mox import log
from mox._rust import fsync_dir
from mox.store.errors import DatabaseVersionError
from mox.store.policy import NO_POLICY, Policy

T = TypeVar("T")

MAX_BATCH = 200
# Another process of ours may hold the write lock for one batch.
BUSY_TIMEOUT_MS = 20_000

# Pages larger than SQLite's default, because rows of messages are wide.
PRAGMAS = (
    "page_size = 8192",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "wal_autocheckpoint = 2000",
)

_logger = log.get("store")


class Tx:
    """A transaction as its functions see it."""

    def __init__(self, connection: apsw.Connection, policy: Policy = NO_POLICY, account_id: int = 1) -> None:
        self.connection = connection
        self.account_id = account_id
        # The account's configuration as it is during this transaction.
        self.policy = policy
        self.directories: set[str] = set()
        self._modseq: int | None = None

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a statement; `:a` stands for the account's id, `?` for the values."""
        return list(self.connection.execute(sql, values))

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        return next(iter(self.connection.execute(sql, values)), None)

    def many(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        """Run a statement for each row of values."""
        self.connection.executemany(sql, rows)

    def next_modseq(self) -> int:
        """The modification sequence of this operation: one for all it changes."""
        if self._modseq is None:
            row = self.one(
                "UPDATE sync_state SET last_modseq = last_modseq + 1 WHERE account_id = ? RETURNING last_modseq",
                self.account_id,
            )
            assert row is not None
            self._modseq = int(row[0])
        return self._modseq

    @property
    def made_modseq(self) -> int | None:
        """What `next_modseq` gave, if it was called."""
        return self._modseq

    def sync_directory(self, path: str) -> None:
        """Have the directory on disk before this transaction."""
        self.directories.add(path)


def connect(path: Path) -> apsw.Connection:
    """A connection with our settings."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def migrate(connection: apsw.Connection, package: str) -> int:
    """Bring the schema up to date with the numbered files of `package`; the version it had. Raises
    DatabaseVersionError for one that is newer than this program."""
    files = sorted((f for f in resources.files(package).iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    with connection:
        version = int(connection.pragma("user_version"))
        if version > len(files):
            raise DatabaseVersionError(
                f"{connection.filename} has schema version {version}, this mox knows up to {len(files)}; "
                "use the mox that wrote it, or a newer one"
            )
        for number, file in enumerate(files[version:], version + 1):
            connection.execute(file.read_text())
            connection.execute(f"PRAGMA user_version = {number}")
    return version


class _Job:
    __slots__ = ("error", "fn", "future", "loop", "result")

    def __init__(self, fn: Callable[[Tx], Any], future: asyncio.Future[Any], loop: asyncio.AbstractEventLoop) -> None:
        self.fn, self.future, self.loop = fn, future, loop
        self.result: Any = None
        self.error: BaseException | None = None

    def resolve(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Engine:
    """One database file. `on_commit` is called on the loop after each commit that made a modseq."""

    def __init__(
        self,
        path: Path,
        package: str,
        on_commit: Callable[[int], None] | None = None,
        policy: Callable[[], Policy] = lambda: NO_POLICY,
    ) -> None:
        self._path = path
        self._on_commit = on_commit
        self._policy = policy
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer_connection = connect(path)
        self.found_version = migrate(self._writer_connection, package)
        self._loop = asyncio.get_running_loop()
        self._local = threading.local()
        self._connections: list[apsw.Connection] = []
        self._readers = ThreadPoolExecutor(4, "reader")
        self._thread = threading.Thread(target=self._write_loop, name=f"writer {path}", daemon=True)
        self._thread.start()

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in a transaction; returns after the commit. An exception of `fn` undoes only its own changes."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(fn, future, self._loop))
        return await future

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a snapshot."""
        return await self._loop.run_in_executor(self._readers, self.read_now, fn)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a snapshot in this thread, which is not the loop's."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path)
            self._connections.append(connection)
        connection.execute("BEGIN")
        try:
            return fn(Tx(connection, self._policy()))
        finally:
            connection.execute("ROLLBACK")

    def _write_loop(self) -> None:
        while True:
            first = self._jobs.get()
            if first is None:
                return
            batch, ends = [first], False
            while len(batch) < MAX_BATCH and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    ends = True
                    break
                batch.append(job)
            modseq = self._run_batch(batch)
            self._loop.call_soon_threadsafe(self._acknowledge, batch, modseq)
            if ends:
                return

    def _acknowledge(self, batch: list[_Job], modseq: int) -> None:
        for job in batch:
            job.resolve()
        if modseq and self._on_commit is not None:
            self._on_commit(modseq)

    def _run_batch(self, batch: list[_Job]) -> int:
        """The highest modseq of the batch, 0 for none. All errors end in the jobs."""
        connection = self._writer_connection
        directories: set[str] = set()
        modseq = 0
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                tx = Tx(connection, self._policy())
                if self._run_job(job, tx):
                    directories |= tx.directories
                    modseq = max(modseq, tx.made_modseq or 0)
            for directory in directories:
                fsync_dir(directory)
            connection.execute("COMMIT")
        except (apsw.Error, OSError) as err:
            _logger.error("commit failed", path=str(self._path), err=str(err))
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for job in batch:
                job.error = job.error or err
            return 0
        return modseq

    @staticmethod
    def _run_job(job: _Job, tx: Tx) -> bool:
        tx.connection.execute("SAVEPOINT job")
        try:
            job.result = job.fn(tx)
        except Exception as err:  # every failure belongs to the caller that asked for it
            job.error = err
            tx.connection.execute("ROLLBACK TO job")
        tx.connection.execute("RELEASE job")
        return job.error is None

    async def close(self) -> None:
        """Finish what is queued and close the database."""
        self._jobs.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        await self._loop.run_in_executor(None, lambda: self._readers.shutdown(wait=True))
        for connection in (*self._connections, self._writer_connection):
            connection.close()
