"""SMTP and submission over connections: the shell around `mox.smtp.session`."""

import asyncio
import base64
import binascii
import time
from dataclasses import dataclass
from email.utils import formatdate

from mox import log, metrics
from mox._rust import DataReceiver, StagedMessage
from mox.config.live import Config
from mox.config.model import Listener
from mox.inbound import deliver as inbound
from mox.net.conn import Connection
from mox.net.limits import ConnectionLimiter, RateLimiter
from mox.net.tls import ServerTls
from mox.outbound.queue import Queue
from mox.outbound.records import NewMessage
from mox.sasl.scram import SaslError
from mox.smtp.address import Path
from mox.smtp.session import Authenticate, Data, Policy, Quit, Session, StartTls
from mox.store.login import LoginError, Logins, UnknownMechanismError
from mox.store.store import Store

READ_TIMEOUT_S = 300.0
WRITE_TIMEOUT_S = 30.0
AUTH_FAIL_DELAY_S = 1.0
SIMULATED_HANG_S = 3600.0
MAX_LINE = 2048

_logger = log.get("smtpserver")


class SmtpContext:
    """What all SMTP connections of a process share."""

    def __init__(self, config: Config, store: Store, queue: Queue, stopping: asyncio.Event) -> None:
        self.config, self.store, self.queue, self.stopping = config, store, queue, stopping
        self.logins = Logins(config, store)
        limits = config.static.Limits
        self.rate = RateLimiter(60, limits.SMTPConnectionsPerMinute)
        self.open = ConnectionLimiter(limits.SMTPConnections)


@dataclass(frozen=True, slots=True)
class _Aborted(Exception):
    """The connection cannot go on; the reply says why."""

    reply: bytes


class _Lines:
    """Lines and data of a connection."""

    def __init__(self, conn: Connection, stopping: asyncio.Event) -> None:
        self.conn = conn
        self.buffer = b""
        self._stopping = stopping

    async def more(self) -> None:
        data = await self.conn.read(READ_TIMEOUT_S)
        if not data:
            raise ConnectionError("closed by peer")
        self.buffer += data

    def has_line(self) -> bool:
        return b"\n" in self.buffer

    async def line(self) -> bytes:
        """The next line; raises _Aborted for an endless one."""
        while not self.has_line():
            if len(self.buffer) > MAX_LINE:
                raise _Aborted(b"500 5.5.6 line too long\r\n")
            await self.conn.drain(WRITE_TIMEOUT_S)
            await self.more()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.removesuffix(b"\r")


class Shell:
    """Drives one session."""

    def __init__(
        self, conn: Connection, ctx: SmtpContext, service: str, listener: Listener, tls: ServerTls | None
    ) -> None:
        self._conn, self._ctx, self._tls = conn, ctx, tls
        self._lines = _Lines(conn, ctx.stopping)
        self._hang = False
        self._log = _logger.bind(cid=conn.cid, remote=conn.remote[0])
        is_submission = service != "smtp"
        plain_allowed = bool(listener.Submission and listener.Submission.NoRequireSTARTTLS)
        offers_tls = tls is not None and not (service == "smtp" and listener.SMTP and listener.SMTP.NoSTARTTLS)
        policy = Policy(
            hostname=listener.Hostname or ctx.config.static.Hostname,
            is_submission=is_submission,
            max_size=listener.max_message_size,
            max_recipients=ctx.config.static.Limits.MaxRecipients,
            can_start_tls=offers_tls,
            need_tls_for_auth=is_submission and not plain_allowed,
            check_sender=self._check_sender,
            check_recipient=self._check_recipient,
        )
        self._session = Session(policy, has_tls=conn.tls is not None)

    def _check_sender(self, path: Path) -> bytes | None:
        if self._session.account:
            found = self._ctx.config.lookup_address(path.localpart, path.domain)
            if found is None or found.account != self._session.account:
                return b"550 5.7.1 not your address\r\n"
            return None
        return self._simulated(path) if path.localpart.startswith("mailfrom") else None

    def _check_recipient(self, path: Path) -> bytes | None:
        if not self._session.account and inbound.destination(self._ctx.config, path) is None:
            return b"550 5.1.1 no such user\r\n"
        return self._simulated(path) if path.localpart.startswith("rcptto") else None

    def _simulated(self, path: Path) -> bytes | None:
        if not self._ctx.config.everything_to:
            return None
        reply = inbound.simulated_failure(path)
        if reply == b"timeout":
            self._hang = True
            return b"451 4.3.0 simulated timeout\r\n"
        return reply

    async def run(self) -> None:
        """Until the client goes, or the server stops."""
        session, conn = self._session, self._conn
        conn.write(session.greeting())
        while True:
            line = await self._lines.line()
            if self._ctx.stopping.is_set():
                raise _Aborted(b"421 4.3.2 shutting down\r\n")
            started = time.monotonic()
            reply = session.line(line)
            if self._hang:
                self._hang = False
                await self._sleep(SIMULATED_HANG_S)
            if reply:
                conn.write(reply)
            await self._act()
            word = line.split(b" ", 1)[0].decode("ascii", "replace").lower()
            known = word if word in ("ehlo", "helo", "mail", "rcpt", "data", "auth", "starttls") else "(other)"
            kind = "submission" if session.policy.is_submission else "deliver"
            metrics.smtp_commands.labels(kind, known, reply[:3].decode()).observe(time.monotonic() - started)
            if isinstance(session.action, Quit):
                return

    async def _sleep(self, seconds: float) -> None:
        waiting = asyncio.ensure_future(self._ctx.stopping.wait())
        await asyncio.wait({waiting}, timeout=seconds)
        waiting.cancel()

    async def _act(self) -> None:
        match self._session.action:
            case StartTls():
                await self._start_tls()
            case Authenticate(mechanism, initial):
                self._conn.write(await self._authenticate(mechanism, initial))
            case Data():
                self._conn.write(await self._data())

    async def _start_tls(self) -> None:
        assert self._tls is not None
        await self._conn.drain(WRITE_TIMEOUT_S)
        unread, self._lines.buffer = self._lines.buffer, b""
        await self._conn.start_tls(self._tls, unread=unread)
        self._session.tls_started()

    async def _authenticate(self, mechanism: str, initial: str | None) -> bytes:
        if not self._ctx.logins.may_try(self._conn.remote[0]):
            raise _Aborted(b"421 4.7.0 too many failed log-ins\r\n")

        async def ask(challenge: bytes) -> bytes:
            self._conn.write(b"334 " + base64.b64encode(challenge) + b"\r\n")
            line = await self._lines.line()
            if line == b"*":
                raise SaslError("aborted by client")
            return _base64(line)

        try:
            first = None if initial is None else b"" if initial == "=" else _base64(initial.encode())
            account, user = await self._ctx.logins.sasl(
                mechanism, first, ask, self._conn.channel_binding(), self._conn.remote[0], "submission"
            )
        except UnknownMechanismError:
            return b"504 5.5.4 mechanism not supported\r\n"
        except SaslError as err:
            return f"501 5.5.2 {err}\r\n".encode()
        except LoginError as err:
            self._log.info("login failed", mechanism=mechanism, err=str(err))
            await self._sleep(AUTH_FAIL_DELAY_S)
            return b"535 5.7.8 bad user or password\r\n"
        self._session.authenticated(account, user)
        return b"235 2.7.0 nice\r\n"

    async def _data(self) -> bytes:
        receiver = DataReceiver(str(self._ctx.store.tmp_dir), self._session.policy.max_size)
        await self._conn.drain(WRITE_TIMEOUT_S)
        while True:
            used = receiver.feed(self._lines.buffer)
            self._lines.buffer = self._lines.buffer[used:]
            if receiver.done:
                break
            await self._lines.more()
        transaction = self._session.data_done()
        if receiver.error == "smuggling":
            return b"500 5.5.2 bare carriage return or newline: refused because of smtp smuggling\r\n"
        if receiver.error == "too big":
            return b"552 5.3.4 message too large\r\n"
        try:
            staged = receiver.finish()
        except OSError as err:
            self._log.error("receiving message", err=str(err))
            return b"452 4.3.1 cannot store the message now\r\n"
        envelope = inbound.Envelope(transaction.sender, transaction.recipients, self._conn.remote[0])
        return await self._take(envelope, staged)

    async def _take(self, envelope: inbound.Envelope, staged: StagedMessage) -> bytes:
        trace = self._received(envelope)
        for path in envelope.recipients:
            if not path.localpart.startswith("queue") and (reply := self._simulated(path)):
                if self._hang:
                    self._hang = False
                    await self._sleep(SIMULATED_HANG_S)
                return reply
        try:
            if self._session.account:
                queued = [
                    NewMessage(envelope.sender, path, trace, remote_ip=envelope.remote_ip)
                    for path in envelope.recipients
                ]
                await self._ctx.queue.add(self._session.account, staged, queued)
                return b"250 2.0.0 queued\r\n"
            await inbound.deliver(self._ctx.config, self._ctx.store, envelope, staged, trace)
        except inbound.DeliveryError as err:
            return f"{err}\r\n".encode()
        except OSError as err:
            self._log.error("storing message", err=str(err))
            return b"452 4.3.1 cannot store the message now\r\n"
        return b"250 2.6.0 it is done\r\n"

    def _received(self, envelope: inbound.Envelope) -> bytes:
        """RFC 5321 §4.4"""
        session, conn = self._session, self._conn
        protocol = "ESMTP" if session.is_extended else "SMTP"
        protocol += ("S" if conn.tls else "") + ("A" if session.account else "") if session.is_extended else ""
        ip = conn.remote[0]
        literal = f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"
        tls = f"\r\n\t({conn.tls.version} {conn.tls.cipher_suite})" if conn.tls else ""
        target = f"\r\n\tfor <{envelope.recipients[0]}>" if len(envelope.recipients) == 1 else ""
        text = (
            f"Received: from {session.hello} ({literal})\r\n\tby {session.policy.hostname} with {protocol}"
            f" id {conn.cid:x}-{time.time_ns():x}{tls}{target};\r\n\t{formatdate(localtime=False)}\r\n"
        )
        return text.encode()


def _base64(data: bytes) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as err:
        raise SaslError("bad base64") from err


async def serve_connection(
    conn: Connection, ctx: SmtpContext, service: str, listener: Listener, tls: ServerTls | None
) -> None:
    """Serve SMTP (`service` smtp) or submission until the connection ends."""
    ip = conn.remote[0]
    _logger.info("new connection", cid=conn.cid, remote=ip, service=service, tls=conn.tls is not None)
    metrics.smtp_connections.labels("deliver" if service == "smtp" else "submission").inc()
    if ctx.stopping.is_set():
        conn.write(b"421 4.3.2 shutting down\r\n")
        return
    if not ctx.rate.add(ip):
        conn.write(b"421 4.7.0 connection rate from your ip or network too high, slow down please\r\n")
        return
    if not ctx.open.add(ip):
        conn.write(b"421 4.7.0 too many open connections from your ip or network\r\n")
        return
    try:
        await Shell(conn, ctx, service, listener, tls).run()
    except _Aborted as err:
        conn.write(err.reply)
    except TimeoutError:
        conn.write(b"421 4.4.2 timeout\r\n")
    finally:
        ctx.open.remove(ip)
