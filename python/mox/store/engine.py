"""SQLite with one writer and group commit (DESIGN section 4).

Write functions of concurrent callers run one after the other in one transaction, each in its own savepoint; they are
acknowledged together after one commit, so the cost of the disk is shared. Everything that knows the engine is here;
other modules write portable SQL.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import apsw

from mox import log
from mox._rust import fsync_dir
from mox.store.errors import DatabaseVersionError, EngineClosed
from mox.store.policy import NO_POLICY, Policy
from mox.store.workers import Workers

T = TypeVar("T")

MAX_BATCH = 200
READERS = 4
# Another process of ours may hold the write lock for one batch. Waits are short and many: SQLite's own grow to 100 ms,
# in which the other process takes the lock again and again.
BUSY_WAIT_S = 0.002
BUSY_TIMEOUT_S = 20.0
STATEMENT_CACHE = 256
# Above this many pages in the log a reader's thread writes them to the database. Commits wait for that only when it
# does not keep up, and the log has many more.
CHECKPOINT_PAGES = 2000
MOST_LOG_PAGES = 20_000
# What the planner is told of the sizes of whole and of partial indexes.
MANY_ROWS, FEW_ROWS = 1_000_000, 1_000
# A delivery changes a page in each of a dozen trees, and every commit writes whole pages.
PRAGMAS = (
    "page_size = 4096",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    # What may have to be undone within a transaction; in a file it costs as much as the commit.
    "temp_store = MEMORY",
    # `Engine._log_grew` takes the place of this.
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
        # Set by functions that record work for `Settling`.
        self.is_deferring = False
        self._modseq: int | None = None

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a statement."""
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
            self._modseq = self.next_number("last_modseq") + 1
        return self._modseq

    def next_number(self, column: str, count: int = 1) -> int:
        """The first of `count` new numbers of a counter in `sync_state`."""
        row = self.one(
            f"UPDATE sync_state SET {column} = {column} + ? WHERE account_id = ? RETURNING {column}",
            count,
            self.account_id,
        )
        assert row is not None
        return int(row[0]) - count

    def next_message_ids(self, count: int, octets: int, limit: int) -> int | None:
        """The first of `count` new message ids, with `octets` more of disk usage, and the operation's modseq: in one
        statement, because every delivery does this. None when a limit above 0 would be passed."""
        row = self.one(
            "UPDATE sync_state SET next_message_id = next_message_id + ?1, disk_usage = disk_usage + ?2, "
            "last_modseq = last_modseq + ?3 WHERE account_id = ?4 AND (?5 <= 0 OR disk_usage + ?2 <= ?5) "
            "RETURNING next_message_id, last_modseq",
            count,
            octets,
            int(self._modseq is None),
            self.account_id,
            limit,
        )
        if row is None:
            return None
        self._modseq = int(row[1])
        return int(row[0]) - count

    @property
    def made_modseq(self) -> int | None:
        """What `next_modseq` gave, if it was called."""
        return self._modseq

    def sync_directory(self, path: str) -> None:
        """Have the directory on disk before this transaction."""
        self.directories.add(path)


def connect(path: Path) -> apsw.Connection:
    """A connection with our settings."""
    connection = apsw.Connection(str(path), statementcachesize=STATEMENT_CACHE)
    waited_since = 0.0

    def wait(attempts: int) -> bool:
        nonlocal waited_since
        if attempts == 0:
            waited_since = time.monotonic()
        time.sleep(BUSY_WAIT_S)
        return time.monotonic() - waited_since < BUSY_TIMEOUT_S

    connection.set_busy_handler(wait)
    # Statements are planned once, and not anew for other values, which costs ten times what most of them do.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    for pragma in PRAGMAS:
        _set(connection, pragma)
    return connection


def _set(connection: apsw.Connection, pragma: str) -> None:
    """Changing a new database to WAL while another connection does the same fails without asking the busy handler."""
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute(f"PRAGMA {pragma}")
            return
        except apsw.BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(BUSY_WAIT_S)


def migrate(connection: apsw.Connection, package: str) -> int:
    """Bring the schema up to date with the numbered files of `package`; the version it had. Raises
    DatabaseVersionError for one that is newer than this program."""
    files = sorted((f for f in resources.files(package).iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    version = int(connection.pragma("user_version"))
    if version == len(files):
        return version
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster.
        version = int(connection.pragma("user_version"))
        if version > len(files):
            raise DatabaseVersionError(
                f"{connection.filename} has schema version {version}, this mox knows up to {len(files)}; "
                "use the mox that wrote it, or a newer one"
            )
        for number, file in enumerate(files[version:], version + 1):
            connection.execute(file.read_text())
            connection.execute(f"PRAGMA user_version = {number}")
        _describe_indexes(connection)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return version


def _describe_indexes(connection: apsw.Connection) -> None:
    """Tell SQLite's planner what it cannot guess: `account_id`, the first column of nearly every index, tells nothing,
    because a file has one account. Without this it takes the first index that begins with it, and reads all of it."""
    connection.pragma("analysis_limit", 1)
    connection.execute("ANALYZE")
    for (table,) in list(connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'sqlite_stat_'")):
        connection.execute(f"DELETE FROM {table}")
    indexes = connection.execute(
        "SELECT t.name, i.name, i.\"unique\", i.partial, i.origin = 'pk' AND t.sql LIKE '%WITHOUT ROWID%', "
        "(SELECT group_concat(c.name, ' ') FROM pragma_index_info(i.name) c) "
        "FROM sqlite_schema t, pragma_index_list(t.name) i WHERE t.type = 'table'"
    )
    for table, index, is_unique, is_partial, is_clustered, columns in list(indexes):
        names = columns.split()
        if names[0] != "account_id" or len(names) < 2:
            continue
        rows = FEW_ROWS if is_partial else MANY_ROWS
        # Rows of the index, and then rows with equal values in the first 1, 2, … columns.
        numbers = [rows, rows, *[10] * (len(names) - 1)]
        if is_unique:
            numbers[-1] = 1
        # SQLite names the clustered key like its table.
        name = table if is_clustered else index
        connection.execute("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", (table, name, " ".join(map(str, numbers))))
    connection.execute("ANALYZE sqlite_schema")


class Settling(NamedTuple):
    """Work that functions record instead of doing it: whether there is some, and doing it."""

    is_pending: Callable[[Tx], bool]
    settle: Callable[[Tx], None]


class _Unsettled(Exception):
    """A reader found pending work."""


class _Job:
    __slots__ = ("early", "error", "fn", "future", "result")

    def __init__(self, fn: Callable[[Tx], Any], future: asyncio.Future[Any], early: bool) -> None:
        self.fn, self.future, self.early = fn, future, early
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
    """One database file, opened by its writer thread. Methods are for the loop it was made on.

    `on_commit` is called on the loop after each commit that made a modseq; `sync` makes a directory durable. What
    `settling` finds pending is done before any function that is not `early`: those know of pending work themselves.
    """

    def __init__(
        self,
        path: Path,
        package: str,
        on_commit: Callable[[int], None] | None = None,
        policy: Callable[[], Policy] = lambda: NO_POLICY,
        sync: Callable[[str], None] = fsync_dir,
        settling: Settling | None = None,
    ) -> None:
        self._path, self._package = path, package
        self._on_commit = on_commit
        self._policy = policy
        self._sync = sync
        self._settling = settling
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._connections: list[apsw.Connection] = []
        self._readers = Workers(READERS, f"reader {path}")
        self._watch: apsw.Connection | None = None
        self._log_pages = 0
        self._checkpoint: asyncio.Task[None] | None = None
        self._closing = False
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=f"writer {path}", daemon=True)
        self._thread.start()

    async def opened(self) -> None:
        """Return when the schema is up to date. Raises DatabaseVersionError, apsw.Error."""
        await asyncio.shield(self._opened)

    async def write(self, fn: Callable[[Tx], T], early: bool = False) -> T:
        """Run `fn` in a transaction; returns after the commit. An exception of `fn` undoes only its own changes.

        When the transaction of several functions fails, each is run again in one of its own: `fn` must be able to run
        twice. Raises EngineClosed, apsw.Error, OSError, and what `fn` raises.
        """
        await self.opened()
        if self._closing:
            raise EngineClosed(f"{self._path} is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(fn, future, early))
        return await future

    async def read(self, fn: Callable[[Tx], T], early: bool = False) -> T:
        """Run `fn` on a snapshot. Raises EngineClosed, apsw.Error, and what `fn` raises."""
        await self.opened()
        while not self._closing:
            try:
                return await self._readers.run(self._read, fn, early)
            except _Unsettled:
                await self.write(lambda tx: None)
        raise EngineClosed(f"{self._path} is closed")

    def _read(self, fn: Callable[[Tx], T], early: bool) -> T:
        connection = self._reader()
        connection.execute("BEGIN")
        try:
            tx = Tx(connection, self._policy())
            if not early and self._settling is not None and self._settling.is_pending(tx):
                raise _Unsettled
            return fn(tx)
        finally:
            # Some failures end the transaction themselves.
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _reader(self) -> apsw.Connection:
        """This thread's connection."""
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path)
            self._connections.append(connection)
        return connection

    def version(self) -> int | None:
        """A number that is another one after every commit, of whatever process; None when it cannot be told now. This
        waits for no lock and reads one page, which the system has in memory while anybody uses the database: the loop
        may do it."""
        assert self._watch is not None
        try:
            return int(self._watch.pragma("data_version"))
        except apsw.BusyError:
            return None

    async def close(self) -> None:
        """Finish what is queued and close the database. Later calls raise EngineClosed."""
        if self._closing:
            return
        self._closing = True
        self._jobs.put(None)
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint])
        await self._loop.run_in_executor(None, self._close)

    def _close(self) -> None:
        self._readers.close()
        for connection in self._connections:
            connection.close()
        self._thread.join()
        if self._watch is not None:
            self._watch.close()

    # The writer's thread

    def _run(self) -> None:
        try:
            connection = connect(self._path)
        except Exception as err:  # every failure belongs to those who wait for the database
            self._loop.call_soon_threadsafe(self._failed, err)
            return
        with contextlib.closing(connection):
            try:
                migrate(connection, self._package)
                connection.set_wal_hook(self._log_grew)
                self._watch = connect(self._path)
                self._watch.set_busy_timeout(0)
            except Exception as err:  # likewise
                self._loop.call_soon_threadsafe(self._failed, err)
                return
            self._loop.call_soon_threadsafe(self._opened.set_result, None)
            while batch := self._next_batch():
                modseq = self._run_batch(connection, batch)
                self._loop.call_soon_threadsafe(self._acknowledge, batch, modseq)

    def _failed(self, error: Exception) -> None:
        self._opened.set_exception(error)
        # Nobody need be waiting: whoever uses the engine is told.
        self._opened.exception()

    def _next_batch(self) -> list[_Job]:
        """Wait for jobs; none when the engine is closed and everything is done."""
        first = self._jobs.get()
        batch = [] if first is None else [first]
        while batch and len(batch) < MAX_BATCH:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            batch.append(job)
        return batch

    def _acknowledge(self, batch: list[_Job], modseq: int) -> None:
        for job in batch:
            job.resolve()
        if modseq and self._on_commit is not None:
            self._on_commit(modseq)
        if self._log_pages > CHECKPOINT_PAGES and not self._closing and self._checkpoint is None:
            self._log_pages = 0
            self._checkpoint = self._loop.create_task(self._write_back(), name=f"checkpoint of {self._path}")

    def _log_grew(self, connection: apsw.Connection, _name: str, pages: int) -> int:
        """After every commit, in the writer's thread."""
        self._log_pages = pages
        if pages > MOST_LOG_PAGES:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        return apsw.SQLITE_OK

    async def _write_back(self) -> None:
        """What the log has goes to the database meanwhile; the writer then starts it anew."""
        try:
            await self._readers.run(lambda: self._reader().wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE))
        except apsw.Error as err:
            _logger.error("checkpoint failed", path=str(self._path), err=str(err))
        self._checkpoint = None

    def _run_batch(self, connection: apsw.Connection, batch: list[_Job]) -> int:
        """The highest modseq that was committed, 0 for none. All errors end in the jobs."""
        try:
            return self._commit(connection, batch)
        except (apsw.Error, OSError) as err:
            _logger.error("commit failed", path=str(self._path), jobs=len(batch), err=str(err))
            if len(batch) == 1:
                batch[0].error = batch[0].error or err
                return 0
        # One function may have broken the transaction of all.
        return max(self._run_batch(connection, [job]) for job in batch)

    def _commit(self, connection: apsw.Connection, batch: list[_Job]) -> int:
        modseq = 0
        directories: set[str] = set()
        is_settled = self._settling is None
        connection.execute("BEGIN IMMEDIATE")
        try:
            for job in batch:
                tx = Tx(connection, self._policy())
                if not job.early and not is_settled:
                    self._settle(tx)
                    is_settled = True
                if _run_job(job, tx):
                    directories |= tx.directories
                    modseq = max(modseq, tx.made_modseq or 0)
                is_settled = is_settled and not tx.is_deferring
            for directory in directories:
                self._sync(directory)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return modseq

    def _settle(self, tx: Tx) -> None:
        if self._settling is not None and self._settling.is_pending(tx):
            self._settling.settle(tx)


def _run_job(job: _Job, tx: Tx) -> bool:
    """Whether the function succeeded. Raises apsw.Error when the transaction is gone."""
    job.result, job.error = None, None
    tx.connection.execute("SAVEPOINT job")
    try:
        job.result = job.fn(tx)
    except BaseException as err:  # every failure belongs to the caller that asked for it
        job.error = err
        tx.connection.execute("ROLLBACK TO job")
    tx.connection.execute("RELEASE job")
    return job.error is None
