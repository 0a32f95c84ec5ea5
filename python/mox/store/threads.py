"""Which messages belong together. A message is placed once, when it is added; when a parent arrives after its children,
these are hung under it then. Reading References and the base subject is the parser's work (RFC 5256 §2.1).
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from mox.store.engine import Tx

DAY_MS = 86_400_000
SUBJECT_BEFORE_MS = 28 * DAY_MS
SUBJECT_AFTER_MS = DAY_MS
# Of a long References header only the nearest say something about the place in the thread.
MAX_REFERENCES = 50
MAX_WANTED = 10


class Place(Struct, frozen=True):
    """Where a message is in its thread; thread id 0 stands for the message's own id. Parents: the closest first."""

    thread_id: int = 0
    parents: tuple[int, ...] = ()
    missing_link: bool = False
    muted: bool = False
    collapsed: bool = False
    # References nearer than the parent that was found.
    wanted: tuple[str, ...] = ()


class Entry(Struct, frozen=True):
    """What threading needs to know of a message that is about to be added."""

    message_ref: str
    subject_base: str
    is_response: bool
    is_dsn: bool
    references: Sequence[str]
    mailbox_orig_id: int
    received_ms: int


def entry(parsed: Any, mailbox_orig_id: int, received_ms: int) -> Entry:
    """Of a parsed message."""
    return Entry(
        parsed.message_id,
        parsed.subject_base,
        parsed.is_response,
        parsed.is_dsn,
        parsed.references,
        mailbox_orig_id,
        received_ms,
    )


_THREAD = "c.message_id, c.thread_id, c.thread_parents, c.thread_muted, c.thread_collapsed"
_LIVE = "EXISTS (SELECT 1 FROM message h WHERE h.account_id = c.account_id AND h.message_id = c.message_id)"


def _by_ref(tx: Tx, message_ref: str, subject_base: str | None) -> tuple[Any, ...] | None:
    """The oldest live message with the Message-ID, with this base subject unless None."""
    return tx.one(
        f"SELECT {_THREAD} FROM message_cold c WHERE c.account_id = ? AND c.message_ref = ? "
        f"AND (?3 IS NULL OR c.subject_base = ?3) AND c.thread_id <> 0 AND {_LIVE} ORDER BY c.message_id LIMIT 1",
        tx.account_id,
        message_ref,
        subject_base,
    )


def _by_subject(tx: Tx, new: Entry) -> tuple[Any, ...] | None:
    return tx.one(
        f"SELECT {_THREAD} FROM message_cold c WHERE c.account_id = ? AND c.subject_base = ? AND c.subject_base <> '' "
        "AND c.mailbox_orig_id = ? AND c.received_ms BETWEEN ? AND ? AND c.thread_id <> 0 "
        f"AND {_LIVE} ORDER BY c.received_ms DESC LIMIT 1",
        tx.account_id,
        new.subject_base,
        new.mailbox_orig_id,
        new.received_ms - SUBJECT_BEFORE_MS,
        new.received_ms + SUBJECT_AFTER_MS,
    )


def _under(parent: tuple[Any, ...], missing_link: bool, wanted: Sequence[str] = ()) -> Place:
    message_id, thread_id, parents, muted, collapsed = parent
    return Place(
        thread_id, (message_id, *map(int, parents.split())), missing_link, bool(muted), bool(collapsed), tuple(wanted)
    )


def place(tx: Tx, new: Entry) -> Place:
    """Where a new message goes."""
    if new.message_ref:
        duplicate = _by_ref(tx, new.message_ref, None)
        if duplicate is not None:
            return _under(duplicate, True)
    nearest_first = [ref for ref in reversed(new.references[-MAX_REFERENCES:]) if ref != new.message_ref]
    for distance, ref in enumerate(nearest_first):
        parent = _by_ref(tx, ref, None if new.is_dsn else new.subject_base)
        if parent is not None:
            return _under(parent, distance > 0, nearest_first[: min(distance, MAX_WANTED)])
    if nearest_first:
        return Place(missing_link=True, wanted=tuple(nearest_first[:MAX_WANTED]))
    if not new.references and new.is_response and new.subject_base:
        parent = _by_subject(tx, new)
        return Place(missing_link=True) if parent is None else _under(parent, True)
    return Place()


def placed(tx: Tx, message_id: int, where: Place, new: Entry) -> None:
    """Follow the insertion of a message: remember what it waits for, and hang those under it that waited for it."""
    if where.wanted:
        tx.many(
            "INSERT INTO thread_wanted VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [(tx.account_id, ref, message_id, distance) for distance, ref in enumerate(where.wanted)],
        )
    if not new.message_ref:
        return
    waiting = tx.run(
        "SELECT w.message_id, w.distance FROM thread_wanted w JOIN message_cold c USING (account_id, message_id) "
        f"WHERE w.account_id = ? AND w.message_ref = ? AND (c.subject_base = ? OR c.is_dsn OR ?) AND {_LIVE} "
        "ORDER BY w.message_id",
        tx.account_id,
        new.message_ref,
        new.subject_base,
        new.is_dsn,
    )
    for child, distance in waiting:
        if child != message_id:
            _hang(tx, child, message_id, distance)


def copied(tx: Tx, pairs: Sequence[tuple[int, int]]) -> None:
    """(copy, original) message ids: the copies wait for the same parents."""
    originals = [old for _, old in pairs]
    if not tx.one(
        "SELECT 1 FROM thread_wanted WHERE account_id = ? AND message_id BETWEEN ? AND ? LIMIT 1",
        tx.account_id,
        min(originals),
        max(originals),
    ):
        return
    tx.many(
        "INSERT INTO thread_wanted SELECT account_id, message_ref, ?, distance FROM thread_wanted "
        "WHERE account_id = ? AND message_id = ?",
        [(new, tx.account_id, old) for new, old in pairs],
    )


def _hang(tx: Tx, child: int, parent: int, distance: int) -> None:
    """Put `child` with all its descendants under `parent`, unless that is among them."""
    thread_id, parents = _thread(tx, parent)
    if child in parents:
        return
    old_thread, _ = _thread(tx, child)
    above = (parent, *parents)
    modseq = tx.next_modseq()
    members = tx.run(
        "SELECT message_id, thread_parents, thread_missing_link FROM message_cold "
        "WHERE account_id = ? AND thread_id = ?",
        tx.account_id,
        old_thread,
    )
    updates = []
    for message_id, text, missing in members:
        own = [int(p) for p in text.split()]
        if message_id == child:
            kept, missing = [], distance > 0
        elif child in own:
            kept = own[: own.index(child) + 1]
        else:
            continue
        ancestors = " ".join(map(str, (*kept, *above)))
        updates.append((thread_id, ancestors, missing, modseq, tx.account_id, message_id))
    tx.many(
        "UPDATE message_cold SET thread_id = ?, thread_parents = ?, thread_missing_link = ?, thread_modseq = ? "
        "WHERE account_id = ? AND message_id = ?",
        updates,
    )
    tx.run(
        "DELETE FROM thread_wanted WHERE account_id = ? AND message_id = ? AND distance >= ?",
        tx.account_id,
        child,
        distance,
    )


def _thread(tx: Tx, message_id: int) -> tuple[int, tuple[int, ...]]:
    row = tx.one(
        "SELECT thread_id, thread_parents FROM message_cold WHERE account_id = ? AND message_id = ?",
        tx.account_id,
        message_id,
    )
    assert row is not None
    return row[0], tuple(map(int, row[1].split()))


def changed_threads(tx: Tx, modseq: int) -> list[tuple[int, int, int, bool, bool]]:
    """(modseq, message_id, thread_id, muted, collapsed) of what changed after `modseq`, in order."""
    rows = tx.run(
        "SELECT thread_modseq, message_id, thread_id, thread_muted, thread_collapsed FROM message_cold "
        "WHERE account_id = ? AND thread_modseq > ? ORDER BY thread_modseq, message_id",
        tx.account_id,
        modseq,
    )
    return [(seq, message_id, thread, bool(muted), bool(shut)) for seq, message_id, thread, muted, shut in rows]


def _with_descendants(tx: Tx, message_ids: Sequence[int]) -> list[tuple[int, bool, bool]]:
    """(id, muted, collapsed) of the messages and all below them, ascending."""
    wanted = set(message_ids)
    found: dict[int, tuple[int, bool, bool]] = {}
    threads = {_thread(tx, message_id)[0] for message_id in message_ids}
    for thread_id in threads:
        for message_id, parents, muted, collapsed in tx.run(
            "SELECT message_id, thread_parents, thread_muted, thread_collapsed FROM message_cold c "
            f"WHERE account_id = ? AND thread_id = ? AND {_LIVE}",
            tx.account_id,
            thread_id,
        ):
            if message_id in wanted or wanted & set(map(int, parents.split())):
                found[message_id] = (message_id, bool(muted), bool(collapsed))
    return [found[message_id] for message_id in sorted(found)]


def _save(tx: Tx, changed: list[tuple[int, bool, bool]]) -> list[int]:
    if changed:
        modseq = tx.next_modseq()
        tx.many(
            "UPDATE message_cold SET thread_muted = ?, thread_collapsed = ?, thread_modseq = ? "
            "WHERE account_id = ? AND message_id = ?",
            [(muted, collapsed, modseq, tx.account_id, message_id) for message_id, muted, collapsed in changed],
        )
    return [message_id for message_id, _, _ in changed]


def collapse(tx: Tx, message_ids: Sequence[int], collapsed: bool) -> list[int]:
    """Collapse or expand messages with all below them; the ids that changed, ascending."""
    rows = _with_descendants(tx, message_ids)
    return _save(tx, [(m, muted, collapsed) for m, muted, was in rows if was != collapsed])


def mute(tx: Tx, message_ids: Sequence[int], muted: bool) -> list[int]:
    """Mute (and collapse) or unmute (and leave collapsed) messages with all below; the ids that changed, ascending."""
    rows = _with_descendants(tx, message_ids)
    return _save(tx, [(m, muted, c or muted) for m, was_muted, c in rows if was_muted != muted or (muted and not c)])
