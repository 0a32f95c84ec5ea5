"""Requests that are carried out once, however often they are made: remembered with the messages they queued."""

from dataclasses import dataclass

from mox.outbound.records import now_ms
from mox.store.engine import Tx

KEEP_MS = 7 * 86_400_000
# Old records are removed along with the new ones, a few at a time.
_CLEAN_UP_ROWS = 20


@dataclass(frozen=True, slots=True)
class Key:
    """A key that a client chose, and the digest of the request it stands for."""

    account: str
    text: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a request gave. `unfinished`: its last step may be missing."""

    result: str
    unfinished: bool


class AlreadyDone(Exception):
    """The request was carried out before."""

    def __init__(self, remembered: Remembered) -> None:
        super().__init__("the request was carried out before")
        self.remembered = remembered


class OtherRequest(Exception):
    """The key belongs to another request."""


def find(tx: Tx, key: Key) -> Remembered | None:
    """What the request gave before, None when it is new. Raises OtherRequest."""
    row = tx.one(
        "SELECT digest, result, unfinished FROM idempotency WHERE account = ? AND key = ? AND created_ms >= ?",
        key.account,
        key.text,
        now_ms() - KEEP_MS,
    )
    if row is None:
        return None
    if row[0] != key.digest:
        raise OtherRequest("the idempotency key was used before, with another request")
    return Remembered(row[1], bool(row[2]))


def remember(tx: Tx, key: Key, result: str, unfinished: bool) -> None:
    """Record a request in the transaction that carries it out. Raises AlreadyDone, OtherRequest."""
    before = find(tx, key)
    if before is not None:
        raise AlreadyDone(before)
    now = now_ms()
    tx.run(
        "DELETE FROM idempotency WHERE (account, key) IN "
        "(SELECT account, key FROM idempotency WHERE created_ms < ? LIMIT ?)",
        now - KEEP_MS,
        _CLEAN_UP_ROWS,
    )
    tx.run(
        "INSERT OR REPLACE INTO idempotency (account, key, digest, result, unfinished, created_ms) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        key.account,
        key.text,
        key.digest,
        result,
        int(unfinished),
        now,
    )


def finish(tx: Tx, key: Key, result: str) -> None:
    """The last step is done; `result` is what is answered from now on."""
    tx.run(
        "UPDATE idempotency SET result = ?, unfinished = 0 WHERE account = ? AND key = ?", result, key.account, key.text
    )
