"""Tells a sender what became of a message: of recipients that did not get what others got, and, where it was asked for,
of those that did (RFC 3461, RFC 3464)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import apsw

from mox import log, metrics
from mox._rust import header_values, stage_bytes
from mox.config.live import Config
from mox.inbound.incoming import Envelope
from mox.inbound.results import Outcome, to_notify
from mox.message.compose import new_message_id
from mox.message.dsn import Action, Dsn, Mta, RecipientStatus, compose
from mox.outbound.queue import Queue
from mox.outbound.records import NewMessage
from mox.outbound.signing import Signer, SigningError
from mox.smtp.address import NULL_PATH, Path, to_unicode

_logger = log.get("inbound")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the client asked for (RFC 3461): NOTIFY and ORCPT of recipients, ENVID."""

    notify: Mapping[Path, frozenset[str]] = field(default_factory=dict)
    original: Mapping[Path, str] = field(default_factory=dict)
    envelope_id: str = ""


class Notifier:
    """Queues notifications in the name of the postmaster."""

    def __init__(self, config: Config, queue: Queue) -> None:
        self._config, self._queue = config, queue
        self._signer = Signer(config)

    async def notify(
        self, envelope: Envelope, header: bytes, outcomes: Sequence[Outcome], wishes: Wishes, original: bytes = b""
    ) -> None:
        """Queue one notification about recipients, failed or not; errors are only logged. localserve sends none.

        `original` is the whole message when all of it is wanted back.
        """
        if not outcomes or envelope.sender.is_null or self._config.everything_to:
            return
        domain = to_unicode(outcomes[0].recipient.domain or self._config.static.Hostname)
        dsn = _dsn(envelope, header, outcomes, wishes, domain, self._config.static.Hostname, original)
        try:
            plain = await self._signed(compose(dsn, False), domain)
            utf8 = await self._signed(compose(dsn, True), domain) if envelope.utf8 else None
            target = Path(envelope.sender.localpart, to_unicode(envelope.sender.domain))
            new = NewMessage(
                NULL_PATH,
                target,
                message_id=dsn.message_id.strip("<>"),
                subject=dsn.subject,
                require_tls=True if envelope.require_tls else None,
                dsn_utf8=utf8,
            )
            await self._queue.add(self._config.static.Postmaster.Account, stage_bytes(plain), [new])
        except (OSError, apsw.Error, SigningError) as err:
            metrics.smtp_errors.labels("queuedsn").inc()
            _logger.error("queueing notification", err=str(err))

    async def _signed(self, content: bytes, domain: str) -> bytes:
        entry = self._signer.signing_domain(domain)
        if entry is None:
            return content
        return await self._signer.sign(entry, content, "postmaster") + content


def worth_telling(outcomes: Sequence[Outcome], wishes: Wishes, may_tell_success: bool) -> list[Outcome]:
    """Failures that the reply does not tell of, unless they are not wanted, and what is wanted of the others
    (RFC 3461 §4.1). Of success only senders hear who are verified: a forged one did not ask."""

    def wanted(outcome: Outcome, keyword: str, default: bool) -> bool:
        notify = wishes.notify.get(outcome.recipient, frozenset())
        return keyword in notify if notify else default

    failed = [o for o in to_notify(outcomes) if wanted(o, "FAILURE", True)]
    done = [o for o in outcomes if may_tell_success and o.reply is None and wanted(o, "SUCCESS", False)]
    return failed + done


def _dsn(
    envelope: Envelope,
    header: bytes,
    outcomes: Sequence[Outcome],
    wishes: Wishes,
    domain: str,
    hostname: str,
    original: bytes,
) -> Dsn:
    found = header_values(header, "Message-Id")
    has_failed = any(outcome.reply is not None for outcome in outcomes)
    lines = [f"\t{o.recipient.unicode()}: {o.reply or 'delivered'}" for o in outcomes]
    what = "could not be delivered to all recipients" if has_failed else "was delivered"
    return Dsn(
        from_=f"postmaster@{domain}",
        to=envelope.sender.unicode(),
        subject="mail delivery failure" if has_failed else "mail delivery report",
        message_id=new_message_id(hostname),
        text=f"Your message {what}:\n\n" + "\n".join(lines) + "\n",
        recipients=tuple(_status(outcome, wishes) for outcome in outcomes),
        reporting_mta=hostname,
        references=found[0].strip() if found else "",
        original_envelope_id=wishes.envelope_id,
        received_from=Mta(envelope.hello.strip("[]"), envelope.remote_ip),
        arrival_date=datetime.now().astimezone(),
        original=original or header,
        original_is_smtputf8=envelope.utf8,
        return_full=bool(original),
    )


def _status(outcome: Outcome, wishes: Wishes) -> RecipientStatus:
    address, asked = outcome.recipient.unicode(), wishes.original.get(outcome.recipient, "")
    if outcome.reply is None:
        return RecipientStatus(address, Action.DELIVERED, "2.0.0", original_recipient=asked)
    text = outcome.reply.text.replace("\n", " ")
    return RecipientStatus(address, Action.FAILED, outcome.reply.enhanced, text, asked)
