"""What a client that was away missed (RFC 7162 §3.2.5): changes of a mailbox after a modification sequence. Functions
take a transaction."""

from mox.store.engine import Tx
from mox.store.types import Flag


def changed_since(tx: Tx, mailbox_id: int, modseq: int) -> list[tuple[int, bool, int]]:
    """(uid, expunged, modseq) of messages changed after `modseq`, in that order."""
    rows = tx.run(
        "SELECT uid, expunged, modseq FROM message_hot WHERE account_id = ? AND mailbox_id = ? AND modseq > ? "
        "ORDER BY modseq, uid",
        tx.account_id,
        mailbox_id,
        modseq,
    )
    return [(uid, bool(expunged), changed) for uid, expunged, changed in rows]


def expunged_at(tx: Tx, mailbox_id: int, uid: int) -> int | None:
    """The modification sequence of a message's removal; None when it is there or was never."""
    row = tx.one(
        "SELECT modseq FROM message_hot WHERE account_id = ? AND mailbox_id = ? AND uid = ? AND expunged = 1",
        tx.account_id,
        mailbox_id,
        uid,
    )
    return None if row is None else int(row[0])


def purged_to(tx: Tx) -> int:
    """Records of messages expunged up to this modification sequence may be gone; -1 when none is."""
    row = tx.one("SELECT highest_deleted_modseq FROM sync_state WHERE account_id = ?", tx.account_id)
    return -1 if row is None else int(row[0])


def deleted_storage(tx: Tx, mailbox_id: int) -> int:
    """Octets of the messages of a mailbox with `\\Deleted` (RFC 9208 §4.1.4)."""
    row = tx.one(
        "SELECT coalesce(sum(size), 0) FROM message WHERE account_id = ? AND mailbox_id = ? AND flags & ? <> 0",
        tx.account_id,
        mailbox_id,
        int(Flag.DELETED),
    )
    return 0 if row is None else int(row[0])


def disk_usage(tx: Tx) -> tuple[int, int]:
    """Octets of all messages, also of expunged ones that are not erased, and the most there may be (0: no limit)."""
    row = tx.one("SELECT disk_usage FROM sync_state WHERE account_id = ?", tx.account_id)
    return (0 if row is None else int(row[0])), tx.policy.quota
