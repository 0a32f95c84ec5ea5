"""The end of a message: its bytes go when no session can read them, its tombstone when nobody needs the history."""

from mox.store.engine import Tx

ERASE_BATCH = 1000


def erase(tx: Tx, up_to: int) -> int:
    """Forget the bytes of at most ERASE_BATCH messages expunged up to modseq `up_to`; how many there were.

    After the commit, `blobs.unused` tells which files can go. What the junk filter has yet to forget stays.
    """
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
    tx.many("UPDATE blob SET refs = refs - 1 WHERE account_id = ? AND blob_id = ?", [(tx.account_id, b) for b in blobs])
    return len(rows)


def has_erasures(tx: Tx) -> bool:
    """There are messages to erase or files to remove."""
    return (
        tx.one("SELECT 1 FROM message_erase WHERE account_id = ? LIMIT 1", tx.account_id) is not None
        or tx.one("SELECT 1 FROM blob WHERE account_id = ? AND refs = 0 LIMIT 1", tx.account_id) is not None
    )


def hold(tx: Tx, process: str, position: int | None, now_ms: int, lease_ms: int) -> int:
    """Tell how far the sessions of this process are (None: it has none), and drop what dead processes told; the modseq
    up to which every process has passed."""
    tx.run(
        "DELETE FROM reader_position WHERE account_id = ? AND (lease_ms < ? OR process = ?)",
        tx.account_id,
        now_ms,
        process,
    )
    if position is not None:
        tx.run("INSERT INTO reader_position VALUES (?, ?, ?, ?)", tx.account_id, process, position, now_ms + lease_ms)
    row = tx.one(
        "SELECT coalesce((SELECT min(modseq) FROM reader_position r WHERE r.account_id = s.account_id), last_modseq) "
        "FROM sync_state s WHERE account_id = ?",
        tx.account_id,
    )
    assert row is not None
    return int(row[0])
