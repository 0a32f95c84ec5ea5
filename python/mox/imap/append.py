"""APPEND and REPLACE (RFC 9051 §6.3.12, RFC 3502, RFC 8508): commands whose messages are taken as they arrive.

Whatever is wrong, a literal that was announced without waiting is read to its end, so that no octet of a message is
ever taken for a command.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from mox import log
from mox._rust import LiteralReceiver, MessageLiteral, format_set
from mox.imap.errors import BadError, CloseError, NoError, store_errors
from mox.imap.mailboxes import checked
from mox.imap.messages import writable
from mox.imap.session import Session
from mox.imap.updates import apply_changes
from mox.store import mailboxes, messages, sync
from mox.store.account import Account, Prepared, Writing
from mox.store.engine import Tx
from mox.store.types import parse_flags

LITERAL_TIMEOUT_S = 30.0
# Messages of a command whose files are written while the next one arrives.
MAX_PREPARING = 16
DISCARD_BYTES = 1_000_000
# Of APPEND; what cannot be used is read only up to here.
DISCARD_APPEND_BYTES = 100 << 20


_logger = log.get("imapserver")


@dataclass(slots=True)
class Incoming:
    """A command in progress: messages whose bytes are here, or what is wrong with it."""

    name: str
    mailbox: str
    # The file of the first message is written within the transaction, if it is small; the others are written before.
    preparing: list[tuple[Writing | asyncio.Task[Prepared], dict[str, Any]]] = field(default_factory=list)
    octets: int = 0
    error: NoError | None = None
    # The message that REPLACE removes.
    old_uid: int = 0


def is_allowed(session: Session, name: str) -> bool:
    """The command fits the state of the connection."""
    return session.account is not None and (name == "APPEND" or session.mailbox is not None)


async def take_message(session: Session, state: Incoming | None, literal: MessageLiteral) -> Incoming:
    """Take one message. Raises NoError when its literal will not come, CloseError when it is too long to skip."""
    if state is None:
        state = Incoming(literal.name, literal.mailbox)
        await _check(session, state, literal)
    state.octets += literal.size
    if state.error is None:
        await _check_quota(session, state)
    if state.error is None and literal.size == 0:
        state.error = NoError("empty message, cancelling append")
    if state.error is not None and literal.sync and literal.size:
        await discard(session, state)
        session.reader.abandon()
        raise state.error
    if literal.sync:
        session.write(b"+ \r\n")
    if state.error is not None:
        await _skip(session, state, literal.size)
    else:
        await _receive(session, state, literal)
    return state


async def _check(session: Session, state: Incoming, literal: MessageLiteral) -> None:
    """Everything that can be known before the message is here."""
    try:
        if not is_allowed(session, literal.name):
            raise NoError("not allowed in this connection state")
        if literal.replaced is not None:
            writable(session)
            state.old_uid = _old_uid(session, literal)
        state.mailbox = checked(literal.mailbox)
    except NoError as err:
        state.error = err
        return
    account = session.opened()
    # One that has gone since is found missing by the commit.
    if account.known_by_name(state.mailbox) is not None:
        return
    if await account.read(lambda tx: mailboxes.find(tx, state.mailbox)) is None:
        state.error = NoError("no such mailbox", "TRYCREATE")


def _old_uid(session: Session, literal: MessageLiteral) -> int:
    """RFC 8508 §3. Raises NoError."""
    assert literal.replaced is not None
    is_uid = literal.name.startswith("UID")
    if session.uid_only and not is_uid:
        raise BadError("cannot use message sequence numbers with uidonly", "UIDREQUIRED")
    if literal.replaced.is_star and not len(session.view):
        raise BadError("mailbox is empty")
    found = session.uids(literal.replaced, is_uid, clamp=True)
    if not found:
        raise NoError("no such message" if is_uid else "invalid msgseq")
    return found[0]


async def _check_quota(session: Session, state: Incoming) -> None:
    account = session.opened()
    if not account.quota:
        return
    used, limit = await account.read(sync.disk_usage)
    if 0 < limit < used + state.octets:
        state.error = NoError(f"account over maximum total message size {limit}", "OVERQUOTA")


async def _skip(session: Session, state: Incoming, size: int) -> None:
    if size > (DISCARD_APPEND_BYTES if state.name == "APPEND" else DISCARD_BYTES):
        raise CloseError("[ALERT] error condition and non-synchronizing literal too big")
    while size > 0:
        size -= len(await session.literal_piece(LITERAL_TIMEOUT_S))


async def _receive(session: Session, state: Incoming, literal: MessageLiteral) -> None:
    receiver = LiteralReceiver(str(session.ctx.store.tmp_dir), literal.size)
    while not receiver.done:
        receiver.feed(await session.literal_piece(LITERAL_TIMEOUT_S))
    flags, keywords = parse_flags(literal.flags)
    facts: dict[str, Any] = {"flags": flags, "keywords": keywords}
    if literal.date is not None:
        facts["received_ms"], facts["received_zone"] = literal.date
    try:
        staged = receiver.finish()
    except OSError as err:
        state.error = _not_stored(err)
        return
    account = session.opened()
    if not state.preparing and account.is_small(staged):
        state.preparing.append((account.writing(staged), facts))
        return
    if len(state.preparing) > MAX_PREPARING:
        await _finished(state.preparing[-MAX_PREPARING][0])
    state.preparing.append((asyncio.ensure_future(account.prepare(staged)), facts))


async def _finished(message: Writing | asyncio.Task[Prepared]) -> Prepared | None:
    """When it is written; None when it is not, or not yet."""
    if isinstance(message, Writing):
        return message.prepared
    await asyncio.wait({message})
    return message.result() if message.exception() is None else None


async def discard(session: Session, state: Incoming) -> None:
    """Remove the files of a command that failed."""
    written = [await _finished(message) for message, _ in state.preparing]
    if blob_ids := [prepared.blob_id for prepared in written if prepared is not None]:
        await session.opened().discard(*blob_ids)
    state.preparing.clear()


async def _written(state: Incoming) -> None:
    """Files that are written before the transaction are there. Raises OSError."""
    for message, _ in state.preparing:
        if not isinstance(message, Writing):
            await message


def _records(account: Account, state: Incoming) -> list[messages.NewMessage]:
    """Records of the messages, in the transaction. Raises OSError."""
    return [
        account.new_message(message() if isinstance(message, Writing) else message.result(), **facts)
        for message, facts in state.preparing
    ]


def _not_stored(err: OSError) -> NoError:
    _logger.error("storing an appended message", err=str(err))
    return NoError("cannot store the message now")


@dataclass(frozen=True, slots=True)
class Stored:
    """Messages of an APPEND that are in their mailbox."""

    mailbox_id: int
    added: messages.Added


async def store(session: Session, state: Incoming, turn: asyncio.Event | None, done: asyncio.Event) -> Stored:
    """All messages of an APPEND are here: put them into the mailbox, all or none, when it is this command's `turn`;
    sets `done` as soon as the next command may have its own. Raises NoError."""
    try:
        if state.error is not None:
            raise state.error
        await _written(state)
        if turn is not None:
            await turn.wait()
        committing = asyncio.ensure_future(_commit(session, state))
        await asyncio.sleep(0)
        done.set()
        return await committing
    except OSError as err:
        await discard(session, state)
        raise _not_stored(err) from err
    except BaseException:
        await discard(session, state)
        raise
    finally:
        done.set()


async def _commit(session: Session, state: Incoming) -> Stored:
    account = session.opened()

    def work(tx: Tx) -> tuple[int, messages.Added]:
        target = mailboxes.get_by_name(tx, state.mailbox)
        return target.id, messages.add(tx, target.id, _records(account, state))

    with store_errors(missing="TRYCREATE"):
        stored = Stored(*await account.write(work))
    _is_here(session, stored)
    return stored


def _is_here(session: Session, stored: Stored) -> bool:
    """The messages came into the selected mailbox: they are told in the order of UIDs, among those of others."""
    if session.mailbox is None or session.mailbox.id != stored.mailbox_id:
        assert session.changes is not None
        session.changes.own(stored.added.modseq)
        return False
    session.own_uids |= set(stored.added.uids)
    return True


async def show(session: Session, stored: Stored) -> str:
    """The text of the answer to an APPEND, after what is to be told of its mailbox."""
    added = stored.added
    session.said_uids = added.uids
    if session.mailbox is not None and session.mailbox.id == stored.mailbox_id:
        await session.opened().sync()
    return f"[APPENDUID {added.uidvalidity} {format_set(added.uids)}] appended"


async def replace(session: Session, state: Incoming) -> str:
    """The message of a REPLACE is here. Raises NoError."""
    try:
        if state.error is not None:
            raise state.error
        return await _replace(session, state)
    except BaseException:
        await discard(session, state)
        raise


async def _replace(session: Session, state: Incoming) -> str:
    source, _ = session.selected()
    account = session.opened()

    def work(tx: Tx) -> tuple[int, messages.Added] | None:
        target = mailboxes.find(tx, state.mailbox)
        if target is None:
            raise NoError("no such mailbox", "TRYCREATE")
        if not messages.expunge(tx, source.id, [state.old_uid], session.uidnext, only_deleted=False):
            return None
        return target.id, messages.add(tx, target.id, _records(account, state))

    try:
        await _written(state)
        with store_errors():
            done = await account.write(work)
    except OSError as err:
        raise _not_stored(err) from err
    if done is None:
        await apply_changes(session)
        raise NoError("message was expunged")
    mailbox_id, added = done
    session.untagged(f"OK [APPENDUID {added.uidvalidity} {format_set(added.uids)}] ")
    if mailbox_id == source.id:
        session.own_uids |= set(added.uids)
        session.said_uids = added.uids
    # The new message and the removal of the old one are told among the changes of others, in their order.
    await session.opened().sync()
    await apply_changes(session)
    return f"[HIGHESTMODSEQ {added.modseq}] replaced"
