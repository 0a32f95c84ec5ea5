"""The shell of an SMTP session: socket, time-outs, delays. Decisions are a `Handler`'s, the protocol is `session`'s.

Time-outs: RFC 5321 §4.5.3.2 asks a server to wait five minutes; clients that misbehave get less, and replies drip.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from mox import log, metrics
from mox._rust import ChunkReceiver, DataReceiver
from mox.net.conn import Connection
from mox.net.tls import ServerTls, TlsFailure
from mox.smtp.events import (
    AuthAborted,
    AuthRequested,
    AuthResponse,
    Closed,
    ContentRequested,
    HelloGiven,
    MailGiven,
    MessageReceived,
    NeedInput,
    Receiver,
    RecipientGiven,
    TlsRequested,
    Transaction,
)
from mox.smtp.reply import TIMED_OUT, Reply
from mox.smtp.session import SLOW_AFTER_FAILURES, Session

Ask = Callable[[bytes], Awaitable[bytes]]
MessageReceiver = DataReceiver | ChunkReceiver

_logger = log.get("smtpserver")


@dataclass(frozen=True, slots=True)
class Times:
    """Limits and delays in seconds."""

    read: float = 300.0
    read_slow: float = 30.0
    # RFC 5321 §4.5.3.2.5
    read_data: float = 180.0
    write: float = 30.0
    whole_data: float = 1800.0
    # Before each read and after each byte written to a client that behaves badly.
    drip: float = 1.0
    # For each failed AUTH beyond the third.
    failed_auth: float = 1.0
    # The rest of a dripping reply goes out at once when its time-out is this close.
    drip_margin: float = 5.0


class LoginFailed(Exception):
    """AUTH fails with `reply`; `counts` is False when the client is not to blame."""

    def __init__(self, reply: Reply, counts: bool = True) -> None:
        super().__init__(reply.text)
        self.reply = reply
        self.counts = counts


class LoginCancelled(Exception):
    """The client ended the exchange; it was answered already."""


class Handler(Protocol):
    """Decides about one connection. Methods return the refusal, or None to accept."""

    async def tls_client(self, session: Session) -> tuple[str, str]:
        """(account, address) of the client's TLS key, both empty for a client without one of ours."""

    async def hello(self, session: Session, given: HelloGiven) -> Reply | None:
        """A name was given in HELO or EHLO."""

    async def mail(self, session: Session, transaction: Transaction) -> Reply | None:
        """A transaction begins."""

    async def recipient(self, session: Session, asked: RecipientGiven) -> Reply | None:
        """Another recipient."""

    def receiver(self, session: Session, asked: ContentRequested) -> MessageReceiver:
        """Where content goes."""

    async def message(self, session: Session, transaction: Transaction, receiver: Receiver) -> Reply:
        """The message is complete. Returns when it is durable, or refused."""

    async def authenticate(self, session: Session, mechanism: str, initial: bytes | None, ask: Ask) -> tuple[str, str]:
        """(account, address). Raises LoginFailed; LoginCancelled comes from `ask` and passes through."""


class Shell:
    """Drives one session over one connection."""

    def __init__(
        self,
        conn: Connection,
        session: Session,
        handler: Handler,
        stopping: asyncio.Event,
        tls: ServerTls | None = None,
        times: Times | None = None,
    ) -> None:
        self._conn, self._session, self._handler = conn, session, handler
        self._stopping, self._tls, self._times = stopping, tls, times or Times()
        self._kind = "submission" if session.offer.is_submission else "smtp"
        self._log = _logger.bind(cid=conn.cid)
        self._data_ends_at: float | None = None
        self._octets = 0
        self._started = time.monotonic()
        self._is_idle = False

    async def run(self) -> None:
        """Until the session ends. Raises ConnectionError when the peer is gone."""
        goodbye = asyncio.get_running_loop().create_task(self._say_goodbye())
        try:
            while await self._step():
                pass
            await self._flush()
        finally:
            goodbye.cancel()

    async def _say_goodbye(self) -> None:
        """When the program stops, a client that says nothing is told and let go; others are between two commands."""
        await self._stopping.wait()
        if self._is_idle:
            self._session.shut_down()
            self._conn.write(self._session.take_output())
            await self._conn.close()

    async def _step(self) -> bool:
        """One event; False at the end."""
        session = self._session
        match session.next_event():
            case NeedInput(is_data):
                await self._read(is_data)
            case HelloGiven() as given:
                self._answer(await self._handler.hello(session, given))
            case MailGiven(transaction):
                self._answer(await self._handler.mail(session, transaction))
            case RecipientGiven() as asked:
                self._answer(await self._handler.recipient(session, asked))
            case ContentRequested() as asked:
                session.receive_into(self._handler.receiver(session, asked))
                self._data_ends_at, self._octets = time.monotonic() + self._times.whole_data, 0
            case MessageReceived(transaction, receiver):
                self._data_ends_at = None
                session.message_done(await self._handler.message(session, transaction, receiver))
            case TlsRequested():
                await self._start_tls()
            case AuthRequested(mechanism, initial):
                await self._authenticate(mechanism, initial)
            case AuthAborted():
                pass
            case AuthResponse():
                raise AssertionError("a response nobody asked for")
            case Closed():
                return False
        return True

    def _answer(self, refusal: Reply | None) -> None:
        if refusal is None:
            self._session.accept()
        else:
            self._session.refuse(refusal)

    # Waiting

    async def sleep(self, seconds: float) -> None:
        """Wait, unless the program stops."""
        if seconds > 0:
            waiting = asyncio.ensure_future(self._stopping.wait())
            await asyncio.wait({waiting}, timeout=seconds)
            waiting.cancel()

    async def _read(self, is_data: bool) -> None:
        await self._flush()
        session, times = self._session, self._times
        if session.is_slow and not is_data:
            await self.sleep(times.drip)
        self._is_idle = not is_data
        try:
            data = await self._conn.read(self._read_timeout(is_data))
        except TimeoutError:
            session.fail(TIMED_OUT)
            return
        finally:
            self._is_idle = False
        if self._stopping.is_set() and not is_data:
            session.shut_down()
            return
        session.receive(data)
        if is_data:
            self._bound(len(data))

    def _read_timeout(self, is_data: bool) -> float:
        times = self._times
        if self._data_ends_at is not None and is_data:
            return max(0.001, min(times.read_data, self._data_ends_at - time.monotonic()))
        return times.read_slow if self._session.is_slow else times.read

    def _bound(self, count: int) -> None:
        """A message that is far too big is not read to its end."""
        self._octets += count
        limit = self._session.offer.max_size
        if self._octets > 2 * limit + (1 << 20):
            self._session.fail(Reply(552, "5.3.4", f"message too large, the limit is {limit} bytes"))

    async def _flush(self) -> None:
        session = self._session
        self._observe()
        data = session.take_output()
        if not data:
            return
        if session.is_slow:
            await self._drip(data)
        else:
            self._conn.write(data)
        await self._conn.drain(self._times.write)

    async def _drip(self, data: bytes) -> None:
        ends_at = time.monotonic() + self._times.write - self._times.drip_margin
        for at in range(len(data)):
            if time.monotonic() + self._times.drip > ends_at or self._stopping.is_set() or not self._times.drip:
                self._conn.write(data[at:])
                return
            self._conn.write(data[at : at + 1])
            await self.sleep(self._times.drip)

    def _observe(self) -> None:
        now = time.monotonic()
        took = now - self._started
        for command, reply in self._session.replies:
            metrics.labelled(metrics.smtp_commands, self._kind, command, str(reply.code), reply.enhanced).observe(took)
            self._log.debug("smtp command", cmd=command, code=reply.code, ecode=reply.enhanced, text=reply.text)
        self._session.replies.clear()
        self._started = now

    # TLS and AUTH

    async def _start_tls(self) -> None:
        assert self._tls is not None
        await self._flush()
        try:
            await self._conn.start_tls(self._tls, unread=self._session.take_unread())
        except (ConnectionError, TimeoutError) as err:
            reason = err.kind if isinstance(err, TlsFailure) else "other"
            metrics.smtp_starttls_errors.labels(reason).inc()
            raise
        metrics.smtp_starttls.inc()
        self._session.tls_started(*await self._handler.tls_client(self._session))

    async def _authenticate(self, mechanism: str, initial: bytes | None) -> None:
        session = self._session
        await self.sleep((session.auth_failures - 1 - SLOW_AFTER_FAILURES) * self._times.failed_auth)
        try:
            account, user = await self._handler.authenticate(session, mechanism, initial, self._ask)
        except LoginFailed as err:
            session.auth_failed(err.reply, err.counts)
        except LoginCancelled:
            return
        else:
            session.authenticated(account, user)

    async def _ask(self, challenge: bytes) -> bytes:
        """Send a challenge; the response. Raises LoginCancelled."""
        session = self._session
        session.challenge(challenge)
        while True:
            match session.next_event():
                case NeedInput():
                    await self._read(False)
                case AuthResponse(data):
                    return data
                case AuthAborted() | Closed():
                    raise LoginCancelled
                case other:
                    raise AssertionError(f"no event of an exchange: {other}")
