"""The end of a message: its bytes go when no session can read them, its tombstone when nobody needs the history."""

from mox.store.engine import Tx

ERASE_BATCH = 1000


def erase(tx: Tx, up_to: int) -> list[int]:
    """Forget the bytes of some messages expunged up to modseq `up_to`; blobs whose files can go after the commit.
    What the junk filter has yet to forget stays."""
    rows = tx.run(
        "SELECT modseq, message_id, size FROM message_erase e WHERE account_id = ? AND modseq <= ? "
        "AND NOT EXISTS (SELECT 1 FROM training_pending p WHERE p.account_id = e.account_id "
        "AND p.message_id = e.message_id) LIMIT ?",
        tx.account_id,
        up_to,
        ERASE_BATCH,
    )
    keys = [(tx.account_id, message_id) for _, message_id, _ in rows]
    blobs = [
        blob_id
        for account_id, message_id in keys
        for (blob_id,) in tx.run(
            "DELETE FROM message_cold WHERE account_id = ? AND message_id = ? RETURNING blob_id", account_id, message_id
        )
    ]
    tx.many("DELETE FROM thread_wanted WHERE account_id = ? AND message_id = ?", keys)
    tx.many(
        "DELETE FROM message_erase WHERE account_id = ? AND modseq = ? AND message_id = ?",
        [(tx.account_id, modseq, message_id) for modseq, message_id, _ in rows],
    )
    tx.run(
        "UPDATE sync_state SET disk_usage = disk_usage - ? WHERE account_id = ?",
        sum(size for _, _, size in rows),
        tx.account_id,
    )
    return [blob_id for blob_id in blobs if _release(tx, blob_id)]


def _release(tx: Tx, blob_id: int) -> bool:
    """One message less has the blob; whether it was the last."""
    left = tx.one(
        "UPDATE blob SET refs = refs - 1 WHERE account_id = ? AND blob_id = ? RETURNING refs", tx.account_id, blob_id
    )
    if left is None or left[0] > 0:
        return False
    tx.run("DELETE FROM blob WHERE account_id = ? AND blob_id = ?", tx.account_id, blob_id)
    return True


def has_erasures(tx: Tx) -> bool:
    """There are messages to erase."""
    return tx.one("SELECT 1 FROM message_erase WHERE account_id = ? LIMIT 1", tx.account_id) is not None
