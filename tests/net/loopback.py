"""Two ends of a connection on the loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from mox.net.conn import Connection, connect, serve
from mox.net.tls import ServerTls

TIMEOUT_S = 10.0


async def read_exactly(conn: Connection, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = await conn.read(TIMEOUT_S)
        if not piece:
            break
        data += piece
    return data


async def echo(conn: Connection) -> None:
    """Send everything back until the peer ends."""
    while data := await conn.read(TIMEOUT_S):
        conn.write(data)
        await conn.drain(TIMEOUT_S)


@asynccontextmanager
async def listening(
    handler: Callable[[Connection], Awaitable[None]] = echo, tls: ServerTls | None = None
) -> AsyncIterator[int]:
    """The port of a server."""
    sock = socket.create_server(("127.0.0.1", 0))
    listener = await serve(sock, handler, tls)
    try:
        yield sock.getsockname()[1]
    finally:
        listener.close()
        await listener.wait_closed(1.0)


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Connection, Connection]]:
    """Server's and client's end of a plain connection."""
    accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def handler(conn: Connection) -> None:
        accepted.set_result(conn)
        await done.wait()

    async with listening(handler) as port:
        client = await connect("127.0.0.1", port, TIMEOUT_S)
        try:
            yield await accepted, client
        finally:
            done.set()
            client.abort()
