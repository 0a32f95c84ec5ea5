"""Accepting with TLS: Python's ssl module is the client."""

import asyncio
import gc
import os
import socket
import ssl
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from mox._rust import TlsError, TlsHello, TlsKnownKeys, TlsServerConfig, TlsTicketKeys
from mox.net.conn import Connection, connect
from mox.net.tls import ClientTls, ServerTls, TlsFailure, fingerprint
from tests.net.loopback import TIMEOUT_S, echo, listening, pair
from tests.net.pki import Ca, Identity, self_signed

CA = Ca()
ECDSA = CA.issue("mail.example")
RSA = CA.issue("mail.example", key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
OTHER = CA.issue("other.example")
CLIENT = self_signed("client")
MINIMAL = self_signed()
ED25519 = self_signed("", key=ed25519.Ed25519PrivateKey.generate())
RSA_CLIENT = self_signed("old", key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
EXPIRED_CLIENT = self_signed("client", days=(-30, -1))
STRANGER = self_signed("client")
KNOWN = [c.key_digest for c in (CLIENT, MINIMAL, ED25519, RSA_CLIENT, EXPIRED_CLIENT)]


def context(tmp_path: Path, identity: Identity | None = None) -> ssl.SSLContext:
    """A client that trusts the CA."""
    ctx = ssl.create_default_context(cadata=CA.pem.decode())
    if identity is not None:
        file = tmp_path / "client.pem"
        file.write_bytes(identity.key_pem + identity.chain_pem)
        ctx.load_cert_chain(file)
    return ctx


class Facts:
    """A handler that keeps what it saw of its last connection and echoes."""

    def __init__(self) -> None:
        self.conn: Connection | None = None

    async def __call__(self, conn: Connection) -> None:
        self.conn = conn
        await echo(conn)


async def talk(port: int, ctx: ssl.SSLContext, name: str = "mail.example") -> ssl.SSLObject:
    """An echoed byte; the client's view of the handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=ctx, server_hostname=name)
    try:
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        result: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return result
    finally:
        writer.transport.abort()


async def test_facts(tmp_path: Path) -> None:
    facts = Facts()
    async with listening(facts, ServerTls([ECDSA.pair], alpn=[b"imap"])) as port:
        ctx = context(tmp_path)
        ctx.set_alpn_protocols(["smtp", "imap"])
        client = await talk(port, ctx)
    assert facts.conn is not None and facts.conn.tls is not None
    info = facts.conn.tls
    assert (info.version, info.server_name, info.alpn, info.resumed) == ("TLS1.3", "mail.example", "imap", False)
    cipher = client.cipher()
    assert cipher is not None and info.cipher_suite == cipher[0]
    assert info.peer_chain == () and info.peer_key_fingerprint == ""


async def test_tls12_and_its_refusal(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    facts = Facts()
    async with listening(facts, ServerTls([ECDSA.pair])) as port:
        await talk(port, ctx)
    assert facts.conn is not None and facts.conn.tls is not None
    assert facts.conn.tls.version == "TLS1.2"
    assert "ECDHE" in facts.conn.tls.cipher_suite
    assert facts.conn.channel_binding() is None
    async with listening(facts, ServerTls([ECDSA.pair], tls13_only=True)) as port:
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
            await talk(port, ctx)


@pytest.mark.parametrize("ciphers", ["ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256"])
async def test_weak_ciphers_are_refused(tmp_path: Path, ciphers: str) -> None:
    ctx = context(tmp_path)
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    ctx.set_ciphers(ciphers)
    async with listening(tls=ServerTls([ECDSA.pair, RSA.pair])) as port:
        with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
            await talk(port, ctx)


@pytest.mark.parametrize(
    ("keys", "ciphers", "name", "expected"),
    [
        pytest.param([ECDSA, RSA], "ECDHE+ECDSA", "mail.example", ECDSA, id="ecdsa"),
        pytest.param([ECDSA, RSA], "ECDHE+aRSA", "mail.example", RSA, id="only-rsa"),
        pytest.param([RSA, ECDSA], "ECDHE+ECDSA:ECDHE+aRSA", "mail.example", RSA, id="order-is-preference"),
        pytest.param([ECDSA, OTHER], "ECDHE+ECDSA", "other.example", OTHER, id="by-name"),
        pytest.param([OTHER, ECDSA], "ECDHE+ECDSA", "unknown.example", OTHER, id="unknown-name"),
    ],
)
async def test_certificate_choice(
    tmp_path: Path, keys: list[Identity], ciphers: str, name: str, expected: Identity
) -> None:
    ctx = context(tmp_path)
    ctx.check_hostname = False
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    ctx.set_ciphers(ciphers)
    async with listening(tls=ServerTls([k.pair for k in keys])) as port:
        client = await talk(port, ctx, name)
    assert client.getpeercert(binary_form=True) == expected.der


async def test_alpn_without_agreement(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    ctx.set_alpn_protocols(["imap"])
    async with listening(tls=ServerTls([ECDSA.pair], alpn=[b"h2", b"http/1.1"])) as port:
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            await talk(port, ctx)
        await talk(port, context(tmp_path))


async def test_choice_in_python_may_wait_and_answers_acme(tmp_path: Path) -> None:
    """RFC 8737 §3: the challenge's certificate is shown to whoever offers acme-tls/1."""
    normal, challenge = TlsServerConfig([ECDSA.pair]), TlsServerConfig([OTHER.pair], [b"acme-tls/1"])
    hellos: list[TlsHello] = []

    async def choose(hello: TlsHello) -> TlsServerConfig:
        hellos.append(hello)
        await asyncio.sleep(0)
        return challenge if hello.alpn == [b"acme-tls/1"] else normal

    facts = Facts()
    async with listening(facts, ServerTls(choose=choose)) as port:
        await talk(port, context(tmp_path))
        ctx = context(tmp_path)
        ctx.set_alpn_protocols(["acme-tls/1"])
        client = await talk(port, ctx, "other.example")
    assert client.getpeercert(binary_form=True) == OTHER.der
    assert client.selected_alpn_protocol() == "acme-tls/1"
    assert [h.server_name for h in hellos] == ["mail.example", "other.example"]
    assert hellos[0].can_ecdsa and 0x0403 in hellos[0].signature_schemes


async def test_choice_that_fails_ends_the_connection(tmp_path: Path) -> None:
    async def choose(hello: TlsHello) -> TlsServerConfig:
        raise TlsFailure("config", "no certificate for this name", 112)

    async with listening(tls=ServerTls(choose=choose)) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await talk(port, context(tmp_path))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    "identity",
    [
        pytest.param(CLIENT, id="self-signed"),
        pytest.param(MINIMAL, id="minimal"),
        pytest.param(ED25519, id="ed25519"),
        pytest.param(RSA_CLIENT, id="rsa"),
        pytest.param(EXPIRED_CLIENT, id="expired"),
    ],
)
async def test_client_key_is_known(tmp_path: Path, identity: Identity, version: ssl.TLSVersion) -> None:
    ctx = context(tmp_path, identity)
    ctx.maximum_version = version
    facts = Facts()
    async with listening(facts, ServerTls([ECDSA.pair], client_keys=TlsKnownKeys(KNOWN))) as port:
        await talk(port, ctx)
    assert facts.conn is not None and facts.conn.tls is not None
    assert facts.conn.tls.peer_key_fingerprint == fingerprint(identity.key_digest)
    assert facts.conn.tls.peer_chain == (identity.der,)
    assert len(facts.conn.tls.peer_key_fingerprint) == 43


async def failure_of(server: Connection, tls: ServerTls) -> TlsFailure:
    with pytest.raises(TlsFailure) as failure:
        await server.start_tls(tls, TIMEOUT_S)
    return failure.value


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_unknown_client_key_is_refused_in_the_handshake(tmp_path: Path, version: ssl.TLSVersion) -> None:
    known = TlsKnownKeys(KNOWN)
    ctx = context(tmp_path, STRANGER)
    ctx.maximum_version = version
    async with listening(tls=ServerTls([ECDSA.pair], client_keys=known)) as port:
        with pytest.raises(ssl.SSLError, match=r"(?i)bad.certificate"):
            await talk(port, ctx)
        # The snapshot is replaced while the listener runs.
        known.replace([STRANGER.key_digest])
        assert STRANGER.key_digest in known and CLIENT.key_digest not in known and len(known) == 1
        await talk(port, ctx)


async def test_unknown_client_key_is_alert_42() -> None:
    tls = ServerTls([ECDSA.pair], client_keys=TlsKnownKeys([]))
    async with pair() as (server, client):
        task = asyncio.create_task(failure_of(server, tls))
        await client.start_tls_client(ClientTls(identity=STRANGER.pair), "mail.example", TIMEOUT_S)
        # TLS 1.3: the client learns of it only when it reads.
        with pytest.raises(TlsFailure) as refused:
            await client.read(TIMEOUT_S)
        assert (refused.value.kind, refused.value.alert, refused.value.from_peer) == ("alert", 42, True)
        failure = await task
        assert (failure.kind, failure.alert, failure.from_peer) == ("client-key", 42, False)


async def test_no_client_certificate_is_fine(tmp_path: Path) -> None:
    facts = Facts()
    async with listening(facts, ServerTls([ECDSA.pair], client_keys=TlsKnownKeys([]))) as port:
        await talk(port, context(tmp_path))
    assert facts.conn is not None and facts.conn.tls is not None
    assert facts.conn.tls.peer_key_fingerprint == ""


def sync_talk(port: int, ctx: ssl.SSLContext, session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
    """Session for the next time, and whether this one was resumed; ssl resumes only on plain sockets."""
    with (
        socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as raw,
        ctx.wrap_socket(raw, server_hostname="mail.example", session=session) as sock,
    ):
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        return sock.session, bool(sock.session_reused)


Talk = Callable[[ssl.SSLSession | None], "asyncio.Future[tuple[ssl.SSLSession | None, bool]]"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_resumption_with_client_key_and_rotated_tickets(tmp_path: Path, version: ssl.TLSVersion) -> None:
    old, new = os.urandom(32), os.urandom(32)
    known, tickets = TlsKnownKeys(KNOWN), TlsTicketKeys([old])
    ctx = context(tmp_path, CLIENT)
    ctx.maximum_version = version
    facts = Facts()
    loop = asyncio.get_running_loop()
    async with listening(facts, ServerTls([ECDSA.pair], client_keys=known, tickets=tickets)) as port:

        def once(session: ssl.SSLSession | None) -> "asyncio.Future[tuple[ssl.SSLSession | None, bool]]":
            return loop.run_in_executor(None, sync_talk, port, ctx, session)

        session, resumed = await once(None)
        assert not resumed
        tickets.replace([new, old])
        session, resumed = await once(session)
        assert resumed
        assert facts.conn is not None and facts.conn.tls is not None and facts.conn.tls.resumed
        assert facts.conn.tls.peer_key_fingerprint == fingerprint(CLIENT.key_digest)
        # A worker with other configuration objects and the same keys resumes it as well.
        again = ServerTls([ECDSA.pair], client_keys=known, tickets=TlsTicketKeys([new]))
        async with listening(facts, again) as other_port:
            _, resumed = await loop.run_in_executor(None, sync_talk, other_port, ctx, session)
            assert resumed
        # The key was removed: its ticket is no way in.
        known.replace([])
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            await once(session)
        # The ticket key was removed: a full handshake.
        known.replace(KNOWN)
        tickets.replace([os.urandom(32)])
        _, resumed = await once(session)
        assert not resumed


async def test_without_ticket_keys_nothing_is_resumed(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    ctx = context(tmp_path)
    async with listening(tls=ServerTls([ECDSA.pair])) as port:
        session, _ = await loop.run_in_executor(None, sync_talk, port, ctx, None)
        assert session is None or not session.has_ticket


NOT_TLS = [
    pytest.param(b"EHLO example.org\r\n", "not-tls", id="command"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", "not-tls", id="http"),
    pytest.param(b"\x80\x2e\x01\x00\x02", "sslv2", id="sslv2"),
    pytest.param(b"\x16\x03\x01\x00\x04\x63\x00\x00\x00", "protocol", id="garbage"),
    pytest.param(b"\x16\x03\x01\x01\x00\x01\x00\x00", "eof", id="cut-off"),
    pytest.param(b"\x16\x03\x01\xff\xff" + bytes(70000), "protocol", id="oversized"),
    pytest.param(b"", "eof", id="closed"),
]


@pytest.mark.parametrize(("data", "kind"), NOT_TLS)
async def test_clients_that_do_not_speak_tls(data: bytes, kind: str) -> None:
    async with pair() as (server, client):
        client.write(data)
        client.write_eof()
        assert (await failure_of(server, ServerTls([ECDSA.pair]))).kind == kind


async def test_pipelined_commands_behind_starttls_fail_the_handshake() -> None:
    """No plain text gets past STARTTLS (spec/web-tls.md section 22)."""
    async with pair() as (server, _):
        with pytest.raises(TlsFailure) as failure:
            await server.start_tls(ServerTls([ECDSA.pair]), TIMEOUT_S, unread=b"MAIL FROM:<>\r\n")
        assert failure.value.kind == "not-tls"


async def test_slow_client_costs_one_deadline() -> None:
    """A byte now and then does not prolong it."""
    async with pair() as (server, client):

        async def drip() -> None:
            for byte in b"\x16\x03\x01\x10\x00" + bytes(4096):
                client.write(bytes([byte]))
                await asyncio.sleep(0.005)

        task = asyncio.create_task(drip())
        started = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await server.start_tls(ServerTls([ECDSA.pair]), 0.1)
        assert asyncio.get_running_loop().time() - started < 2
        task.cancel()


def test_keys_that_do_not_fit() -> None:
    with pytest.raises(TlsError, match="not the certificate's"):
        ServerTls([(ECDSA.chain_pem, OTHER.key_pem)])
    for keys in ([], [(b"", ECDSA.key_pem)], [(ECDSA.chain_pem, b"nothing")]):
        with pytest.raises(TlsError) as failure:
            ServerTls(keys)
        assert failure.value.args[0] == "config"
    with pytest.raises(TlsError):
        TlsTicketKeys([b"short"])
    with pytest.raises(ValueError):
        TlsKnownKeys([b"short"])


async def test_many_parallel_connections_leave_nothing_behind() -> None:
    server_tls, client_tls = ServerTls([ECDSA.pair]), ClientTls()
    left: weakref.WeakSet[Connection] = weakref.WeakSet()

    accepted = 0

    async def handler(conn: Connection) -> None:
        nonlocal accepted
        accepted += 1
        left.add(conn)
        await echo(conn)

    async def one(port: int, number: int) -> None:
        conn = await connect("127.0.0.1", port, 60)
        left.add(conn)
        await conn.start_tls_client(client_tls, "mail.example", 60)
        conn.write(b"%04d" % number)
        data = b""
        while len(data) < 4:
            data += await conn.read(60)
        assert data == b"%04d" % number
        await open_together.wait()
        await conn.close()

    open_together = asyncio.Barrier(COUNT)
    files = len(os.listdir("/proc/self/fd"))
    async with listening(handler, server_tls) as port:
        await asyncio.gather(*(one(port, n) for n in range(COUNT)))
    assert accepted == COUNT
    gc.collect()
    assert len(left) == 0
    # The loop itself may have opened a few.
    assert len(os.listdir("/proc/self/fd")) < files + 10


# Both ends live in this process: a thousand pairs where the limit of open files allows them.
COUNT = 1000 if os.sysconf("SC_OPEN_MAX") >= 4096 else 400


def test_minimal_certificate_is_really_minimal() -> None:
    with pytest.raises(x509.ExtensionNotFound):
        MINIMAL.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert not list(MINIMAL.certificate.subject)
