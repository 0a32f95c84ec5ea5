"""STORE, COPY and EXPUNGE of many messages: one row when they are acknowledged, the messages' own rows a moment later.

Over a whole mailbox they write thousands of rows; the client waits for one. Until they are settled the operations are
part of the account's state: `Engine` settles them before any function that is not told to be `early`, so only those few
have to know of them. They are made where the mailbox index is current, which says exactly what they do; everything that
is counted (mailboxes, disk usage, UIDs and message ids) is written at once. Changes of flags that have more
consequences (keywords, junk flags) are not deferred. docs/decisions/030-deferred-operations.md.
"""

import struct
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import TypeVar

from mox._rust import FlagPlan, MailboxIndex
from mox.store import messages
from mox.store.changes import MessagesAdded
from mox.store.engine import Tx
from mox.store.mailboxes import get
from mox.store.policy import JUNK_FLAGS
from mox.store.types import Flag, Mailbox

# Operations on fewer messages are done at once: settling later would be more work than that.
MANY = 64
MAX_PENDING = 16
_ALL_FLAGS = (1 << 10) - 1


def _ranges(spans: bytes) -> list[tuple[int, int]]:
    """UIDs, first and last."""
    return list(struct.iter_unpack("<II", spans))


@dataclass(frozen=True, slots=True)
class FlagChange:
    """A row of `flag_change`."""

    modseq: int
    mailbox_id: int
    spans: bytes
    set_flags: int
    clear_flags: int

    def apply(self, index: MailboxIndex) -> list[int]:
        """Do it to an index; the UIDs that changed."""
        return index.change_flags(self.spans, self.set_flags, self.clear_flags, self.modseq)

    def settle(self, tx: Tx) -> None:
        """Do it to the rows."""
        tx.many(
            "UPDATE message_hot SET flags = flags & ~?1 | ?2, modseq = ?3 WHERE account_id = ?4 AND mailbox_id = ?5 "
            "AND uid BETWEEN ?6 AND ?7 AND expunged = 0 AND flags & ~?1 | ?2 <> flags",
            [
                (self.clear_flags, self.set_flags, self.modseq, tx.account_id, self.mailbox_id, low, high)
                for low, high in _ranges(self.spans)
            ],
        )
        tx.run("DELETE FROM flag_change WHERE account_id = ? AND modseq = ?", tx.account_id, self.modseq)


@dataclass(frozen=True, slots=True)
class MessageCopy:
    """A row of `message_copy`."""

    modseq: int
    mailbox_id: int
    spans: bytes
    target_id: int
    messages: int
    uid: int
    message_id: int
    save_ms: int

    @property
    def added(self) -> MessagesAdded:
        """As a change of the target."""
        return MessagesAdded(self.modseq, self.target_id, tuple(range(self.uid, self.uid + self.messages)))

    def settle(self, tx: Tx) -> None:
        """Insert the copies' rows."""
        place = messages.Reserved(self.modseq, self.uid, self.message_id, self.save_ms)
        messages.insert_copies(tx, self.mailbox_id, _ranges(self.spans), self.target_id, place)
        tx.run("DELETE FROM message_copy WHERE account_id = ? AND modseq = ?", tx.account_id, self.modseq)


@dataclass(frozen=True, slots=True)
class MessageExpunge:
    """A row of `message_expunge`."""

    modseq: int
    mailbox_id: int
    spans: bytes

    def apply(self, index: MailboxIndex) -> list[int]:
        """Do it to an index; the UIDs that went."""
        gone = index.live_in(self.spans)
        index.remove(gone)
        return gone

    def settle(self, tx: Tx) -> None:
        """Make the rows tombstones."""
        messages.remove(tx, self.mailbox_id, _ranges(self.spans), self.modseq)
        tx.run("DELETE FROM message_expunge WHERE account_id = ? AND modseq = ?", tx.account_id, self.modseq)


@dataclass(frozen=True, slots=True)
class FlagsDone:
    """What was acknowledged: the change, None when all messages had these flags, and the mailbox as it is now.
    `before` has the former modseq of messages that changed after the one that was asked for."""

    change: FlagChange | None
    mailbox: Mailbox
    before: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class CopyDone:
    """What was acknowledged, and the target as it is now."""

    copy: MessageCopy
    target: Mailbox


@dataclass(frozen=True, slots=True)
class ExpungeDone:
    """What was acknowledged, the UIDs, ascending, and the mailbox as it is now."""

    expunge: MessageExpunge
    uids: list[int]
    mailbox: Mailbox


P = TypeVar("P", FlagChange, MessageCopy, MessageExpunge)


def _record(tx: Tx, table: str, done: FlagChange | MessageCopy | MessageExpunge) -> None:
    """Columns of the tables are the account and the fields, in this order."""
    values = astuple(done)
    tx.run(f"INSERT INTO {table} VALUES (?{', ?' * len(values)})", tx.account_id, *values)
    tx.is_deferring = True


def _has_room(tx: Tx) -> bool:
    row = tx.one(
        "SELECT (SELECT count(*) FROM flag_change WHERE account_id = ?1) + "
        "(SELECT count(*) FROM message_copy WHERE account_id = ?1) + "
        "(SELECT count(*) FROM message_expunge WHERE account_id = ?1)",
        tx.account_id,
    )
    return row is not None and row[0] < MAX_PENDING


def change_flags(
    tx: Tx, mailbox_id: int, index: MailboxIndex, uids: Sequence[int], mode: str, flags: int, told: int
) -> FlagsDone | None:
    """Change flags as STORE with this `mode`; None when that is not to be deferred. The index must be current. Raises
    NoSuchMailbox."""
    mailbox = get(tx, mailbox_id)
    set_flags, clear_flags = {"+": (flags, 0), "-": (0, flags), "=": (flags, _ALL_FLAGS)}[mode]
    plan = index.plan_flags(uids, set_flags, clear_flags)
    if plan.touched & JUNK_FLAGS or (mode == "=" and plan.keywords) or 0 < plan.changed < MANY:
        return None
    before = index.modseqs(uids, told)
    if not plan.changed:
        return FlagsDone(None, mailbox, before)
    if not _has_room(tx):
        return None
    done = FlagChange(tx.next_modseq(), mailbox_id, plan.spans, set_flags, clear_flags)
    _record_flags(tx, done, plan)
    return FlagsDone(done, get(tx, mailbox_id), before)


def _record_flags(tx: Tx, done: FlagChange, plan: FlagPlan) -> None:
    _record(tx, "flag_change", done)
    deleted, unread, unseen = plan.counts
    tx.run(
        "UPDATE mailbox_all SET total = total - ?1, deleted = deleted + ?1, unread = unread + ?2, "
        "unseen = unseen + ?3, modseq = ?4 WHERE account_id = ?5 AND id = ?6",
        deleted,
        unread,
        unseen,
        done.modseq,
        tx.account_id,
        done.mailbox_id,
    )


def copy(
    tx: Tx, mailbox_id: int, index: MailboxIndex, uids: Sequence[int], target_id: int, save_ms: int
) -> CopyDone | None:
    """Copy messages; None when that is not to be deferred. The index must be current. Raises NoSuchMailbox, OverQuota,
    NoUidsLeft."""
    get(tx, mailbox_id)
    target = get(tx, target_id)
    plan = index.plan_flags(uids, 0, 0)
    totals = messages.Totals(*plan.totals)
    if totals.messages < MANY or not _has_room(tx):
        return None
    place = messages.reserve(tx, target, totals, plan.keywords, save_ms)
    done = MessageCopy(
        place.modseq, mailbox_id, plan.spans, target_id, totals.messages, place.uid, place.message_id, save_ms
    )
    _record(tx, "message_copy", done)
    return CopyDone(done, get(tx, target_id))


def expunge(tx: Tx, mailbox_id: int, index: MailboxIndex, uids: Sequence[int]) -> ExpungeDone | None:
    """Expunge those of `uids` with `\\Deleted`; None when that is not to be deferred. The index must be current. Raises
    NoSuchMailbox."""
    get(tx, mailbox_id)
    gone = index.flagged(uids, int(Flag.DELETED))
    if len(gone) < MANY or not _has_room(tx):
        return None
    plan = index.plan_flags(gone, 0, 0)
    done = MessageExpunge(tx.next_modseq(), mailbox_id, plan.spans)
    messages.uncount(tx, mailbox_id, messages.Totals(*plan.totals))
    _record(tx, "message_expunge", done)
    return ExpungeDone(done, gone, get(tx, mailbox_id))


def _pending(tx: Tx, kind: type[P], table: str, after: int) -> list[P]:
    """Records of a table with a modseq above `after`, in order."""
    columns = ", ".join(field.name for field in fields(kind))
    sql = f"SELECT {columns} FROM {table} WHERE account_id = ? AND modseq > ? ORDER BY modseq"
    return [kind(*row) for row in tx.run(sql, tx.account_id, after)]


def flag_changes(tx: Tx, after: int) -> list[FlagChange]:
    """Pending changes of flags after a modseq, in order."""
    return _pending(tx, FlagChange, "flag_change", after)


def copies(tx: Tx, after: int) -> list[MessageCopy]:
    """Pending copies after a modseq, in order."""
    return _pending(tx, MessageCopy, "message_copy", after)


def expunges(tx: Tx, after: int) -> list[MessageExpunge]:
    """Pending removals after a modseq, in order."""
    return _pending(tx, MessageExpunge, "message_expunge", after)


def is_pending(tx: Tx) -> bool:
    """There is something to settle."""
    row = tx.one(
        "SELECT EXISTS (SELECT 1 FROM flag_change WHERE account_id = ?1) "
        "OR EXISTS (SELECT 1 FROM message_copy WHERE account_id = ?1) "
        "OR EXISTS (SELECT 1 FROM message_expunge WHERE account_id = ?1)",
        tx.account_id,
    )
    return row is not None and bool(row[0])


def settle(tx: Tx) -> None:
    """Do all pending operations to the rows of the messages, in their order."""
    pending: list[FlagChange | MessageCopy | MessageExpunge] = [
        *flag_changes(tx, 0),
        *copies(tx, 0),
        *expunges(tx, 0),
    ]
    for done in sorted(pending, key=lambda d: d.modseq):
        done.settle(tx)
