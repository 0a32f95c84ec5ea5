"""Log-in attempts of all protocols, in auth.db. Equal attempts share a record with a count."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import apsw
import msgspec

from mox import log
from mox.store.engine import Engine, Tx

MAX_FAILED = 10_000
MAX_AGE_MS = 30 * 86_400_000
CLEAN_EVERY_S = 86_400.0
MAX_WAITING = 100

ADMIN = "(admin)"
UNKNOWN = "-"

_logger = log.get("store")


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt; `account_name` may also be ADMIN or UNKNOWN.

    Protocols: submission, imap, webmail, webaccount, webadmin, webapi. Results: ok, baduser, badpassword, badcreds,
    badchanbind, badprotocol, logindisabled, error, aborted.
    """

    account_name: str
    login_address: str
    remote_ip: str
    local_ip: str
    tls: str
    tls_public_key_fingerprint: str
    protocol: str
    user_agent: str
    auth_mechanism: str
    result: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """Equal attempts."""

    attempt: Attempt
    first_ms: int
    last_ms: int
    count: int


def record(tx: Tx, attempts: Sequence[tuple[Attempt, int]]) -> None:
    """Count attempts made at these times."""
    for attempt, when_ms in attempts:
        values = astuple(attempt)
        # Encoded, and not joined, so that fields cannot run into each other.
        key = hashlib.sha256(msgspec.json.encode(values)).digest()
        tx.run(
            "INSERT INTO login_attempt (id, first_ms, last_ms, attempts, account_name, login_address, remote_ip, "
            "local_ip, tls, tls_public_key_fingerprint, protocol, user_agent, auth_mechanism, result) "
            "VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET attempts = attempts + 1, last_ms = excluded.last_ms",
            key,
            when_ms,
            when_ms,
            *values,
        )
    for name in {a.account_name for a, _ in attempts if a.result != "ok"}:
        _limit_failed(tx, name)


def _limit_failed(tx: Tx, account_name: str) -> None:
    """Guessing passwords must not fill the disk: of too many failures the oldest go."""
    tx.run(
        "DELETE FROM login_attempt WHERE id IN (SELECT id FROM login_attempt WHERE account_name = ? "
        "AND result <> 'ok' ORDER BY last_ms DESC LIMIT -1 OFFSET ?)",
        account_name,
        MAX_FAILED,
    )


def list_attempts(tx: Tx, account_name: str | None = None, limit: int | None = None) -> list[Recorded]:
    """The latest first, of one account or all."""
    rows = tx.run(
        "SELECT account_name, login_address, remote_ip, local_ip, tls, tls_public_key_fingerprint, protocol, "
        "user_agent, auth_mechanism, result, first_ms, last_ms, attempts FROM login_attempt "
        "WHERE ?1 IS NULL OR account_name = ?1 ORDER BY last_ms DESC LIMIT ?2",
        account_name,
        -1 if limit is None else limit,
    )
    return [Recorded(Attempt(*row[:10]), *row[10:]) for row in rows]


def clean(tx: Tx, now_ms: int) -> None:
    """Remove what is too old."""
    tx.run("DELETE FROM login_attempt WHERE last_ms < ?", now_ms - MAX_AGE_MS)


def remove_account(tx: Tx, account_name: str) -> None:
    """The account is gone."""
    tx.run("DELETE FROM login_attempt WHERE account_name = ?", account_name)


class AttemptWriter:
    """Writes attempts in the background, many at once, so that a log-in does not wait for the disk."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: asyncio.Queue[tuple[Attempt, int]] = asyncio.Queue(MAX_WAITING)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="login attempts")

    async def add(self, attempt: Attempt) -> None:
        """Have an attempt recorded; waits while too many are waiting."""
        await self._waiting.put((attempt, time.time_ns() // 1_000_000))

    async def flush(self) -> None:
        """Return when everything added so far is recorded."""
        await self._waiting.join()

    async def _run(self) -> None:
        cleaned = 0.0
        while True:
            batch = [await self._waiting.get()]
            while not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            try:
                await self._engine.write(lambda tx, batch=batch: record(tx, batch))  # type: ignore[misc]
                if time.monotonic() - cleaned > CLEAN_EVERY_S:
                    now_ms = time.time_ns() // 1_000_000
                    await self._engine.write(lambda tx, now=now_ms: clean(tx, now))  # type: ignore[misc]
                    cleaned = time.monotonic()
            except (apsw.Error, OSError) as err:
                _logger.error("login attempts not recorded", count=len(batch), err=str(err))
            for _ in batch:
                self._waiting.task_done()

    async def close(self) -> None:
        """Record what is waiting."""
        await self.flush()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
