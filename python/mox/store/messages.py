"""Messages: adding, flags, expunging, copying, moving. Functions take a transaction.

The counts of mailboxes, disk usage, references to message files, threads, recipients, reputation and pending training
are kept here and nowhere else; `mox.store.verify` computes them anew and compares.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from mox.store import fresh, recipients, reputation, threads, training
from mox.store.engine import Tx
from mox.store.errors import NoUidsLeft, OverQuota
from mox.store.mailboxes import get
from mox.store.policy import JUNK_FLAGS
from mox.store.types import NO_FACTS, Facts, Flag, Mailbox, SpecialUse

HOT = "uid, flags, keywords, modseq, size, received_ms, save_ms, message_id"
# What the mailbox index holds of a message: the above and the zone of `received_ms`.
INDEXED = f"{HOT}, received_zone"
HotRow = tuple[int, int, str, int, int, int, int, int, int]
# With `trained` and the zone at the end.
LiveRow = tuple[int, int, str, int, int, int, int, int, int, int]
MAX_UID = 2**32 - 2
MAX_UID_GAP = 32
# Operators of enumerations are slow.
_SEEN, _DELETED = int(Flag.SEEN), int(Flag.DELETED)


class NewMessage(Struct, frozen=True):
    """A message whose file is there: durably, unless its `content` is given, to be committed with it.

    Dates are milliseconds since 1970. `mailbox_orig_id` 0 stands for the mailbox it is added to, `mailbox_destined_id`
    is of messages that go to Rejects or the introbox instead."""

    blob_id: int
    directory: str
    prefix: bytes
    parsed: Any
    size: int
    received_ms: int
    save_ms: int
    flags: int = 0
    keywords: frozenset[str] = frozenset()
    facts: Facts = NO_FACTS
    # Minutes east of UTC.
    received_zone: int = 0
    mailbox_orig_id: int = 0
    mailbox_destined_id: int = 0
    content: bytes | None = None


class Added(Struct, frozen=True):
    """Where messages went."""

    uidvalidity: int
    uids: list[int]
    modseq: int
    message_ids: list[int]


@dataclass(frozen=True, slots=True)
class Totals:
    """What is counted of some messages."""

    messages: int
    deleted: int
    unread: int
    unseen: int
    octets: int

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """total, deleted, unread, unseen, size as a mailbox has them."""
        return self.messages - self.deleted, self.deleted, self.unread, self.unseen, self.octets


def _totals(rows: Iterable[tuple[int, int]]) -> Totals:
    """Of (flags, size) rows."""
    rows = list(rows)
    deleted = unread = unseen = 0
    for flags, count in Counter(flags for flags, _ in rows).items():
        is_deleted, is_seen = bool(flags & _DELETED), bool(flags & _SEEN)
        deleted += count * is_deleted
        unread += count * (not is_seen and not is_deleted)
        unseen += count * (not is_seen)
    return Totals(len(rows), deleted, unread, unseen, sum(size for _, size in rows))


def _recount(tx: Tx, mailbox_id: int, before: Iterable[tuple[int, int]], after: Iterable[tuple[int, int]] = ()) -> None:
    """(flags, size) rows of a mailbox became others; without `after` they are gone."""
    _change_counts(
        tx, mailbox_id, [new - old for old, new in zip(_totals(before).counts, _totals(after).counts, strict=True)]
    )


def _change_counts(tx: Tx, mailbox_id: int, changes: Sequence[int]) -> None:
    tx.run(
        "UPDATE mailbox_all SET total = total + ?, deleted = deleted + ?, unread = unread + ?, unseen = unseen + ?, "
        "size = size + ?, modseq = ? WHERE account_id = ? AND id = ?",
        *changes,
        tx.next_modseq(),
        tx.account_id,
        mailbox_id,
    )


def _take_in(tx: Tx, mailbox: Mailbox, totals: Totals, keywords: Iterable[str]) -> int:
    """Reserve UIDs for messages, count them and their keywords; the first UID. Raises NoUidsLeft."""
    if mailbox.uidnext + totals.messages > MAX_UID:
        raise NoUidsLeft(f"mailbox {mailbox.name} has no UIDs left; recreate it")
    known = mailbox.keywords.split()
    merged = sorted({*known, *keywords})
    tx.run(
        "UPDATE mailbox_all SET uidnext = ?, total = total + ?, deleted = deleted + ?, unread = unread + ?, "
        "unseen = unseen + ?, size = size + ?, keywords = ?, modseq = ? WHERE account_id = ? AND id = ?",
        mailbox.uidnext + totals.messages,
        *totals.counts,
        " ".join(merged),
        tx.next_modseq(),
        tx.account_id,
        mailbox.id,
    )
    return mailbox.uidnext


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


def _reserve(tx: Tx, count: int, octets: int, quota: int | None) -> int:
    """The first of `count` message ids for messages of that size together. Raises OverQuota and changes nothing."""
    limit = tx.policy.quota if quota is None else quota
    first = tx.next_message_ids(count, octets, limit)
    if first is None:
        raise OverQuota(f"account over maximum total message size {limit}")
    return first


_INSERT_HOT = (
    "INSERT INTO message_hot (account_id, mailbox_id, uid, message_id, flags, keywords, modseq, create_seq, size, "
    "received_ms, save_ms, trained, received_zone) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FACTS = ", ".join(f.name for f in msgspec.structs.fields(Facts))
_COLD = (
    "blob_id, mailbox_orig_id, mailbox_destined_id, received_ms, message_ref, subject_base, thread_id, "
    "thread_parents, thread_missing_link, thread_muted, thread_collapsed, is_dsn, header_size, "
    f"{_FACTS}, preview, prefix, structure, envelope, body, bodystructure, header"
)
_INSERT_COLD = (
    f"INSERT INTO message_cold (account_id, message_id, {_COLD}) VALUES ({', '.join('?' * (_COLD.count(',') + 3))})"
)


def add(tx: Tx, mailbox_id: int, new: Sequence[NewMessage], quota: int | None = None) -> Added:
    """Add messages to a mailbox. `quota` replaces the account's own. Raises NoSuchMailbox, OverQuota, NoUidsLeft."""
    mailbox = get(tx, mailbox_id)
    message_id = _reserve(tx, len(new), sum(m.size for m in new), quota)
    modseq = tx.next_modseq()
    ids = range(message_id, message_id + len(new))
    # One after the other, so that messages added together find each other's threads.
    flags = [
        _insert(tx, mailbox, mailbox.uidnext + offset, message_id + offset, message)
        for offset, message in enumerate(new)
    ]
    rows = [(f, m.size) for f, m in zip(flags, new, strict=True)]
    uid = _take_in(tx, mailbox, _totals(rows), (k for m in new for k in m.keywords))
    reputation.mark(tx, [(number, 0, f) for number, f in zip(ids, flags, strict=True)])
    wanted = [(number, training.NOTHING, training.wanted(f)) for number, f in zip(ids, flags, strict=True)]
    # Of a new message nothing can be noted that would have to go.
    training.follow(tx, [state for state in wanted if state[2] != training.NOTHING])
    return Added(mailbox.uidvalidity, list(range(uid, uid + len(new))), modseq, list(ids))


def _insert(tx: Tx, mailbox: Mailbox, uid: int, message_id: int, message: NewMessage) -> int:
    """Insert all rows of a message, but do not count it; the flags that it gets."""
    if message.content is None:
        tx.sync_directory(message.directory)
    else:
        fresh.keep(tx, message.blob_id, message.content)
    parsed, facts = message.parsed, message.facts
    orig_id = message.mailbox_orig_id or mailbox.id
    new = threads.entry(parsed, orig_id, message.received_ms)
    where = threads.place(tx, new)
    flags = tx.policy.junk_flags(mailbox.name, mailbox.special_use, message.flags) | (Flag.SEEN if where.muted else 0)
    tx.run(
        _INSERT_COLD,
        tx.account_id,
        message_id,
        message.blob_id,
        orig_id,
        0 if message.mailbox_destined_id == orig_id else message.mailbox_destined_id,
        message.received_ms,
        new.message_ref,
        new.subject_base,
        where.thread_id or message_id,
        " ".join(map(str, where.parents)),
        where.missing_link,
        where.muted,
        where.collapsed,
        new.is_dsn,
        parsed.header_size,
        *msgspec.structs.astuple(facts),
        parsed.preview,
        message.prefix,
        parsed.structure,
        parsed.envelope,
        parsed.body,
        parsed.bodystructure,
        parsed.header,
    )
    modseq = tx.next_modseq()
    tx.run(
        _INSERT_HOT,
        tx.account_id,
        mailbox.id,
        uid,
        message_id,
        int(flags),
        " ".join(sorted(message.keywords)),
        modseq,
        modseq,
        message.size,
        message.received_ms,
        message.save_ms,
        training.NOTHING,
        message.received_zone,
    )
    tx.run(
        "INSERT INTO blob VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET refs = refs + 1", tx.account_id, message.blob_id
    )
    threads.placed(tx, message_id, where, new)
    if mailbox.special_use & SpecialUse.SENT:
        recipients.add_from(tx, message_id, parsed, message.received_ms)
    return int(flags)


_LIVE_RANGE = (
    f"SELECT {HOT}, trained, received_zone FROM message WHERE account_id = ? AND mailbox_id = ? "
    "AND uid BETWEEN ? AND ? ORDER BY uid"
)


def _live(tx: Tx, mailbox_id: int, uids: Sequence[int] | None) -> list[LiveRow]:
    """Rows of the UIDs that are there, of all when None, ascending."""
    if uids is None:
        sql = f"SELECT {HOT}, trained, received_zone FROM message WHERE account_id = ? AND mailbox_id = ? ORDER BY uid"
        return tx.run(sql, tx.account_id, mailbox_id)
    if not uids:
        return []
    wanted = set(uids)
    rows = [row for span in _spans(wanted) for row in tx.run(_LIVE_RANGE, tx.account_id, mailbox_id, *span)]
    return [row for row in rows if row[0] in wanted]


def _in_ranges(tx: Tx, mailbox_id: int, spans: Iterable[tuple[int, int]]) -> list[LiveRow]:
    """Rows of ascending ranges of UIDs."""
    return [row for span in spans for row in tx.run(_LIVE_RANGE, tx.account_id, mailbox_id, *span)]


def _spans(uids: Iterable[int]) -> list[tuple[int, int]]:
    """Ranges that hold all of `uids`, ascending. UIDs that are far apart get ranges of their own: the rows between them
    would be read for nothing."""
    spans: list[tuple[int, int]] = []
    for uid in sorted(uids):
        if spans and uid - spans[-1][1] <= MAX_UID_GAP:
            spans[-1] = (spans[-1][0], uid)
        else:
            spans.append((uid, uid))
    return spans


def _are_neighbours(tx: Tx, mailbox_id: int, rows: Sequence[LiveRow]) -> bool:
    """No other live message has a UID between those of these, ascending ones: one statement can change them all."""
    found = tx.one(
        "SELECT count(*) FROM message WHERE account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ?",
        tx.account_id,
        mailbox_id,
        rows[0][0],
        rows[-1][0],
    )
    return found is not None and found[0] == len(rows)


def _ranges(tx: Tx, mailbox_id: int, rows: Sequence[LiveRow]) -> list[tuple[int, int]]:
    """UIDs of live messages as few ranges that hold no others."""
    if _are_neighbours(tx, mailbox_id, rows):
        return [(rows[0][0], rows[-1][0])]
    return [(row[0], row[0]) for row in rows]


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What STORE did: UIDs of the messages that are there, ascending, those refused by UNCHANGEDSINCE, former modseqs
    of all of them, and the new modseq if any changed."""

    found: list[int]
    refused: list[int]
    before: list[tuple[int, int]]
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
    rows = _live(tx, mailbox_id, uids)
    refused = [row[0] for row in rows if unchanged_since is not None and row[3] > unchanged_since]
    skipped = set(refused)
    changed: list[tuple[LiveRow, int, str]] = []
    for row in rows:
        old, words = row[1:3]
        new, new_words = _changed(old, words, mode, flags, keywords)
        if (new, new_words) != (old, words) and row[0] not in skipped:
            changed.append((row, new, new_words))
    if changed:
        _save_flags(tx, mailbox_id, changed)
        if mode != "-":
            _add_keywords(tx, mailbox, keywords)
    before = [(row[0], row[3]) for row in rows]
    return StoreResult([row[0] for row in rows], refused, before, tx.made_modseq if changed else None)


def _save_flags(tx: Tx, mailbox_id: int, changed: list[tuple[LiveRow, int, str]]) -> None:
    modseq = tx.next_modseq()
    update = (
        "UPDATE message_hot SET flags = ?, keywords = ?, modseq = ? "
        "WHERE account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ? AND expunged = 0"
    )
    if len({(flags, words) for _, flags, words in changed}) == 1:
        _, flags, words = changed[0]
        ranges = _ranges(tx, mailbox_id, [row for row, _, _ in changed])
        tx.many(update, [(flags, words, modseq, tx.account_id, mailbox_id, low, high) for low, high in ranges])
    else:
        tx.many(
            update,
            [(flags, words, modseq, tx.account_id, mailbox_id, row[0], row[0]) for row, flags, words in changed],
        )
    _recount(tx, mailbox_id, ((r[1], r[4]) for r, _, _ in changed), ((flags, r[4]) for r, flags, _ in changed))
    marked = [(r, flags) for r, flags, _ in changed if (r[1] ^ flags) & JUNK_FLAGS]
    reputation.mark(tx, [(r[7], r[1], flags) for r, flags in marked])
    training.follow(tx, [(r[7], r[8], training.wanted(flags)) for r, flags in marked])


def _changed(old: int, words: str, mode: str, flags: int, keywords: frozenset[str]) -> tuple[int, str]:
    if mode == "+":
        return old | flags, " ".join(sorted({*words.split(), *keywords})) if keywords else words
    if mode == "-":
        return old & ~flags, " ".join(sorted(set(words.split()) - keywords)) if keywords else words
    return flags, " ".join(sorted(keywords))


def expunge(tx: Tx, mailbox_id: int, uids: Sequence[int] | None, below: int, only_deleted: bool = True) -> list[int]:
    """Expunge messages with a UID under `below`, of `uids` unless None; the UIDs, ascending."""
    get(tx, mailbox_id)
    gone = [r for r in _live(tx, mailbox_id, uids) if r[0] < below and (not only_deleted or r[1] & _DELETED)]
    if not gone:
        return []
    modseq = tx.next_modseq()
    _recount(tx, mailbox_id, ((r[1], r[4]) for r in gone))
    _remove(tx, mailbox_id, gone, modseq)
    return [r[0] for r in gone]


def _remove(tx: Tx, mailbox_id: int, gone: Sequence[LiveRow], modseq: int) -> None:
    """All about expunging but the counts."""
    reputation.forget(tx, [(r[7], r[1]) for r in gone])
    recipients.remove(tx, [r[7] for r in gone])
    _tombstones(tx, mailbox_id, gone, modseq)
    training.follow(tx, [(r[7], r[8], training.NOTHING) for r in gone])
    tx.many("INSERT INTO message_erase VALUES (?, ?, ?, ?)", [(tx.account_id, modseq, r[7], r[4]) for r in gone])


def remove(tx: Tx, mailbox_id: int, spans: Sequence[tuple[int, int]], modseq: int) -> None:
    """Expunge the messages in ranges of UIDs; they are counted as gone already."""
    _remove(tx, mailbox_id, _in_ranges(tx, mailbox_id, spans), modseq)


def uncount(tx: Tx, mailbox_id: int, totals: Totals) -> None:
    """Messages with these totals are gone from a mailbox."""
    _change_counts(tx, mailbox_id, [-count for count in totals.counts])


def expunge_mailbox(tx: Tx, mailbox_id: int) -> None:
    """Expunge all messages of a mailbox that is about to go. Raises NoSuchMailbox."""
    expunge(tx, mailbox_id, None, MAX_UID + 1, only_deleted=False)


def _tombstones(tx: Tx, mailbox_id: int, rows: Sequence[LiveRow], modseq: int) -> None:
    """The rows are no messages of the mailbox any more."""
    tx.many(
        "UPDATE message_hot SET expunged = 1, modseq = ? "
        "WHERE account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ? AND expunged = 0",
        [(modseq, tx.account_id, mailbox_id, low, high) for low, high in _ranges(tx, mailbox_id, rows)],
    )


@dataclass(frozen=True, slots=True)
class Copied:
    """Both sides ascending."""

    uidvalidity: int
    source: list[int]
    target: list[int]
    modseq: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """What copies get: modseq, the first of their UIDs and of their message ids, and the save date."""

    modseq: int
    uid: int
    message_id: int
    save_ms: int


def reserve(
    tx: Tx, target: Mailbox, totals: Totals, keywords: Iterable[str], save_ms: int, quota: int | None = None
) -> Reserved:
    """Count copies of messages with these totals in their new mailbox, before they are inserted. Raises OverQuota,
    NoUidsLeft."""
    message_id = _reserve(tx, totals.messages, totals.octets, quota)
    uid = _take_in(tx, target, totals, keywords)
    return Reserved(tx.next_modseq(), uid, message_id, save_ms)


def copy(
    tx: Tx, mailbox_id: int, uids: Sequence[int], target_id: int, save_ms: int, quota: int | None = None
) -> Copied:
    """Copy messages; bytes are shared. Raises NoSuchMailbox, OverQuota, NoUidsLeft."""
    source, target = get(tx, mailbox_id), get(tx, target_id)
    rows = _live(tx, mailbox_id, uids)
    if not rows:
        return Copied(target.uidvalidity, [], [], 0)
    totals, keywords = _totals((r[1], r[4]) for r in rows), {k for r in rows for k in r[2].split()}
    place = reserve(tx, target, totals, keywords, save_ms, quota)
    _insert_copies(tx, source, target, rows, place)
    return _copied(target, rows, place)


def insert_copies(tx: Tx, mailbox_id: int, spans: Sequence[tuple[int, int]], target_id: int, place: Reserved) -> None:
    """Insert copies of the messages in ranges of UIDs; they are counted already."""
    rows = _in_ranges(tx, mailbox_id, spans)
    _insert_copies(tx, get(tx, mailbox_id), get(tx, target_id), rows, place)


def _insert_copies(tx: Tx, source: Mailbox, target: Mailbox, rows: Sequence[LiveRow], place: Reserved) -> None:
    first = place.message_id
    pairs = [(first + i, tx.account_id, r[7]) for i, r in enumerate(rows)]
    if _are_neighbours(tx, source.id, rows):
        tx.run(
            f"INSERT INTO message_cold (account_id, message_id, {_COLD}) "
            f"SELECT account_id, ? + row_number() OVER (ORDER BY uid) - 1, {_COLD} FROM (SELECT h.uid, c.* "
            "FROM message_hot h JOIN message_cold c ON c.account_id = h.account_id AND c.message_id = h.message_id "
            "WHERE h.account_id = ? AND h.mailbox_id = ? AND h.uid BETWEEN ? AND ? AND h.expunged = 0) AS live",
            first,
            tx.account_id,
            source.id,
            rows[0][0],
            rows[-1][0],
        )
    else:
        tx.many(
            f"INSERT INTO message_cold (account_id, message_id, {_COLD}) "
            f"SELECT account_id, ?, {_COLD} FROM message_cold WHERE account_id = ? AND message_id = ?",
            pairs,
        )
    tx.run(
        "UPDATE blob SET refs = refs + added.number FROM (SELECT blob_id, count(*) AS number FROM message_cold "
        "WHERE account_id = ?1 AND message_id BETWEEN ?2 AND ?3 GROUP BY blob_id) AS added "
        "WHERE blob.account_id = ?1 AND blob.blob_id = added.blob_id",
        tx.account_id,
        first,
        first + len(rows) - 1,
    )
    recipients.copy(tx, [(new, old) for new, _, old in pairs])
    threads.copied(tx, [(new, old) for new, _, old in pairs])
    copies = [(*r[:7], first + i, training.NOTHING, r[9]) for i, r in enumerate(rows)]
    flags = _arriving_flags(tx, source, target, copies, keep_seen=True)
    _insert_hot(tx, target.id, copies, flags, place)


def move(tx: Tx, mailbox_id: int, uids: Sequence[int], target_id: int, save_ms: int) -> Copied:
    """Move messages; they keep their ids. Raises NoSuchMailbox, NoUidsLeft."""
    source, target = get(tx, mailbox_id), get(tx, target_id)
    rows = _live(tx, mailbox_id, uids)
    if not rows:
        return Copied(target.uidvalidity, [], [], 0)
    reputation.forget(tx, [(r[7], r[1]) for r in rows])
    _recount(tx, mailbox_id, ((r[1], r[4]) for r in rows))
    _tombstones(tx, mailbox_id, rows, tx.next_modseq())
    flags = _arriving_flags(tx, source, target, rows, keep_seen=False)
    totals = _totals((f, r[4]) for f, r in zip(flags, rows, strict=True))
    uid = _take_in(tx, target, totals, {k for r in rows for k in r[2].split()})
    place = Reserved(tx.next_modseq(), uid, 0, save_ms)
    _insert_hot(tx, target.id, rows, flags, place)
    return _copied(target, rows, place)


def _copied(target: Mailbox, rows: Sequence[LiveRow], place: Reserved) -> Copied:
    uids = list(range(place.uid, place.uid + len(rows)))
    return Copied(target.uidvalidity, [r[0] for r in rows], uids, place.modseq)


def _insert_hot(tx: Tx, mailbox_id: int, rows: Sequence[LiveRow], flags: Sequence[int], place: Reserved) -> None:
    """Insert the hot rows of messages whose other records are there; no reputation counts for them yet."""
    seq, save_ms = place.modseq, place.save_ms
    tx.many(
        _INSERT_HOT,
        [
            (tx.account_id, mailbox_id, uid, r[7], flag, r[2], seq, seq, r[4], r[5], save_ms, r[8], r[9])
            for uid, flag, r in zip(range(place.uid, place.uid + len(rows)), flags, rows, strict=True)
        ],
    )
    reputation.mark(tx, [(r[7], 0, f) for f, r in zip(flags, rows, strict=True)])
    training.follow(tx, [(r[7], r[8], training.wanted(f)) for f, r in zip(flags, rows, strict=True)])


def _arriving_flags(tx: Tx, source: Mailbox, target: Mailbox, rows: Sequence[LiveRow], keep_seen: bool) -> list[int]:
    """Flags of messages in their new mailbox. A message that leaves Rejects or the introbox counts for the mailbox it
    was meant for from now on."""
    flags = [tx.policy.junk_flags(target.name, target.special_use, r[1]) for r in rows]
    ids = [r[7] for r in rows]
    destined = {
        message_id: (bool(is_reject), mailbox_id)
        for message_id, is_reject, mailbox_id in tx.run(
            "SELECT message_id, is_reject, mailbox_destined_id FROM message_cold WHERE account_id = ? "
            "AND mailbox_destined_id <> 0 AND message_id BETWEEN ? AND ?",
            tx.account_id,
            min(ids),
            max(ids),
        )
    }
    for i, message_id in enumerate(ids):
        is_reject, mailbox_id = destined.get(message_id, (False, 0))
        if is_reject:
            flags[i] &= ~0 if keep_seen else ~int(Flag.SEEN)
        elif not mailbox_id or not tx.policy.introbox or source.name != tx.policy.introbox:
            continue
        elif mailbox_id == target.id and not flags[i] & JUNK_FLAGS:
            flags[i] |= Flag.NOTJUNK
        elif mailbox_id != target.id and not flags[i] & JUNK_FLAGS:
            continue
        tx.run(
            "UPDATE message_cold SET mailbox_orig_id = mailbox_destined_id, is_reject = 0, mailbox_destined_id = ? "
            "WHERE account_id = ? AND message_id = ?",
            mailbox_id if is_reject else 0,
            tx.account_id,
            message_id,
        )
    return flags


def next_id(tx: Tx) -> int:
    """The id of the next message."""
    row = tx.one("SELECT next_message_id FROM sync_state WHERE account_id = ?", tx.account_id)
    return 0 if row is None else int(row[0])


def hot_rows(tx: Tx, mailbox_id: int) -> list[HotRow]:
    """All live rows of a mailbox, ascending."""
    sql = f"SELECT {INDEXED} FROM message WHERE account_id = ? AND mailbox_id = ? ORDER BY uid"
    return tx.run(sql, tx.account_id, mailbox_id)


def changed_rows(tx: Tx, modseq: int) -> list[tuple[Any, ...]]:
    """(mailbox_id, create_seq, expunged, *hot row) of the account's messages changed after `modseq`, in order."""
    columns = ", ".join(f"h.{name}" for name in INDEXED.split(", "))
    sql = (
        f"SELECT h.mailbox_id, h.create_seq, h.expunged, {columns} FROM mailbox_all m JOIN message_hot h "
        "ON h.account_id = m.account_id AND h.mailbox_id = m.id "
        "WHERE m.account_id = ? AND m.modseq > ?2 AND h.modseq > ?2 ORDER BY h.modseq, h.mailbox_id, h.uid"
    )
    return tx.run(sql, tx.account_id, modseq)


def cold_rows(tx: Tx, mailbox_id: int, uids: Sequence[int], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """(uid, column, …) of messages, also expunged ones that are not erased, ascending by UID."""
    if not uids:
        return []
    wanted = set(uids)
    names = ", ".join(f"c.{name}" for name in columns)
    sql = (
        f"SELECT h.uid, {names} FROM message_hot h JOIN message_cold c USING (account_id, message_id) "
        "WHERE h.account_id = ? AND h.mailbox_id = ? AND h.uid BETWEEN ? AND ? ORDER BY h.uid"
    )
    rows = [row for span in _spans(wanted) for row in tx.run(sql, tx.account_id, mailbox_id, *span)]
    return [row for row in rows if row[0] in wanted]
