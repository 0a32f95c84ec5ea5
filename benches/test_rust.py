"""The extension next to what Python has: MIME against email, gzip against zlib, TLS against ssl on the same loop."""

import asyncio
import email
import email.policy
import socket
import ssl
import tempfile
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture
from tests.net.pki import Ca

from mox._rust import GzipStream, TlsRoots, decode_part, parse_message, part_info
from mox.net.conn import Connection, connect, serve
from mox.net.tls import ClientTls, ServerTls

LINE = b"The quick brown fox jumps over the lazy dog, as it has done for many years.\r\n"
MESSAGE = (
    b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\r\nTo: user@example.com, Other <other@example.com>\r\n"
    b"Subject: =?utf-8?b?R3LDvMOfZQ==?= and more\r\nDate: Tue, 24 Nov 2026 11:00:00 +0100\r\n"
    b"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=mix\r\n\r\n"
    b"--mix\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + LINE * 40
    + b"\r\n--mix\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3\r\n" * 600
    + b"--mix--\r\n"
)
HANDSHAKES = 50
BULK_BYTES = 32 << 20


def ours_mime() -> int:
    message = parse_message(MESSAGE)
    total = len(message.subject) + len(message.from_) + len(message.to)
    for number in (1, 2):
        info = part_info(message.structure, [number])
        assert info is not None
        content = decode_part(MESSAGE[info.start : info.end], info.encoding)
        assert content is not None
        total += len(content)
    return total


def pythons_mime() -> int:
    message = email.message_from_bytes(MESSAGE, policy=email.policy.default)
    total = len(str(message["subject"])) + len(message["from"].addresses) + len(message["to"].addresses)
    return total + sum(len(part.get_payload(decode=True)) for part in message.walk() if not part.is_multipart())  # type: ignore[arg-type]


@pytest.mark.benchmark(group="mime")
@pytest.mark.parametrize("run", [ours_mime, pythons_mime])
def test_mime(benchmark: BenchmarkFixture, run: Callable[[], int]) -> None:
    benchmark(run)


def ours_gzip() -> int:
    stream = GzipStream(1)
    return len(stream.write(MESSAGE * 20)) + len(stream.finish())


def pythons_gzip() -> int:
    stream = zlib.compressobj(1, wbits=31)
    return len(stream.compress(MESSAGE * 20)) + len(stream.flush())


@pytest.mark.benchmark(group="gzip level 1")
@pytest.mark.parametrize("run", [ours_gzip, pythons_gzip])
def test_gzip(benchmark: BenchmarkFixture, run: Callable[[], int]) -> None:
    benchmark(run)


CA = Ca()
SERVER = CA.issue("localhost")


async def answer_length(conn: Connection) -> None:
    """Take everything and say how much it was, after each half second of silence at most."""
    total = 0
    while total < BULK_BYTES and (data := await conn.read(60)):
        total += len(data)
    conn.write(b"%d" % total)


async def ours_tls(work: str) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    listener = await serve(sock, answer_length, ServerTls([SERVER.pair]))
    tls = ClientTls(require_pkix=True, roots=TlsRoots(CA.pem))
    port = sock.getsockname()[1]
    for _ in range(HANDSHAKES if work == "handshakes" else 1):
        conn = await connect("127.0.0.1", port, 60)
        await conn.start_tls_client(tls, "localhost", 60)
        if work == "bulk":
            block = bytes(1 << 16)
            for _ in range(BULK_BYTES // len(block)):
                conn.write(block)
                await conn.drain(60)
            assert await conn.read(60) == b"%d" % BULK_BYTES
        conn.abort()
    listener.close()
    await listener.wait_closed(5)


async def pythons_tls(work: str) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        total = 0
        while total < BULK_BYTES and (data := await reader.read(1 << 18)):
            total += len(data)
        if not writer.is_closing():
            writer.write(b"%d" % total)
        writer.close()

    server_ctx = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        file.write_bytes(SERVER.key_pem + SERVER.chain_pem)
        server_ctx.load_cert_chain(file)
    client_ctx = ssl.create_default_context(cadata=CA.pem.decode())
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=server_ctx)
    port = server.sockets[0].getsockname()[1]
    for _ in range(HANDSHAKES if work == "handshakes" else 1):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_ctx, server_hostname="localhost")
        if work == "bulk":
            block = bytes(1 << 16)
            for _ in range(BULK_BYTES // len(block)):
                writer.write(block)
                await writer.drain()
            assert await reader.read(100) == b"%d" % BULK_BYTES
        writer.transport.abort()
    server.close()


@pytest.mark.parametrize("run", [ours_tls, pythons_tls])
@pytest.mark.parametrize("work", ["handshakes", "bulk"])
def test_tls(benchmark: BenchmarkFixture, run: Callable[[str], Awaitable[None]], work: str) -> None:
    benchmark.group = f"tls {work}"

    def once() -> None:
        loop = uvloop.new_event_loop()
        loop.run_until_complete(run(work))
        loop.close()

    benchmark.pedantic(once, rounds=5, warmup_rounds=1)
