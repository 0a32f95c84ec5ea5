"""The listener for mail of other servers: what MAIL, RCPT and the end of a message are answered."""

from datetime import datetime

from msgspec.structs import replace

from mox._rust import StagedMessage
from mox.dns.names import parse_ip
from mox.inbound import localzone, recipients, senders
from mox.inbound.deliver import ListenerRules
from mox.inbound.incoming import Envelope, Peer
from mox.inbound.notify import Wishes, worth_telling
from mox.inbound.results import Outcome, combine
from mox.mailauth.check import check_spf
from mox.mailauth.spf import SpfFacts, SpfIdentity, SpfResult, SpfStatus
from mox.smtp.events import HelloGiven, Receiver, RecipientGiven, Transaction
from mox.smtp.handlers import CommonHandler
from mox.smtp.reply import Reply, storage_full
from mox.smtp.session import Session
from mox.smtp.shell import Ask, LoginFailed
from mox.smtp.trace import received

_TLS_NUMBERS = {"TLS1.2": 0x0303, "TLS1.3": 0x0304}
WITHOUT_TLS = 1


class DeliveryHandler(CommonHandler):
    """Mail from other servers, for our accounts."""

    # What was asked last, and the answer.
    _spf: tuple[SpfFacts, SpfResult] | None = None
    _peer: Peer | None = None

    @property
    def _is_local(self) -> bool:
        """localserve, which has no real DNS to ask."""
        return bool(self.services.config.everything_to)

    async def tls_client(self, session: Session) -> tuple[str, str]:
        """Servers are not asked for certificates."""
        return "", ""

    async def hello(self, session: Session, given: HelloGiven) -> Reply | None:
        """The name in HELO must exist."""
        if given.is_extended or self._is_local or await senders.exists(self.services.resolver, given.name):
            return None
        return Reply(550, "5.5.0", "your name does not exist in dns")

    async def mail(self, session: Session, transaction: Transaction) -> Reply | None:
        """The sender's domain must be able to take an answer."""
        path = transaction.sender
        if path.is_null:
            return None
        if path.localpart.startswith("mailfrom") and (simulated := await self.simulated(path)):
            return simulated
        return None if self._is_local else await senders.can_receive(self.services.resolver, path.domain)

    async def recipient(self, session: Session, asked: RecipientGiven) -> Reply | None:
        """Only ours, and several only for senders who can be notified of failures."""
        path, config = asked.recipient.path, self.services.config
        needs_tls = self.listener.SMTP.RequireSTARTTLS and not session.has_tls
        if needs_tls and not recipients.takes_tls_reports(config, path):
            return Reply(530, "5.7.0", "use STARTTLS first")
        if len(asked.transaction.recipients) == 1 and not self._is_local and not await self._is_verified(session):
            return Reply(452, "4.5.3", "only one recipient at a time without spf pass of the sender")
        target = recipients.find_target(config, path)
        if isinstance(target, Reply):
            return target
        return await self.simulated(path) if path.localpart.startswith("rcptto") else None

    async def _is_verified(self, session: Session) -> bool:
        """SPF passes for MAIL FROM: a notification reaches who sent the message. Asked once for a sender."""
        assert session.transaction is not None
        facts = self._spf_facts(session, session.transaction)
        found = self._known_spf(facts)
        if found is None:
            found = await check_spf(self.services.resolver, facts)
            self._spf = facts, found
        return found.status is SpfStatus.PASS and found.identity is SpfIdentity.MAILFROM

    def _known_spf(self, facts: SpfFacts) -> SpfResult | None:
        if self._spf is not None and self._spf[0] == facts:
            return self._spf[1]
        return localzone.known_spf(self.services.config, facts)

    def _spf_facts(self, session: Session, transaction: Transaction) -> SpfFacts:
        sender = transaction.sender
        return SpfFacts(
            parse_ip(self.conn.remote[0]),
            sender.localpart,
            "" if sender.is_literal else sender.domain,
            "" if session.hello.startswith("[") else session.hello,
            self.services.config.static.Hostname,
        )

    async def message(self, session: Session, transaction: Transaction, receiver: Receiver) -> Reply:
        """Deliver to the recipients' accounts."""
        staged = self.take(receiver)
        if isinstance(staged, Reply):
            return staged
        envelope = self._envelope(session, transaction)
        service = self.listener.SMTP
        rules = ListenerRules(tuple(service.DNSBLs), service.first_time_sender_delay.total_seconds())
        try:
            outcomes = await self.services.deliverer.deliver(envelope, staged, rules, self.sleep)
        except OSError as err:
            self.log.error("reading message", err=str(err))
            return storage_full()
        if any(outcome.makes_slow for outcome in outcomes):
            session.is_slow = True
        await self._notify(session, transaction, envelope, staged, outcomes)
        return combine(outcomes)

    async def _notify(
        self,
        session: Session,
        transaction: Transaction,
        envelope: Envelope,
        staged: StagedMessage,
        outcomes: list[Outcome],
    ) -> None:
        """Before the reply, which makes the message ours to answer for."""
        given = transaction.recipients
        wishes = Wishes(
            {r.path: r.parameters.notify for r in given},
            {r.path: r.parameters.original for r in given},
            transaction.parameters.envelope_id,
        )
        asks_success = any("SUCCESS" in r.parameters.notify for r in given)
        may_tell = asks_success and await self._is_verified(session)
        told = worth_telling(outcomes, wishes, may_tell)
        if not told:
            return
        has_failed = any(outcome.reply is not None for outcome in told)
        original = staged.content() if transaction.parameters.dsn_return == "FULL" and has_failed else b""
        await self.services.notifier.notify(envelope, staged.parse(b"").header, told, wishes, original)

    def _envelope(self, session: Session, transaction: Transaction) -> Envelope:
        tls = self.conn.tls
        self._peer = self._peer or Peer()
        facts = self.trace(session, transaction, datetime.now().astimezone())
        return Envelope(
            transaction.sender,
            tuple(r.path for r in transaction.recipients),
            self.conn.remote[0],
            session.hello,
            self.services.config.static.Hostname,
            transaction.parameters.utf8,
            tls is not None,
            _TLS_NUMBERS.get(tls.version, 0) if tls else WITHOUT_TLS,
            transaction.parameters.require_tls,
            lambda recipient, name: received(replace(facts, reverse_name=name), recipient).encode(),
            spf=self._known_spf(self._spf_facts(session, transaction)),
            peer=self._peer,
        )

    async def authenticate(self, session: Session, mechanism: str, initial: bytes | None, ask: Ask) -> tuple[str, str]:
        """The session offers no AUTH here."""
        raise LoginFailed(Reply(503, "5.5.1", "no authentication on this port"))
