"""Mail that is composed on this server, by the webapi or webmail: from a message to records of the queue.

Limits of the account, unique sender addresses, trace field (RFC 5321 §4.4), signatures, and the queue. What is said in
the message is decided by the caller.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mox._rust import stage_bytes
from mox.config.addresses import Address, render_localpart
from mox.config.live import Config
from mox.message.compose import fold, format_date, now
from mox.net.tls import TlsInfo
from mox.outbound import senders
from mox.outbound.queue import Queue
from mox.outbound.records import NewMessage
from mox.outbound.signing import Signer
from mox.smtp.address import Path
from mox.store import sending
from mox.store.engine import Tx
from mox.store.store import Store


@dataclass(frozen=True, slots=True)
class Composed:
    """A message, and how it is to be sent. `login` is the address somebody logged in with, `sender` that of From;
    `signatures` precede the content; `next_ms` 0 is at once; `session` is the id in the trace field."""

    account: str
    login: str
    sender: Address
    recipients: Sequence[Address]
    content: bytes
    signatures: bytes
    message_id: str
    subject: str
    session: str
    smtputf8: bool = False
    require_tls: bool | None = None
    next_ms: int = 0
    future_release: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    tls: TlsInfo | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """A message in the queue, for one recipient."""

    queue_id: int
    from_id: str


# Called in the transaction that queues; what it raises undoes it.
Also = Callable[[Tx, list[Submitted]], None]


class Outbox:
    """Queues what is composed in this process."""

    def __init__(self, config: Config, store: Store, queue: Queue) -> None:
        self._config, self._store, self.queue = config, store, queue
        self.signer = Signer(config)

    async def check_and_record(self, account: str, recipients: Sequence[Address]) -> None:
        """Count a message against the account's limits. Raises MessageLimit, RecipientLimit."""
        addresses = [str(address) for address in recipients]
        now_ms = time.time_ns() // 1_000_000

        opened = await self._store.open(account)
        await opened.write(lambda tx: sending.take(tx, addresses, now_ms))

    async def send(self, composed: Composed, also: Also | None = None) -> list[Submitted]:
        """Queue the message for each recipient, durable on return. Raises OSError, and what `also` raises."""
        sender = to_path(composed.sender)
        mark = senders.separator(self._config, composed.account, composed.login, composed.sender.domain.ascii)
        unique = [senders.unique(sender, mark) for _ in composed.recipients]
        is_single = len(composed.recipients) == 1
        prefix = self._received(composed, composed.recipients[0] if is_single else None) + composed.signatures
        messages = [
            NewMessage(
                sender=own,
                recipient=to_path(recipient),
                prefix=prefix,
                message_id=composed.message_id,
                subject=composed.subject,
                smtputf8=composed.smtputf8,
                from_id=from_id,
                next_ms=composed.next_ms,
                require_tls=composed.require_tls,
                future_release=composed.future_release,
                extra=composed.extra,
            )
            for recipient, (own, from_id) in zip(composed.recipients, unique, strict=True)
        ]

        def submitted(ids: list[int]) -> list[Submitted]:
            return [Submitted(number, from_id) for number, (_, from_id) in zip(ids, unique, strict=True)]

        hook = (lambda tx, ids: also(tx, submitted(ids))) if also is not None else None
        return submitted(await self.queue.add(composed.account, stage_bytes(composed.content), messages, hook))

    def _received(self, composed: Composed, recipient: Address | None) -> bytes:
        """Without recipient for several of them: their prefixes are equal then, and they can share a transaction."""
        hostname = self._config.static.Hostname
        words = ["from", hostname, "by", hostname, "id", composed.session]
        if composed.tls is not None:
            words.append(f"({composed.tls.version} {composed.tls.cipher_suite})")
        if recipient is not None:
            address = (
                str(recipient)
                if composed.smtputf8
                else f"{render_localpart(recipient.localpart)}@{recipient.domain.ascii}"
            )
            words += ["for", f"<{address}>"]
        words[-1] += ";"
        return (fold("Received", [*words, *format_date(now()).split(" ")]) + "\r\n").encode()


def to_path(address: Address) -> Path:
    """The form that the queue and the suppression list keep."""
    return Path(address.localpart, address.domain.name)
