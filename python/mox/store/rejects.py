"""Copies of refused messages, kept for a while in case the refusal was a mistake."""

from collections.abc import Sequence

from mox.store import mailboxes, messages
from mox.store.engine import Tx

MAX_AGE_MS = 14 * 86_400_000
MAX_REJECTS = 1000


def has_copy(tx: Tx, mailbox_id: int, message_ref: str, message_hash: bytes | None) -> bool:
    """A live message of the mailbox has the canonical Message-ID, or the same SHA-256 of its content."""
    live = (
        "AND EXISTS (SELECT 1 FROM message h WHERE h.account_id = c.account_id AND h.message_id = c.message_id "
        "AND h.mailbox_id = ?) LIMIT 1"
    )
    by_ref = f"SELECT 1 FROM message_cold c WHERE account_id = ? AND message_ref = ? {live}"
    by_hash = f"SELECT 1 FROM message_cold c WHERE account_id = ? AND message_hash = ? {live}"
    return bool(
        (message_ref and tx.one(by_ref, tx.account_id, message_ref, mailbox_id))
        or (message_hash and tx.one(by_hash, tx.account_id, message_hash, mailbox_id))
    )


def tidy(tx: Tx, mailbox_id: int, now_ms: int) -> bool:
    """Expunge what is too old, unless the account keeps rejects; whether there is room for one more."""
    if tx.policy.keep_rejects:
        return True
    old = tx.run(
        "SELECT uid FROM message WHERE account_id = ? AND mailbox_id = ? AND received_ms < ?",
        tx.account_id,
        mailbox_id,
        now_ms - MAX_AGE_MS,
    )
    expunge(tx, mailbox_id, [row[0] for row in old])
    mailbox = mailboxes.get(tx, mailbox_id)
    return mailbox.messages < MAX_REJECTS


def expunge(tx: Tx, mailbox_id: int, uids: Sequence[int]) -> None:
    """Remove messages, whatever their flags."""
    messages.expunge(tx, mailbox_id, uids, messages.MAX_UID + 1, only_deleted=False)


def remove_delivered(tx: Tx, message_ref: str) -> None:
    """A message with this canonical Message-ID was delivered after all: its copies in Rejects go."""
    mailbox = mailboxes.find(tx, tx.policy.rejects_mailbox) if tx.policy.rejects_mailbox and message_ref else None
    if mailbox is None:
        return
    rows = tx.run(
        "SELECT h.uid FROM message_cold c JOIN message h USING (account_id, message_id) "
        "WHERE c.account_id = ? AND c.message_ref = ? AND h.mailbox_id = ?",
        tx.account_id,
        message_ref,
        mailbox.id,
    )
    expunge(tx, mailbox.id, [row[0] for row in rows])
