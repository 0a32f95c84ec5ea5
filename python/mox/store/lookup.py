"""One message by its id, which it keeps when it is moved: for the webapi and webmail, which know no UIDs."""

from dataclasses import dataclass

from mox.store.engine import Tx
from mox.store.errors import StoreError


class NoSuchMessage(StoreError):
    """There never was a message with this id, or nothing is left of it."""


class MessageRemoved(StoreError):
    """The message was expunged."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message is."""

    message_id: int
    mailbox_id: int
    uid: int
    flags: int
    keywords: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A message with what is stored of its content. Its bytes are `prefix` and then the file of `blob_id`."""

    place: Place
    mailbox_name: str
    size: int
    received_ms: int
    blob_id: int
    prefix: bytes
    structure: bytes
    is_dsn: bool
    mail_from: str
    mail_from_validated: bool
    rcpt_to: str
    msg_from_localpart: str
    msg_from_domain: str
    msg_from_validated: bool
    dkim_domains: tuple[str, ...]
    remote_ip: str


def place(tx: Tx, message_id: int) -> Place:
    """Raises NoSuchMessage, MessageRemoved."""
    row = tx.one(
        "SELECT mailbox_id, uid, flags, keywords, expunged FROM message_hot WHERE account_id = ? AND message_id = ? "
        "ORDER BY expunged LIMIT 1",
        tx.account_id,
        message_id,
    )
    if row is None:
        raise NoSuchMessage("no such message")
    if row[4]:
        raise MessageRemoved("message was removed")
    return Place(message_id, *row[:4])


def whole(tx: Tx, message_id: int) -> Whole:
    """Raises NoSuchMessage, MessageRemoved."""
    where = place(tx, message_id)
    row = tx.one(
        "SELECT b.name, h.size, c.received_ms, c.blob_id, c.prefix, c.structure, c.is_dsn, c.mail_from, "
        "c.mail_from_validated, c.rcpt_to, c.msg_from_localpart, c.msg_from_domain, c.msg_from_validated, "
        "c.dkim_domains, c.remote_ip FROM message_hot h "
        "JOIN message_cold c ON c.account_id = h.account_id AND c.message_id = h.message_id "
        "JOIN mailbox_all b ON b.account_id = h.account_id AND b.id = h.mailbox_id "
        "WHERE h.account_id = ? AND h.mailbox_id = ? AND h.uid = ?",
        tx.account_id,
        where.mailbox_id,
        where.uid,
    )
    if row is None:
        raise NoSuchMessage("no such message")
    name, size, received_ms, blob_id, prefix, structure, is_dsn, mail_from, spf, rcpt_to, local, domain, *rest = row
    validated, dkim_domains, remote_ip = rest
    return Whole(
        where,
        name,
        size,
        received_ms,
        blob_id,
        prefix,
        structure,
        bool(is_dsn),
        mail_from,
        bool(spf),
        rcpt_to,
        local,
        domain,
        bool(validated),
        tuple(dkim_domains.split()),
        remote_ip,
    )
