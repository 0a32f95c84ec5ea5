"""FETCH (RFC 9051 §6.4.5, RFC 7162 §3.1.4 and §3.2.6, RFC 9394 §3.3, RFC 9586).

Hot items come from the mailbox index, others from the database and the message files: one read of rows and one call
into Rust for each batch. Nothing of a batch is held in Python but the bytes to send.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from mox._rust import Command, FetchPlan, SequenceSet, render_vanished
from mox.imap.errors import BadError, NoError
from mox.imap.session import Session
from mox.store import messages, sync
from mox.store.engine import Tx
from mox.store.types import Flag

# With files less, so that the first answers are not late.
ROWS_BATCH = 2_000
BATCH_MESSAGES = 500
BATCH_BYTES = 4 << 20
HOT_BATCH = 5_000
_LAST = ("FLAGS", "MODSEQ")

Item = tuple[Any, ...]


def _ordered(items: Sequence[Item]) -> list[Item]:
    """Each item once; FLAGS and MODSEQ at the end, so that what a FETCH changes itself stands there."""
    unique = list(dict.fromkeys(_key(item) for item in items))
    first = {_key(item): item for item in items}
    ordered = [first[key] for key in unique]
    return [i for i in ordered if i[0] not in _LAST] + [i for name in _LAST for i in ordered if i[0] == name]


def _key(item: Item) -> str:
    return str(item[1]) if len(item) > 1 else str(item[0])


def _sets_seen(items: Sequence[Item]) -> bool:
    return any(i[0] in ("RFC822", "RFC822.TEXT") or (i[0] in ("BODY[]", "BINARY[]") and not i[2]) for i in items)


async def fetch(session: Session, command: Command) -> str:
    """Also UID FETCH."""
    sequence, items, since, vanished, partial = command.args
    is_uid = command.name.startswith("UID")
    mailbox, index = session.selected()
    _check_modifiers(session, is_uid, vanished, partial is not None)
    if since is not None or ("MODSEQ",) in items:
        session.enable_condstore()
    await session.current()
    uids = session.uids(sequence, is_uid, clamp=bool(since))
    if vanished:
        await _vanished(session, sequence, since)
    if since:
        uids = index.newer(uids, since)
    if partial is not None:
        uids = cut(uids, partial)
    if since:
        # What changed first comes first: a client that is cut off knows up to where it has everything.
        uids = [uid for uid, _ in sorted(index.modseqs(uids, since), key=lambda row: (row[1], row[0]))]
    if since is not None or (is_uid and "QRESYNC" in session.enabled):
        items = [*items, ("MODSEQ",)]
    unseen: list[int] = []
    if _sets_seen(items) and not session.read_only:
        unseen = index.without_flag(uids, int(Flag.SEEN))
        items = [*items, ("FLAGS",)] if unseen else items
    problems = await render(session, uids, items)
    if problems:
        code = "UNKNOWN-CTE" if problems == {"unknown encoding"} else ""
        raise NoError(f"processing fetch attribute: {', '.join(sorted(problems))}", code)
    if unseen:
        await session.opened().write(lambda tx: _mark_seen(tx, mailbox.id, unseen))
        await session.opened().sync()
    gone = index.removed(uids)
    return "[EXPUNGEISSUED] at least one message was expunged" if gone else ""


def _check_modifiers(session: Session, is_uid: bool, vanished: bool, partial: bool) -> None:
    if vanished and not (is_uid and "QRESYNC" in session.enabled):
        raise BadError("VANISHED is for UID FETCH after ENABLE QRESYNC")
    if partial and not is_uid:
        raise BadError("PARTIAL is for UID FETCH")


def cut(uids: list[int], partial: tuple[str, int, int]) -> list[int]:
    """The part of a result that a `partial-range` names (RFC 9394 §4)."""
    _, first, last = partial
    if first > 0:
        return uids[first - 1 : last]
    return uids[max(0, len(uids) + last) : len(uids) + first + 1]


def _mark_seen(tx: Tx, mailbox_id: int, uids: list[int]) -> None:
    # Everybody is told of it, this session at its next chance: it did not ask for this change.
    messages.set_flags(tx, mailbox_id, uids, "+", int(Flag.SEEN), frozenset())


async def _vanished(session: Session, wanted: SequenceSet, since: int) -> None:
    """VANISHED (EARLIER) for what was removed since; before any FETCH response (RFC 7162 §3.2.6)."""
    mailbox, _ = session.selected()
    rows, purged_to = await session.opened().read(
        lambda tx: (sync.changed_since(tx, mailbox.id, since), sync.purged_to(tx))
    )
    gone = [uid for uid, expunged, _ in rows if expunged and uid < session.uidnext]
    if wanted.is_saved:
        saved = set(session.saved or [])
        gone = [uid for uid in gone if uid in saved]
    else:
        gone = wanted.filter(gone, session.view.max_uid)
        if since < purged_to:
            gone += session.view.missing(wanted, session.uidnext)
    session.write(render_vanished(sorted(set(gone)), earlier=True))


async def render(session: Session, uids: list[int], items: Sequence[Item]) -> set[str]:
    """FETCH responses of messages of the view, sent as they are made; what could not be fetched of some of them."""
    _, index = session.selected()
    plan = FetchPlan(_ordered(items))
    if plan.hot:
        for start in range(0, len(uids), HOT_BATCH):
            part = uids[start : start + HOT_BATCH]
            session.write(plan.render_hot(index, session.view, part, session.uid_only))
            await session.flush_full()
        return set()
    problems: set[str] = set()
    for batch in _batches(session, uids, plan.reads_files):
        data, failures = await session.opened().read(lambda tx, batch=batch: _batch(session, tx, batch, plan))  # type: ignore[misc]
        problems |= {text for _, text in failures}
        session.write(data)
        await session.flush_full()
    return problems


def _batches(session: Session, uids: list[int], reads_files: bool) -> Iterator[list[int]]:
    """Bounded by messages, and by octets where files are read."""
    if not reads_files:
        for start in range(0, len(uids), ROWS_BATCH):
            yield uids[start : start + ROWS_BATCH]
        return
    _, index = session.selected()
    batch: list[int] = []
    octets = 0
    for uid, size in zip(uids, index.sizes(uids), strict=True):
        if batch and (len(batch) >= BATCH_MESSAGES or octets + size > BATCH_BYTES):
            yield batch
            batch, octets = [], 0
        batch.append(uid)
        octets += size
    if batch:
        yield batch


def _batch(session: Session, tx: Tx, uids: list[int], plan: FetchPlan) -> tuple[bytes, list[tuple[int, str]]]:
    """Responses of a batch, and what had to be left out. Runs in a thread."""
    mailbox, index = session.selected()
    rows = messages.cold_rows(tx, mailbox.id, uids, plan.columns)
    if any(first > second for first, second in pairwise(uids)):
        by_uid = {row[0]: row for row in rows}
        rows = [by_uid[uid] for uid in uids if uid in by_uid]
    paths = paths_of(session, rows, plan.columns)
    return plan.render(index, session.view, rows, paths, session.uid_only, session.utf8)


def paths_of(session: Session, rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> list[str]:
    """Files of rows of (uid, *columns); nothing where no file can be needed."""
    if "blob_id" not in columns:
        return []
    at = columns.index("blob_id") + 1
    path = session.opened().blob_path
    return [path(row[at]) for row in rows]


async def notify_fetch(session: Session, uids: list[int], items: Sequence[Item]) -> None:
    """What NOTIFY's MessageNew asked for of new messages (RFC 5465 §5.3); it never sets \\Seen."""
    if session.condstore:
        items = [*items, ("MODSEQ",)]
    problems = await render(session, uids, items)
    if problems:
        session.untagged(f"NO generating notify fetch response: {', '.join(sorted(problems))}")
