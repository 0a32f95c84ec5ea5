"""Tells a sender of recipients that did not get a message which others did get (RFC 3464)."""

from collections.abc import Sequence
from datetime import datetime

import apsw

from mox import log, metrics
from mox._rust import header_values, stage_bytes
from mox.config.live import Config
from mox.inbound.incoming import Envelope
from mox.inbound.results import Outcome
from mox.message.compose import new_message_id
from mox.message.dsn import Action, Dsn, Mta, RecipientStatus, compose
from mox.outbound.queue import Queue
from mox.outbound.records import NewMessage
from mox.outbound.signing import Signer, SigningError
from mox.smtp.address import NULL_PATH, Path, to_unicode
from mox.smtp.reply import Reply

_logger = log.get("inbound")


class Notifier:
    """Queues notifications in the name of the postmaster."""

    def __init__(self, config: Config, queue: Queue) -> None:
        self._config, self._queue = config, queue
        self._signer = Signer(config)

    async def failed(self, envelope: Envelope, header: bytes, outcomes: Sequence[Outcome]) -> None:
        """Queue one notification for all failures; errors are only logged. localserve sends none."""
        if envelope.sender.is_null or self._config.everything_to:
            return
        domain = to_unicode(outcomes[0].recipient.domain or self._config.static.Hostname)
        dsn = _dsn(envelope, header, outcomes, domain, self._config.static.Hostname)
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


def _dsn(envelope: Envelope, header: bytes, outcomes: Sequence[Outcome], domain: str, hostname: str) -> Dsn:
    found = header_values(header, "Message-Id")
    lines = [f"\t{o.recipient.unicode()}: {o.reply}" for o in outcomes]
    text = "Your message could not be delivered to these recipients:\n\n" + "\n".join(lines) + "\n"
    return Dsn(
        from_=f"postmaster@{domain}",
        to=envelope.sender.unicode(),
        subject="mail delivery failure",
        message_id=new_message_id(hostname),
        text=text,
        recipients=tuple(_status(o) for o in outcomes),
        reporting_mta=hostname,
        references=found[0].strip() if found else "",
        received_from=Mta(envelope.hello.strip("[]"), envelope.remote_ip),
        arrival_date=datetime.now().astimezone(),
        original=header,
        original_is_smtputf8=envelope.utf8,
    )


def _status(outcome: Outcome) -> RecipientStatus:
    assert isinstance(outcome.reply, Reply)
    return RecipientStatus(
        outcome.recipient.unicode(), Action.FAILED, outcome.reply.enhanced, outcome.reply.text.replace("\n", " ")
    )
