"""Consistency of an account's records: everything that is kept up to date is computed anew and compared."""

from typing import Any

from mox.store.engine import Tx


def recount(tx: Tx) -> list[str]:
    """Differences between what is kept and what is; empty when all is well."""
    return [*_counts(tx), *_usage(tx), *_references(tx)]


def _counts(tx: Tx) -> list[str]:
    problems = []
    for row in tx.run(
        "SELECT id, name, total, deleted, unread, unseen, size FROM mailbox WHERE account_id = ?", tx.account_id
    ):
        found: tuple[Any, ...] | None = tx.one(
            "SELECT count(*) FILTER (WHERE flags & 8 = 0), count(*) FILTER (WHERE flags & 8), "
            "count(*) FILTER (WHERE flags & 9 = 0), count(*) FILTER (WHERE flags & 1 = 0), coalesce(sum(size), 0) "
            "FROM message WHERE account_id = ? AND mailbox_id = ?",
            tx.account_id,
            row[0],
        )
        if found != row[2:]:
            problems.append(f"mailbox {row[1]}: counts are {row[2:]}, should be {found}")
    return problems


def _usage(tx: Tx) -> list[str]:
    usage = tx.one(
        "SELECT s.disk_usage, (SELECT coalesce(sum(size), 0) FROM message WHERE account_id = s.account_id) + "
        "(SELECT coalesce(sum(size), 0) FROM message_erase WHERE account_id = s.account_id) "
        "FROM sync_state s WHERE account_id = ?",
        tx.account_id,
    )
    if usage is None or usage[0] != usage[1]:
        return [f"disk usage and sum of sizes are {usage}"]
    return []


def _references(tx: Tx) -> list[str]:
    refs = tx.run(
        "SELECT b.blob_id, b.refs, count(c.message_id) FROM blob b LEFT JOIN message_cold c USING (account_id, "
        "blob_id) WHERE b.account_id = ? GROUP BY b.blob_id HAVING b.refs != count(c.message_id)",
        tx.account_id,
    )
    return [f"blob {b}: {have} references, should be {want}" for b, have, want in refs]
