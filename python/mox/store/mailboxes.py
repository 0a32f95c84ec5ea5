"""Mailboxes and subscriptions. Functions take a transaction; changes take its modseq."""

import time
from typing import Any

from mox.config.mailbox_names import MailboxNameError, check_mailbox_name
from mox.store import annotations, settings
from mox.store.engine import Tx
from mox.store.errors import BadName, HasChildren, MailboxExists, NoSuchMailbox
from mox.store.types import Mailbox, SpecialUse

_COLUMNS = (
    "id, create_seq, modseq, expunged, name, uidvalidity, uidnext, special_use, keywords, total, deleted, unread, "
    "unseen, size"
)
NO_USE = SpecialUse(0)


def _mailbox(row: tuple[Any, ...]) -> Mailbox:
    values = (*row[:3], bool(row[3]), *row[4:7], SpecialUse(row[7]), *row[8:])
    return Mailbox(*values)


def check_name(name: str, allow_inbox: bool = True) -> str:
    """The name as it is stored. Raises BadName."""
    try:
        return check_mailbox_name(name, allow_inbox)
    except MailboxNameError as err:
        raise BadName(str(err)) from err


def list_mailboxes(tx: Tx) -> list[Mailbox]:
    """All of them, by name, Inbox first."""
    rows = tx.run(f"SELECT {_COLUMNS} FROM mailbox WHERE account_id = ? ORDER BY name", tx.account_id)
    return sorted(map(_mailbox, rows), key=lambda m: (m.name != "Inbox", m.name))


def changed_mailboxes(tx: Tx, modseq: int) -> list[Mailbox]:
    """Mailboxes, also expunged ones, changed after `modseq`, in order."""
    sql = f"SELECT {_COLUMNS} FROM mailbox_all WHERE account_id = ? AND modseq > ? ORDER BY modseq, id"
    return [_mailbox(row) for row in tx.run(sql, tx.account_id, modseq)]


def get(tx: Tx, mailbox_id: int) -> Mailbox:
    """Raises NoSuchMailbox."""
    row = tx.one(f"SELECT {_COLUMNS} FROM mailbox WHERE account_id = ? AND id = ?", tx.account_id, mailbox_id)
    if row is None:
        raise NoSuchMailbox("mailbox has been deleted")
    return _mailbox(row)


def find(tx: Tx, name: str) -> Mailbox | None:
    """By stored name."""
    row = tx.one(f"SELECT {_COLUMNS} FROM mailbox WHERE account_id = ? AND name = ?", tx.account_id, name)
    return None if row is None else _mailbox(row)


def get_by_name(tx: Tx, name: str) -> Mailbox:
    """Raises NoSuchMailbox."""
    found = find(tx, name)
    if found is None:
        raise NoSuchMailbox("no such mailbox")
    return found


def initialize(tx: Tx) -> None:
    """The contents of a new account's database."""
    uidvalidity = int(time.time()) // 2
    tx.run(
        "INSERT INTO sync_state VALUES (?, 1, -1, ?, 1, 1, 1, 1, 0, 0) ON CONFLICT DO NOTHING",
        tx.account_id,
        uidvalidity + 1,
    )
    if list_mailboxes(tx):
        return
    for name, use in (("Inbox", NO_USE), *tx.policy.initial_mailboxes):
        for missing in _missing(tx, name):
            _insert(tx, missing, use if missing == name else NO_USE, uidvalidity)
            subscribe(tx, missing)
    settings.initialize(tx)


def _insert(tx: Tx, name: str, use: SpecialUse, uidvalidity: int | None = None) -> None:
    modseq = tx.next_modseq()
    _take_use(tx, use)
    tx.run(
        "INSERT INTO mailbox_all (account_id, id, create_seq, modseq, name, uidvalidity, special_use) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        tx.account_id,
        tx.next_number("next_mailbox_id"),
        modseq,
        modseq,
        name,
        uidvalidity if uidvalidity is not None else tx.next_number("next_uidvalidity"),
        int(use),
    )


def _missing(tx: Tx, name: str) -> list[str]:
    """Those of the mailbox and its ancestors that do not exist, ancestors first."""
    elements = name.split("/")
    names = ("/".join(elements[: i + 1]) for i in range(len(elements)))
    return [n for n in names if find(tx, n) is None]


def ensure(tx: Tx, name: str, subscribed: bool, use: SpecialUse = NO_USE) -> list[Mailbox]:
    """Create the mailbox and its parents where missing; the created ones, parents first."""
    created = _missing(tx, name)
    for missing in created:
        _insert(tx, missing, use if missing == name else NO_USE)
        if subscribed:
            subscribe(tx, missing)
    return [get_by_name(tx, n) for n in created]


def create(tx: Tx, name: str, use: SpecialUse = NO_USE, subscribed: bool = True) -> list[Mailbox]:
    """Create a mailbox and missing parents; the created ones, parents first. Raises MailboxExists."""
    if find(tx, name) is not None:
        raise MailboxExists("mailbox already exists")
    return ensure(tx, name, subscribed, use)


def children(tx: Tx, name: str) -> list[Mailbox]:
    """All below `name`, by name."""
    # "0" is the character after the separator.
    sql = f"SELECT {_COLUMNS} FROM mailbox WHERE account_id = ? AND name > ? AND name < ? ORDER BY name"
    return [_mailbox(row) for row in tx.run(sql, tx.account_id, name + "/", name + "0")]


def with_use(tx: Tx, use: SpecialUse) -> Mailbox | None:
    """The mailbox that has this special use."""
    sql = f"SELECT {_COLUMNS} FROM mailbox WHERE account_id = ? AND special_use & ?"
    row = tx.one(sql, tx.account_id, int(use))
    return None if row is None else _mailbox(row)


def set_special_use(tx: Tx, mailbox_id: int, use: SpecialUse) -> None:
    """Give a mailbox exactly these uses; others lose them. Raises NoSuchMailbox."""
    mailbox = get(tx, mailbox_id)
    if mailbox.special_use == use:
        return
    _take_use(tx, use)
    tx.run(
        "UPDATE mailbox_all SET special_use = ?, modseq = ? WHERE account_id = ? AND id = ?",
        int(use),
        tx.next_modseq(),
        tx.account_id,
        mailbox_id,
    )


def _take_use(tx: Tx, use: SpecialUse) -> None:
    """Each use is held by one mailbox at most: take it away from the one that has it."""
    if use:
        tx.run(
            "UPDATE mailbox_all SET special_use = special_use & ~?1, modseq = ?2 "
            "WHERE account_id = ?3 AND expunged = 0 AND special_use & ?1",
            int(use),
            tx.next_modseq(),
            tx.account_id,
        )


def mark_deleted(tx: Tx, mailbox: Mailbox) -> None:
    """Expunge the record of an emptied leaf. Raises HasChildren."""
    if children(tx, mailbox.name):
        raise HasChildren("mailbox has children; delete these first")
    annotations.remove_all(tx, mailbox.id)
    tx.run(
        "UPDATE mailbox_all SET expunged = 1, special_use = 0, modseq = ? WHERE account_id = ? AND id = ?",
        tx.next_modseq(),
        tx.account_id,
        mailbox.id,
    )


def rename(tx: Tx, old: str, new: str) -> None:
    """Rename with children; parents of the new name are created. Raises NoSuchMailbox, MailboxExists."""
    mailbox = get_by_name(tx, old)
    if find(tx, new) is not None:
        raise MailboxExists("mailbox already exists")
    moves = [(mailbox.id, new), *((m.id, new + m.name[len(old) :]) for m in children(tx, old))]
    for _, target in moves[1:]:
        if find(tx, target) is not None:
            raise MailboxExists("a mailbox below the new name already exists")
    modseq = tx.next_modseq()
    for mailbox_id, target in moves:
        tx.run(
            "UPDATE mailbox_all SET name = ?, modseq = ? WHERE account_id = ? AND id = ?",
            target,
            modseq,
            tx.account_id,
            mailbox_id,
        )
    if "/" in new:
        ensure(tx, new.rpartition("/")[0], False)


def subscribe(tx: Tx, name: str) -> None:
    """Idempotent; the mailbox need not exist."""
    if is_subscribed(tx, name):
        return
    tx.run(
        "INSERT INTO subscription_all VALUES (?, ?, ?, 0) "
        "ON CONFLICT DO UPDATE SET expunged = 0, modseq = excluded.modseq",
        tx.account_id,
        name,
        tx.next_modseq(),
    )


def unsubscribe(tx: Tx, name: str) -> None:
    """Raises NoSuchMailbox when neither subscription nor mailbox exist."""
    if not is_subscribed(tx, name):
        if find(tx, name) is None:
            raise NoSuchMailbox("mailbox does not exist and is not subscribed")
        return
    tx.run(
        "UPDATE subscription_all SET expunged = 1, modseq = ? WHERE account_id = ? AND name = ?",
        tx.next_modseq(),
        tx.account_id,
        name,
    )


def is_subscribed(tx: Tx, name: str) -> bool:
    """Whether there is a subscription of the name."""
    sql = "SELECT 1 FROM subscription WHERE account_id = ? AND name = ?"
    return tx.one(sql, tx.account_id, name) is not None


def subscriptions(tx: Tx) -> set[str]:
    """Subscribed names."""
    return {row[0] for row in tx.run("SELECT name FROM subscription WHERE account_id = ?", tx.account_id)}


def changed_subscriptions(tx: Tx, modseq: int) -> list[tuple[str, int, bool]]:
    """(name, modseq, removed) of what changed after `modseq`."""
    sql = "SELECT name, modseq, expunged FROM subscription_all WHERE account_id = ? AND modseq > ? ORDER BY modseq"
    return [(name, seq, bool(gone)) for name, seq, gone in tx.run(sql, tx.account_id, modseq)]
