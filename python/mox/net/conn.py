"""Connections, accepted and made: plain or TLS, read and written by coroutines, every wait with a deadline.

TLS itself is `mox._rust`, what to offer and whom to trust is `mox.net.tls`.
"""

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import cast

from mox import log, metrics
from mox._rust import TlsConnection, TlsError, TlsServerConfig
from mox.net.tls import ClientTls, ServerTls, TlsFailure, TlsInfo

# Reading from the socket pauses while this much waits for the program.
MAX_BUFFER_BYTES = 1 << 20
HANDSHAKE_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 10.0

# Octets that are received in one go: with what is made of them they stay in a core's cache.
_RECEIVE_BYTES = 1 << 16

_logger = log.get("net")
_numbers = itertools.count(1)


class _Receiving(threading.local):
    """The memory that all connections of a thread's loop receive into, one after the other: a loop fills it and hands
    it over before it turns to the next connection. Fresh memory for each read costs more than the copy out of this."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_RECEIVE_BYTES))


_receiving = _Receiving()


class Connection(asyncio.BufferedProtocol):
    """One connection. Methods raise ConnectionError when it is gone (TlsFailure when TLS is why), TimeoutError when a
    peer is too slow. `truncated`: TLS ended without close_notify (RFC 8446 §6.1)."""

    def __init__(self, on_made: Callable[["Connection"], None] | None = None) -> None:
        self.cid = next(_numbers)
        self.remote: tuple[str, int] = ("", 0)
        self.local: tuple[str, int] = ("", 0)
        self.tls: TlsInfo | None = None
        self.truncated = False
        self._on_made = on_made
        self._transport: asyncio.Transport | None = None
        self._tls: TlsConnection | None = None
        # What waits for the program: the octets as they came, a bytearray when more came behind them.
        self._buffer: bytes | bytearray = b""
        self._eof = False
        self._error: Exception | None = None
        self._paused_reading = False
        # Events only while they are waited for: a connection that does nothing is to be small.
        self._can_write: asyncio.Event | None = None
        self._lost: asyncio.Event | None = None
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.remote = (transport.get_extra_info("peername") or ("", 0))[:2]
        self.local = (transport.get_extra_info("sockname") or ("", 0))[:2]
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._on_made is not None:
            self._on_made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _receiving.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = _receiving.buffer[:nbytes]
        if self._tls is not None:
            self._decrypt(data)
        else:
            self._add(bytes(data))
        if len(self._buffer) > MAX_BUFFER_BYTES and not self._paused_reading and self._transport is not None:
            self._paused_reading = True
            self._transport.pause_reading()
        self._wake()

    def _add(self, data: bytes) -> None:
        if not self._buffer:
            self._buffer = data
            return
        if isinstance(self._buffer, bytes):
            self._buffer = bytearray(self._buffer)
        self._buffer += data

    def eof_received(self) -> bool:
        self._end()
        self._wake()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._error = self._error or exc or ConnectionResetError("connection is closed")
        self._transport = None
        if self._lost is not None:
            self._lost.set()
        self.resume_writing()
        self._wake()

    def pause_writing(self) -> None:
        if self._can_write is None:
            self._can_write = asyncio.Event()

    def resume_writing(self) -> None:
        if self._can_write is not None:
            self._can_write.set()
            self._can_write = None

    def _end(self) -> None:
        self.truncated = self.truncated or (self._tls is not None and not self._eof)
        self._eof = True

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _decrypt(self, data: bytes | memoryview) -> None:
        assert self._tls is not None
        if isinstance(self._error, TlsFailure):
            # The first failure is the one to tell of; what still comes means nothing.
            return
        try:
            taken = self._tls.receive(data)
        except TlsError as err:
            self._fail(err)
            return
        self._take(*taken)

    def _take(self, plain: bytes, out: bytes, closed: bool) -> None:
        self._send(out)
        if plain:
            self._add(plain)
        if closed:
            self._eof = True

    def _fail(self, err: TlsError) -> None:
        assert self._tls is not None
        self._send(self._tls.take_output())
        self._error = TlsFailure.of(err)
        self._eof = True

    def _send(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    async def _wait(self, timeout_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = None if timeout_s is None else loop.call_later(timeout_s, _expire, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    async def read(self, timeout_s: float) -> bytes:
        """All bytes that are here, at least one; b"" at the end of the stream. Raises TlsFailure for broken TLS and
        for an alert, such as the late refusal of a client's certificate."""
        while not self._buffer:
            if isinstance(self._error, TlsFailure):
                raise self._error
            if self._eof:
                return b""
            await self._wait(timeout_s)
        data = bytes(self._buffer)
        self._buffer = b""
        if self._paused_reading and self._transport is not None:
            self._paused_reading = False
            self._transport.resume_reading()
        return data

    @property
    def has_input(self) -> bool:
        """`read` returns, or raises, at once."""
        return bool(self._buffer) or self._eof or isinstance(self._error, TlsFailure)

    async def ready(self, timeout_s: float) -> None:
        """Return when `has_input`, or after `wake`. Raises TimeoutError."""
        if not self.has_input:
            await self._wait(timeout_s)

    def wake(self) -> None:
        """End a wait in `ready`: there is something else to do."""
        self._wake()

    def unread(self, data: bytes) -> None:
        """Give `data` back: the next `read` returns it first."""
        self._buffer = data + bytes(self._buffer)

    def write(self, data: bytes) -> None:
        """Queue `data` for sending; `drain` from time to time. Writing to a lost connection does nothing."""
        if self._transport is None:
            return
        try:
            self._transport.write(self._tls.write(data) if self._tls is not None else data)
        except TlsError as err:
            self._error = TlsFailure.of(err)
            self.abort()

    async def drain(self, timeout_s: float) -> None:
        """Wait until the peer took enough. Raises ConnectionError when it is gone."""
        if self._can_write is not None:
            async with asyncio.timeout(timeout_s):
                await self._can_write.wait()
        if self._transport is None:
            raise ConnectionError("connection is closed") from self._error

    async def start_tls(self, tls: ServerTls, timeout_s: float = HANDSHAKE_TIMEOUT_S, unread: bytes = b"") -> None:
        """Do a handshake as server. `unread` are bytes that came behind STARTTLS; they belong to the handshake.

        Raises TlsFailure, and TimeoutError when the whole of it takes too long."""
        await self._handshake(TlsConnection.server(), unread, timeout_s, tls)

    async def start_tls_client(
        self, tls: ClientTls, server_name: str, timeout_s: float = HANDSHAKE_TIMEOUT_S, unread: bytes = b""
    ) -> None:
        """Do a handshake as client; `server_name` is what SNI says and certificates must be for (an address sends no
        SNI). `unread` as for `start_tls`. Raises TlsFailure, also for a name that is none, and TimeoutError."""
        try:
            conn = TlsConnection.client(tls.config, server_name)
        except TlsError as err:
            raise TlsFailure.of(err) from err
        await self._handshake(conn, unread, timeout_s, None)

    async def _handshake(self, conn: TlsConnection, unread: bytes, timeout_s: float, server: ServerTls | None) -> None:
        early = unread + bytes(self._buffer)
        self._buffer = b""
        self._tls = conn
        self._send(conn.take_output())
        if early:
            self._decrypt(early)
        async with asyncio.timeout(timeout_s):
            while conn.handshaking:
                if self._error is not None:
                    raise self._error
                if self._eof:
                    raise TlsFailure("eof", "the peer closed the connection during the handshake")
                if server is not None and (hello := conn.hello()) is not None:
                    config = server.config
                    if config is None:
                        assert server.choose is not None
                        config = await server.choose(hello)
                    self._choose(config)
                else:
                    await self._wait(None)
        self.tls = TlsInfo.of(conn)

    def _choose(self, config: TlsServerConfig) -> None:
        assert self._tls is not None
        try:
            taken = self._tls.choose(config)
        except TlsError as err:
            self._fail(err)
            return
        self._take(*taken)

    def export_keying_material(self, label: bytes, context: bytes, length: int) -> bytes:
        """RFC 8446 §7.5. Raises TlsFailure without TLS."""
        if self._tls is None:
            raise TlsFailure("state", "the connection has no TLS")
        try:
            return self._tls.export_keying_material(label, context, length)
        except TlsError as err:
            raise TlsFailure.of(err) from err

    def channel_binding(self) -> bytes | None:
        """tls-exporter (RFC 9266); None without TLS 1.3."""
        if self._tls is None or self._tls.version != "TLS1.3":
            return None
        return self.export_keying_material(b"EXPORTER-Channel-Binding", b"", 32)

    async def close(self) -> None:
        """Send what is queued, then close; a peer that does not take it is cut off."""
        if self._transport is None:
            return
        if self._tls is not None and not self._tls.handshaking:
            self._send(self._tls.close())
        self._transport.close()
        self._lost = lost = self._lost or asyncio.Event()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await lost.wait()
        except TimeoutError:
            self.abort()

    def write_eof(self) -> None:
        """Send what is queued and then the end of the stream; reading goes on."""
        if self._transport is None:
            return
        if self._tls is not None and not self._tls.handshaking:
            self._send(self._tls.close())
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


Handler = Callable[[Connection], Awaitable[None]]


class Listener:
    """A listening socket and its connections."""

    def __init__(self, handler: Handler, tls: ServerTls | None) -> None:
        self._handler = handler
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, sock: socket.socket) -> None:
        """Accept on `sock`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._accepted), sock=sock, backlog=1024)

    def _accepted(self, conn: Connection) -> None:
        task = asyncio.get_running_loop().create_task(self._run(conn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, conn: Connection) -> None:
        try:
            if self._tls is not None:
                await conn.start_tls(self._tls)
            await self._handler(conn)
        except (ConnectionError, TimeoutError) as err:
            _logger.debug("connection ended", cid=conn.cid, remote=conn.remote[0], err=str(err))
        except Exception:
            # A bug: the peer sees a closed connection, never a traceback.
            metrics.panics.labels("net").inc()
            _logger.exception("unhandled error on connection", cid=conn.cid, remote=conn.remote[0])
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await conn.close()

    def close(self) -> None:
        """Accept no more."""
        if self._server is not None:
            self._server.close()

    async def wait_closed(self, grace_s: float) -> None:
        """Wait for the connections to end; after `grace_s` they are cut off."""
        if self._tasks:
            _, left = await asyncio.wait(set(self._tasks), timeout=grace_s)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=CLOSE_TIMEOUT_S)


async def serve(sock: socket.socket, handler: Handler, tls: ServerTls | None = None) -> Listener:
    """Call `handler` in a task for each connection that `sock` accepts, after the handshake when `tls` is given."""
    listener = Listener(handler, tls)
    sock.setblocking(False)
    await listener.start(sock)
    return listener


async def connect(host: str, port: int, timeout_s: float, local_host: str | None = None) -> Connection:
    """Connect to `host`, a name or an address, from the address `local_host` if given. Raises OSError, TimeoutError."""
    local = (local_host, 0) if local_host is not None else None
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        _, conn = await loop.create_connection(Connection, host, port, local_addr=local)
    return conn


async def adopt(sock: socket.socket) -> Connection:
    """The connection of a connected socket, for example one that a SOCKS proxy gave."""
    sock.setblocking(False)
    _, conn = await asyncio.get_running_loop().create_connection(Connection, sock=sock)
    return conn
