"""Storing an incoming message for its recipients."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from mox import metrics
from mox._rust import StagedMessage
from mox.config.live import Config
from mox.smtp.address import Path
from mox.smtp.reply import Reply, storage_full
from mox.store import mailboxes, messages
from mox.store.engine import Tx
from mox.store.errors import OverQuota
from mox.store.store import Store
from mox.store.types import Facts

# Recipients of localserve that simulate failures (spec/smtp-in.md section 21).
_SIMULATED = re.compile(r"(temperror|permerror|timeout|[4-5][0-9][0-9]|600)$")


# Told of a stored message: account and message id.
Delivered = Callable[[str, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sent it from where."""

    sender: Path
    recipients: Sequence[Path]
    remote_ip: str


class DeliveryError(Exception):
    """The message was not stored."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


# Stands for no answer at all.
HANG = Reply(451, "4.3.0", "simulated time-out")


def simulated_failure(path: Path) -> Reply | None:
    """What localserve answers for a special localpart."""
    found = _SIMULATED.search(path.localpart)
    if found is None:
        return None
    match found[1]:
        case "temperror":
            return Reply(451, "4.0.0", "simulated temporary error")
        case "permerror":
            return Reply(550, "5.0.0", "simulated permanent error")
        case "timeout":
            return HANG
        case code:
            return Reply(int(code), f"{code[0]}.0.0", "simulated error")


def destination(config: Config, path: Path) -> tuple[str, str] | None:
    """(account, mailbox) that mail for `path` goes to."""
    if path.localpart.lower() == "postmaster" and not path.domain:
        return config.static.Postmaster.Account, config.static.Postmaster.Mailbox
    found = config.lookup_address(path.localpart, path.domain)
    if found is not None:
        return found.account, found.destination.Mailbox or "Inbox"
    return (config.everything_to, "Inbox") if config.everything_to else None


async def no_news(_account: str, _message_id: int) -> None:
    """For callers without webhooks."""


async def deliver(
    config: Config,
    store: Store,
    envelope: Envelope,
    staged: StagedMessage,
    trace: bytes,
    delivered: Delivered = no_news,
) -> None:
    """Store the message once for each mailbox that its recipients lead to; durable on return. `delivered` is told of
    each copy, and must have returned before the delivery is acknowledged. Raises DeliveryError."""
    targets: dict[tuple[str, str], Path] = {}
    for path in envelope.recipients:
        target = destination(config, path)
        if target is None:
            raise DeliveryError(Reply(550, "5.1.1", "no such user"))
        targets.setdefault(target, path)
    for (name, mailbox), path in targets.items():
        await delivered(name, await _store(config, store, name, mailbox, path, envelope, staged, trace))


async def _store(
    config: Config,
    store: Store,
    name: str,
    mailbox: str,
    path: Path,
    envelope: Envelope,
    staged: StagedMessage,
    trace: bytes,
) -> int:
    """The id of the stored message."""
    account = await store.open(name)
    prefix = f"Return-Path: <{envelope.sender}>\r\nDelivered-To: {path}\r\n".encode() + trace
    quota = config.account(name).QuotaMessageSize
    try:
        prepared = await account.prepare(staged, prefix)
    except OSError as err:
        raise DeliveryError(storage_full()) from err
    facts = Facts(mail_from=str(envelope.sender), rcpt_to=str(path), remote_ip=envelope.remote_ip)
    new = account.new_message(prepared, facts=facts)

    def add(tx: Tx) -> int:
        found = mailboxes.find(tx, mailbox)
        if found is None:
            mailboxes.ensure(tx, mailbox, True)
            found = mailboxes.get_by_name(tx, mailbox)
        return messages.add(tx, found.id, [new], quota).message_ids[0]

    try:
        message_id = await account.write(add)
    except OverQuota as err:
        account.discard(prepared)
        metrics.deliveries.labels("overquota").inc()
        raise DeliveryError(Reply(452, "4.2.2", "account is over its size limit")) from err
    metrics.deliveries.labels("ok").inc()
    return message_id
