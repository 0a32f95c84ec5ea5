"""Changes of the flags of many messages: one row when they are acknowledged, the messages' own rows a moment later.

STORE over a whole mailbox rewrites thousands of rows; the client waits for one. Until they are settled the changes are
part of the account's state: `Engine` settles them before any function that is not told to be `early`, so only those few
have to know of them. They are made where the mailbox index is current, which says exactly what they do; changes that
have more consequences than flags and counts (keywords, junk flags) are not deferred.
docs/decisions/030-deferred-flags.md.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mox._rust import FlagPlan, MailboxIndex
from mox.store.engine import Tx
from mox.store.mailboxes import get
from mox.store.policy import JUNK_FLAGS
from mox.store.types import Mailbox

# Fewer messages are changed at once: settling later would be more work than that.
MANY = 64
MAX_PENDING = 16
_ALL_FLAGS = (1 << 10) - 1


@dataclass(frozen=True, slots=True)
class FlagChange:
    """A row of `flag_change`."""

    modseq: int
    mailbox_id: int
    spans: bytes
    set_flags: int
    clear_flags: int

    @property
    def ranges(self) -> Iterator[tuple[int, int]]:
        """UIDs, first and last."""
        return struct.iter_unpack("<II", self.spans)

    def apply(self, index: MailboxIndex) -> list[int]:
        """Do it to an index; the UIDs that changed."""
        return index.change_flags(self.spans, self.set_flags, self.clear_flags, self.modseq)


@dataclass(frozen=True, slots=True)
class Deferred:
    """What was acknowledged: the change, None when all messages had these flags, and the mailbox as it is now.
    `before` has the former modseq of messages that changed after the one that was asked for."""

    change: FlagChange | None
    mailbox: Mailbox
    before: list[tuple[int, int]]


def bits(mode: str, flags: int) -> tuple[int, int]:
    """Flags to set and to clear for a `mode` of STORE."""
    return {"+": (flags, 0), "-": (0, flags), "=": (flags, _ALL_FLAGS)}[mode]


def change(
    tx: Tx, mailbox_id: int, index: MailboxIndex, uids: Sequence[int], mode: str, flags: int, told: int
) -> Deferred | None:
    """Defer a change; None when that is not for this one. The index must be current. Raises NoSuchMailbox."""
    mailbox = get(tx, mailbox_id)
    set_flags, clear_flags = bits(mode, flags)
    plan = index.plan_flags(uids, set_flags, clear_flags)
    if plan.touched & JUNK_FLAGS or (mode == "=" and plan.has_keywords) or 0 < plan.changed < MANY:
        return None
    before = index.modseqs(uids, told)
    if not plan.changed:
        return Deferred(None, mailbox, before)
    row = tx.one("SELECT count(*) FROM flag_change WHERE account_id = ?", tx.account_id)
    if row is None or row[0] >= MAX_PENDING:
        return None
    done = FlagChange(tx.next_modseq(), mailbox_id, plan.spans, set_flags, clear_flags)
    _record(tx, done, plan)
    return Deferred(done, get(tx, mailbox_id), before)


def _record(tx: Tx, done: FlagChange, plan: FlagPlan) -> None:
    tx.run(
        "INSERT INTO flag_change VALUES (?, ?, ?, ?, ?, ?)",
        tx.account_id,
        done.modseq,
        done.mailbox_id,
        done.spans,
        done.set_flags,
        done.clear_flags,
    )
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
    tx.is_deferring = True


def since(tx: Tx, modseq: int) -> list[FlagChange]:
    """Pending changes after `modseq`, in order."""
    rows = tx.run(
        "SELECT modseq, mailbox_id, spans, set_flags, clear_flags FROM flag_change WHERE account_id = ? AND modseq > ? "
        "ORDER BY modseq",
        tx.account_id,
        modseq,
    )
    return [FlagChange(*row) for row in rows]


def is_pending(tx: Tx) -> bool:
    """There is something to settle."""
    return tx.one("SELECT 1 FROM flag_change WHERE account_id = ? LIMIT 1", tx.account_id) is not None


def settle(tx: Tx) -> None:
    """Do all pending changes to the rows of the messages."""
    for done in since(tx, 0):
        tx.many(
            "UPDATE message_hot SET flags = flags & ~?1 | ?2, modseq = ?3 WHERE account_id = ?4 AND mailbox_id = ?5 "
            "AND uid BETWEEN ?6 AND ?7 AND expunged = 0 AND flags & ~?1 | ?2 <> flags",
            [
                (done.clear_flags, done.set_flags, done.modseq, tx.account_id, done.mailbox_id, low, high)
                for low, high in done.ranges
            ],
        )
        tx.run("DELETE FROM flag_change WHERE account_id = ? AND modseq = ?", tx.account_id, done.modseq)
