"""COMPRESS=DEFLATE (RFC 4978)."""

import asyncio
import zlib

import pytest

from mox.imap.client.client import Client, CommandFailed
from mox.imap.client.client import Message as NewMessage
from tests.imap.harness import MESSAGE, PASSWORD, USER, Server, client_tls
from tests.imap.transcript import Wire


@pytest.mark.holds("imap-42fa2f")
async def test_after_starttls(server: Server) -> None:
    client = await Client.connect("127.0.0.1", server.plain_port)
    await client.start_tls(client_tls())
    await client.login(USER, PASSWORD)
    assert "COMPRESS=DEFLATE" in client.capabilities
    await client.compress()
    assert "COMPRESS=DEFLATE" not in await client.capability()
    await client.select("Inbox")
    await client.append("Inbox", *(NewMessage(MESSAGE) for _ in range(50)))
    found = await client.fetch("1:*", "(BODY.PEEK[])")
    assert [f.items["BODY[]"] for f in found if "BODY[]" in f.items] == [MESSAGE] * 50
    with pytest.raises(CommandFailed) as failed:
        await client.command("COMPRESS DEFLATE")
    assert failed.value.code == "COMPRESSIONACTIVE"
    await client.logout()


async def start(server: Server) -> Wire:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
    await wire.response()
    wire.send(
        b"a LOGIN mox@localhost {%d+}\r\n%s\r\nb COMPRESS DEFLATE\r\n" % (len(PASSWORD.encode()), PASSWORD.encode())
    )
    assert (await wire.response()).startswith(b"a OK")
    assert (await wire.response()).startswith(b"b OK")
    return wire


async def until(wire: Wire, inflate: "zlib._Decompress", end: bytes) -> bytes:
    text = b""
    async with asyncio.timeout(10):
        while end not in text:
            data = await wire.reader.read(1 << 16)
            assert data, text
            text += inflate.decompress(data)
    return text


@pytest.mark.parametrize("mode", [zlib.Z_SYNC_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_FULL_FLUSH])
async def test_every_way_to_flush(server: Server, mode: int) -> None:
    wire = await start(server)
    deflate, inflate = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
    for number in range(3):
        wire.send(deflate.compress(b"n%d NOOP\r\n" % number) + deflate.flush(mode))
        assert b"n%d OK" % number in await until(wire, inflate, b"noop done\r\n")
    wire.send(deflate.compress(b"x LOGOUT\r\n") + deflate.flush(mode))
    assert b"BYE" in await until(wire, inflate, b"logout done\r\n")
    wire.writer.close()


async def test_broken_data_ends_the_connection(server: Server) -> None:
    wire = await start(server)
    wire.send(b"\xff\xff\xff\xff not deflate")
    inflate = zlib.decompressobj(wbits=-15)
    assert b"BYE" in await until(wire, inflate, b"\r\n")
    wire.writer.close()


async def test_a_client_that_vanishes(server: Server) -> None:
    wire = await start(server)
    deflate = zlib.compressobj(wbits=-15)
    wire.send(deflate.compress(b'x LIST "" *\r\n' * 1000) + deflate.flush(zlib.Z_SYNC_FLUSH))
    wire.writer.transport.abort()
    client = await server.client()
    await client.logout()


async def test_a_bomb_is_taken_in_pieces(server: Server) -> None:
    wire = await start(server)
    deflate = zlib.compressobj(9, wbits=-15)
    wire.send(deflate.compress(b"a" * (64 << 20)) + deflate.flush(zlib.Z_SYNC_FLUSH))
    assert b"BYE" in await until(wire, zlib.decompressobj(wbits=-15), b"\r\n")
    wire.writer.close()
