"""Decisions about SMTP connections, by kind of listener: the glue between the session and `inbound` and `outbound`."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from mox import log
from mox._rust import ChunkReceiver, DataReceiver, StagedMessage
from mox.config.live import Config
from mox.config.model import Listener
from mox.inbound import deliver as inbound
from mox.net.conn import Connection
from mox.outbound.queue import Queue
from mox.outbound.records import NewMessage
from mox.sasl.errors import Failure, SaslError
from mox.smtp.address import Path
from mox.smtp.events import ContentRequested, HelloGiven, Receiver, RecipientGiven, Transaction
from mox.smtp.reply import Reply, storage_full
from mox.smtp.session import Session
from mox.smtp.shell import Ask, LoginFailed, MessageReceiver
from mox.smtp.trace import TraceFacts, received
from mox.store.login import LoginDisabled, LoginError, Logins, UnknownMechanismError
from mox.store.store import Store

SIMULATED_HANG_S = 3600.0


@dataclass(slots=True)
class Services:
    """What handlers work with."""

    config: Config
    store: Store
    queue: Queue
    logins: Logins
    stopping: asyncio.Event
    delivered: inbound.Delivered


class CommonHandler:
    """What both kinds of listener do alike."""

    def __init__(self, services: Services, conn: Connection, listener: Listener, session_id: str) -> None:
        self.services, self.conn, self.listener, self.session_id = services, conn, listener, session_id
        self.log = log.get("smtpserver").bind(cid=conn.cid, remote=conn.remote[0])

    async def hello(self, session: Session, given: HelloGiven) -> Reply | None:
        """Any name will do."""
        return None

    def receiver(self, session: Session, asked: ContentRequested) -> MessageReceiver:
        """Content is staged in the store's folder for temporary files."""
        folder, limit = str(self.services.store.tmp_dir), session.offer.max_size
        return ChunkReceiver(folder, limit, asked.is_binary) if asked.is_chunked else DataReceiver(folder, limit)

    async def simulated(self, path: Path) -> Reply | None:
        """What localserve answers for a localpart that asks for a failure."""
        if not self.services.config.everything_to:
            return None
        reply = inbound.simulated_failure(path)
        if reply is inbound.HANG:
            waiting = asyncio.ensure_future(self.services.stopping.wait())
            await asyncio.wait({waiting}, timeout=SIMULATED_HANG_S)
            waiting.cancel()
        return reply

    def take(self, receiver: Receiver) -> StagedMessage | Reply:
        """The complete message, or why it is refused."""
        assert isinstance(receiver, (DataReceiver, ChunkReceiver))
        if receiver.error == "smuggling":
            return Reply(500, "5.5.2", "bare carriage return or newline: refused because of smtp smuggling")
        if receiver.error == "too big":
            return Reply(552, "5.3.4", "message too large")
        try:
            return receiver.finish()
        except OSError as err:
            self.log.error("receiving message", err=str(err))
            return storage_full()

    def trace(self, session: Session, transaction: Transaction, now: datetime, reverse_name: str = "") -> TraceFacts:
        """Facts for the Received field."""
        conn, tls = self.conn, self.conn.tls
        is_submission = session.offer.is_submission
        return TraceFacts(
            client_name=session.offer.hostname if is_submission else session.hello,
            client_ip="" if is_submission else conn.remote[0],
            reverse_name=reverse_name,
            hostname=session.offer.hostname,
            local_ip=conn.local[0],
            is_extended=session.is_extended,
            is_authenticated=bool(session.account),
            needs_utf8=transaction.parameters.utf8,
            require_tls=bool(transaction.parameters.require_tls),
            tls_version=tls.version if tls else "",
            cipher_suite=tls.cipher_suite if tls else "",
            session_id=self.session_id,
            at=now,
        )


class DeliveryHandler(CommonHandler):
    """Mail from other servers, for our accounts."""

    async def mail(self, session: Session, transaction: Transaction) -> Reply | None:
        """Any sender may try."""
        path = transaction.sender
        return await self.simulated(path) if path.localpart.startswith("mailfrom") else None

    async def recipient(self, session: Session, asked: RecipientGiven) -> Reply | None:
        """Only ours."""
        path = asked.recipient.path
        if inbound.destination(self.services.config, path) is None:
            return Reply(550, "5.1.1", "no such user")
        return await self.simulated(path) if path.localpart.startswith("rcptto") else None

    async def message(self, session: Session, transaction: Transaction, receiver: Receiver) -> Reply:
        """Deliver to the recipients' accounts."""
        staged = self.take(receiver)
        if isinstance(staged, Reply):
            return staged
        for recipient in transaction.recipients:
            path = recipient.path
            if not path.localpart.startswith("queue") and (refusal := await self.simulated(path)):
                return refusal
        now = datetime.now().astimezone()
        paths = [r.path for r in transaction.recipients]
        only = str(paths[0]) if len(paths) == 1 else ""
        trace = received(self.trace(session, transaction, now), only).encode()
        envelope = inbound.Envelope(transaction.sender, paths, self.conn.remote[0])
        try:
            await inbound.deliver(
                self.services.config, self.services.store, envelope, staged, trace, self.services.delivered
            )
        except inbound.DeliveryError as err:
            return err.reply
        except OSError as err:
            self.log.error("storing message", err=str(err))
            return storage_full()
        return Reply(250, "2.6.0", "it is done")

    async def authenticate(self, session: Session, mechanism: str, initial: bytes | None, ask: Ask) -> tuple[str, str]:
        """The session offers no AUTH here."""
        raise LoginFailed(Reply(503, "5.5.1", "no authentication on this port"))


class SubmissionHandler(CommonHandler):
    """Mail from our users, for anybody."""

    async def mail(self, session: Session, transaction: Transaction) -> Reply | None:
        """Senders are the account's own addresses."""
        path = transaction.sender
        if path.is_null:
            return None
        found = self.services.config.lookup_address(path.localpart, path.domain)
        if found is None or found.account != session.account:
            return Reply(550, "5.7.1", "not an address of yours")
        return await self.simulated(path) if path.localpart.startswith("mailfrom") else None

    async def recipient(self, session: Session, asked: RecipientGiven) -> Reply | None:
        """Anybody."""
        path = asked.recipient.path
        return await self.simulated(path) if path.localpart.startswith("rcptto") else None

    async def message(self, session: Session, transaction: Transaction, receiver: Receiver) -> Reply:
        """Queue for the recipients."""
        staged = self.take(receiver)
        if isinstance(staged, Reply):
            return staged
        for recipient in transaction.recipients:
            path = recipient.path
            if not path.localpart.startswith("queue") and (refusal := await self.simulated(path)):
                return refusal
        paths = [r.path for r in transaction.recipients]
        only = str(paths[0]) if len(paths) == 1 else ""
        trace = received(self.trace(session, transaction, datetime.now().astimezone()), only).encode()
        queued = [NewMessage(transaction.sender, path, trace, remote_ip=self.conn.remote[0]) for path in paths]
        try:
            await self.services.queue.add(session.account, staged, queued)
        except OSError as err:
            self.log.error("queueing message", err=str(err))
            return storage_full()
        return Reply(250, "2.0.0", "queued")

    async def authenticate(self, session: Session, mechanism: str, initial: bytes | None, ask: Ask) -> tuple[str, str]:
        """SASL, against the accounts' passwords. Raises LoginFailed."""
        logins, ip = self.services.logins, self.conn.remote[0]
        if not logins.may_try(ip):
            raise LoginFailed(Reply(421, "4.7.0", "too many failed log-ins", closes=True), counts=False)
        try:
            return await logins.sasl(
                mechanism, initial, ask, self.conn.channel_binding(), ip, "submission", has_tls=session.has_tls
            )
        except UnknownMechanismError as err:
            raise LoginFailed(Reply(504, "5.5.4", "mechanism is not supported")) from err
        except LoginDisabled as err:
            raise LoginFailed(Reply(525, "5.7.13", str(err))) from err
        except (SaslError, LoginError) as err:
            self.log.info("failed authentication attempt", remote=ip, mechanism=mechanism)
            raise LoginFailed(sasl_reply(err.failure, str(err)), err.failure is not Failure.NO_SECRETS) from err


def sasl_reply(failure: Failure, text: str) -> Reply:
    """RFC 4954 §4, §6; codes per failure as in the table of the spec."""
    code, enhanced = _SASL_CODES[failure]
    return Reply(code, enhanced, text)


_SASL_CODES: dict[Failure, tuple[int, str]] = {
    Failure.SYNTAX: (501, "5.5.4"),
    Failure.FIRST_MESSAGE: (455, "4.7.0"),
    Failure.ENCODING: (535, "5.7.0"),
    Failure.CREDENTIALS: (535, "5.7.8"),
    Failure.OTHER_IDENTITY: (535, "5.7.8"),
    Failure.CHANNEL_BINDING: (535, "5.7.7"),
    Failure.NO_SECRETS: (535, "5.7.8"),
    Failure.NEEDS_TLS: (538, "5.7.11"),
}
