"""Connecting with TLS: PKIX, DANE, or only for the record."""

import asyncio
import hashlib
from collections.abc import Callable

import pytest

from mox._rust import TlsError, TlsRoots
from mox.net.conn import Connection, connect
from mox.net.tls import ClientTls, ServerTls, TlsFailure, system_roots
from tests.net.loopback import TIMEOUT_S, listening, pair, read_exactly
from tests.net.pki import Ca, Identity, self_signed

CA = Ca()
SUB_CA = Ca("sub CA", CA)
OTHER_CA = Ca("other CA")
GOOD = CA.issue("mx.example", "alias.example")
BELOW_SUB = SUB_CA.issue("mx.example")
EXPIRED = CA.issue("mx.example", days=(-30, -1))
FUTURE = CA.issue("mx.example", days=(2, 30))
FOREIGN = OTHER_CA.issue("mx.example")
SELF_SIGNED = self_signed("mx.example")
NAMELESS = self_signed()


def client_tls(**options: object) -> ClientTls:
    return ClientTls(**{"roots": TlsRoots(CA.pem), **options})  # type: ignore[arg-type]


async def handshake(server: Identity, tls: ClientTls, name: str = "mx.example") -> Connection:
    """A client's end after its handshake and an echoed byte."""
    async with listening(tls=ServerTls([server.pair])) as port:
        conn = await connect("127.0.0.1", port, TIMEOUT_S)
        try:
            await conn.start_tls_client(tls, name, TIMEOUT_S)
            conn.write(b"x")
            assert await conn.read(TIMEOUT_S) == b"x"
        finally:
            await conn.close()
        return conn


async def test_facts_of_the_peer() -> None:
    conn = await handshake(GOOD, client_tls(require_pkix=True))
    assert conn.tls is not None
    assert conn.tls.version == "TLS1.3"
    assert conn.tls.cipher_suite.startswith("TLS_")
    assert conn.tls.key_exchange == "X25519MLKEM768"
    assert conn.tls.server_name == "mx.example"
    assert conn.tls.peer_chain == (GOOD.der, CA.der)
    assert conn.tls.pkix_error is None
    assert conn.tls.dane_error is None and conn.tls.dane_record is None
    assert len(conn.export_keying_material(b"EXPORTER-test", b"", 20)) == 20


PKIX = [
    pytest.param(GOOD, "mx.example", None, id="good"),
    pytest.param(GOOD, "alias.example", None, id="second-name"),
    pytest.param(BELOW_SUB, "mx.example", None, id="intermediate"),
    pytest.param(GOOD, "other.example", "certificate-name", id="other-name"),
    pytest.param(EXPIRED, "mx.example", "certificate-expired", id="expired"),
    pytest.param(FUTURE, "mx.example", "certificate-not-yet-valid", id="not-yet-valid"),
    pytest.param(FOREIGN, "mx.example", "certificate-issuer", id="unknown-issuer"),
    pytest.param(SELF_SIGNED, "mx.example", "certificate-issuer", id="self-signed"),
]


@pytest.mark.parametrize(("server", "name", "kind"), PKIX)
async def test_pkix(server: Identity, name: str, kind: str | None) -> None:
    # Only recorded: the connection works whatever is wrong (RFC 7435).
    conn = await handshake(server, client_tls(), name)
    assert conn.tls is not None
    assert (conn.tls.pkix_error or (None,))[0] == kind
    if kind is None:
        await handshake(server, client_tls(require_pkix=True), name)
        return
    with pytest.raises(TlsFailure) as failure:
        await handshake(server, client_tls(require_pkix=True), name)
    assert failure.value.kind == kind
    assert failure.value.alert is not None and not failure.value.from_peer


async def test_pkix_name_may_differ_from_sni() -> None:
    conn = await handshake(GOOD, client_tls(require_pkix=True, pkix_name="alias.example"), "elsewhere.example")
    assert conn.tls is not None and conn.tls.server_name == "elsewhere.example"


def tlsa(usage: int, selector: int, matching: int, what: bytes) -> tuple[int, int, int, bytes]:
    digest: Callable[[bytes], bytes] = {
        0: lambda data: data,
        1: lambda data: hashlib.sha256(data).digest(),
        2: lambda data: hashlib.sha512(data).digest(),
    }[matching]
    return usage, selector, matching, digest(what)


def ca_spki(ca: Ca) -> bytes:
    return Identity(ca.certificate, ca.key).spki


DANE = [
    pytest.param(SELF_SIGNED, tlsa(3, 0, 0, SELF_SIGNED.der), None, id="ee-whole"),
    pytest.param(SELF_SIGNED, tlsa(3, 0, 1, SELF_SIGNED.der), None, id="ee-certificate-sha256"),
    pytest.param(SELF_SIGNED, tlsa(3, 1, 0, SELF_SIGNED.spki), None, id="ee-key"),
    pytest.param(SELF_SIGNED, tlsa(3, 1, 1, SELF_SIGNED.spki), None, id="ee-key-sha256"),
    pytest.param(SELF_SIGNED, tlsa(3, 1, 2, SELF_SIGNED.spki), None, id="ee-key-sha512"),
    pytest.param(NAMELESS, tlsa(3, 1, 1, NAMELESS.spki), None, id="ee-without-any-name"),
    pytest.param(EXPIRED, tlsa(3, 1, 1, EXPIRED.spki), None, id="ee-expired-is-fine"),
    pytest.param(GOOD, tlsa(3, 1, 1, SELF_SIGNED.spki), "dane", id="ee-mismatch"),
    pytest.param(GOOD, tlsa(3, 1, 1, ca_spki(CA)), "dane", id="ee-is-not-for-the-issuer"),
    pytest.param(FOREIGN, tlsa(2, 0, 1, OTHER_CA.der), None, id="ta-certificate"),
    pytest.param(FOREIGN, tlsa(2, 1, 1, ca_spki(OTHER_CA)), None, id="ta-key"),
    pytest.param(BELOW_SUB, tlsa(2, 1, 1, ca_spki(CA)), None, id="ta-root-above-intermediate"),
    pytest.param(BELOW_SUB, tlsa(2, 1, 1, ca_spki(SUB_CA)), None, id="ta-intermediate"),
    pytest.param(
        Identity(FOREIGN.certificate, FOREIGN.key), tlsa(2, 0, 0, OTHER_CA.der), None, id="ta-only-in-the-record"
    ),
    pytest.param(EXPIRED, tlsa(2, 1, 1, ca_spki(CA)), "certificate-expired", id="ta-expired"),
    pytest.param(OTHER_CA.issue("x.example"), tlsa(2, 0, 1, OTHER_CA.der), "certificate-name", id="ta-name"),
    pytest.param(FOREIGN, tlsa(2, 0, 1, CA.der), "dane", id="ta-mismatch"),
    pytest.param(GOOD, tlsa(1, 1, 1, GOOD.spki), None, id="pkix-ee"),
    pytest.param(SELF_SIGNED, tlsa(1, 1, 1, SELF_SIGNED.spki), "certificate-issuer", id="pkix-ee-untrusted"),
    pytest.param(GOOD, tlsa(0, 1, 1, ca_spki(CA)), None, id="pkix-ta"),
    pytest.param(Identity(GOOD.certificate, GOOD.key), tlsa(0, 0, 1, CA.der), None, id="pkix-ta-root-not-sent"),
    pytest.param(FOREIGN, tlsa(0, 1, 1, ca_spki(OTHER_CA)), "certificate-issuer", id="pkix-ta-untrusted"),
    pytest.param(GOOD, tlsa(4, 1, 1, GOOD.spki), "dane", id="unknown-usage"),
    pytest.param(GOOD, tlsa(3, 2, 1, GOOD.spki), "dane", id="unknown-selector"),
    pytest.param(GOOD, (3, 1, 3, GOOD.spki), "dane", id="unknown-matching"),
]


@pytest.mark.parametrize(("server", "record", "kind"), DANE)
async def test_dane(server: Identity, record: tuple[int, int, int, bytes], kind: str | None) -> None:
    noise = (3, 1, 1, bytes(32))
    conn = await handshake(server, client_tls(tlsa=[noise, record]))
    assert conn.tls is not None
    assert (conn.tls.dane_error or (None,))[0] == kind
    assert conn.tls.dane_record == (1 if kind is None else None)
    required = client_tls(tlsa=[record], require_dane=True)
    if kind is None:
        await handshake(server, required)
        return
    with pytest.raises(TlsFailure) as failure:
        await handshake(server, required)
    assert failure.value.kind == kind


async def test_dane_accepts_further_names() -> None:
    record = tlsa(2, 1, 1, ca_spki(CA))
    await handshake(GOOD, client_tls(tlsa=[record], require_dane=True, dane_names=["mx.example"]), "cname.example")
    with pytest.raises(TlsFailure):
        await handshake(GOOD, client_tls(tlsa=[record], require_dane=True), "cname.example")


async def test_no_usable_record_never_verifies() -> None:
    with pytest.raises(TlsFailure) as failure:
        await handshake(GOOD, client_tls(tlsa=[], require_dane=True))
    assert failure.value.kind == "dane"


async def test_both_dane_and_pkix_must_hold() -> None:
    """RFC 8461 §2: DANE does not override MTA-STS, and the other way round."""
    record = tlsa(3, 1, 1, SELF_SIGNED.spki)
    with pytest.raises(TlsFailure) as failure:
        await handshake(SELF_SIGNED, client_tls(tlsa=[record], require_dane=True, require_pkix=True))
    assert failure.value.kind == "certificate-issuer"


async def test_starttls_on_an_open_connection() -> None:
    async with pair() as (server, client):
        client.write(b"STARTTLS\r\n")
        assert await server.read(TIMEOUT_S) == b"STARTTLS\r\n"
        server.write(b"220 go\r\n")
        assert await client.read(TIMEOUT_S) == b"220 go\r\n"
        await asyncio.gather(
            server.start_tls(ServerTls([GOOD.pair], alpn=[b"imap", b"smtp"])),
            client.start_tls_client(client_tls(require_pkix=True, alpn=[b"smtp"]), "mx.example", TIMEOUT_S),
        )
        assert client.tls is not None and server.tls is not None
        assert client.tls.alpn == server.tls.alpn == "smtp"
        assert client.channel_binding() == server.channel_binding() != None  # noqa: E711
        blob = bytes(range(256)) * 4096
        client.write(blob)
        assert await read_exactly(server, len(blob)) == blob
        await client.close()
        assert await server.read(TIMEOUT_S) == b""
        assert not server.truncated


async def test_stream_cut_without_close_notify_is_truncated() -> None:
    async with pair() as (server, client):
        await asyncio.gather(
            server.start_tls(ServerTls([GOOD.pair])), client.start_tls_client(client_tls(), "mx.example", TIMEOUT_S)
        )
        assert client._transport is not None
        client._transport.close()
        assert await server.read(TIMEOUT_S) == b""
        assert server.truncated


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(b"220 no TLS here\r\n", "protocol", id="not-tls"),
        pytest.param(b"", "eof", id="closed"),
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x28", "alert", id="alert"),
    ],
)
async def test_server_that_fails(answer: bytes, kind: str) -> None:
    async def handler(conn: Connection) -> None:
        await conn.read(TIMEOUT_S)
        conn.write(answer)
        await conn.drain(TIMEOUT_S)

    async with listening(handler) as port:
        conn = await connect("127.0.0.1", port, TIMEOUT_S)
        with pytest.raises(TlsFailure) as failure:
            await conn.start_tls_client(client_tls(), "mx.example", TIMEOUT_S)
        assert failure.value.kind == kind
        if kind == "alert":
            assert failure.value.alert == 40 and failure.value.from_peer
        await conn.close()


async def test_silent_server_costs_one_deadline() -> None:
    async with pair() as (_, client):
        with pytest.raises(TimeoutError):
            await client.start_tls_client(client_tls(), "mx.example", 0.05)


async def test_broken_name_is_a_failure() -> None:
    async with pair() as (_, client):
        with pytest.raises(TlsFailure) as failure:
            await client.start_tls_client(client_tls(), "not a name", TIMEOUT_S)
        assert failure.value.kind == "config"


def test_options_that_do_not_fit() -> None:
    with pytest.raises(TlsError):
        ClientTls(require_pkix=True, roots=TlsRoots(b""))
    with pytest.raises(TlsError):
        client_tls(require_dane=True)
    with pytest.raises(TlsError):
        TlsRoots(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n")


def test_system_roots_are_found() -> None:
    assert len(system_roots()) > 0
