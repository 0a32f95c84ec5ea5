"""LOGIN and AUTHENTICATE, with and without TLS, and client certificates."""

import base64
import ssl
import time
from pathlib import Path

import pytest

from mox.imap.client.client import Client, CommandFailed
from mox.imap.client.types import Result
from mox.net.conn import connect
from mox.net.tls import ClientTls
from mox.sasl.client import CramMd5, External, Plain, Scram
from mox.store import tlskeys
from mox.store.tlskeys import TlsPublicKey
from tests.imap.harness import PASSWORD, USER, Server, client_tls
from tests.imap.transcript import Wire
from tests.net import pki


async def refused(client: Client, command: str | bytes) -> tuple[str, str]:
    """(status, response code) of a command that fails."""
    with pytest.raises(CommandFailed) as failed:
        await client.command(command)
    return failed.value.answer.result.status, failed.value.code


@pytest.mark.holds("imap-4123b7")
@pytest.mark.parametrize(
    ("user", "password"),
    [("mox", PASSWORD), ("nobody@localhost", PASSWORD), (USER, "wrong"), (USER, ""), ("x@nothere.example", PASSWORD)],
    ids=["account name", "unknown user", "wrong password", "no password", "unknown domain"],
)
async def test_bad_credentials(server: Server, user: str, password: str) -> None:
    client = await server.client(user=None)
    with pytest.raises(CommandFailed) as failed:
        await client.login(user, password)
    assert (failed.value.answer.result.status, failed.value.code) == ("NO", "AUTHENTICATIONFAILED")
    assert await refused(client, "LOGIN") == ("BAD", "")
    assert await refused(client, "LOGIN a") == ("BAD", "")
    assert await refused(client, "LOGIN a b c") == ("BAD", "")
    assert (await refused(client, b'LOGIN "\xff\xfe@localhost" "x"'))[0] == "NO"
    await client.close()


@pytest.mark.holds("imap-d65fa9")
async def test_names_and_passwords_are_normalised(server: Server) -> None:
    for user, password in (
        ("mo\u0308x@localhost", "t\u00e9st pass\u00a0word"),
        ("MOX+extra@LOCALHOST", "te\u0301st\u3000pass\u2003word"),
    ):
        client = await server.client(user, password)
        await client.logout()
    client = await server.client('""@localhost', PASSWORD)
    await client.logout()


async def test_disabled_account(server: Server) -> None:
    client = await server.client(user=None)
    with pytest.raises(CommandFailed) as failed:
        await client.login("disabled@localhost", PASSWORD)
    assert failed.value.code == "" and "testing" in failed.value.answer.result.text
    with pytest.raises(CommandFailed) as failed:
        await client.login("disabled@localhost", "wrong")
    assert failed.value.code == "AUTHENTICATIONFAILED"
    await client.close()


@pytest.mark.holds("imap-3c7520")
async def test_plain(server: Server) -> None:
    client = await server.client(user=None)

    def encoded(*parts: str) -> str:
        return base64.b64encode("\0".join(parts).encode()).decode()

    assert await refused(client, f"AUTHENTICATE PLAIN {encoded(USER, PASSWORD)}") == ("BAD", "")
    assert await refused(client, f"AUTHENTICATE PLAIN {encoded('other@localhost', USER, PASSWORD)}") == (
        "NO",
        "AUTHORIZATIONFAILED",
    )
    assert await refused(client, "AUTHENTICATE PLAIN !") == ("BAD", "")
    assert await refused(client, "AUTHENTICATE BOGUS") == ("NO", "")
    for answer, status in ((b"*", "BAD"), (encoded(USER, USER, PASSWORD).encode(), "OK")):
        tag = await client.start("AUTHENTICATE PLAIN")

        async def respond(challenge: bytes, answer: bytes = answer) -> None:
            assert challenge == b""
            await client.write(answer + b"\r\n")

        try:
            assert (await client.finish(tag, respond)).result.status == status
        except CommandFailed as err:
            assert err.answer.result.status == status
    await client.close()


@pytest.mark.holds("imap-0b5519")
@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
async def test_scram(server: Server, hash_name: str) -> None:
    client = await server.client(user=None)
    for password in ("wrong", ""):
        with pytest.raises(CommandFailed) as failed:
            await client.authenticate(Scram(hash_name, USER, password))
        assert failed.value.answer.result.status == "NO"
    await client.authenticate(Scram(hash_name, USER, "t\u00e9st pass word"))
    await client.logout()


async def bound_client(server: Server) -> tuple[Client, bytes]:
    """A client with TLS 1.3 of our own, and its channel binding."""
    conn = await connect("127.0.0.1", server.tls_port, 10)
    await conn.start_tls_client(ClientTls(), "localhost")
    binding = conn.channel_binding()
    assert binding is not None and len(binding) == 32
    client = await Client.over(conn)
    server.clients.append(client)
    return client, binding


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
async def test_scram_with_channel_binding(server: Server, hash_name: str) -> None:
    """RFC 5802 §6, RFC 9266: the proof covers the TLS connection."""
    client, binding = await bound_client(server)
    assert {"AUTH=SCRAM-SHA-1-PLUS", "AUTH=SCRAM-SHA-256-PLUS"} <= client.capabilities
    with pytest.raises(CommandFailed) as failed:
        await client.authenticate(Scram(hash_name, USER, "t\u00e9st pass word", bytes(32)))
    assert failed.value.code == "AUTHENTICATIONFAILED" and "mitm" in failed.value.answer.result.text
    with pytest.raises(CommandFailed):
        await client.authenticate(Scram(hash_name, USER, "wrong", binding))
    # A client that could bind and saw no offer: somebody took it away.
    with pytest.raises(CommandFailed):
        await client.authenticate(Scram(hash_name, USER, "t\u00e9st pass word", server_lacks_plus=True))
    await client.authenticate(Scram(hash_name, USER, "t\u00e9st pass word", binding))
    await client.select("Inbox")
    await client.logout()


async def test_channel_binding_needs_tls(server: Server) -> None:
    client = await server.client(user=None)
    with pytest.raises(CommandFailed):
        await client.authenticate(Scram("sha256", USER, "t\u00e9st pass word", bytes(32)))
    await client.close()


@pytest.mark.holds("imap-f83513")
async def test_cram_md5(server: Server) -> None:
    client = await server.client(user=None)
    assert await refused(client, "AUTHENTICATE CRAM-MD5 aGk=") == ("BAD", "")
    with pytest.raises(CommandFailed) as failed:
        await client.authenticate(CramMd5(USER, "wrong"))
    assert failed.value.code == "AUTHENTICATIONFAILED"
    await client.authenticate(CramMd5(USER, "t\u00e9st pass word"))
    await client.logout()


@pytest.mark.holds("imap-cdb947")
async def test_starttls(server: Server) -> None:
    client = await Client.connect("127.0.0.1", server.plain_port)
    assert "LOGINDISABLED" in client.capabilities and "STARTTLS" in client.capabilities
    assert await refused(client, f"LOGIN {USER} x") == ("NO", "PRIVACYREQUIRED")
    assert await refused(client, "AUTHENTICATE PLAIN") == ("NO", "PRIVACYREQUIRED")
    await client.start_tls(client_tls())
    assert await refused(client, "STARTTLS") == ("BAD", "")
    assert "AUTH=PLAIN" in await client.capability() and "STARTTLS" not in client.capabilities
    await client.authenticate(Plain(USER, PASSWORD))
    await client.logout()


@pytest.mark.holds("imap-0d1bbe")
async def test_handshake_behind_starttls_in_one_segment(server: Server) -> None:
    import asyncio

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_tls().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    wire = Wire(*await asyncio.open_connection("127.0.0.1", server.plain_port))
    await wire.response()
    wire.send(b"a STARTTLS\r\n" + outgoing.read())
    assert (await wire.response()).startswith(b"a OK")
    async with asyncio.timeout(10):
        while True:
            incoming.write(await wire.reader.read(1 << 16))
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                wire.send(outgoing.read())
    tls.write(b"b NOOP\r\n")
    wire.send(outgoing.read())
    async with asyncio.timeout(10):
        text = b""
        while b"b OK" not in text:
            incoming.write(await wire.reader.read(1 << 16))
            try:
                text += tls.read(1 << 16)
            except ssl.SSLWantReadError:
                continue
    wire.writer.close()


async def test_login_attempts_are_kept(server: Server) -> None:
    from mox.store import attempts

    client = await server.client(user=None)
    with pytest.raises(CommandFailed):
        await client.login(USER, "wrong")
    await client.login(USER, PASSWORD)
    await server.store.attempts.flush()
    found = await server.store.read_auth(lambda tx: attempts.list_attempts(tx, "mox"))
    assert sorted((a.attempt.protocol, a.attempt.auth_mechanism, a.attempt.result) for a in found) == [
        ("imap", "login", "badpassword"),
        ("imap", "login", "ok"),
    ]
    await client.logout()


async def test_too_many_failures_end_the_connection(server: Server) -> None:
    client = await server.client(user=None)
    limit = server.config.static.Limits.FailedLoginsPerMinute[0]
    with pytest.raises(CommandFailed):
        await client.login(USER, "wrong")
    for limiter in server.ctx.logins._limiters:
        for _ in range(max(limit, 60)):
            limiter.add("127.0.0.1")
    if server.ctx.logins.may_try("127.0.0.1"):
        pytest.skip("the test configuration has no such limit")
    with pytest.raises((ConnectionError, CommandFailed)):
        await client.login(USER, PASSWORD)
    with pytest.raises(ConnectionError):
        await server.client()
    await client.close()


# Client certificates


def with_certificate(folder: Path, identity: pki.Identity) -> ssl.SSLContext:
    path = folder / "client.pem"
    path.write_bytes(identity.chain_pem + identity.key_pem)
    context = client_tls()
    context.load_cert_chain(path)
    return context


async def know(server: Server, identity: pki.Identity, address: str, no_preauth: bool) -> None:
    fingerprint, kind, name = tlskeys.parse_certificate(identity.der)
    key = TlsPublicKey(fingerprint, int(time.time() * 1000), kind, name, no_preauth, identity.der, "mox", address)
    await server.store.write_auth(lambda tx: tlskeys.add(tx, key))
    server.known_keys.replace([identity.key_digest])


@pytest.mark.holds("imap-4255f8")
async def test_client_certificates(server: Server, tmp_path: Path) -> None:
    identity = pki.self_signed("client")
    context = with_certificate(tmp_path, identity)
    # An unknown key fails the handshake.
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await Client.connect("127.0.0.1", server.tls_port, tls=context)
    await know(server, identity, USER, no_preauth=False)
    client = await Client.connect("127.0.0.1", server.tls_port, tls=context)
    assert client.is_preauthenticated
    assert await refused(client, "AUTHENTICATE EXTERNAL =") == ("NO", "")
    await client.select("Inbox")
    await client.logout()


async def test_removing_a_key_ends_its_sessions(server: Server, tmp_path: Path) -> None:
    identity = pki.self_signed("client")
    await know(server, identity, USER, no_preauth=False)
    client = await Client.connect("127.0.0.1", server.tls_port, tls=with_certificate(tmp_path, identity))
    other = await server.client()
    fingerprint, _, _ = tlskeys.parse_certificate(identity.der)
    server.ctx.keep_client_keys(frozenset({fingerprint}))
    await client.noop()
    server.ctx.keep_client_keys(frozenset())
    bye = await client.receive()
    assert isinstance(bye, Result) and (bye.status, bye.text) == ("BYE", "your TLS public key was removed")
    await other.noop()
    await client.close()


@pytest.mark.parametrize("authzid", ["", USER], ids=["empty", "explicit"])
async def test_external(server: Server, tmp_path: Path, authzid: str) -> None:
    identity = pki.self_signed("client")
    await know(server, identity, USER, no_preauth=True)
    client = await Client.connect("127.0.0.1", server.tls_port, tls=with_certificate(tmp_path, identity))
    assert not client.is_preauthenticated and "AUTH=EXTERNAL" in client.capabilities
    assert await refused(client, f"LOGIN limit@localhost {PASSWORD!r}") != ("OK", "")
    await client.authenticate(External(authzid))
    await client.select("Inbox")
    await client.logout()


async def test_password_beside_a_certificate(server: Server, tmp_path: Path) -> None:
    identity = pki.self_signed("client")
    await know(server, identity, USER, no_preauth=True)
    context = with_certificate(tmp_path, identity)
    client = await Client.connect("127.0.0.1", server.tls_port, tls=context)
    with pytest.raises(CommandFailed) as failed:
        await client.authenticate(Plain("limit@localhost", PASSWORD))
    assert failed.value.code == "AUTHENTICATIONFAILED"
    with pytest.raises(CommandFailed) as failed:
        await client.login("limit@localhost", PASSWORD)
    assert failed.value.code == "AUTHENTICATIONFAILED"
    await client.authenticate(Plain("other@localhost", PASSWORD))
    await client.logout()


async def test_external_without_certificate(server: Server) -> None:
    client = await Client.connect("127.0.0.1", server.tls_port, tls=client_tls())
    assert "AUTH=EXTERNAL" not in client.capabilities
    with pytest.raises(CommandFailed) as failed:
        await client.authenticate(External())
    assert failed.value.code == "AUTHENTICATIONFAILED"
    await client.close()
