"""SMTP and submission over connections: accepting, limits, and the delivery of localserve's queue."""

import asyncio
from pathlib import Path

from mox import log, metrics
from mox.config.live import Config
from mox.config.model import Listener
from mox.dns import psl
from mox.dns.resolver import Resolver
from mox.dns.static import StaticResolver
from mox.dns.system import SystemResolver
from mox.inbound.deliver import Deliverer, Neighbours
from mox.inbound.localzone import add_keys, local_resolver
from mox.inbound.notify import Notifier
from mox.net.conn import Connection
from mox.net.limits import ConnectionLimiter, RateLimiter
from mox.net.tls import ServerTls
from mox.outbound.queue import Queue
from mox.outbound.submission import Submitter
from mox.smtp.delivering import DeliveryHandler
from mox.smtp.handlers import Services
from mox.smtp.hello import Offer
from mox.smtp.reply import SHUTTING_DOWN, Reply
from mox.smtp.session import Session
from mox.smtp.shell import Shell, Times
from mox.smtp.submitting import SubmissionHandler
from mox.smtp.trace import ReceivedIds
from mox.store.login import Logins
from mox.store.store import Store

_logger = log.get("smtpserver")


class SmtpContext:
    """What all SMTP connections of a process share."""

    def __init__(
        self,
        config: Config,
        store: Store,
        queue: Queue,
        stopping: asyncio.Event,
        resolver: Resolver | None = None,
        neighbours: Neighbours | None = None,
    ) -> None:
        """Without `resolver` the system's is used, or for localserve none at all. Raises OSError, ValueError."""
        self.config, self.store, self.queue, self.stopping = config, store, queue, stopping
        self.logins = Logins(config, store)
        self.resolver = resolver or _default_resolver(config)
        self.deliverer = Deliverer(config, store, self.resolver, neighbours)
        self.submitter = Submitter(config, store, queue)
        self.services = Services(
            config,
            store,
            self.logins,
            self.resolver,
            self.deliverer,
            Notifier(config, queue),
            self.submitter,
            stopping,
        )
        self.ids = ReceivedIds.load(config.data_dir / "receivedid.key")
        self.times = Times()
        limits = config.static.Limits
        self.rate = RateLimiter(60, limits.SMTPConnectionsPerMinute)
        self.open = ConnectionLimiter(limits.SMTPConnections)

    async def start(self) -> None:
        """Read what is needed from files."""
        await asyncio.to_thread(psl.load)
        if isinstance(self.resolver, StaticResolver) and self.config.everything_to:
            await add_keys(self.config, self.resolver)


def _default_resolver(config: Config) -> Resolver:
    if config.everything_to:
        return local_resolver(config)
    return SystemResolver.from_resolv_conf(Path("/etc/resolv.conf"))


def _offer(ctx: SmtpContext, service: str, listener: Listener, tls: ServerTls | None) -> Offer:
    is_submission = service != "smtp"
    plain_allowed = bool(listener.Submission and listener.Submission.NoRequireSTARTTLS)
    return Offer(
        hostname=listener.Hostname or ctx.config.static.Hostname,
        is_submission=is_submission,
        max_size=listener.max_message_size,
        max_recipients=ctx.config.static.Limits.MaxRecipients,
        can_start_tls=tls is not None and not (not is_submission and listener.SMTP and listener.SMTP.NoSTARTTLS),
        require_tls=is_submission or not listener.SMTP.NoRequireTLS,
        external=is_submission,
        pedantic=ctx.config.static.Pedantic,
        needs_tls=is_submission and not (service == "submission" and plain_allowed),
    )


def _refusal(ctx: SmtpContext, ip: str, is_submission: bool) -> Reply | None:
    """Why a new connection is turned away."""
    if ctx.stopping.is_set():
        return SHUTTING_DOWN
    if not ctx.rate.add(ip):
        return Reply(421, "4.7.0", "connection rate from your ip or network too high, slow down please")
    if is_submission and not ctx.logins.may_try(ip):
        metrics.authentication_ratelimited.labels("submission").inc()
        return Reply(421, "4.7.0", "too many failed log-ins from your ip or network")
    if not ctx.open.add(ip):
        return Reply(421, "4.7.0", "too many open connections from your ip or network")
    return None


async def serve_connection(
    conn: Connection, ctx: SmtpContext, service: str, listener: Listener, tls: ServerTls | None
) -> None:
    """Serve SMTP (`service` smtp) or submission until the connection ends."""
    ip, is_submission = conn.remote[0], service != "smtp"
    _logger.info("new connection", cid=conn.cid, remote=ip, local=conn.local[0], service=service, tls=bool(conn.tls))
    metrics.smtp_connections.labels("submission" if is_submission else "smtp").inc()
    refusal = _refusal(ctx, ip, is_submission)
    if refusal is not None:
        conn.write(refusal.render())
        return
    session_id = ctx.ids.encode(conn.cid)
    session = Session(_offer(ctx, service, listener, tls), ip, has_tls=bool(conn.tls), session_id=session_id)
    kind = SubmissionHandler if is_submission else DeliveryHandler
    handler = kind(ctx.services, conn, listener, session_id)
    try:
        if conn.tls is not None:
            account, user = await handler.tls_client(session)
            if account:
                session.known_by_certificate(account, user)
        await Shell(conn, session, handler, ctx.stopping, tls, ctx.times).run()
    finally:
        ctx.open.remove(ip)
