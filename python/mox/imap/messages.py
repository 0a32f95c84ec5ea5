"""Commands that change messages: STORE, COPY, MOVE, EXPUNGE, APPEND."""

from dataclasses import dataclass, field
from typing import Any

from mox._rust import Command, LiteralReceiver, format_set
from mox.imap.mailboxes import checked
from mox.imap.session import BadError, CloseError, NoError, Session
from mox.store import mailboxes, messages
from mox.store.account import Prepared
from mox.store.engine import Tx
from mox.store.errors import NoSuchMailbox, OverQuota, StoreError
from mox.store.types import parse_flags

LITERAL_TIMEOUT_S = 30.0
DISCARD_LIMIT = 100 << 20


def _writable(session: Session) -> None:
    if session.read_only:
        raise NoError("mailbox is open read-only")


async def store(session: Session, command: Command) -> str:
    """RFC 9051 §6.4.6, RFC 7162 §3.1.3"""
    sequence, unchanged_since, mode, silent, names = command.args
    mailbox, index = session.selected()
    uids = session.uids(sequence, command.name.startswith("UID"))
    _writable(session)
    if unchanged_since is not None:
        await session.enable_condstore()
    flags, keywords = parse_flags(names)
    if any("]" in word for word in keywords):
        raise BadError("keyword with ]")
    try:
        result = await session.opened().write(
            lambda tx: messages.set_flags(tx, mailbox.id, uids, mode, flags, keywords, unchanged_since)
        )
    except NoSuchMailbox as err:
        raise NoError(str(err), "NONEXISTENT") from err
    await session.own(result.modseq)
    refused = set(result.refused)
    condstore = "CONDSTORE" in session.enabled
    shown = [row.uid for row in result.rows if not silent or condstore or row.uid in refused]
    items = session.flag_items() if not silent or refused else ["MODSEQ"]
    session.conn.write(index.render_flags(session.view, shown, items))
    if not refused:
        return ""
    numbers = sorted(refused) if command.name.startswith("UID") else [session.view.seq(u) or 0 for u in sorted(refused)]
    return f"[MODIFIED {format_set(numbers)}] conditional store did not modify all"


async def copy(session: Session, command: Command) -> str:
    """RFC 9051 §6.4.7 and §6.4.8"""
    sequence, name = command.args
    is_move = command.name.endswith("MOVE")
    mailbox, _ = session.selected()
    uids = session.uids(sequence, command.name.startswith("UID"))
    if is_move:
        _writable(session)
    target_name, now = checked(name), session.ctx.now_ms()
    quota = session.ctx.quota(session.account_name)

    def work(tx: Tx) -> messages.Copied:
        target = mailboxes.find(tx, target_name)
        if target is None:
            raise NoError("no such mailbox", "TRYCREATE")
        if target.id == mailbox.id:
            raise NoError("messages are already in this mailbox")
        if is_move:
            return messages.move(tx, mailbox.id, uids, target.id, now)
        return messages.copy(tx, mailbox.id, uids, target.id, now, quota)

    try:
        done = await session.opened().write(work)
    except NoSuchMailbox as err:
        raise NoError(str(err), "NONEXISTENT") from err
    except OverQuota as err:
        raise NoError(str(err), "OVERQUOTA") from err
    if not done.source:
        raise NoError("no matching messages")
    await session.own(done.modseq)
    code = f"[COPYUID {done.uidvalidity} {format_set(done.source)} {format_set(done.target)}]"
    if not is_move:
        return f"{code} copied"
    session.untagged(f"OK {code} moved")
    session.conn.write(session.view.expunge(done.source))
    return ""


async def expunge(session: Session, command: Command) -> str:
    """RFC 9051 §6.4.3 and §6.4.9"""
    mailbox, _ = session.selected()
    _writable(session)
    uids = session.uids(command.args[0], True) if command.args else None
    below = session.view.max_uid + 1

    def work(tx: Tx) -> tuple[list[int], int | None]:
        return messages.expunge(tx, mailbox.id, uids, below), tx.made_modseq

    try:
        gone, modseq = await session.opened().write(work)
    except NoSuchMailbox as err:
        raise NoError(str(err), "NONEXISTENT") from err
    await session.own(modseq)
    session.conn.write(session.view.expunge(gone))
    if "CONDSTORE" in session.enabled:
        current = session.opened().known(mailbox.id) or mailbox
        return f"[HIGHESTMODSEQ {modseq or current.modseq}] expunged"
    return ""


@dataclass(slots=True)
class Append:
    """An APPEND in progress: messages whose bytes are here, or what is wrong with it."""

    mailbox: str
    prepared: list[tuple[Prepared, dict[str, Any]]] = field(default_factory=list)
    error: NoError | None = None


async def append_message(session: Session, state: Append | None, event: tuple[Any, ...]) -> Append:
    """Take one message of APPEND. Raises NoError when its literal will not come."""
    _, _tag, mailbox, flag_names, date_ms, size, sync = event
    if state is None:
        state = Append(mailbox)
        await _check_target(session, state)
    if state.error is None and size == 0:
        state.error = NoError("empty message, cancelling append")
    if state.error is not None and sync and size:
        await discard(session, state)
        session.reader.abandon()
        raise state.error
    if state.error is not None and size > DISCARD_LIMIT:
        raise CloseError("error condition and non-synchronizing literal too big")
    if sync:
        session.conn.write(b"+ \r\n")
        await session.flush()
    receiver = LiteralReceiver(str(session.ctx.store.tmp_dir), size)
    while not receiver.done:
        piece = await session.literal_piece(LITERAL_TIMEOUT_S)
        if state.error is None:
            receiver.feed(piece)
        elif (size := size - len(piece)) <= 0:
            break
    if state.error is None:
        await _prepare(session, state, receiver, flag_names, date_ms)
    return state


async def _check_target(session: Session, state: Append) -> None:
    if session.account is None:
        state.error = NoError("not allowed in this connection state")
        return
    try:
        name = checked(state.mailbox)
    except NoError as err:
        state.error = err
        return
    if await session.account.read(lambda tx: mailboxes.find(tx, name)) is None:
        state.error = NoError("no such mailbox", "TRYCREATE")
    state.mailbox = name


async def _prepare(
    session: Session, state: Append, receiver: LiteralReceiver, flag_names: list[str], date_ms: int | None
) -> None:
    flags, keywords = parse_flags(flag_names)
    facts: dict[str, Any] = {"flags": flags, "keywords": keywords}
    if date_ms is not None:
        facts["received_ms"] = date_ms
    try:
        prepared = await session.opened().prepare(receiver.finish())
    except OSError:
        state.error = NoError("cannot store the message now")
        return
    state.prepared.append((prepared, facts))


async def discard(session: Session, state: Append) -> None:
    """Remove the files of an APPEND that failed."""
    for prepared, _ in state.prepared:
        session.opened().discard(prepared)
    state.prepared.clear()


async def append_done(session: Session, state: Append) -> str:
    """All messages are here: put them into the mailbox, all or none."""
    if state.error is not None:
        await discard(session, state)
        raise state.error
    account = session.opened()
    new = [account.new_message(prepared, **facts) for prepared, facts in state.prepared]
    quota = session.ctx.quota(session.account_name)

    def work(tx: Tx) -> tuple[int, messages.Added]:
        target = mailboxes.get_by_name(tx, state.mailbox)
        return target.id, messages.add(tx, target.id, new, quota)

    try:
        mailbox_id, added = await account.write(work)
    except StoreError as err:
        await discard(session, state)
        code = "OVERQUOTA" if isinstance(err, OverQuota) else "TRYCREATE"
        raise NoError(str(err), code) from err
    if session.mailbox is not None and session.mailbox.id == mailbox_id:
        await session.own(added.modseq)
        # Messages of others that came before these must be reported first: UIDs only ascend.
        await session.apply_changes()
        session.add_own_messages(added.uids)
    elif session.changes is not None:
        session.changes.own(added.modseq)
    return f"[APPENDUID {added.uidvalidity} {format_set(added.uids)}] appended"
