"""Lanes: per destination, the time at which it is looked at next.

Each recipient domain and each webhook URL has a row while something waits for it. Claiming reads due lanes by an index
and then a lane's own rows by another, so its cost does not depend on how much is queued. The rows that wait are the
truth; a lane that is early costs one look, and every function that changes rows keeps it from being late.
"""

from collections.abc import Sequence
from enum import Enum

from mox.store.engine import Tx


class Kind(Enum):
    """What waits in a lane."""

    MESSAGE = "message"
    HOOK = "hook"


# The earliest that a lane has to be looked at: when a row is due, or when a lease ends whose owner may have died.
_EARLIEST = {
    Kind.MESSAGE: (
        "SELECT min(at) FROM (SELECT min(next_ms) AS at FROM queued WHERE hold = 0 AND recipient_domain = ? "
        "UNION ALL SELECT min(lease_ms) AS at FROM queued WHERE lease_ms > 0 AND recipient_domain = ?)"
    ),
    Kind.HOOK: (
        "SELECT min(at) FROM (SELECT min(next_ms) AS at FROM hooks WHERE url = ? "
        "UNION ALL SELECT min(lease_ms) AS at FROM hooks WHERE lease_ms > 0 AND url = ?)"
    ),
}
_ALL = {
    Kind.MESSAGE: "SELECT recipient_domain, min(next_ms) FROM queued WHERE hold = 0 GROUP BY recipient_domain",
    Kind.HOOK: "SELECT url, min(next_ms) FROM hooks GROUP BY url",
}


def touch(tx: Tx, kind: Kind, name: str, at_ms: int) -> None:
    """Look at a lane no later than `at_ms`."""
    tx.run(
        "INSERT INTO lanes (kind, name, next_ms) VALUES (?, ?, ?) "
        "ON CONFLICT (kind, name) DO UPDATE SET next_ms = min(lanes.next_ms, excluded.next_ms)",
        kind.value,
        name,
        at_ms,
    )


def refresh(tx: Tx, kind: Kind, name: str) -> None:
    """Set a lane by its rows; an empty one goes."""
    row = tx.one(_EARLIEST[kind], name, name)
    if row is None or row[0] is None:
        tx.run("DELETE FROM lanes WHERE kind = ? AND name = ?", kind.value, name)
    else:
        postpone(tx, kind, name, row[0])


def postpone(tx: Tx, kind: Kind, name: str, at_ms: int) -> None:
    """Look at a lane at `at_ms`."""
    tx.run(
        "INSERT INTO lanes (kind, name, next_ms) VALUES (?, ?, ?) "
        "ON CONFLICT (kind, name) DO UPDATE SET next_ms = excluded.next_ms",
        kind.value,
        name,
        at_ms,
    )


def rebuild(tx: Tx, kind: Kind) -> None:
    """Set all lanes by their rows, after a change to many of these."""
    tx.run("DELETE FROM lanes WHERE kind = ?", kind.value)
    rows: Sequence[tuple[str, int]] = tx.run(_ALL[kind])
    tx.many("INSERT INTO lanes (kind, name, next_ms) VALUES (?, ?, ?)", [(kind.value, *row) for row in rows])


def due(tx: Tx, kind: Kind, now: int, limit: int) -> list[str]:
    """Names of lanes to look at, those waiting longest first."""
    rows = tx.run(
        "SELECT name FROM lanes WHERE kind = ? AND next_ms <= ? ORDER BY next_ms LIMIT ?", kind.value, now, limit
    )
    return [name for (name,) in rows]


def next_ms(tx: Tx, kind: Kind) -> int | None:
    """When the next lane is to be looked at; None when nothing waits."""
    row = tx.one("SELECT min(next_ms) FROM lanes WHERE kind = ?", kind.value)
    return None if row is None else row[0]
