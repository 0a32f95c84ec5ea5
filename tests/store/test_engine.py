"""The engine: group commit, savepoints, snapshots, migrations, several processes, closing."""

import asyncio
import concurrent.futures
import contextlib
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from mox.store.engine import Engine, Tx, connect, migrate
from mox.store.errors import DatabaseVersionError, EngineClosed
from tests.server_process import child_environment
from tests.store.helpers import until

PACKAGE = "mox.store.auth_migrations"


def outside(path: Path) -> apsw.Connection:
    """Another connection. Never one of Python's `sqlite3`: it is a second copy of SQLite in this process, and when that
    closes the file, the system drops the locks of the first (https://sqlite.org/howtocorrupt.html §2.2)."""
    return apsw.Connection(str(path))


def put(tx: Tx, name: str) -> None:
    tx.run("INSERT INTO account_remove VALUES (?)", name)


def names(tx: Tx) -> list[str]:
    return [row[0] for row in tx.run("SELECT account_name FROM account_remove ORDER BY account_name")]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(tmp_path / "test.db", PACKAGE)
    yield engine
    await engine.close()


async def test_a_write_is_durable_and_visible_when_it_returns(engine: Engine, tmp_path: Path) -> None:
    await engine.write(lambda tx: put(tx, "a"))
    assert await engine.read(names) == ["a"]
    # Another program sees it too.
    with contextlib.closing(outside(tmp_path / "test.db")) as other:
        assert other.execute("SELECT account_name FROM account_remove").fetchall() == [("a",)]


@pytest.mark.parametrize("limit", ["CHECKPOINT_PAGES", "MOST_LOG_PAGES"], ids=["meanwhile", "by the writer"])
async def test_the_log_goes_to_the_database(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    await engine.opened()
    monkeypatch.setattr(f"mox.store.engine.{limit}", 20)
    path = tmp_path / "test.db"
    before = path.stat().st_size
    await engine.write(lambda tx: [put(tx, f"{number:06d}" + "x" * 500) for number in range(1000)])
    await until(lambda: path.stat().st_size > before + 500_000)
    # The log starts anew instead of growing.
    size = (tmp_path / "test.db-wal").stat().st_size
    await engine.write(lambda tx: put(tx, "one more"))
    assert (tmp_path / "test.db-wal").stat().st_size == size
    assert len(await engine.read(names)) == 1001


async def test_the_disk_is_waited_for(engine: Engine, tmp_path: Path) -> None:
    # 2 is FULL: the log is on disk when a commit returns.
    assert await engine.write(lambda tx: tx.one("PRAGMA synchronous")) == (2,)
    assert await engine.read(lambda tx: tx.one("PRAGMA journal_mode")) == ("wal",)


async def test_waiting_writes_share_one_commit(engine: Engine) -> None:
    await engine.opened()
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(tx: Tx) -> int:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        return int(tx.connection.total_changes())

    holding = asyncio.create_task(engine.write(hold))
    waiting = [asyncio.create_task(engine.write(lambda tx, i=i: put(tx, str(i)))) for i in range(50)]  # type: ignore[misc]
    await asyncio.sleep(0)
    commits = await engine.read(data_version)
    release.set()
    await asyncio.gather(holding, *waiting)
    assert len(await engine.read(names)) == 50
    assert await engine.read(data_version) <= commits + 2


def data_version(tx: Tx) -> int:
    """Grows by one with each commit of another connection that this one sees."""
    row = tx.one("PRAGMA data_version")
    assert row is not None
    return int(row[0])


async def test_a_failing_function_undoes_only_its_own_changes(engine: Engine) -> None:
    def fail(tx: Tx) -> None:
        put(tx, "bad")
        raise ValueError("no")

    results = await asyncio.gather(
        engine.write(lambda tx: put(tx, "a")),
        engine.write(fail),
        engine.write(lambda tx: put(tx, "b")),
        return_exceptions=True,
    )
    assert [type(r) for r in results] == [type(None), ValueError, type(None)]
    assert await engine.read(names) == ["a", "b"]


async def test_a_function_that_breaks_the_transaction_harms_no_other(engine: Engine) -> None:
    def break_it(tx: Tx) -> None:
        put(tx, "bad")
        tx.connection.execute("ROLLBACK")

    await engine.opened()
    results = await asyncio.gather(
        engine.write(lambda tx: put(tx, "a")),
        engine.write(break_it),
        engine.write(lambda tx: put(tx, "b")),
        return_exceptions=True,
    )
    assert results[0] is None and results[2] is None
    assert isinstance(results[1], apsw.Error)
    assert await engine.read(names) == ["a", "b"]
    await engine.write(lambda tx: put(tx, "c"))


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError, RecursionError])
async def test_no_exception_ends_the_writer(engine: Engine, error: type[BaseException]) -> None:
    def fail(_tx: Tx) -> None:
        raise error

    waiting = asyncio.ensure_future(engine.write(lambda tx: put(tx, "before")))
    await waiting
    job = asyncio.ensure_future(_outcome(engine, fail))
    assert await job is error
    await engine.write(lambda tx: put(tx, "after"))
    assert await engine.read(names) == ["after", "before"]


async def _outcome(engine: Engine, fn: object) -> type[BaseException] | None:
    try:
        await engine.write(fn)  # type: ignore[arg-type]
    except BaseException as err:
        return type(err)
    return None


async def test_a_read_sees_one_state(engine: Engine) -> None:
    loop = asyncio.get_running_loop()

    def twice(tx: Tx) -> tuple[list[str], list[str]]:
        first = names(tx)
        asyncio.run_coroutine_threadsafe(engine.write(lambda tx: put(tx, "new")), loop).result()
        return first, names(tx)

    assert await engine.read(twice) == ([], [])
    assert await engine.read(names) == ["new"]


async def test_directories_are_on_disk_before_the_commit(tmp_path: Path) -> None:
    order: list[tuple[str, bool]] = []

    def sync(path: str) -> None:
        with contextlib.closing(outside(tmp_path / "test.db")) as other:
            committed = bool(other.execute("SELECT * FROM account_remove").fetchall())
        order.append((path, committed))

    engine = Engine(tmp_path / "test.db", PACKAGE, sync=sync)

    def store(tx: Tx) -> None:
        put(tx, "a")
        tx.sync_directory("/one")
        tx.sync_directory("/one")

    await asyncio.gather(engine.write(store), engine.write(lambda tx: put(tx, "b")))
    assert order == [("/one", False)]
    await engine.close()


async def test_a_directory_that_cannot_be_synced_fails_the_write(tmp_path: Path) -> None:
    def sync(path: str) -> None:
        if path == "/bad":
            raise OSError("disk on fire")

    engine = Engine(tmp_path / "test.db", PACKAGE, sync=sync)

    def store(tx: Tx, path: str) -> None:
        put(tx, path)
        tx.sync_directory(path)

    await engine.opened()
    results = await asyncio.gather(
        *(engine.write(lambda tx, p=p: store(tx, p)) for p in ("/good", "/bad")),  # type: ignore[misc]
        return_exceptions=True,
    )
    assert results[0] is None and isinstance(results[1], OSError)
    assert await engine.read(names) == ["/good"]
    await engine.close()


async def test_closing_finishes_what_was_begun_and_refuses_the_rest(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "test.db", PACKAGE)
    await engine.opened()
    begun = asyncio.create_task(engine.write(lambda tx: put(tx, "a")))
    await asyncio.sleep(0)
    await engine.close()
    await begun
    with pytest.raises(EngineClosed):
        await engine.write(lambda tx: put(tx, "b"))
    with pytest.raises(EngineClosed):
        await engine.read(names)
    await engine.close()


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    with contextlib.closing(outside(tmp_path / "test.db")) as other:
        other.execute("PRAGMA user_version = 1000")
    engine = Engine(tmp_path / "test.db", PACKAGE)
    with pytest.raises(DatabaseVersionError, match="newer"):
        await engine.read(names)
    with pytest.raises(DatabaseVersionError):
        await engine.write(lambda tx: put(tx, "a"))
    await engine.close()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test.db").write_bytes(b"not a database, but long enough to look at " * 100)
    engine = Engine(tmp_path / "test.db", PACKAGE)
    with pytest.raises(apsw.NotADBError):
        await engine.opened()
    await engine.close()


def test_a_failing_migration_leaves_the_old_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "broken_migrations"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "001.sql").write_text("CREATE TABLE a (x INTEGER);")
    monkeypatch.syspath_prepend(tmp_path)
    with contextlib.closing(connect(tmp_path / "test.db")) as connection:
        assert migrate(connection, "broken_migrations") == 0
        (package / "002.sql").write_text("CREATE TABLE b (x INTEGER); CREATE TABLE a (x INTEGER);")
        with pytest.raises(apsw.SQLError):
            migrate(connection, "broken_migrations")
        assert connection.pragma("user_version") == 1
        tables = "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
        assert connection.execute(tables).fetchall() == [("a",)]
        (package / "002.sql").write_text("CREATE TABLE b (x INTEGER);")
        assert migrate(connection, "broken_migrations") == 1
        assert migrate(connection, "broken_migrations") == 2


WRITER = """
import asyncio, sys
from pathlib import Path
from mox.store.engine import Engine

async def main(path, name):
    engine = Engine(Path(path), "mox.store.auth_migrations")
    for i in range(100):
        await engine.write(lambda tx: tx.run("INSERT INTO account_remove VALUES (?)", f"{name}{i:03}"))
    await engine.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_processes_share_a_database(tmp_path: Path) -> None:
    """Both create it at the same time and write as fast as they can: nobody fails, nothing is lost."""
    path = tmp_path / "test.db"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            env=child_environment(),
            stderr=subprocess.PIPE,
        )
        for name in "xy"
    ]
    for child in children:
        _, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors.decode()
    with contextlib.closing(outside(path)) as other:
        assert other.execute("SELECT count(*) FROM account_remove").fetchone() == (200,)


def test_many_open_a_new_database_at_once(tmp_path: Path) -> None:
    for number in range(60):
        barrier = threading.Barrier(6)

        def opened(path: Path, barrier: threading.Barrier) -> str:
            barrier.wait()
            with contextlib.closing(connect(path)) as connection:
                return str(connection.pragma("journal_mode"))

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            waiting = [pool.submit(opened, tmp_path / f"{number}.db", barrier) for _ in range(6)]
            assert [one.result() for one in waiting] == ["wal"] * 6


PLANS = [
    # query, index that must serve it
    ("SELECT 1 FROM message h WHERE account_id = ? AND message_id = ?", "message_id (account_id=? AND message_id=?)"),
    ("SELECT uid FROM message WHERE account_id = ? AND mailbox_id = ? ORDER BY uid", "PRIMARY KEY (account_id=? AND"),
    (
        "SELECT uid FROM message_hot WHERE account_id = ? AND mailbox_id = ? AND modseq > ? ORDER BY modseq",
        "message_modseq (account_id=? AND mailbox_id=? AND modseq>?)",
    ),
    (
        "SELECT max(uid) FROM message WHERE account_id = ? AND mailbox_id = ? AND uid < ?",
        "PRIMARY KEY (account_id=? AND mailbox_id=? AND uid<?)",
    ),
    (
        "SELECT uid FROM message WHERE account_id = ? AND mailbox_id = ? ORDER BY received_ms DESC LIMIT 100",
        "message_received (account_id=? AND mailbox_id=?)",
    ),
    (
        "SELECT message_id FROM message_cold WHERE account_id = ? AND message_ref = ? ORDER BY message_id",
        "message_ref (account_id=? AND message_ref=?)",
    ),
    ("SELECT message_id FROM message_cold WHERE account_id = ? AND thread_id = ?", "message_thread (account_id=? AND"),
    (
        "SELECT message_id FROM message_cold WHERE account_id = ? AND subject_base = ? AND subject_base <> '' "
        "AND mailbox_orig_id = ? AND received_ms > ? ORDER BY received_ms DESC",
        "message_subject (account_id=? AND subject_base=? AND mailbox_orig_id=? AND received_ms>?)",
    ),
    (
        "SELECT is_junk FROM reputation WHERE account_id = ? AND kind = ? AND name = ? AND mailbox_orig_id = ? "
        "AND validated = ? AND received_ms >= ? ORDER BY received_ms DESC LIMIT 2",
        "PRIMARY KEY (account_id=? AND kind=? AND name=? AND mailbox_orig_id=? AND validated=? AND received_ms>?)",
    ),
    (
        "SELECT 1 FROM recipient WHERE account_id = ? AND domain = ? AND localpart = ?",
        "PRIMARY KEY (account_id=? AND domain=? AND localpart=?)",
    ),
    (
        "SELECT 1 FROM recipient WHERE account_id = ? AND org_domain = ? AND sent_ms >= ?",
        "recipient_org_domain (account_id=? AND org_domain=? AND sent_ms>?)",
    ),
    (
        "SELECT count(*) FROM outgoing WHERE account_id = ? AND submitted_ms > ?",
        "outgoing_submitted (account_id=? AND submitted_ms>?)",
    ),
    (
        "SELECT 1 FROM outgoing WHERE account_id = ? AND recipient = ? AND submitted_ms < ?",
        "outgoing_recipient (account_id=? AND recipient=? AND submitted_ms<?)",
    ),
    ("SELECT id FROM mailbox WHERE account_id = ? AND name = ?", "mailbox_name (account_id=? AND name=?)"),
    ("SELECT id FROM mailbox_all WHERE account_id = ? AND modseq > ?", "mailbox_modseq (account_id=? AND modseq>?)"),
]


@pytest.mark.parametrize(("query", "index"), PLANS, ids=[index.partition(" (")[0] for _, index in PLANS])
async def test_hot_queries_have_an_index(tmp_path: Path, query: str, index: str) -> None:
    """spec/store.md section 5: each must be fast with a million messages."""
    with contextlib.closing(connect(tmp_path / "index.db")) as connection:
        migrate(connection, "mox.store.migrations")
        rows = connection.execute(f"EXPLAIN QUERY PLAN {query}", (1,) * query.count("?"))
        plan = " ".join(str(row[3]) for row in rows)
    assert index in plan
    assert "TEMP B-TREE" not in plan
