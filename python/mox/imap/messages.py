"""STORE, COPY, MOVE, EXPUNGE (RFC 9051 §6.4.3 to §6.4.9, RFC 7162 §3.1.3, RFC 6851)."""

from mox._rust import Command, format_set
from mox.imap.errors import BadError, NoError, store_errors
from mox.imap.mailboxes import checked
from mox.imap.session import Session
from mox.store import deferred, mailboxes, messages
from mox.store.engine import Tx
from mox.store.reader import News
from mox.store.types import parse_flags


def writable(session: Session) -> None:
    """Raises NoError."""
    if session.read_only:
        raise NoError("mailbox is open read-only")


async def store(session: Session, command: Command) -> str:
    """Also UID STORE."""
    sequence, unchanged_since, mode, silent, names = command.args
    is_uid = command.name.startswith("UID")
    mailbox, index = session.selected()
    if unchanged_since is not None:
        session.enable_condstore()
    uids = session.uids(sequence, is_uid)
    writable(session)
    flags, keywords = parse_flags(names)
    if any("]" in word for word in keywords):
        raise BadError("keyword with ]")
    with store_errors():
        result = await _set_flags(session, mailbox.id, uids, (mode, flags, keywords), unchanged_since)
    refused = set(result.refused)
    full = result.found
    if silent:
        full = [uid for uid, modseq in result.before if uid in refused or _is_news(session, modseq)]
    session.write(index.render_flags(session.view, full, session.flag_items(), session.uid_only))
    if silent and session.condstore:
        told = set(full)
        rest = [uid for uid in result.found if uid not in told]
        session.write(index.render_flags(session.view, rest, ["MODSEQ"], session.uid_only))
    if not refused:
        return ""
    numbers = sorted(refused) if is_uid else session.view.seqs(sorted(refused))
    return f"[MODIFIED {format_set(numbers)}] conditional store did not modify all"


async def _set_flags(
    session: Session, mailbox_id: int, uids: list[int], edit: tuple[str, int, frozenset[str]], since: int | None
) -> messages.StoreResult:
    """Deferred where that is possible (`mox.store.deferred`)."""
    mode, flags, keywords = edit
    account = session.opened()
    if len(uids) >= deferred.MANY and since is None and not keywords:
        assert session.changes is not None
        told = session.changes.position
        done = await account.defer(
            mailbox_id, lambda tx, index: deferred.change_flags(tx, mailbox_id, index, uids, mode, flags, told)
        )
        if done is not None:
            if done.change is not None:
                await session.took_part(News(done.change.modseq, boxes=[done.mailbox], flagged=[done.change]))
            return messages.StoreResult(session.existing(uids), [], done.before, None)
    result = await account.write(lambda tx: messages.set_flags(tx, mailbox_id, uids, mode, flags, keywords, since))
    await session.own(result.modseq)
    return result


def _is_news(session: Session, modseq: int) -> bool:
    """The message was changed before by others and the client has not heard of it: .SILENT must not hide that."""
    assert session.changes is not None
    return modseq > session.changes.position and not session.changes.is_own(modseq)


async def copy(session: Session, command: Command) -> str:
    """Also UID COPY."""
    sequence, name = command.args
    mailbox, _ = session.selected()
    uids = session.uids(sequence, command.name.startswith("UID"))
    target_name = checked(name)
    with store_errors():
        done = await _copy(session, mailbox.id, uids, target_name)
    if not done.source:
        raise NoError("no matching messages to copy")
    return f"{_copied(done)} copied"


async def _copy(session: Session, mailbox_id: int, uids: list[int], name: str) -> messages.Copied:
    """Deferred where that is possible."""
    account, now = session.opened(), session.ctx.now_ms()
    if len(uids) >= deferred.MANY:
        made = await account.defer(
            mailbox_id,
            lambda tx, index: deferred.copy(tx, mailbox_id, index, uids, _target(tx, mailbox_id, name), now),
        )
        if made is not None:
            added = made.copy.added
            await session.took_part(News(made.copy.modseq, boxes=[made.target], added=[added]))
            source = session.existing(uids)
            return messages.Copied(made.target.uidvalidity, source, list(added.uids), made.copy.modseq)
    done = await account.write(lambda tx: messages.copy(tx, mailbox_id, uids, _target(tx, mailbox_id, name), now))
    await session.own(done.modseq)
    return done


async def move(session: Session, command: Command) -> str:
    """Also UID MOVE."""
    sequence, name = command.args
    mailbox, _ = session.selected()
    uids = session.uids(sequence, command.name.startswith("UID"))
    writable(session)
    target_name, now = checked(name), session.ctx.now_ms()
    with store_errors():
        done = await session.opened().write(
            lambda tx: messages.move(tx, mailbox.id, uids, _target(tx, mailbox.id, target_name), now)
        )
    if not done.source:
        raise NoError("no matching messages to move")
    await session.own(done.modseq)
    session.untagged(f"OK {_copied(done)} moved")
    session.write(session.view.expunge(done.source, session.vanishes))
    return f"[HIGHESTMODSEQ {done.modseq}] move" if "QRESYNC" in session.enabled else ""


def _target(tx: Tx, source_id: int, name: str) -> int:
    """Id of the mailbox that messages go to. Raises NoError."""
    mailboxes.get(tx, source_id)
    target = mailboxes.find(tx, name)
    if target is None:
        raise NoError("no such mailbox", "TRYCREATE")
    if target.id == source_id:
        raise NoError("messages are already in this mailbox")
    return target.id


def _copied(done: messages.Copied) -> str:
    return f"[COPYUID {done.uidvalidity} {format_set(done.source)} {format_set(done.target)}]"


async def expunge(session: Session, command: Command) -> str:
    """Also UID EXPUNGE."""
    mailbox, _ = session.selected()
    writable(session)
    uids = session.uids(command.args[0], True) if command.args else None
    with store_errors():
        gone, modseq = await _expunge(session, mailbox.id, uids)
    session.write(session.view.expunge(gone, session.vanishes))
    if session.condstore:
        return f"[HIGHESTMODSEQ {modseq or session.highest_modseq()}] expunged"
    return ""


async def _expunge(session: Session, mailbox_id: int, uids: list[int] | None) -> tuple[list[int], int | None]:
    """UIDs that went, of `uids` unless None, and the modseq; deferred where that is possible."""
    account, below = session.opened(), session.uidnext
    seen = session.view.uids() if uids is None else uids
    if len(seen) >= deferred.MANY:
        done = await account.defer(mailbox_id, lambda tx, index: deferred.expunge(tx, mailbox_id, index, seen))
        if done is not None:
            await session.took_part(News(done.expunge.modseq, boxes=[done.mailbox], expunged=[done.expunge]))
            return done.uids, done.expunge.modseq

    def work(tx: Tx) -> tuple[list[int], int | None]:
        return messages.expunge(tx, mailbox_id, uids, below), tx.made_modseq

    gone, modseq = await account.write(work)
    await session.own(modseq)
    return gone, modseq
