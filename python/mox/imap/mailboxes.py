"""Commands about mailboxes: SELECT, CREATE, DELETE, RENAME, LIST, LSUB, STATUS, NAMESPACE, SUBSCRIBE, CLOSE."""

from typing import Any

from mox._rust import Command, list_match
from mox.imap.session import FIXED_FLAGS, NoError, Session, flag_list, special_use_names
from mox.store import mailboxes, messages
from mox.store.engine import Tx
from mox.store.errors import BadName, HasChildren, MailboxExists, NoSuchMailbox
from mox.store.types import Mailbox, SpecialUse

_USES = {
    "\\archive": SpecialUse.ARCHIVE,
    "\\drafts": SpecialUse.DRAFT,
    "\\junk": SpecialUse.JUNK,
    "\\sent": SpecialUse.SENT,
    "\\trash": SpecialUse.TRASH,
}


def checked(name: str, allow_inbox: bool = True) -> str:
    """A name as the store keeps it. Raises NoError."""
    try:
        return mailboxes.check_name(name, allow_inbox)
    except BadName as err:
        raise NoError(str(err), "CANNOT") from err


async def select(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.2 and §6.3.3"""
    name, params = command.args
    if params:
        await session.enable_condstore()
    if session.mailbox is not None:
        session.untagged("OK [CLOSED] x")
        session.unselect()
    name = checked(name)
    account = session.opened()
    try:
        mailbox = await account.read(lambda tx: mailboxes.get_by_name(tx, name))
    except NoSuchMailbox as err:
        raise NoError(str(err), "NONEXISTENT") from err
    session.index = await account.open_index(mailbox.id)
    await account.sync()
    await session.apply_changes()
    # Counts and view must be of one moment: nothing is awaited between them.
    mailbox = account.known(mailbox.id) or mailbox
    session.mailbox, session.view = mailbox, session.index.new_view()
    session.read_only = command.name == "EXAMINE"
    session.saved = []
    _describe(session, mailbox)
    return "[READ-ONLY] x" if session.read_only else "[READ-WRITE] x"


def _describe(session: Session, mailbox: Mailbox) -> None:
    assert session.index is not None
    session.untagged(f"FLAGS ({flag_list(mailbox)})")
    session.untagged(f"OK [PERMANENTFLAGS ({FIXED_FLAGS} \\*)] x")
    if not session.rev2:
        session.untagged("0 RECENT")
    session.untagged(f"{len(session.view)} EXISTS")
    unseen = None if session.rev2 else session.index.first_unseen()
    if unseen is not None:
        session.untagged(f"OK [UNSEEN {session.view.seq(unseen)}] x")
    session.untagged(f"OK [UIDVALIDITY {mailbox.uidvalidity}] x")
    session.untagged(f"OK [UIDNEXT {max(mailbox.uidnext, session.view.max_uid + 1)}] x")
    session.untagged(f'LIST () "/" {session.name(mailbox.name)}')
    session.untagged(f"OK [HIGHESTMODSEQ {mailbox.modseq}] x")


async def unselect(session: Session, _command: Command) -> str:
    """RFC 9051 §6.4.2"""
    session.unselect()
    return ""


async def close(session: Session, _command: Command) -> str:
    """RFC 9051 §6.4.1"""
    mailbox, _ = session.selected()
    if not session.read_only:
        below = session.view.max_uid + 1

        def expunge(tx: Tx) -> None:
            messages.expunge(tx, mailbox.id, None, below)

        try:
            await session.opened().write(expunge)
        except NoSuchMailbox:
            pass  # a deleted mailbox can be closed
    session.unselect()
    return ""


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

    try:
        created, modseq = await session.opened().write(work)
    except MailboxExists as err:
        raise NoError(str(err), "ALREADYEXISTS") from err
    await session.own(modseq)
    for mailbox in created:
        old = (
            f' ("OLDNAME" ({session.name(asked)}))'
            if session.rev2 and asked.endswith("/") and mailbox.name == name
            else ""
        )
        session.untagged(f'LIST (\\Subscribed) "/" {session.name(mailbox.name)}{old}')
    return ""


async def delete(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.5"""
    name = checked(command.args[0], allow_inbox=False)

    def work(tx: Tx) -> int | None:
        mailbox = mailboxes.get_by_name(tx, name)
        messages.expunge_mailbox(tx, mailbox.id)
        mailboxes.mark_deleted(tx, mailbox)
        return tx.made_modseq

    try:
        await session.own(await session.opened().write(work))
    except NoSuchMailbox as err:
        raise NoError(str(err), "NONEXISTENT") from err
    except HasChildren as err:
        raise NoError(str(err), "HASCHILDREN") from err
    return ""


async def rename(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.6"""
    old, new = checked(command.args[0]), checked(command.args[1], allow_inbox=False)

    def work(tx: Tx) -> int | None:
        if old == "Inbox":
            source = mailboxes.get_by_name(tx, old)
            target = mailboxes.create(tx, new)[-1]
            uids = [row[0] for row in messages.hot_rows(tx, source.id)]
            messages.move(tx, source.id, uids, target.id, session.ctx.now_ms())
            return None
        mailboxes.rename(tx, old, new)
        return tx.made_modseq

    try:
        await session.own(await session.opened().write(work))
    except NoSuchMailbox as err:
        raise NoError(str(err), "NONEXISTENT") from err
    except MailboxExists as err:
        raise NoError(str(err), "ALREADYEXISTS") from err
    return ""


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

    try:
        await session.own(await session.opened().write(work))
    except NoSuchMailbox as err:
        raise NoError(str(err)) from err
    return ""


async def namespace(session: Session, _command: Command) -> str:
    """RFC 9051 §6.3.10"""
    session.untagged('NAMESPACE (("" "/")) NIL NIL')
    return ""


def _pattern(reference: str, pattern: str) -> str:
    joined = f"{reference.rstrip('/')}/{pattern}" if reference and pattern else reference + pattern
    first, slash, rest = joined.partition("/")
    return "Inbox" + slash + rest if first.lower() == "inbox" else joined


async def list_(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.9, RFC 5258, RFC 5819"""
    extended, selection, reference, patterns, returns = command.args
    if not extended and not reference and patterns == [""]:
        session.untagged('LIST () "/" ""')
        return ""
    boxes, subscribed = await session.opened().read(
        lambda tx: ({m.name: m for m in mailboxes.list_mailboxes(tx)}, mailboxes.subscriptions(tx))
    )
    wanted = [_pattern(reference, p) for p in patterns if p or not extended]
    options = {name: items for name, items in returns}
    names = sorted(set(boxes) | subscribed, key=lambda n: (n != "Inbox", n))
    for name in names:
        if any(list_match(p, name) for p in wanted):
            _list_row(session, name, boxes, subscribed, selection, options)
    return ""


def _list_row(
    session: Session,
    name: str,
    boxes: dict[str, Mailbox],
    subscribed: set[str],
    selection: list[str],
    options: dict[str, list[str]],
) -> None:
    box = boxes.get(name)
    flags = []
    by_subscription = "SUBSCRIBED" in selection
    child_info = "RECURSIVEMATCH" in selection and any(s.startswith(name + "/") for s in subscribed)
    if by_subscription and name not in subscribed and not child_info:
        return
    if not by_subscription and box is None:
        return
    if "SPECIAL-USE" in selection and (box is None or not box.special_use):
        return
    if (by_subscription or "SUBSCRIBED" in options) and name in subscribed:
        flags.append("\\Subscribed")
    if box is None:
        flags.append("\\NonExistent")
    if "CHILDREN" in options:
        flags.append("\\HasChildren" if any(b.startswith(name + "/") for b in boxes) else "\\HasNoChildren")
    if box is not None:
        flags += special_use_names(box.special_use)
    info = ' ("CHILDINFO" ("SUBSCRIBED"))' if child_info else ""
    session.untagged(f'LIST ({" ".join(flags)}) "/" {session.name(name)}{info}')
    if box is not None and "STATUS" in options:
        session.untagged(f"STATUS {session.name(name)} ({status_text(box, options['STATUS'])})")


async def lsub(session: Session, command: Command) -> str:
    """RFC 3501 §6.3.9"""
    reference, pattern = command.args
    wanted = _pattern(reference, pattern)
    names = await session.opened().read(mailboxes.subscriptions)
    shown = {n for n in names if list_match(wanted, n)}
    rows = {n: "" for n in shown}
    if pattern.endswith("%"):
        for name in names:
            parts = name.split("/")
            for parent in ("/".join(parts[:i]) for i in range(1, len(parts))):
                if parent not in shown and list_match(wanted, parent):
                    rows[parent] = "\\NoSelect"
    for name in sorted(rows):
        session.untagged(f'LSUB ({rows[name]}) "/" {session.name(name)}')
    return ""


def status_text(box: Mailbox, items: list[str]) -> str:
    """The inside of a STATUS response."""
    values: dict[str, Any] = {
        "MESSAGES": box.messages,
        "UIDNEXT": box.uidnext,
        "UIDVALIDITY": box.uidvalidity,
        "UNSEEN": box.unseen,
        "DELETED": box.deleted,
        "SIZE": box.size,
        "RECENT": 0,
        "APPENDLIMIT": "NIL",
        "HIGHESTMODSEQ": box.modseq,
        "DELETED-STORAGE": 0,
    }
    return " ".join(f"{item} {values[item]}" for item in items)


async def status(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.11"""
    name, items = checked(command.args[0]), command.args[1]
    if "HIGHESTMODSEQ" in items:
        session.enabled.add("CONDSTORE")
    try:
        box = await session.opened().read(lambda tx: mailboxes.get_by_name(tx, name))
    except NoSuchMailbox as err:
        raise NoError(str(err), "NONEXISTENT") from err
    session.untagged(f"STATUS {session.name(name)} ({status_text(box, items)})")
    return ""


async def check(session: Session, _command: Command) -> str:
    """RFC 3501 §6.4.1"""
    mailbox, _ = session.selected()
    try:
        await session.opened().read(lambda tx: mailboxes.get(tx, mailbox.id))
    except NoSuchMailbox as err:
        raise NoError(str(err), "NONEXISTENT") from err
    return ""
