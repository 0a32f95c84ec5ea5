"""Messages: adding, flags, expunging, copying, moving, erasing. Functions take a transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mox.store.engine import Tx
from mox.store.errors import OverQuota
from mox.store.mailboxes import get
from mox.store.types import Flag, Mailbox, StoredFlags

HOT = "uid, flags, keywords, modseq, size, received_ms, save_ms, message_id"
HotRow = tuple[int, int, str, int, int, int, int, int]
MAX_UID = 2**32 - 2


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message whose bytes are durable already. Dates are milliseconds since 1970."""

    blob_id: int
    directory: str
    prefix: bytes
    parsed: Any
    size: int
    received_ms: int
    save_ms: int
    flags: int = 0
    keywords: frozenset[str] = field(default_factory=frozenset)
    mail_from: str = ""
    rcpt_to: str = ""
    remote_ip: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """Where messages went."""

    uidvalidity: int
    uids: list[int]
    modseq: int


def _count(tx: Tx, mailbox_id: int, rows: Iterable[tuple[int, int]], sign: int) -> None:
    """Add (flags, size) rows to the mailbox's counts, or take them away."""
    total = deleted = unread = unseen = size = 0
    for flags, octets in rows:
        is_deleted, is_seen = bool(flags & Flag.DELETED), bool(flags & Flag.SEEN)
        total += not is_deleted
        deleted += is_deleted
        unread += not is_seen and not is_deleted
        unseen += not is_seen
        size += octets
    tx.run(
        "UPDATE mailbox_all SET total = total + ?, deleted = deleted + ?, unread = unread + ?, unseen = unseen + ?, "
        "size = size + ?, modseq = ? WHERE account_id = ? AND id = ?",
        *(sign * n for n in (total, deleted, unread, unseen, size)),
        tx.next_modseq(),
        tx.account_id,
        mailbox_id,
    )


def _reserve_uids(tx: Tx, mailbox: Mailbox, count: int) -> int:
    """The first of `count` new UIDs."""
    row = tx.one(
        "UPDATE mailbox_all SET uidnext = uidnext + ? WHERE account_id = ? AND id = ? RETURNING uidnext",
        count,
        tx.account_id,
        mailbox.id,
    )
    assert row is not None
    if row[0] > MAX_UID:
        raise OverflowError(f"mailbox {mailbox.name} has no UIDs left; recreate it")
    return int(row[0]) - count


def _add_keywords(tx: Tx, mailbox: Mailbox, keywords: Iterable[str]) -> None:
    known = set(mailbox.keywords.split())
    merged = known | set(keywords)
    if merged != known:
        tx.run(
            "UPDATE mailbox_all SET keywords = ?, modseq = ? WHERE account_id = ? AND id = ?",
            " ".join(sorted(merged)),
            tx.next_modseq(),
            tx.account_id,
            mailbox.id,
        )


def _use_space(tx: Tx, octets: int, quota: int) -> None:
    row = tx.one(
        "UPDATE sync_state SET disk_usage = disk_usage + ? WHERE account_id = ? RETURNING disk_usage",
        octets,
        tx.account_id,
    )
    assert row is not None
    if quota > 0 and octets > 0 and row[0] > quota:
        raise OverQuota(f"account over maximum total message size {quota}")


def _message_ids(tx: Tx, count: int) -> int:
    row = tx.one(
        "UPDATE sync_state SET next_message_id = next_message_id + ? WHERE account_id = ? RETURNING next_message_id",
        count,
        tx.account_id,
    )
    assert row is not None
    return int(row[0]) - count


_INSERT_HOT = (
    "INSERT INTO message_hot (account_id, mailbox_id, uid, message_id, flags, keywords, modseq, create_seq, size, "
    "received_ms, save_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def add(tx: Tx, mailbox_id: int, new: Sequence[NewMessage], quota: int = 0) -> Added:
    """Add messages to a mailbox. Raises NoSuchMailbox, OverQuota."""
    mailbox = get(tx, mailbox_id)
    modseq = tx.next_modseq()
    _use_space(tx, sum(m.size for m in new), quota)
    uid, message_id = _reserve_uids(tx, mailbox, len(new)), _message_ids(tx, len(new))
    for offset, message in enumerate(new):
        tx.sync_directory(message.directory)
        parsed = message.parsed
        tx.run(
            _INSERT_HOT,
            tx.account_id,
            mailbox_id,
            uid + offset,
            message_id + offset,
            message.flags,
            " ".join(sorted(message.keywords)),
            modseq,
            modseq,
            message.size,
            message.received_ms,
            message.save_ms,
        )
        tx.run(
            "INSERT INTO message_cold VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            tx.account_id,
            message_id + offset,
            message.prefix,
            message.blob_id,
            parsed.structure,
            parsed.envelope,
            parsed.body,
            parsed.bodystructure,
            parsed.header,
            parsed.header_size,
            parsed.message_id,
            parsed.subject_base,
            parsed.preview,
            message.mail_from,
            message.rcpt_to,
            message.remote_ip,
        )
        tx.run("INSERT INTO blob VALUES (?, ?, 1)", tx.account_id, message.blob_id)
    _add_keywords(tx, mailbox, (k for m in new for k in m.keywords))
    _count(tx, mailbox_id, ((m.flags, m.size) for m in new), 1)
    return Added(mailbox.uidvalidity, list(range(uid, uid + len(new))), modseq)


def _live(tx: Tx, mailbox_id: int, uids: Sequence[int]) -> list[HotRow]:
    """Hot rows of the UIDs that are there, ascending."""
    if not uids:
        return []
    wanted = set(uids)
    rows = tx.run(
        f"SELECT {HOT} FROM message WHERE account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ? ORDER BY uid",
        tx.account_id,
        mailbox_id,
        min(wanted),
        max(wanted),
    )
    return [row for row in rows if row[0] in wanted]


def hot_rows(tx: Tx, mailbox_id: int) -> list[HotRow]:
    """All live rows of a mailbox, ascending."""
    sql = f"SELECT {HOT} FROM message WHERE account_id = ? AND mailbox_id = ? ORDER BY uid"
    return tx.run(sql, tx.account_id, mailbox_id)


def changed_rows(tx: Tx, modseq: int) -> list[tuple[Any, ...]]:
    """(mailbox_id, create_seq, expunged, *hot row) of messages changed after `modseq`, in order."""
    sql = (
        f"SELECT mailbox_id, create_seq, expunged, {HOT} FROM message_hot WHERE account_id = ? AND modseq > ? "
        "ORDER BY modseq, mailbox_id, uid"
    )
    return tx.run(sql, tx.account_id, modseq)


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What STORE did: messages as they are now, those refused by UNCHANGEDSINCE, and the modseq if any changed."""

    rows: list[StoredFlags]
    refused: list[int]
    modseq: int | None


def set_flags(
    tx: Tx,
    mailbox_id: int,
    uids: Sequence[int],
    mode: str,
    flags: int,
    keywords: frozenset[str],
    unchanged_since: int | None = None,
) -> StoreResult:
    """`mode` is "+", "-" or "=" as in STORE. Raises NoSuchMailbox."""
    mailbox = get(tx, mailbox_id)
    rows: list[StoredFlags] = []
    refused: list[int] = []
    before: list[tuple[int, int]] = []
    after: list[tuple[int, int]] = []
    updates: list[tuple[Any, ...]] = []
    for uid, old, words, modseq, size, *_ in _live(tx, mailbox_id, uids):
        if unchanged_since is not None and modseq > unchanged_since:
            refused.append(uid)
            rows.append(StoredFlags(uid, old, words, modseq))
            continue
        new, new_words = _changed(old, words, mode, flags, keywords)
        if (new, new_words) == (old, words):
            rows.append(StoredFlags(uid, old, words, modseq))
            continue
        seq = tx.next_modseq()
        updates.append((new, new_words, seq, tx.account_id, mailbox_id, uid))
        before.append((old, size))
        after.append((new, size))
        rows.append(StoredFlags(uid, new, new_words, seq))
    if updates:
        sql = (
            "UPDATE message_hot SET flags = ?, keywords = ?, modseq = ? "
            "WHERE account_id = ? AND mailbox_id = ? AND uid = ?"
        )
        tx.many(sql, updates)
        _count(tx, mailbox_id, before, -1)
        _count(tx, mailbox_id, after, 1)
        if mode != "-":
            _add_keywords(tx, mailbox, keywords)
    return StoreResult(rows, refused, tx.made_modseq)


def _changed(old: int, words: str, mode: str, flags: int, keywords: frozenset[str]) -> tuple[int, str]:
    current = set(words.split())
    if mode == "+":
        return old | flags, " ".join(sorted(current | keywords))
    if mode == "-":
        return old & ~flags, " ".join(sorted(current - keywords))
    return flags, " ".join(sorted(keywords))


def expunge(tx: Tx, mailbox_id: int, uids: Sequence[int] | None, below: int, only_deleted: bool = True) -> list[int]:
    """Expunge messages with a UID under `below`, of `uids` unless None; the UIDs, ascending."""
    get(tx, mailbox_id)
    rows = hot_rows(tx, mailbox_id) if uids is None else _live(tx, mailbox_id, uids)
    gone = [r for r in rows if r[0] < below and (not only_deleted or r[1] & Flag.DELETED)]
    _tombstones(tx, mailbox_id, gone, erase=True)
    return [r[0] for r in gone]


def _tombstones(tx: Tx, mailbox_id: int, rows: list[HotRow], erase: bool) -> None:
    if not rows:
        return
    modseq = tx.next_modseq()
    tx.many(
        "UPDATE message_hot SET expunged = 1, modseq = ? WHERE account_id = ? AND mailbox_id = ? AND uid = ?",
        [(modseq, tx.account_id, mailbox_id, r[0]) for r in rows],
    )
    _count(tx, mailbox_id, ((r[1], r[4]) for r in rows), -1)
    if erase:
        tx.many("INSERT INTO message_erase VALUES (?, ?, ?, ?)", [(tx.account_id, modseq, r[7], r[4]) for r in rows])


@dataclass(frozen=True, slots=True)
class Copied:
    """Both sides ascending."""

    uidvalidity: int
    source: list[int]
    target: list[int]
    modseq: int


def copy(tx: Tx, mailbox_id: int, uids: Sequence[int], target_id: int, save_ms: int, quota: int = 0) -> Copied:
    """Copy messages; bytes are shared. Raises NoSuchMailbox, OverQuota."""
    get(tx, mailbox_id)
    target = get(tx, target_id)
    rows = _live(tx, mailbox_id, uids)
    if not rows:
        return Copied(target.uidvalidity, [], [], 0)
    _use_space(tx, sum(r[4] for r in rows), quota)
    message_id = _message_ids(tx, len(rows))
    copies = list(range(message_id, message_id + len(rows)))
    pairs = [(new, tx.account_id, r[7]) for new, r in zip(copies, rows, strict=True)]
    tx.many(
        "INSERT INTO message_cold SELECT account_id, ?, prefix, blob_id, structure, envelope, body, bodystructure, "
        "header, header_size, message_ref, subject_base, preview, mail_from, rcpt_to, remote_ip "
        "FROM message_cold WHERE account_id = ? AND message_id = ?",
        pairs,
    )
    tx.many(
        "UPDATE blob SET refs = refs + 1 WHERE account_id = ?1 AND blob_id = "
        "(SELECT blob_id FROM message_cold WHERE account_id = ?1 AND message_id = ?2)",
        [(tx.account_id, new) for new in copies],
    )
    return _insert_into(tx, target, rows, copies, save_ms)


def _insert_into(tx: Tx, target: Mailbox, rows: list[HotRow], message_ids: list[int], save_ms: int) -> Copied:
    modseq = tx.next_modseq()
    first = _reserve_uids(tx, target, len(rows))
    tx.many(
        _INSERT_HOT,
        [
            (tx.account_id, target.id, first + i, message_ids[i], r[1], r[2], modseq, modseq, r[4], r[5], save_ms)
            for i, r in enumerate(rows)
        ],
    )
    _add_keywords(tx, target, {k for r in rows for k in r[2].split()})
    _count(tx, target.id, ((r[1], r[4]) for r in rows), 1)
    return Copied(target.uidvalidity, [r[0] for r in rows], list(range(first, first + len(rows))), modseq)


def move(tx: Tx, mailbox_id: int, uids: Sequence[int], target_id: int, save_ms: int) -> Copied:
    """Move messages; they keep their ids. Raises NoSuchMailbox."""
    get(tx, mailbox_id)
    target = get(tx, target_id)
    rows = _live(tx, mailbox_id, uids)
    if not rows:
        return Copied(target.uidvalidity, [], [], 0)
    _tombstones(tx, mailbox_id, rows, erase=False)
    return _insert_into(tx, target, rows, [r[7] for r in rows], save_ms)


def cold_rows(tx: Tx, mailbox_id: int, uids: Sequence[int], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """(uid, column, …) of messages, also expunged ones that are not erased, ascending by UID."""
    if not uids:
        return []
    wanted = set(uids)
    names = ", ".join(f"c.{name}" for name in columns)
    rows = tx.run(
        f"SELECT h.uid, {names} FROM message_hot h JOIN message_cold c USING (account_id, message_id) "
        "WHERE h.account_id = ? AND h.mailbox_id = ? AND h.uid BETWEEN ? AND ? ORDER BY h.uid",
        tx.account_id,
        mailbox_id,
        min(wanted),
        max(wanted),
    )
    if len(rows) == len(wanted):
        return rows
    return [row for row in rows if row[0] in wanted]


def erase(tx: Tx, up_to: int) -> list[int]:
    """Forget the bytes of messages expunged up to modseq `up_to`; ids of blobs whose files can go."""
    rows = tx.run(
        "SELECT modseq, message_id, size FROM message_erase WHERE account_id = ? AND modseq <= ? LIMIT 1000",
        tx.account_id,
        up_to,
    )
    blobs = []
    for modseq, message_id, size in rows:
        cold = tx.one(
            "DELETE FROM message_cold WHERE account_id = ? AND message_id = ? RETURNING blob_id",
            tx.account_id,
            message_id,
        )
        tx.run(
            "DELETE FROM message_erase WHERE account_id = ? AND modseq = ? AND message_id = ?",
            tx.account_id,
            modseq,
            message_id,
        )
        _use_space(tx, -size, 0)
        if cold is None:
            continue
        left = tx.one(
            "UPDATE blob SET refs = refs - 1 WHERE account_id = ? AND blob_id = ? RETURNING refs",
            tx.account_id,
            cold[0],
        )
        if left is not None and left[0] == 0:
            tx.run("DELETE FROM blob WHERE account_id = ? AND blob_id = ?", tx.account_id, cold[0])
            blobs.append(cold[0])
    return blobs


def expunge_mailbox(tx: Tx, mailbox_id: int) -> None:
    """Expunge all messages of a mailbox that is about to go. Raises NoSuchMailbox."""
    expunge(tx, mailbox_id, None, MAX_UID + 1, only_deleted=False)


def recount(tx: Tx) -> list[str]:
    """Differences between kept counts and reality; empty when all is well."""
    problems = []
    for row in tx.run(
        "SELECT id, name, total, deleted, unread, unseen, size FROM mailbox WHERE account_id = ?", tx.account_id
    ):
        found = tx.one(
            "SELECT count(*) FILTER (WHERE flags & 8 = 0), count(*) FILTER (WHERE flags & 8), "
            "count(*) FILTER (WHERE flags & 9 = 0), count(*) FILTER (WHERE flags & 1 = 0), coalesce(sum(size), 0) "
            "FROM message WHERE account_id = ? AND mailbox_id = ?",
            tx.account_id,
            row[0],
        )
        if found != row[2:]:
            problems.append(f"mailbox {row[1]}: counts are {row[2:]}, should be {found}")
    usage = tx.one(
        "SELECT s.disk_usage, (SELECT coalesce(sum(size), 0) FROM message WHERE account_id = s.account_id) + "
        "(SELECT coalesce(sum(size), 0) FROM message_erase WHERE account_id = s.account_id) "
        "FROM sync_state s WHERE account_id = ?",
        tx.account_id,
    )
    if usage is None or usage[0] != usage[1]:
        problems.append(f"disk usage is {usage}")
    refs = tx.run(
        "SELECT b.blob_id, b.refs, count(c.message_id) FROM blob b LEFT JOIN message_cold c USING (account_id, "
        "blob_id) WHERE b.account_id = ? GROUP BY b.blob_id HAVING b.refs != count(c.message_id)",
        tx.account_id,
    )
    problems += [f"blob {b}: {have} references, should be {want}" for b, have, want in refs]
    return problems
