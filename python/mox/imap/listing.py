"""LIST with everything that extends it, LSUB, NAMESPACE, STATUS (RFC 9051 §6.3.9 to §6.3.11, RFC 5258, RFC 5819,
RFC 6154, RFC 8438, RFC 8474, RFC 9590)."""

from dataclasses import dataclass
from typing import Any

from mox._rust import Command, list_match
from mox.imap.errors import NoError
from mox.imap.mailboxes import checked, mailbox_id
from mox.imap.metadata import entries_text
from mox.imap.session import Session, special_use_names
from mox.store import annotations, mailboxes, sync
from mox.store.annotations import Annotation
from mox.store.engine import Tx
from mox.store.types import Mailbox


async def namespace(session: Session, _command: Command) -> str:
    """RFC 9051 §6.3.10"""
    session.untagged('NAMESPACE (("" "/")) NIL NIL')
    return ""


def joined(reference: str, pattern: str) -> str:
    """The pattern in force; the first element of the inbox is as the store has it."""
    whole = f"{reference.rstrip('/')}/{pattern}" if reference and pattern else reference + pattern
    first, slash, rest = whole.partition("/")
    return "Inbox" + slash + rest if first.lower() == "inbox" else whole


def parents(name: str) -> list[str]:
    """All names above, the highest first."""
    parts = name.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]


@dataclass(frozen=True, slots=True)
class _Names:
    """Mailboxes by name, subscribed names, and for both all names that have one below them."""

    boxes: dict[str, Mailbox]
    subscribed: frozenset[str]
    with_children: frozenset[str]
    with_subscribed: frozenset[str]
    with_use: frozenset[str]
    # Octets with \\Deleted by mailbox id, where that was asked for and there are any.
    deleted_storage: dict[int, int]


def _names(tx: Tx, with_storage: bool) -> _Names:
    boxes = {box.name: box for box in mailboxes.list_mailboxes(tx)}
    subscribed = frozenset(mailboxes.subscriptions(tx))

    def above(names: Any) -> frozenset[str]:
        return frozenset(parent for name in names for parent in parents(name))

    return _Names(
        boxes,
        subscribed,
        above(boxes),
        above(subscribed),
        above(n for n, box in boxes.items() if box.special_use),
        {box.id: sync.deleted_storage(tx, box.id) for box in boxes.values() if with_storage and box.deleted},
    )


@dataclass(frozen=True, slots=True)
class _Options:
    """Selection and return options."""

    selection: frozenset[str]
    returns: dict[str, list[str]]

    @property
    def by_subscription(self) -> bool:
        return "SUBSCRIBED" in self.selection

    @property
    def by_use(self) -> bool:
        return "SPECIAL-USE" in self.selection

    @property
    def recursive(self) -> bool:
        return "RECURSIVEMATCH" in self.selection


async def list_(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.9"""
    extended, selection, reference, patterns, returns = command.args
    if not extended and not reference and patterns == [""]:
        session.untagged('LIST () "/" ""')
        return ""
    options = _Options(frozenset(selection), dict(returns))
    if "HIGHESTMODSEQ" in options.returns.get("STATUS", []):
        session.enabled.add("CONDSTORE")
    with_storage = "DELETED-STORAGE" in options.returns.get("STATUS", [])
    names = await session.opened().read(lambda tx: _names(tx, with_storage))
    wanted = [joined(reference, p) for p in patterns if p or not extended]
    candidates = set(names.boxes) | names.subscribed
    if options.recursive:
        candidates |= names.with_subscribed
    shown = [
        name
        for name in sorted(candidates, key=lambda n: (n != "Inbox", n))
        if any(list_match(p, name) for p in wanted) and _list_row(session, name, names, options)
    ]
    if "METADATA" in options.returns:
        await _metadata_rows(session, [names.boxes[n] for n in shown if n in names.boxes], options.returns["METADATA"])
    return ""


def _list_row(session: Session, name: str, names: _Names, options: _Options) -> bool:
    """A LIST response, with its STATUS, unless the options exclude the name; whether there is one."""
    box = names.boxes.get(name)
    child_info = options.recursive and name in (names.with_subscribed if options.by_subscription else names.with_use)
    if options.by_subscription and name not in names.subscribed and not child_info:
        return False
    if options.by_use and not child_info and (box is None or not box.special_use):
        return False
    if not options.by_subscription and box is None:
        return False
    flags = []
    if (options.by_subscription or "SUBSCRIBED" in options.returns) and name in names.subscribed:
        flags.append("\\Subscribed")
    if box is None:
        flags.append("\\NonExistent")
    if "CHILDREN" in options.returns:
        flags.append("\\HasChildren" if name in names.with_children else "\\HasNoChildren")
    if box is not None:
        flags += special_use_names(box.special_use)
    criterion = "SUBSCRIBED" if options.by_subscription else "SPECIAL-USE"
    info = f' ("CHILDINFO" ("{criterion}"))' if child_info else ""
    session.untagged(f'LIST ({" ".join(flags)}) "/" {session.name(name)}{info}')
    if box is not None and "STATUS" in options.returns:
        text = status_text(box, options.returns["STATUS"], names.deleted_storage.get(box.id, 0))
        session.untagged(f"STATUS {session.name(name)} ({text})")
    return True


async def _metadata_rows(session: Session, boxes: list[Mailbox], entries: list[str]) -> None:
    """RFC 9590: NIL for what is not set."""

    def read(tx: Tx) -> list[list[Annotation]]:
        return [annotations.list_annotations(tx, box.id) for box in boxes]

    for box, found in zip(boxes, await session.opened().read(read), strict=True):
        known = {a.name: a for a in found}
        pairs = [(name.lower(), known.get(name.lower())) for name in entries]
        session.write(b"* METADATA %s (%s)\r\n" % (session.name(box.name).encode(), entries_text(pairs, session.utf8)))


async def lsub(session: Session, command: Command) -> str:
    """RFC 3501 §6.3.9"""
    reference, pattern = command.args
    wanted = joined(reference, pattern)
    names = await session.opened().read(mailboxes.subscriptions)
    rows = {name: "" for name in names if list_match(wanted, name)}
    if pattern.endswith("%"):
        for parent in {p for name in names for p in parents(name)} - set(rows):
            if list_match(wanted, parent):
                rows[parent] = "\\NoSelect"
    for name in sorted(rows):
        session.untagged(f'LSUB ({rows[name]}) "/" {session.name(name)}')
    return ""


def status_text(box: Mailbox, items: list[str], deleted_storage: int = 0) -> str:
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
        "HIGHESTMODSEQ": max(1, box.modseq),
        "DELETED-STORAGE": deleted_storage,
        "MAILBOXID": f"({mailbox_id(box)})",
    }
    return " ".join(f"{item} {values[item]}" for item in items)


async def status(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.11"""
    name, items = checked(command.args[0]), command.args[1]
    if "HIGHESTMODSEQ" in items:
        session.enabled.add("CONDSTORE")
    await session.catch_up()
    box = session.opened().known_by_name(name)
    if box is None:
        raise NoError("no such mailbox")
    storage = 0
    if "DELETED-STORAGE" in items and box.deleted:
        storage = await session.opened().read(lambda tx: sync.deleted_storage(tx, box.id))
    session.untagged(f"STATUS {session.name(name)} ({status_text(box, items, storage)})")
    return ""
