"""What the junk filter has to learn or to forget. The filter works after the commit that changed the flags: it takes
what is pending, reads and counts words outside of any transaction, and settles both in one (`mox.junk`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mox.store.engine import Tx
from mox.store.policy import JUNK_FLAGS
from mox.store.types import Flag

NOTHING, HAM, JUNK = 0, 1, 2


def wanted(flags: int, expunged: bool = False) -> int:
    """What the filter should have learned a message as."""
    if expunged or flags & JUNK_FLAGS in (0, JUNK_FLAGS):
        return NOTHING
    return JUNK if flags & Flag.JUNK else HAM


def follow(tx: Tx, states: Sequence[tuple[int, int, int]]) -> None:
    """Note (message_id, trained, wanted) where the two differ, and drop what was noted where they do not."""
    if not tx.policy.trains_filter or not states:
        return
    due = [(tx.account_id, message_id) for message_id, trained, want in states if trained != want]
    settled = [(tx.account_id, message_id) for message_id, trained, want in states if trained == want]
    if due:
        tx.many("INSERT INTO training_pending VALUES (?, ?) ON CONFLICT DO NOTHING", due)
    if settled:
        tx.many("DELETE FROM training_pending WHERE account_id = ? AND message_id = ?", settled)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A message that the filter knows as `trained` and should know as `wanted` (NOTHING, HAM, JUNK)."""

    message_id: int
    trained: int
    wanted: int
    blob_id: int
    prefix: bytes
    structure: bytes


def pending(tx: Tx, limit: int = 100) -> list[Lesson]:
    """What is to be learned, oldest messages first."""
    lessons = []
    for message_id, blob_id, prefix, structure in tx.run(
        "SELECT message_id, blob_id, prefix, structure FROM training_pending JOIN message_cold "
        "USING (account_id, message_id) WHERE account_id = ? ORDER BY message_id LIMIT ?",
        tx.account_id,
        limit,
    ):
        trained, want = state(tx, message_id)
        lessons.append(Lesson(message_id, trained, want, blob_id, prefix, structure))
    return lessons


def state(tx: Tx, message_id: int) -> tuple[int, int]:
    """(trained, wanted) of a message now. Of a moved message the row that is newest counts."""
    row = tx.one(
        "SELECT trained, flags, expunged FROM message_hot WHERE account_id = ? AND message_id = ? "
        "ORDER BY create_seq DESC LIMIT 1",
        tx.account_id,
        message_id,
    )
    return (NOTHING, NOTHING) if row is None else (row[0], wanted(row[1], bool(row[2])))


def settle(tx: Tx, message_id: int, trained: int) -> None:
    """The filter has learned the message as `trained` in this transaction."""
    tx.run(
        "UPDATE message_hot SET trained = ? WHERE account_id = ? AND message_id = ? AND create_seq = "
        "(SELECT max(create_seq) FROM message_hot WHERE account_id = ?2 AND message_id = ?3)",
        trained,
        tx.account_id,
        message_id,
    )
    if state(tx, message_id)[1] == trained:
        tx.run("DELETE FROM training_pending WHERE account_id = ? AND message_id = ?", tx.account_id, message_id)


def restart(tx: Tx) -> None:
    """The filter was emptied: it has to learn everything anew."""
    tx.run("UPDATE message_hot SET trained = 0 WHERE account_id = ? AND trained <> 0", tx.account_id)
    tx.run("DELETE FROM training_pending WHERE account_id = ?", tx.account_id)
    tx.run(
        "INSERT INTO training_pending SELECT account_id, message_id FROM message WHERE account_id = ? "
        "AND flags & ? NOT IN (0, ?)",
        tx.account_id,
        JUNK_FLAGS,
        JUNK_FLAGS,
    )
