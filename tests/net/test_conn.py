"""Plain connections: reading, writing, ends, deadlines."""

import asyncio
import socket

import pytest

from mox.net.conn import MAX_BUFFER_BYTES, Connection, adopt, connect
from tests.net.loopback import TIMEOUT_S, echo, listening, pair, read_exactly


async def test_connect_write_read_close() -> None:
    async with listening() as port:
        conn = await connect("127.0.0.1", port, TIMEOUT_S)
        assert conn.remote == ("127.0.0.1", port)
        assert conn.tls is None
        assert conn.channel_binding() is None
        conn.write(b"hello")
        assert await read_exactly(conn, 5) == b"hello"
        await conn.close()
        conn.write(b"into the void")
        with pytest.raises(ConnectionError):
            await conn.drain(TIMEOUT_S)


async def test_connect_from_an_address() -> None:
    async with listening() as port:
        conn = await connect("127.0.0.1", port, TIMEOUT_S, local_host="127.0.0.2")
        assert conn.local[0] == "127.0.0.2"
        await conn.close()


async def test_connect_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await connect("127.0.0.1", port, TIMEOUT_S)


async def test_adopted_socket() -> None:
    async with listening() as port:
        loop = asyncio.get_running_loop()
        sock = await loop.run_in_executor(None, socket.create_connection, ("127.0.0.1", port))
        conn = await adopt(sock)
        conn.write(b"x")
        assert await conn.read(TIMEOUT_S) == b"x"
        await conn.close()


async def test_unread_comes_first() -> None:
    async with pair() as (server, client):
        server.write(b"later")
        await server.drain(TIMEOUT_S)
        first = await read_exactly(client, 5)
        client.unread(first)
        client.unread(b"sooner ")
        assert await client.read(TIMEOUT_S) == b"sooner later"


async def test_end_of_stream_and_half_close() -> None:
    async with pair() as (server, client):
        assert client._transport is not None
        client._transport.write_eof()
        assert await server.read(TIMEOUT_S) == b""
        server.write(b"still here")
        assert await read_exactly(client, 10) == b"still here"
        assert not client.truncated


async def test_silent_peer_times_out() -> None:
    async with pair() as (server, _):
        with pytest.raises(TimeoutError):
            await server.read(0.01)


async def test_peer_that_does_not_read_times_out() -> None:
    async with pair() as (server, client):
        assert client._transport is not None
        client._transport.pause_reading()
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                server.write(bytes(1 << 20))
                await server.drain(0.05)


async def test_reading_pauses_when_nobody_takes() -> None:
    async with pair() as (server, client):
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                client.write(bytes(1 << 20))
                await client.drain(0.05)
        assert len(server._buffer) <= MAX_BUFFER_BYTES + (1 << 20)
        assert await server.read(TIMEOUT_S)


async def test_handler_that_fails_closes_the_connection() -> None:
    async def handler(conn: Connection) -> None:
        raise ConnectionError("as when a peer went away")

    async with listening(handler) as port:
        conn = await connect("127.0.0.1", port, TIMEOUT_S)
        assert await conn.read(TIMEOUT_S) == b""
        await conn.close()


async def test_many_connections() -> None:
    async def talk(port: int, number: int) -> bytes:
        conn = await connect("127.0.0.1", port, TIMEOUT_S)
        conn.write(b"%d" % number)
        try:
            return await conn.read(TIMEOUT_S)
        finally:
            await conn.close()

    async with listening(echo) as port:
        answers = await asyncio.gather(*(talk(port, n) for n in range(200)))
    assert answers == [b"%d" % n for n in range(200)]
