"""What both kinds of SMTP listener decide alike; the kinds themselves are `delivering` and `submitting`."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from mox import log
from mox._rust import ChunkReceiver, DataReceiver, StagedMessage
from mox.config.live import Config
from mox.config.model import Listener
from mox.dns.resolver import Resolver
from mox.inbound.deliver import Deliverer
from mox.inbound.notify import Notifier
from mox.inbound.simulated import HANG, simulated_failure
from mox.net.conn import Connection
from mox.outbound.submission import Submitter
from mox.smtp.address import Path
from mox.smtp.events import ContentRequested, HelloGiven, Receiver, Transaction
from mox.smtp.reply import Reply, storage_full
from mox.smtp.session import Session
from mox.smtp.shell import MessageReceiver
from mox.smtp.trace import TraceFacts
from mox.store.login import Logins
from mox.store.store import Store

SIMULATED_HANG_S = 3600.0


@dataclass(slots=True)
class Services:
    """What handlers work with."""

    config: Config
    store: Store
    logins: Logins
    resolver: Resolver
    deliverer: Deliverer
    notifier: Notifier
    submitter: Submitter
    stopping: asyncio.Event


class CommonHandler:
    """Base of the handlers."""

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

    async def sleep(self, seconds: float) -> None:
        """Wait, unless the program stops."""
        waiting = asyncio.ensure_future(self.services.stopping.wait())
        await asyncio.wait({waiting}, timeout=seconds)
        waiting.cancel()

    async def simulated(self, path: Path) -> Reply | None:
        """What localserve answers for a localpart that asks for a failure."""
        if not self.services.config.everything_to:
            return None
        reply = simulated_failure(path)
        if reply is HANG:
            await self.sleep(SIMULATED_HANG_S)
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

    def trace(self, session: Session, transaction: Transaction, now: datetime) -> TraceFacts:
        """Facts for the Received field. Where users are is nobody's business."""
        conn, tls = self.conn, self.conn.tls
        is_submission = session.offer.is_submission
        return TraceFacts(
            client_name=session.offer.hostname if is_submission else session.hello,
            client_ip="" if is_submission else conn.remote[0],
            reverse_name="",
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
