"""The bus between core and workers: frames over Unix sockets, with the core as the hub.

Every worker holds one end of a socket pair. A published message goes to the hub, which hands it to all other workers
and to its own subscribers. A call goes to the process that registered the service: the core. `mox.net.bus` says what
callers may expect; this module only carries the frames between processes.
"""

import asyncio
import itertools
import socket
import struct
from collections.abc import Awaitable, Callable

import msgspec

from mox import log
from mox.net.bus import LocalBus

MAX_FRAME_BYTES = 1 << 20
# A worker that does not read for this long, with this much waiting, is cut off and restarted by the core.
MAX_BUFFER_BYTES = 16 << 20

_LENGTH = struct.Struct(">I")
_logger = log.get("bus")


class Frame(msgspec.Struct, array_like=True):
    """One message on the wire. `kind`: publish, call, answer or error; `number` pairs a call with its answer."""

    kind: str
    name: str
    payload: bytes
    number: int = 0


class _Peer(asyncio.Protocol):
    """One end of a socket pair: cuts the stream into frames and hands them on."""

    def __init__(self, on_frame: Callable[["_Peer", Frame], None], on_lost: Callable[["_Peer"], None]) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if length > MAX_FRAME_BYTES:
                _logger.error("bus frame too large", size=length)
                self.close()
                return
            if len(self._buffer) < end:
                return
            frame = msgspec.msgpack.decode(bytes(self._buffer[_LENGTH.size : end]), type=Frame)
            del self._buffer[:end]
            self._on_frame(self, frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_lost(self)

    def send(self, frame: Frame) -> None:
        """Queue `frame`; a peer that stopped reading is disconnected rather than buffered for without bound."""
        if self._transport is None:
            return
        data = msgspec.msgpack.encode(frame)
        self._transport.write(_LENGTH.pack(len(data)) + data)
        if self._transport.get_write_buffer_size() > MAX_BUFFER_BYTES:
            _logger.error("bus peer does not read; disconnecting it")
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def _attach(sock: socket.socket, peer: _Peer) -> None:
    sock.setblocking(False)
    await asyncio.get_running_loop().create_connection(lambda: peer, sock=sock)


class HubBus(LocalBus):
    """The core's bus: local subscribers and services, and every attached worker."""

    def __init__(self) -> None:
        super().__init__()
        self._peers: set[_Peer] = set()
        self._calls: set[asyncio.Task[None]] = set()

    async def attach(self, sock: socket.socket) -> None:
        """Take the core's end of a worker's socket pair."""
        peer = _Peer(self._received, self._peers.discard)
        await _attach(sock, peer)
        self._peers.add(peer)

    def publish(self, topic: str, payload: bytes) -> None:
        super().publish(topic, payload)
        self._forward(Frame("publish", topic, payload), None)

    def _forward(self, frame: Frame, source: _Peer | None) -> None:
        for peer in self._peers:
            if peer is not source:
                peer.send(frame)

    def _received(self, peer: _Peer, frame: Frame) -> None:
        if frame.kind == "publish":
            super().publish(frame.name, frame.payload)
            self._forward(frame, peer)
        elif frame.kind == "call":
            task = asyncio.get_running_loop().create_task(self._answer(peer, frame))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _answer(self, peer: _Peer, frame: Frame) -> None:
        try:
            payload = await self.call(frame.name, frame.payload, timeout_s=30)
        except Exception as err:  # the caller in the other process must learn of any failure
            _logger.warning("bus call failed", service=frame.name, err=str(err))
            peer.send(Frame("error", frame.name, str(err).encode(), frame.number))
        else:
            peer.send(Frame("answer", frame.name, payload, frame.number))

    def close(self) -> None:
        """Disconnect all workers."""
        for peer in list(self._peers):
            peer.close()


class BusCallError(Exception):
    """The service in the other process failed; the text is its error."""


class WorkerBus(LocalBus):
    """A worker's bus: local subscribers, and the hub for everything else."""

    def __init__(self, process: str, on_lost: Callable[[], None]) -> None:
        super().__init__(process)
        self._peer = _Peer(self._received, lambda _peer: on_lost())
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._services: set[str] = set()

    async def attach(self, sock: socket.socket) -> None:
        """Take the worker's end of the socket pair."""
        await _attach(sock, self._peer)

    def publish(self, topic: str, payload: bytes) -> None:
        super().publish(topic, payload)
        self._peer.send(Frame("publish", topic, payload))

    def register(self, service: str, handler: Callable[[bytes], Awaitable[bytes]]) -> None:
        self._services.add(service)
        super().register(service, handler)

    async def call(self, service: str, payload: bytes, timeout_s: float) -> bytes:
        """Call a service of this process or else of the core. Raises TimeoutError, BusCallError."""
        if service in self._services:
            return await super().call(service, payload, timeout_s)
        number = next(self._numbers)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._peer.send(Frame("call", service, payload, number))
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        finally:
            del self._waiting[number]

    def _received(self, _peer: _Peer, frame: Frame) -> None:
        if frame.kind == "publish":
            super().publish(frame.name, frame.payload)
            return
        future = self._waiting.get(frame.number)
        if future is None or future.done():
            return
        if frame.kind == "answer":
            future.set_result(frame.payload)
        else:
            future.set_exception(BusCallError(frame.payload.decode(errors="replace")))

    def close(self) -> None:
        """Disconnect from the hub."""
        self._peer.close()
