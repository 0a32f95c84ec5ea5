"""Consistency of an account: everything that is kept up to date is computed anew and compared."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mox.store import reputation, training
from mox.store.engine import Tx
from mox.store.policy import JUNK_FLAGS
from mox.store.types import SpecialUse

if TYPE_CHECKING:
    from mox.store.account import Account


async def problems(account: "Account") -> list[str]:
    """All that is wrong with an account's records and files; empty when all is well."""
    found, files = await account.read(lambda tx: (recount(tx), _files(tx)))
    return [*found, *await asyncio.to_thread(_check_files, account, files)]


def _files(tx: Tx) -> list[tuple[int, int]]:
    """(blob id, size) of the files that must be there."""
    return [
        (blob_id, size)
        for blob_id, size in tx.run(
            "SELECT c.blob_id, h.size - length(c.prefix) FROM message_cold c JOIN message_hot h "
            "USING (account_id, message_id) WHERE c.account_id = ? ORDER BY c.blob_id",
            tx.account_id,
        )
    ]


def _check_files(account: "Account", files: list[tuple[int, int]]) -> list[str]:
    found = []
    for blob_id, size in files:
        path = Path(account.blob_path(blob_id))
        if not path.exists():
            found.append(f"{path}: file is missing")
        elif path.stat().st_size != size:
            found.append(f"{path}: size is {path.stat().st_size}, should be {size}")
    return found


def recount(tx: Tx) -> list[str]:
    """Differences between what is kept and what is; empty when all is well."""
    checks = (_counts, _usage, _references, _mailboxes, _modseqs, _threads, _reputation, _training, _leftovers)
    return [problem for check in checks for problem in check(tx)]


def _counts(tx: Tx) -> list[str]:
    problems = []
    for row in tx.run(
        "SELECT id, name, uidnext, total, deleted, unread, unseen, size FROM mailbox WHERE account_id = ?",
        tx.account_id,
    ):
        found: tuple[Any, ...] | None = tx.one(
            "SELECT count(*) FILTER (WHERE flags & 8 = 0), count(*) FILTER (WHERE flags & 8), "
            "count(*) FILTER (WHERE flags & 9 = 0), count(*) FILTER (WHERE flags & 1 = 0), coalesce(sum(size), 0) "
            "FROM message WHERE account_id = ? AND mailbox_id = ?",
            tx.account_id,
            row[0],
        )
        if found != row[3:]:
            problems.append(f"mailbox {row[1]}: counts are {row[3:]}, should be {found}")
        last = tx.one("SELECT max(uid) FROM message_hot WHERE account_id = ? AND mailbox_id = ?", tx.account_id, row[0])
        if last is not None and last[0] is not None and last[0] >= row[2]:
            problems.append(f"mailbox {row[1]}: UIDNEXT is {row[2]}, but there is UID {last[0]}")
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
    missing = tx.run(
        "SELECT message_id FROM message_cold c WHERE account_id = ? AND NOT EXISTS "
        "(SELECT 1 FROM blob b WHERE b.account_id = c.account_id AND b.blob_id = c.blob_id)",
        tx.account_id,
    )
    no_record = tx.run(
        "SELECT mailbox_id, uid FROM message h WHERE account_id = ? AND NOT EXISTS "
        "(SELECT 1 FROM message_cold c WHERE c.account_id = h.account_id AND c.message_id = h.message_id)",
        tx.account_id,
    )
    return [
        *(f"blob {b}: {have} references, should be {want}" for b, have, want in refs),
        *(f"message {m}: no record of its blob" for (m,) in missing),
        *(f"mailbox {m}, uid {u}: no record of the message" for m, u in no_record),
    ]


def _mailboxes(tx: Tx) -> list[str]:
    state = tx.one("SELECT next_uidvalidity FROM sync_state WHERE account_id = ?", tx.account_id)
    rows = tx.run("SELECT name, uidvalidity, special_use FROM mailbox WHERE account_id = ?", tx.account_id)
    names = {name for name, _, _ in rows}
    problems = [
        f"mailbox {name}: parent is missing" for name in names if "/" in name and name.rpartition("/")[0] not in names
    ]
    problems += (
        [f"mailbox {name}: UIDVALIDITY {value} is not below the next" for name, value, _ in rows if value >= state[0]]
        if state is not None
        else ["account has no state"]
    )
    for use in SpecialUse:
        holders = [name for name, _, uses in rows if uses & use]
        if len(holders) > 1:
            problems.append(f"special use {use.name} is held by {' and '.join(holders)}")
    return problems


def _modseqs(tx: Tx) -> list[str]:
    above = tx.run(
        "SELECT h.mailbox_id, h.uid FROM message_hot h JOIN mailbox_all m ON m.account_id = h.account_id "
        "AND m.id = h.mailbox_id WHERE h.account_id = ? AND (h.modseq > m.modseq OR h.create_seq > h.modseq)",
        tx.account_id,
    )
    noted = tx.run(
        "SELECT a.mailbox_id, a.name FROM annotation_all a LEFT JOIN mailbox_all m ON m.account_id = a.account_id "
        "AND m.id = a.mailbox_id WHERE a.account_id = ? AND (a.modseq > coalesce(m.modseq, a.modseq) "
        "OR a.create_seq > a.modseq)",
        tx.account_id,
    )
    last = tx.run(
        "SELECT m.name FROM mailbox_all m JOIN sync_state s USING (account_id) "
        "WHERE account_id = ? AND (m.modseq > s.last_modseq OR m.create_seq > m.modseq)",
        tx.account_id,
    )
    return [
        *(f"mailbox {m}, uid {u}: modseq is above the mailbox's, or below that of its creation" for m, u in above),
        *(f"mailbox {m}, annotation {n}: modseq is above the mailbox's" for m, n in noted),
        *(f"mailbox {n}: modseq is above the account's" for (n,) in last),
    ]


def _threads(tx: Tx) -> list[str]:
    rows = {
        message_id: (thread_id, tuple(map(int, parents.split())))
        for message_id, thread_id, parents in tx.run(
            "SELECT message_id, thread_id, thread_parents FROM message_cold WHERE account_id = ?", tx.account_id
        )
    }
    problems = []
    for message_id, (thread_id, parents) in rows.items():
        if message_id in parents:
            problems.append(f"message {message_id}: is its own ancestor")
        if not thread_id or (
            not parents and thread_id != message_id and thread_id in rows and not _is_copy(tx, message_id)
        ):
            problems.append(f"message {message_id}: has no parents but thread {thread_id}")
        if parents and parents[0] in rows and rows[parents[0]] != (thread_id, parents[1:]):
            problems.append(f"message {message_id}: thread differs from its parent's")
    return problems


def _is_copy(tx: Tx, message_id: int) -> bool:
    """Its bytes are those of another message too, from which it has its thread."""
    row = tx.one(
        "SELECT refs FROM message_cold JOIN blob USING (account_id, blob_id) WHERE account_id = ? AND message_id = ?",
        tx.account_id,
        message_id,
    )
    return row is not None and row[0] > 1


def _reputation(tx: Tx) -> list[str]:
    kept = set(tx.run("SELECT * FROM reputation WHERE account_id = ?", tx.account_id))
    marked = tx.run(
        "SELECT message_id, flags FROM message WHERE account_id = ? AND flags & ?", tx.account_id, JUNK_FLAGS
    )
    wanted = set(reputation.rows_of(tx, marked))
    return [f"reputation: {len(kept - wanted)} rows too many, {len(wanted - kept)} missing"] if kept != wanted else []


def _training(tx: Tx) -> list[str]:
    pending = {row[0] for row in tx.run("SELECT message_id FROM training_pending WHERE account_id = ?", tx.account_id)}
    problems = []
    if tx.policy.trains_filter:
        ids = {row[0] for row in tx.run("SELECT message_id FROM message_cold WHERE account_id = ?", tx.account_id)}
        states = {message_id: training.state(tx, message_id) for message_id in ids}
        due = {message_id for message_id, (trained, wanted) in states.items() if trained != wanted}
        problems += [f"message {m}: training is due but not pending" for m in sorted(due - pending)]
        problems += [f"message {m}: training is pending but not due" for m in sorted(pending - due)]
    return problems


def _leftovers(tx: Tx) -> list[str]:
    """Rows about messages that are gone."""
    problems = []
    for table in ("recipient", "thread_wanted", "training_pending", "message_erase"):
        rows = tx.run(
            f"SELECT message_id FROM {table} t WHERE account_id = ? AND NOT EXISTS (SELECT 1 FROM message_cold c "
            "WHERE c.account_id = t.account_id AND c.message_id = t.message_id)",
            tx.account_id,
        )
        problems += [f"message {message_id}: is gone but in table {table}" for (message_id,) in rows]
    return problems
