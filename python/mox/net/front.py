"""The HTTP front: takes accepted connections, does TLS, and hands them on by ALPN (DESIGN section 7).

`imap` and `smtp` go to the handlers given for them; everything else is pumped, as bytes and in both directions, to the
HTTP server embedded in this process. That server sees our loopback port as its client: the port is the key under which
the application finds who is really there (`Front.peer`). HTTP itself is not parsed here. RFC 7301, RFC 9112 §9.6.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field

from mox.net.conn import Connection
from mox.net.tls import ServerTls, TlsInfo

HANDSHAKE_S = 30.0
# A first request must have come within this time of the handshake.
FIRST_REQUEST_S = 30.0
# Chrome closes idle connections after 60 s, so the browser is the one that closes.
IDLE_S = 65.0
# A peer that takes no bytes for this long is cut off.
STALL_S = 60.0
# After the end of the client's stream: how long bytes already passed on may take to become a request.
HALF_CLOSE_S = 1.0
CONNECT_S = 5.0
# The embedded server takes any amount of a streamed answer at once; more than this does not wait there for the client.
WINDOW_BYTES = 1 << 20

_TLS_HANDSHAKE = 0x16
_PLAIN_ON_TLS = (
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"Client sent an HTTP request to an HTTPS server.\n"
)

Handler = Callable[[Connection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Site:
    """One listening port: its listener, and what is done with a connection. `tls` None is plain HTTP."""

    listener: str
    port: int
    tls: ServerTls | None = None
    by_alpn: Mapping[str, Handler] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        """What names the port among all: its listener and number."""
        return self.listener, self.port


class Peer:
    """The client behind one connection to the embedded server, and what it is being served."""

    def __init__(self, cid: int, remote: tuple[str, int], local: tuple[str, int], tls: TlsInfo | None, site: Site):
        self.cid, self.remote, self.local, self.tls, self.site = cid, remote, local, tls, site
        self.is_ending = asyncio.Event()
        self.requests = 0
        self._active = 0
        self._changed = asyncio.Event()
        self._waiting_bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """The application works on a request inside this block."""
        self.requests += 1
        self._active += 1
        self._changed.set()
        try:
            yield
        finally:
            self._active -= 1
            self._changed.set()

    @property
    def is_active(self) -> bool:
        """A request is being worked on."""
        return self._active > 0

    def end_unless_asked(self) -> None:
        """The time for a first request is over."""
        if not self.requests:
            self.is_ending.set()

    def passed_on(self, size: int) -> None:
        """The client took `size` bytes."""
        self._waiting_bytes = max(0, self._waiting_bytes - size)
        if self._waiting_bytes <= WINDOW_BYTES:
            self._has_room.set()

    def gone(self) -> None:
        """The connection ended; nobody waits for room in it."""
        self._waiting_bytes = 0
        self._has_room.set()

    async def room(self, size: int, timeout_s: float) -> None:
        """Wait until the client took enough of what was streamed before; `size` bytes more are then on their way.
        Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._has_room.wait()
        self._waiting_bytes += size
        if self._waiting_bytes > WINDOW_BYTES:
            self._has_room.clear()

    async def answered(self) -> None:
        """Wait until no request is being worked on, and none begins for a moment."""
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(None if self._active else HALF_CLOSE_S):
                    await self._changed.wait()
            except TimeoutError:
                return


class Front:
    """All HTTP connections of a process."""

    def __init__(self) -> None:
        # Known once the embedded server listens; the application needs `peer` before that.
        self.backend_port = 0
        self._peers: dict[int, Peer] = {}

    def peer(self, client: str) -> Peer | None:
        """Who is behind `client` (address:port as the embedded server sees it); None for a connection not from here."""
        host, _, port = client.rpartition(":")
        return self._peers.get(int(port)) if host == "127.0.0.1" and port.isdecimal() else None

    def count(self) -> int:
        """Connections being pumped."""
        return len(self._peers)

    def shut_down(self) -> None:
        """Let connections end with the requests that are being worked on; idle ones end now."""
        for peer in self._peers.values():
            peer.is_ending.set()

    async def serve(self, conn: Connection, site: Site) -> None:
        """Serve an accepted connection until it ends. Raises ConnectionError, TimeoutError."""
        if site.tls is not None:
            first = await conn.read(HANDSHAKE_S)
            if not first:
                return
            if first[0] != _TLS_HANDSHAKE:
                conn.write(_PLAIN_ON_TLS)
                return
            await conn.start_tls(site.tls, HANDSHAKE_S, unread=first)
            handler = site.by_alpn.get(conn.tls.alpn if conn.tls else "")
            if handler is not None:
                await handler(conn)
                return
        backend = await self._connect()
        key = backend.local[1]
        peer = Peer(conn.cid, conn.remote, conn.local, conn.tls, site)
        # Before the first byte, so that the application never sees a request without its peer.
        self._peers[key] = peer
        try:
            await _pump(conn, backend, peer)
        finally:
            del self._peers[key]
            backend.abort()
            peer.gone()

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_S):
            _, conn = await loop.create_connection(lambda: Connection(_ignore), "127.0.0.1", self.backend_port)
        return conn


def _ignore(_conn: Connection) -> None:
    """A connection that we made is driven by its maker."""


async def _pump(conn: Connection, backend: Connection, peer: Peer) -> None:
    """Copy both ways until one side is done; each buffer is bounded by `Connection`'s, in each direction."""
    too_late = asyncio.get_running_loop().call_later(FIRST_REQUEST_S, peer.end_unless_asked)
    up = asyncio.ensure_future(_until_ending(_to_backend(conn, backend, peer), peer))
    down = asyncio.ensure_future(_to_client(backend, conn, peer))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if up.done() and not up.exception():
            # The embedded server sends what it has and closes when it sees our end of the stream.
            backend.write_eof()
            async with asyncio.timeout(STALL_S):
                await down
    finally:
        too_late.cancel()
        for task in (up, down):
            task.cancel()
        results = await asyncio.gather(up, down, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _until_ending(sending: Coroutine[None, None, None], peer: Peer) -> None:
    """`sending`, or until the server shuts down and the peer has its answers."""
    task = asyncio.ensure_future(sending)
    ending = asyncio.ensure_future(peer.is_ending.wait())
    try:
        await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        elif peer.is_active:
            await peer.answered()
    finally:
        ending.cancel()
        task.cancel()


async def _to_backend(conn: Connection, backend: Connection, peer: Peer) -> None:
    """Until the client sent its end of the stream and got its answers, or sends nothing for too long."""
    while True:
        try:
            data = await conn.read(IDLE_S)
        except TimeoutError:
            if peer.is_active:
                continue
            return
        if not data:
            break
        backend.write(data)
        await backend.drain(STALL_S)
    await peer.answered()


async def _to_client(backend: Connection, conn: Connection, peer: Peer) -> None:
    """Until the embedded server closes."""
    while True:
        try:
            data = await backend.read(IDLE_S)
        except TimeoutError:
            # A response may be silent for any time (event streams); the other direction decides about idleness.
            continue
        if not data:
            return
        conn.write(data)
        await conn.drain(STALL_S)
        peer.passed_on(len(data))
