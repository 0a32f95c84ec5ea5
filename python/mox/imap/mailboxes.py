"""Commands that change mailboxes: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 §6.3.4 to §6.3.8)."""

from functools import lru_cache

from mox._rust import Command
from mox.imap.errors import NoError, store_errors
from mox.imap.session import Session
from mox.store import annotations, mailboxes, messages
from mox.store.engine import Tx
from mox.store.errors import AnnotationsTooBig, BadName, MailboxExists, TooManyAnnotations
from mox.store.types import Mailbox, SpecialUse

_USES = {
    "\\archive": SpecialUse.ARCHIVE,
    "\\drafts": SpecialUse.DRAFT,
    "\\junk": SpecialUse.JUNK,
    "\\sent": SpecialUse.SENT,
    "\\trash": SpecialUse.TRASH,
}


_check = lru_cache(maxsize=4096)(mailboxes.check_name)


def checked(name: str, allow_inbox: bool = True) -> str:
    """A name as the store keeps it. Raises NoError."""
    try:
        return _check(name, allow_inbox)
    except BadName as err:
        raise NoError(str(err), "" if not allow_inbox and name.lower() == "inbox" else "CANNOT") from err


def mailbox_id(mailbox: Mailbox) -> str:
    """MAILBOXID (RFC 8474 §4): it stays with a mailbox that is renamed."""
    return f"F{mailbox.id}"


async def create(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.4, RFC 6154 §3"""
    asked, uses = command.args
    name = checked(asked.rstrip("/"), allow_inbox=False)
    use = SpecialUse(0)
    for attribute in uses:
        if attribute not in _USES:
            raise NoError(f"special use {attribute} is not supported", "USEATTR")
        use |= _USES[attribute]

    def work(tx: Tx) -> tuple[list[Mailbox], int | None]:
        return mailboxes.create(tx, name, use), tx.made_modseq

    with store_errors():
        created, modseq = await session.opened().write(work)
    await session.own(modseq)
    for mailbox in created:
        renamed = session.rev2 and asked.endswith("/") and mailbox.name == name and not name.startswith("Inbox/")
        old = f' ("OLDNAME" ({session.name(asked)}))' if renamed else ""
        session.untagged(f'LIST (\\Subscribed) "/" {session.name(mailbox.name)}{old}')
    return f"[MAILBOXID ({mailbox_id(created[-1])})] create done"


async def delete(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.5"""
    name = checked(command.args[0], allow_inbox=False)

    def work(tx: Tx) -> int | None:
        mailbox = mailboxes.get_by_name(tx, name)
        messages.expunge_mailbox(tx, mailbox.id)
        annotations.remove_all(tx, mailbox.id)
        mailboxes.mark_deleted(tx, mailbox)
        return tx.made_modseq

    with store_errors():
        await session.own(await session.opened().write(work))
    return ""


async def rename(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.6"""
    old, new = checked(command.args[0]), checked(command.args[1], allow_inbox=False)
    if old == "Inbox":
        await _rename_inbox(session, new)
        return ""

    def work(tx: Tx) -> int | None:
        mailboxes.rename(tx, old, new)
        return tx.made_modseq

    with store_errors():
        await session.own(await session.opened().write(work))
    return ""


async def _rename_inbox(session: Session, new: str) -> None:
    """Inbox stays, its messages and annotations go to a new mailbox. The session is told like all others: it may have
    Inbox selected."""

    def work(tx: Tx) -> None:
        source = mailboxes.get_by_name(tx, "Inbox")
        if mailboxes.find(tx, new) is not None:
            raise MailboxExists("mailbox already exists")
        target = mailboxes.ensure(tx, new, False)[-1]
        uids = [row[0] for row in messages.hot_rows(tx, source.id)]
        messages.move(tx, source.id, uids, target.id, session.ctx.now_ms())
        annotations.copy_all(tx, source.id, target.id)

    with store_errors():
        try:
            await session.opened().write(work)
        except TooManyAnnotations as err:
            raise NoError(str(err), "METADATA TOOMANY") from err
        except AnnotationsTooBig as err:
            raise NoError(str(err), f"METADATA MAXSIZE {annotations.MAX_OCTETS}") from err


async def subscribe(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.7"""
    name = checked(command.args[0])

    def work(tx: Tx) -> int | None:
        mailboxes.subscribe(tx, name)
        return tx.made_modseq

    await session.own(await session.opened().write(work))
    return ""


async def unsubscribe(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.8"""
    name = checked(command.args[0])

    def work(tx: Tx) -> int | None:
        mailboxes.unsubscribe(tx, name)
        return tx.made_modseq

    with store_errors(missing=""):
        await session.own(await session.opened().write(work))
    return ""
