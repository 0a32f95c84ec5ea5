"""Repairs and upkeep by command: UIDs and UIDVALIDITY, counts, sizes, parsed forms, threads, old tombstones.

What takes long works in batches; each leaves the account consistent, so that an interrupted command may be run again.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mox._rust import ParsedMessage, parse_message
from mox.store import mailboxes, threads
from mox.store.account import Account
from mox.store.engine import Tx
from mox.store.types import Mailbox

BATCH = 1000

# Told how many messages are done.
Progress = Callable[[int], None]


def _silent(_count: int) -> None:
    """Nobody watches."""


def bump_uidvalidity(tx: Tx, mailbox_id: int | None = None) -> int:
    """Give a mailbox, or all, a new UIDVALIDITY, so that clients forget what they know; the value. Raises
    NoSuchMailbox."""
    boxes = mailboxes.list_mailboxes(tx) if mailbox_id is None else [mailboxes.get(tx, mailbox_id)]
    value, modseq = tx.next_number("next_uidvalidity"), tx.next_modseq()
    tx.many(
        "UPDATE mailbox_all SET uidvalidity = ?, modseq = ? WHERE account_id = ? AND id = ?",
        [(value, modseq, tx.account_id, box.id) for box in boxes],
    )
    return value


def reassign_uids(tx: Tx, mailbox_id: int | None = None) -> int:
    """Number the messages of a mailbox, or of all, anew from 1 in the order of their UIDs, with a new UIDVALIDITY; how
    many messages. The history of removed messages ends here. Raises NoSuchMailbox."""
    boxes = mailboxes.list_mailboxes(tx) if mailbox_id is None else [mailboxes.get(tx, mailbox_id)]
    bump_uidvalidity(tx, mailbox_id)
    return sum(_renumber(tx, box) for box in boxes)


def _renumber(tx: Tx, box: Mailbox) -> int:
    modseq = tx.next_modseq()
    tx.run("DELETE FROM message_hot WHERE account_id = ? AND mailbox_id = ? AND expunged = 1", tx.account_id, box.id)
    rows = tx.run(
        "SELECT uid FROM message_hot WHERE account_id = ? AND mailbox_id = ? ORDER BY uid", tx.account_id, box.id
    )
    # Ascending, so that a new UID is never one that is still to be changed.
    tx.many(
        "UPDATE message_hot SET uid = ?, modseq = ?, create_seq = ? "
        "WHERE account_id = ? AND mailbox_id = ? AND uid = ?",
        [(new, modseq, modseq, tx.account_id, box.id, uid) for new, (uid,) in enumerate(rows, 1)],
    )
    tx.run("UPDATE mailbox_all SET uidnext = ? WHERE account_id = ? AND id = ?", len(rows) + 1, tx.account_id, box.id)
    _raise_purged(tx, modseq)
    return len(rows)


def _raise_purged(tx: Tx, modseq: int) -> None:
    tx.run(
        "UPDATE sync_state SET highest_deleted_modseq = max(highest_deleted_modseq, ?) WHERE account_id = ?",
        modseq,
        tx.account_id,
    )


def fix_uid_meta(tx: Tx) -> list[str]:
    """Repair UIDNEXT and the next UIDVALIDITY where they are too low; what was wrong."""
    fixed = []
    for box_id, name, uidnext, last in tx.run(
        "SELECT m.id, m.name, m.uidnext, max(h.uid) FROM mailbox m JOIN message_hot h ON h.account_id = m.account_id "
        "AND h.mailbox_id = m.id WHERE m.account_id = ? GROUP BY m.id, m.name, m.uidnext "
        "HAVING max(h.uid) >= m.uidnext",
        tx.account_id,
    ):
        tx.run(
            "UPDATE mailbox_all SET uidnext = ?, modseq = ? WHERE account_id = ? AND id = ?",
            last + 1,
            tx.next_modseq(),
            tx.account_id,
            box_id,
        )
        fixed.append(f"mailbox {name}: UIDNEXT was {uidnext}, is {last + 1}")
    row = tx.one(
        "SELECT next_uidvalidity, (SELECT max(uidvalidity) FROM mailbox_all m WHERE m.account_id = s.account_id) "
        "FROM sync_state s WHERE account_id = ?",
        tx.account_id,
    )
    if row is not None and row[1] >= row[0]:
        tx.run("UPDATE sync_state SET next_uidvalidity = ? WHERE account_id = ?", row[1] + 1, tx.account_id)
        fixed.append(f"next UIDVALIDITY was {row[0]}, is {row[1] + 1}")
    return fixed


def recalculate_counts(tx: Tx) -> list[str]:
    """Compute counts of mailboxes, disk usage and references to files anew; what was wrong."""
    fixed = []
    for box in mailboxes.list_mailboxes(tx):
        found = tx.one(
            "SELECT count(*) FILTER (WHERE flags & 8 = 0), count(*) FILTER (WHERE flags & 8), "
            "count(*) FILTER (WHERE flags & 9 = 0), count(*) FILTER (WHERE flags & 1 = 0), coalesce(sum(size), 0) "
            "FROM message WHERE account_id = ? AND mailbox_id = ?",
            tx.account_id,
            box.id,
        )
        assert found is not None
        if found != box.counts:
            tx.run(
                "UPDATE mailbox_all SET total = ?, deleted = ?, unread = ?, unseen = ?, size = ?, modseq = ? "
                "WHERE account_id = ? AND id = ?",
                *found,
                tx.next_modseq(),
                tx.account_id,
                box.id,
            )
            fixed.append(f"mailbox {box.name}: counts were {box.counts}, are {found}")
    return [*fixed, *_fix_usage(tx), *_fix_references(tx)]


def _fix_usage(tx: Tx) -> list[str]:
    row = tx.one(
        "SELECT s.disk_usage, (SELECT coalesce(sum(size), 0) FROM message WHERE account_id = s.account_id) + "
        "(SELECT coalesce(sum(size), 0) FROM message_erase WHERE account_id = s.account_id) "
        "FROM sync_state s WHERE account_id = ?",
        tx.account_id,
    )
    if row is None or row[0] == row[1]:
        return []
    tx.run("UPDATE sync_state SET disk_usage = ? WHERE account_id = ?", row[1], tx.account_id)
    return [f"disk usage was {row[0]}, is {row[1]}"]


def _fix_references(tx: Tx) -> list[str]:
    wrong = tx.run(
        "SELECT c.blob_id, b.refs, count(*) FROM message_cold c LEFT JOIN blob b USING (account_id, blob_id) "
        "WHERE c.account_id = ? GROUP BY c.blob_id, b.refs HAVING b.refs IS NULL OR b.refs <> count(*)",
        tx.account_id,
    )
    tx.many(
        "INSERT INTO blob VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET refs = excluded.refs",
        [(tx.account_id, blob_id, count) for blob_id, _, count in wrong],
    )
    return [f"blob {blob_id}: references were {was}, are {count}" for blob_id, was, count in wrong]


def purge_tombstones(tx: Tx, up_to: int) -> int:
    """Forget messages that were expunged up to this modseq and are erased; how many. Clients that were away since
    before it compare all UIDs once."""
    row = tx.one(
        "SELECT count(*), max(modseq) FROM message_hot h WHERE account_id = ? AND expunged = 1 AND modseq <= ? "
        "AND NOT EXISTS (SELECT 1 FROM message_erase e WHERE e.account_id = h.account_id "
        "AND e.message_id = h.message_id)",
        tx.account_id,
        up_to,
    )
    if row is None or not row[0]:
        return 0
    tx.run(
        "DELETE FROM message_hot WHERE account_id = ?1 AND expunged = 1 AND modseq <= ?2 AND message_id NOT IN "
        "(SELECT message_id FROM message_erase e WHERE e.account_id = ?1)",
        tx.account_id,
        up_to,
    )
    _raise_purged(tx, row[1])
    return int(row[0])


def reassign_threads(tx: Tx, progress: Progress = _silent) -> int:
    """Place all messages in threads anew, in the order of their ids; how many. Muted and collapsed stay."""
    tx.run("UPDATE message_cold SET thread_id = 0, thread_parents = '' WHERE account_id = ?", tx.account_id)
    tx.run("DELETE FROM thread_wanted WHERE account_id = ?", tx.account_id)
    modseq, done, last = tx.next_modseq(), 0, 0
    while rows := tx.run(
        "SELECT message_id, mailbox_orig_id, received_ms, header FROM message_cold WHERE account_id = ? "
        "AND message_id > ? ORDER BY message_id LIMIT ?",
        tx.account_id,
        last,
        BATCH,
    ):
        for message_id, mailbox_id, received_ms, header in rows:
            new = threads.entry(parse_message(header), mailbox_id, received_ms)
            where = threads.place(tx, new)
            tx.run(
                "UPDATE message_cold SET thread_id = ?, thread_parents = ?, thread_missing_link = ?, "
                "thread_modseq = ? WHERE account_id = ? AND message_id = ?",
                where.thread_id or message_id,
                " ".join(map(str, where.parents)),
                where.missing_link,
                modseq,
                tx.account_id,
                message_id,
            )
            threads.placed(tx, message_id, where, new)
        done, last = done + len(rows), rows[-1][0]
        progress(done)
    return done


# Repairs that read message files


async def fix_message_sizes(account: Account, progress: Progress = _silent) -> list[str]:
    """Sizes from the files, with the parsed form of messages whose size was wrong, and counts; what was wrong."""
    fixed: list[str] = []
    async for batch in _files(account, progress):
        wrong = [(i, len(data), parsed) for i, size, data, parsed in batch if size != len(data)]
        if wrong:
            fixed += [f"message {message_id}: size is {size}" for message_id, size, _ in wrong]
            await account.write(lambda tx, w=wrong: _save_sizes(tx, w))  # type: ignore[misc]
    if fixed:
        await account.text.clear()
    fixed += await account.write(recalculate_counts)
    return fixed


async def reparse(account: Account, progress: Progress = _silent) -> int:
    """Parse all messages anew, as after a change of the parser; how many."""
    count = 0
    async for batch in _files(account, progress):
        parsed = [(message_id, message) for message_id, _, _, message in batch]
        await account.write(lambda tx, p=parsed: _save_all(tx, p))  # type: ignore[misc]
        count += len(batch)
    await account.text.clear()
    return count


async def _files(account: Account, progress: Progress) -> Any:
    """Batches of (message id, recorded size, prefix + content, parsed) of all messages whose files can be read."""
    last = done = 0
    while True:
        rows = await account.read(
            lambda tx, after=last: tx.run(  # type: ignore[misc]
                "SELECT c.message_id, h.size, c.prefix, c.blob_id FROM message_cold c JOIN message h "
                "USING (account_id, message_id) WHERE c.account_id = ? AND c.message_id > ? "
                "ORDER BY c.message_id LIMIT ?",
                tx.account_id,
                after,
                BATCH // 10,
            )
        )
        if not rows:
            return
        yield await asyncio.to_thread(_read_files, account, rows)
        last, done = rows[-1][0], done + len(rows)
        progress(done)


def _read_files(account: Account, rows: list[tuple[Any, ...]]) -> list[tuple[int, int, bytes, ParsedMessage]]:
    found = []
    for message_id, size, prefix, blob_id in rows:
        path = Path(account.blob_path(blob_id))
        if path.exists():
            content = path.read_bytes()
            found.append((message_id, size, prefix + content, parse_message(content, prefix)))
    return found


def _save_sizes(tx: Tx, wrong: list[tuple[int, int, ParsedMessage]]) -> None:
    for message_id, size, parsed in wrong:
        tx.run(
            "UPDATE message_hot SET size = ?, modseq = ? WHERE account_id = ? AND message_id = ? AND expunged = 0",
            size,
            tx.next_modseq(),
            tx.account_id,
            message_id,
        )
        tx.run(
            "UPDATE mailbox_all SET modseq = ?1 WHERE account_id = ?2 AND id IN "
            "(SELECT mailbox_id FROM message WHERE account_id = ?2 AND message_id = ?3)",
            tx.next_modseq(),
            tx.account_id,
            message_id,
        )
        _save_parsed(tx, message_id, parsed)


def _save_all(tx: Tx, parsed: list[tuple[int, ParsedMessage]]) -> None:
    for message_id, message in parsed:
        _save_parsed(tx, message_id, message)


def _save_parsed(tx: Tx, message_id: int, parsed: ParsedMessage) -> None:
    tx.run(
        "UPDATE message_cold SET structure = ?, envelope = ?, body = ?, bodystructure = ?, header = ?, "
        "header_size = ?, message_ref = ?, subject_base = ?, preview = ?, is_dsn = ? "
        "WHERE account_id = ? AND message_id = ?",
        parsed.structure,
        parsed.envelope,
        parsed.body,
        parsed.bodystructure,
        parsed.header,
        parsed.header_size,
        parsed.message_id,
        parsed.subject_base,
        parsed.preview,
        parsed.is_dsn,
        tx.account_id,
        message_id,
    )
