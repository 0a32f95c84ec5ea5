"""SELECT and EXAMINE with QRESYNC, CHECK, CLOSE, UNSELECT (RFC 9051 §6.3.2 to §6.4.2, RFC 7162 §3.2.5)."""

from collections.abc import Sequence
from itertools import pairwise

from mox._rust import Command, SequenceSet, render_vanished
from mox.imap.errors import BadError, NoError, uid_required
from mox.imap.mailboxes import checked, mailbox_id
from mox.imap.session import FIXED_FLAGS, Session, flag_list
from mox.imap.updates import apply_changes
from mox.store import messages, sync
from mox.store.engine import Tx
from mox.store.errors import NoSuchMailbox
from mox.store.types import Mailbox

Resync = tuple[int, int, SequenceSet | None, list[int] | None, list[int] | None]


async def select(session: Session, command: Command) -> str:
    """Also EXAMINE."""
    name, condstore, resync = command.args
    if resync is not None and "QRESYNC" not in session.enabled:
        raise BadError("QRESYNC must be enabled first")
    if condstore or resync is not None:
        session.enable_condstore()
    if session.mailbox is not None:
        session.untagged("OK [CLOSED] x")
        session.unselect()
    if session.notify is not None and session.notify.until_select:
        session.notify = None
    if resync is not None:
        _check_resync(session, resync)
    mailbox = await _open(session, checked(name), command.name == "EXAMINE")
    _describe(session, mailbox)
    if resync is not None and resync[0] == mailbox.uidvalidity:
        await _resync(session, mailbox, resync)
    return "[READ-ONLY] x" if session.read_only else "[READ-WRITE] x"


async def _open(session: Session, name: str, read_only: bool) -> Mailbox:
    """Changes are taken up to the moment that the view shows, so that none of them is applied to it again."""
    account = session.opened()
    await session.catch_up()
    mailbox = account.known_by_name(name)
    if mailbox is None:
        raise NoError("no such mailbox")
    index = await account.open_index(mailbox.id)
    try:
        await apply_changes(session)
        current = account.known(mailbox.id)
        if current is None:
            raise NoError("no such mailbox")
    except BaseException:
        account.release_index(mailbox.id)
        raise
    # Nothing is awaited from taking the changes to here: counts and view are of one moment.
    session.select(current, index, read_only)
    return current


def _describe(session: Session, mailbox: Mailbox) -> None:
    assert session.index is not None
    unseen = None if session.rev2 or session.uid_only else session.index.first_unseen()
    lines = (
        f"FLAGS ({flag_list(mailbox)})",
        f"OK [PERMANENTFLAGS ({FIXED_FLAGS} \\*)] x",
        "" if session.rev2 else "0 RECENT",
        f"{len(session.view)} EXISTS",
        f"OK [UNSEEN {session.view.seq(unseen)}] x" if unseen is not None else "",
        f"OK [UIDVALIDITY {mailbox.uidvalidity}] x",
        f"OK [UIDNEXT {session.uidnext}] x",
        f'LIST () "/" {session.name(mailbox.name)}',
        f"OK [MAILBOXID ({mailbox_id(mailbox)})] x",
        f"OK [HIGHESTMODSEQ {max(1, mailbox.modseq)}] x" if session.condstore else "",
    )
    session.write("".join([f"* {line}\r\n" for line in lines if line]).encode())


# QRESYNC


def _check_resync(session: Session, resync: Resync) -> None:
    _, _, _, seqs, uids = resync
    if seqs is None or uids is None:
        return
    if session.uid_only:
        raise uid_required()
    for numbers in (seqs, uids):
        if any(a >= b for a, b in pairwise(numbers)):
            raise NoError("known message numbers and UIDs must be ascending")
    if len(seqs) != len(uids):
        raise BadError("as many message numbers as UIDs are needed")


async def _resync(session: Session, mailbox: Mailbox, resync: Resync) -> None:
    """RFC 7162 §3.2.5.1 and .2: what was removed and what changed since the client was here."""
    _, since, known, seqs, uids = resync
    since = 0 if since == 1 else since
    before, old_uid = _matched(session, seqs or [], uids or [])

    def read(tx: Tx) -> tuple[int, bool, list[tuple[int, bool, int]], int]:
        removed_at = sync.expunged_at(tx, mailbox.id, old_uid) if old_uid else None
        is_wrong = removed_at is not None and removed_at <= since
        start = removed_at - 1 if is_wrong and removed_at is not None else since
        return start, is_wrong, sync.changed_since(tx, mailbox.id, start), sync.purged_to(tx)

    since, is_wrong, rows, purged_to = await session.opened().read(read)
    if is_wrong:
        known, before = None, 0
        session.untagged(
            "OK [ALERT] Synchronization inconsistency in client detected. Client tried to sync with a UID that was "
            "removed at or after the modification sequence it sent in the request. Sending all historic message "
            "removals for selected mailbox. Full synchronization recommended."
        )
    # What changed after the view was made is pending and will be told later.
    rows = [row for row in rows if row[2] <= mailbox.modseq and row[0] < session.uidnext]
    gone = [uid for uid, expunged, _ in rows if expunged and uid >= before]
    changed = [uid for uid, expunged, _ in rows if not expunged]
    if known is not None:
        gone, changed = (known.filter(numbers, session.view.max_uid) for numbers in (gone, changed))
    if since < purged_to:
        gone += session.view.missing(known, session.uidnext)
    session.write(render_vanished(sorted(set(gone)), earlier=True))
    _, index = session.selected()
    session.write(index.render_flags(session.view, sorted(changed), ["FLAGS", "MODSEQ"], session.uid_only))


def _matched(session: Session, seqs: Sequence[int], uids: Sequence[int]) -> tuple[int, int]:
    """UID below which the client knows of all removals, and the first of its UIDs that is not in the mailbox or 0."""
    before = 0
    for seq, uid in zip(seqs, uids, strict=True):
        if session.view.uid(seq) != uid:
            return before, uid if session.view.seq(uid) is None else 0
        before = uid + 1
    return before, 0


# Leaving


async def check(session: Session, _command: Command) -> str:
    """RFC 3501 §6.4.1"""
    await session.current()
    return ""


async def unselect(session: Session, _command: Command) -> str:
    """RFC 9051 §6.4.2"""
    session.unselect()
    return ""


async def close(session: Session, _command: Command) -> str:
    """RFC 9051 §6.4.1: expunge without telling; a mailbox that was deleted can be closed."""
    mailbox, _ = session.selected()
    below = session.uidnext
    if not session.read_only:

        def expunge(tx: Tx) -> None:
            try:
                messages.expunge(tx, mailbox.id, None, below)
            except NoSuchMailbox:
                return

        await session.opened().write(expunge)
    session.unselect()
    return ""
