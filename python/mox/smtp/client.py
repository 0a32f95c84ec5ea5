"""An SMTP client: sessions and transactions over connections. The protocol is in `client_session.py`.

    async with await SmtpClient.open(conn, options) as client:
        delivered = await client.deliver(envelope, content)

Used by the queue, by `mox sendmail`, and by tests.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from mox import log, metrics
from mox._rust import encode_data
from mox.net.conn import Connection
from mox.net.tls import ClientTls, TlsFailure, TlsInfo
from mox.smtp import client_session as session
from mox.smtp.client_errors import Kind, Response, SmtpClientError
from mox.smtp.client_replies import ReplyReader
from mox.smtp.client_session import Action, Answer, ChooseMechanism, Delivered, Envelope, Peer

T = TypeVar("T")

CHUNK_BYTES = 1 << 20

_logger = log.get("smtpclient")


class TlsMode(Enum):
    """When the connection is encrypted. `REQUIRED` sends STARTTLS whether it is announced or not."""

    IMMEDIATE = "immediate"
    REQUIRED = "requiredstarttls"
    OPPORTUNISTIC = "opportunistic"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the server may take, in seconds. RFC 5321 §4.5.3.2"""

    greeting_s: float = 300.0
    command_s: float = 300.0
    data_s: float = 120.0
    block_s: float = 180.0
    final_s: float = 600.0
    handshake_s: float = 60.0
    quit_s: float = 5.0

    def of(self, command: str) -> float:
        """For the answer to a command."""
        match command:
            case "data":
                return self.data_s
            case "quit":
                return self.quit_s
            case _:
                return self.command_s


@dataclass(frozen=True, slots=True)
class Options:
    """A session. `hostname` is our name in EHLO, `server_name` what SNI says and certificates are for; `tls` judges
    them, and after a handshake `verify` may, by raising SmtpClientError. `choose_mechanism` makes one for AUTH, given
    the connection and the mechanisms that are announced."""

    hostname: str
    mode: TlsMode
    server_name: str
    tls: ClientTls | None = None
    verify: Callable[[TlsInfo], None] | None = None
    choose_mechanism: Callable[[Connection], ChooseMechanism] | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)


class Content:
    """A message to send: `prefix`, then the file at `path` if there is one. Read in pieces that end at line ends."""

    def __init__(self, prefix: bytes, path: Path | None = None) -> None:
        self._prefix, self._path = prefix, path
        self.size = len(prefix) + (path.stat().st_size if path is not None else 0)

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it. Raises OSError."""
        if self._path is None:
            yield self._prefix
            return
        if self.size <= CHUNK_BYTES:
            yield self._prefix + await asyncio.to_thread(self._path.read_bytes)
            return
        rest = self._prefix
        with await asyncio.to_thread(self._path.open, "rb") as file:
            while data := await asyncio.to_thread(file.read, CHUNK_BYTES):
                rest += data
                end = rest.rfind(b"\r\n") + 2
                # A line without end in a whole piece is no mail; it goes on until it is found out.
                if end >= 2:
                    yield rest[:end]
                    rest = rest[end:]
        if rest:
            yield rest


class SmtpClient:
    """A session with a server. Methods raise SmtpClientError; after one that `is_botched` the session is over."""

    def __init__(self, conn: Connection, options: Options) -> None:
        self.conn = conn
        self.peer = Peer()
        self._options = options
        self._timeouts = options.timeouts
        self._reader = ReplyReader()
        self._is_botched = False
        self._needs_reset = False
        self.transactions = 0

    @classmethod
    async def open(cls, conn: Connection, options: Options) -> "SmtpClient":
        """A session that is started."""
        client = cls(conn, options)
        await client.start()
        return client

    async def start(self) -> None:
        """Greeting, EHLO, STARTTLS and AUTH as the options want. The connection is closed on errors."""
        try:
            await self._start()
        except BaseException:
            self.conn.abort()
            raise

    async def _start(self) -> None:
        options = self._options
        if options.mode is TlsMode.IMMEDIATE:
            await self._handshake()
        await self._run(session.greet(self.peer))
        await self._run(session.hello(self.peer, options.hostname))
        announced = self.peer.extensions.starttls
        if options.mode is TlsMode.REQUIRED or (options.mode is TlsMode.OPPORTUNISTIC and announced):
            await self._run(session.start_tls(self.peer, options.hostname))
        if options.choose_mechanism is not None:
            await self._run(session.authenticate(self.peer, options.choose_mechanism(self.conn)))

    async def deliver(self, envelope: Envelope, content: Content) -> Delivered:
        """One transaction. `envelope.size` must be that of `content`."""
        if self._is_botched:
            raise SmtpClientError(Kind.BOTCHED)
        if self._needs_reset:
            await self._run(session.reset())
        self._needs_reset = True
        result = await self._run(session.deliver(self.peer, envelope), content)
        self._needs_reset = False
        self.transactions += 1
        return result

    @property
    def is_usable(self) -> bool:
        """Another transaction can be tried."""
        return not self._is_botched

    async def reset(self) -> None:
        """RSET: also tells whether the server is still there."""
        await self._run(session.reset())
        self._needs_reset = False

    async def close(self) -> None:
        """QUIT if the session is in order, and close."""
        if not self._is_botched:
            self.conn.write(b"QUIT\r\n")
            self._is_botched = True
            try:
                await self._response("quit", self._timeouts.quit_s)
            except SmtpClientError as err:
                _logger.debug("quit", cid=self.conn.cid, err=str(err))
        # The other side may not care to read our close_notify any more.
        self.conn.abort()

    async def __aenter__(self) -> "SmtpClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if err is not None and not isinstance(err, SmtpClientError):
            self.conn.abort()
        else:
            await self.close()

    async def _run(self, steps: Generator[Action, list[Answer], T], content: Content | None = None) -> T:
        """Do what the protocol asks for until it has a result."""
        try:
            action = next(steps)
            while True:
                action = steps.send(await self._do(action, content))
        except StopIteration as done:
            result: T = done.value
            return result
        except SmtpClientError as err:
            self._is_botched = self._is_botched or err.is_botched
            raise

    async def _do(self, action: Action, content: Content | None) -> list[Answer]:
        match action:
            case session.Greeting():
                return [await self._response("(greeting)", self._timeouts.greeting_s)]
            case session.StartTls():
                await self._handshake()
                return []
            case session.Commands():
                return await self._commands(action)
            case session.Content(chunked):
                assert content is not None
                return [await self._send_content(content, chunked)]

    async def _commands(self, commands: session.Commands) -> list[Answer]:
        """Answers as far as they come. Reading goes on while the lines are sent, so that neither side waits for the
        other to read."""
        self.conn.write(b"".join(commands.lines))
        answers: list[Answer] = []
        for name in commands.names:
            if answers and isinstance(answers[-1], SmtpClientError):
                answers.append(answers[-1])
                continue
            try:
                answers.append(await self._response(name, self._timeouts.of(name)))
            except SmtpClientError as err:
                self._is_botched = True
                answers.append(err)
        return answers

    async def _response(self, command: str, timeout_s: float) -> Response:
        started = time.monotonic()
        response = await self._read_response(command, timeout_s)
        labels = (command, str(response.code), response.secode)
        metrics.smtpclient_commands.labels(*labels).observe(time.monotonic() - started)
        return response

    async def _read_response(self, command: str, timeout_s: float) -> Response:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    response = self._reader.next(self.peer.extensions.enhanced_codes, command)
                    if response is not None:
                        return response
                    data = await self.conn.read(timeout_s)
                    if not data:
                        raise SmtpClientError(Kind.CLOSED, command=command)
                    self._reader.feed(data)
        except TimeoutError as err:
            text = f"no response to {command} within {timeout_s:.0f} seconds"
            raise SmtpClientError(Kind.TIMEOUT, command=command, detail=text) from err
        except TlsFailure as err:
            raise SmtpClientError(Kind.TLS, command=command, detail=err.text) from err
        except OSError as err:
            raise SmtpClientError(Kind.IO, command=command, detail=str(err)) from err

    async def _handshake(self) -> None:
        """What the server said in clear behind its answer is fed into the handshake, which fails by it."""
        assert self._options.tls is not None
        try:
            await self.conn.start_tls_client(
                self._options.tls, self._options.server_name, self._timeouts.handshake_s, self._reader.drain()
            )
        except TimeoutError as err:
            raise SmtpClientError(Kind.TLS, command="starttls", detail="time-out during handshake") from err
        except TlsFailure as err:
            raise SmtpClientError(Kind.TLS, command="starttls", detail=err.text) from err
        except OSError as err:
            raise SmtpClientError(Kind.IO, command="starttls", detail=str(err)) from err
        if self._options.verify is not None and self.conn.tls is not None:
            self._options.verify(self.conn.tls)

    async def _send_content(self, content: Content, chunked: bool) -> Response:
        send = self._send_chunks if chunked else self._send_data
        try:
            return await send(content)
        except TimeoutError as err:
            raise SmtpClientError(Kind.TIMEOUT, command="data", detail="server does not read the message") from err
        except OSError as err:
            raise SmtpClientError(Kind.IO, command="data", detail=str(err)) from err

    async def _send_data(self, content: Content) -> Response:
        before: bytes | None = None
        async for piece in content.pieces():
            if before is not None:
                await self._write(_encode(before)[: -len(b".\r\n")])
            before = piece
        await self._write(_encode(before or b""))
        return await self._response("data", self._timeouts.final_s)

    async def _send_chunks(self, content: Content) -> Response:
        """RFC 3030 §2"""
        left = content.size
        async for piece in content.pieces():
            _check_lines(piece)
            left -= len(piece)
            last = b" LAST" if left == 0 else b""
            await self._write(b"BDAT %d%s\r\n%s" % (len(piece), last, piece))
            response = await self._response("data", self._timeouts.final_s)
            if last or response.code != 250:
                return response
        raise SmtpClientError(Kind.CONTENT, command="data", detail="message file is shorter than it was")

    async def _write(self, data: bytes) -> None:
        self.conn.write(data)
        try:
            await self.conn.drain(self._timeouts.block_s)
        except ConnectionError:
            # What the server said before it closed is worth more than that it did.
            return


def _encode(piece: bytes) -> bytes:
    try:
        return encode_data(piece)
    except ValueError as err:
        raise SmtpClientError(
            Kind.CONTENT, command="data", detail="message has a bare carriage return or line feed"
        ) from err


def _check_lines(piece: bytes) -> None:
    if not piece.count(b"\r\n") == piece.count(b"\r") == piece.count(b"\n") or not piece.endswith(b"\r\n"):
        raise _bad_line_end()


def _bad_line_end() -> SmtpClientError:
    return SmtpClientError(Kind.CONTENT, command="data", detail="message has a bare carriage return or line feed")
