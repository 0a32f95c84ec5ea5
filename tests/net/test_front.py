"""The front and the embedded server: real connections, a small application behind them."""

import asyncio
import contextlib
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mox.config.localserve import self_signed
from mox.net import front
from mox.net.conn import Connection, serve
from mox.net.front import Front, Peer, Site
from mox.net.front_server import HttpServer
from mox.net.tls import ServerTls


@dataclass
class Running:
    """A front with an application that tells what it sees."""

    port: int
    backend_port: int
    front: Front
    peers: list[Peer]
    go_on: asyncio.Event

    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def open(self, tls: ssl.SSLContext | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = "localhost" if tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, server_hostname=name)
        self.writers.append(writer)
        return reader, writer


@contextlib.asynccontextmanager
async def running(tls: ServerTls | None = None, **by_alpn: Any) -> AsyncIterator[Running]:
    the_front = Front()
    peers: list[Peer] = []
    go_on = asyncio.Event()

    async def application(scope: Any, proto: Any) -> None:
        peer = the_front.peer(scope.client)
        if peer is None:
            proto.response_empty(403, [])
            return
        peers.append(peer)
        with peer.request():
            if scope.path == "/hash":
                digest, size = hashlib.sha256(), 0
                async for chunk in proto:
                    digest.update(chunk)
                    size += len(chunk)
                proto.response_str(200, [], f"{size} {digest.hexdigest()}")
            elif scope.path == "/wait":
                await go_on.wait()
                proto.response_str(200, [], "done")
            elif scope.path == "/large":
                stream = proto.response_stream(200, [])
                for _ in range(300):
                    await peer.room(65536, 10)
                    await stream.send_bytes(b"x" * 65536)
            else:
                proto.response_str(200, [], f"{peer.remote[0]}:{peer.remote[1]} {scope.http_version}")

    server = HttpServer(application)
    the_front.backend_port = await server.start()
    sock = socket.create_server(("127.0.0.1", 0))
    site = Site("local", sock.getsockname()[1], tls, by_alpn)
    listener = await serve(sock, lambda conn: the_front.serve(conn, site))
    run = Running(site.port, the_front.backend_port, the_front, peers, go_on)
    try:
        yield run
    finally:
        for writer in run.writers:
            writer.transport.abort()
        listener.close()
        await listener.wait_closed(0)
        await server.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def server_tls(*alpn: bytes) -> ServerTls:
    return ServerTls([self_signed("localhost")], alpn)


def client_tls(*alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


async def response(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    return head, await reader.readexactly(size)


async def test_application_sees_the_real_client() -> None:
    async with running() as run:
        reader, writer = await run.open()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        _, body = await response(reader)
        host, port = writer.get_extra_info("sockname")[:2]
        assert body == f"{host}:{port} 1.1".encode()
        assert run.peers[0].tls is None and run.peers[0].site.listener == "local"


async def test_keep_alive_and_pipelining() -> None:
    async with running() as run:
        reader, writer = await run.open()
        writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        for _ in range(3):
            await response(reader)
        assert run.peers[0].requests == 3


async def test_direct_connections_are_refused() -> None:
    async with running() as run:
        reader, writer = await asyncio.open_connection("127.0.0.1", run.backend_port)
        run.writers.append(writer)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 403")


async def test_large_bodies_both_ways() -> None:
    async with running() as run:
        reader, writer = await run.open()
        data = bytes(range(256)) * 40_000
        writer.write(b"POST /hash HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        _, body = await response(reader)
        assert body.decode() == f"{len(data)} {hashlib.sha256(data).hexdigest()}"
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert (await reader.read()).count(b"x") == 300 * 65536


async def test_client_that_takes_nothing_does_not_fill_memory() -> None:
    async with running() as run:
        reader, writer = await run.open()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        transport = writer.transport
        transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: bool(run.peers))
        # The answer is 20 MB; it cannot be finished while nobody reads.
        assert run.peers[0].is_active
        writer.transport.abort()
        await until(lambda: run.front.count() == 0)


async def test_half_closed_client_gets_its_answer() -> None:
    async with running() as run:
        reader, writer = await run.open()
        writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.write_eof()
        await until(lambda: bool(run.peers))
        run.go_on.set()
        assert (await reader.read()).endswith(b"done")


async def test_peer_is_forgotten_with_its_connection() -> None:
    async with running() as run:
        reader, writer = await run.open()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await response(reader)
        assert run.front.count() == 1
        writer.transport.abort()
        await until(lambda: run.front.count() == 0)


async def test_silent_client_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "FIRST_REQUEST_S", 0.05)
    async with running() as run:
        reader, writer = await run.open()
        writer.write(b"GET / HT")
        assert await reader.read() == b""


async def test_idle_keep_alive_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "IDLE_S", 0.05)
    async with running() as run, asyncio.timeout(front.FIRST_REQUEST_S / 2):
        reader, writer = await run.open()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await response(reader)
        assert await reader.read() == b""


def test_only_a_client_that_asked_for_nothing_is_cut_off() -> None:
    silent, asking = (Peer(1, ("192.0.2.1", 1), ("192.0.2.2", 80), None, Site("local", 80)) for _ in range(2))
    with asking.request():
        pass
    for peer in (silent, asking):
        peer.end_unless_asked()
    assert silent.is_ending.is_set() and not asking.is_ending.is_set()


@pytest.mark.parametrize(("offered", "version"), [((), b"1.1"), (("http/1.1",), b"1.1")], ids=["none", "http/1.1"])
async def test_tls_speaks_http(offered: tuple[str, ...], version: bytes) -> None:
    async with running(server_tls(b"h2", b"http/1.1")) as run:
        reader, writer = await run.open(client_tls(*offered))
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        _, body = await response(reader)
        assert body.endswith(version)
        tls = run.peers[0].tls
        assert tls is not None and tls.version == "TLS1.3" and tls.server_name == "localhost"


async def test_http2(tmp_path: Path) -> None:
    """curl is the HTTP/2 client: many streams on one connection."""
    async with running(server_tls(b"h2", b"http/1.1")) as run:
        url = f"https://127.0.0.1:{run.port}/"
        process = await asyncio.create_subprocess_exec(
            "curl", "-sk", "--http2", "--parallel", url, url, "-d", "a=b", url + "hash",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert b" 2" in out


@pytest.mark.parametrize("name", ["imap", "smtp"])
async def test_alpn_hands_over_to_other_servers(name: str) -> None:
    async def other(conn: Connection) -> None:
        conn.write(b"* hello\r\n")

    async with running(server_tls(b"h2", b"http/1.1", name.encode()), **{name: other}) as run:
        reader, _ = await run.open(client_tls(name))
        assert await reader.readline() == b"* hello\r\n"


async def test_unknown_alpn_fails_in_the_handshake() -> None:
    async with running(server_tls(b"h2", b"http/1.1")) as run:
        with pytest.raises(ssl.SSLError):
            await run.open(client_tls("imap"))


async def test_plain_http_on_the_tls_port_is_told_so() -> None:
    async with running(server_tls(b"h2", b"http/1.1")) as run:
        reader, writer = await run.open()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")
        assert answer.endswith(b"Client sent an HTTP request to an HTTPS server.\n")


async def test_malformed_request_gets_400() -> None:
    async with running() as run:
        reader, writer = await run.open()
        writer.write(b"NONSENSE\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        assert not run.peers


async def test_shutdown_ends_idle_connections_and_answers_the_others() -> None:
    async with running() as run:
        idle, writer = await run.open()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await response(idle)
        busy, writer = await run.open()
        writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: len(run.peers) == 2)
        run.front.shut_down()
        assert await idle.read() == b""
        run.go_on.set()
        assert (await busy.read()).endswith(b"done")
        await until(lambda: run.front.count() == 0)
