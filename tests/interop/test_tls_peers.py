"""TLS with OpenSSL, GnuTLS and curl as the other end, in both directions."""

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from mox._rust import TlsKnownKeys, TlsRoots, TlsTicketKeys
from mox.net.conn import Connection, connect
from mox.net.tls import ClientTls, ServerTls
from tests.net.loopback import TIMEOUT_S, echo, listening, read_exactly
from tests.net.pki import Ca, Identity, self_signed

pytestmark = pytest.mark.interop

CA = Ca()
SERVER = CA.issue("localhost")
CLIENT = self_signed("client")


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    (tmp_path / "ca.pem").write_bytes(CA.pem)
    return str(tmp_path / "ca.pem")


def identity_file(tmp_path: Path, identity: Identity) -> str:
    path = tmp_path / "identity.pem"
    path.write_bytes(identity.key_pem + identity.chain_pem)
    return str(path)


async def run(command: list[str], stdin: bytes) -> tuple[int, str]:
    """Exit code and all output; input stays open until the program has read it and the peer has answered."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(20):
        output, _ = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


async def greet(conn: Connection) -> None:
    """One line each way, then the end."""
    line = b""
    while b"\n" not in line and (piece := await conn.read(TIMEOUT_S)):
        line += piece
    conn.write(b"you said " + line)
    await conn.drain(TIMEOUT_S)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_client(tmp_path: Path, ca_file: str, version: str) -> None:
    tls = ServerTls([SERVER.pair], alpn=[b"imap"], client_keys=TlsKnownKeys([CLIENT.key_digest]))
    async with listening(greet, tls) as port:
        command = [program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", version]
        command += ["-CAfile", ca_file, "-verify_return_error", "-alpn", "imap", "-quiet", "-ign_eof"]
        command += ["-cert", identity_file(tmp_path, CLIENT)]
        code, output = await run(command, b"hello\n")
    assert code == 0, output
    assert "you said hello" in output


async def test_openssl_client_post_quantum_and_resumption(tmp_path: Path, ca_file: str) -> None:
    session = str(tmp_path / "session")
    async with listening(greet, ServerTls([SERVER.pair], tickets=TlsTicketKeys([bytes(range(32))]))) as port:
        base = [program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", ca_file, "-ign_eof"]
        _, first = await run([*base, "-sess_out", session], b"hello\n")
        _, second = await run([*base, "-sess_in", session], b"hello\n")
    assert "New, TLSv1.3" in first and "Verify return code: 0" in first
    assert "Reused, TLSv1.3" in second


async def test_gnutls_client(ca_file: str) -> None:
    async with listening(greet, ServerTls([SERVER.pair])) as port:
        command = [program("gnutls-cli"), "--x509cafile", ca_file, "-p", str(port), "--sni-hostname", "localhost"]
        code, output = await run([*command, "--verify-hostname", "localhost", "127.0.0.1"], b"hello\n")
    assert code == 0, output
    assert "Status: The certificate is trusted." in output
    assert "you said hello" in output


async def test_curl_client(ca_file: str) -> None:
    async def handler(conn: Connection) -> None:
        while not (await conn.read(TIMEOUT_S)).endswith(b"\r\n\r\n"):
            pass
        conn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000))
        await conn.drain(TIMEOUT_S)
        await conn.close()

    async with listening(handler, ServerTls([SERVER.pair], alpn=[b"h2", b"http/1.1"])) as port:
        command = [program("curl"), "-sS", "--http1.1", "--cacert", ca_file, "--resolve", f"localhost:{port}:127.0.0.1"]
        code, output = await run(
            [*command, "-o", "/dev/null", "-w", "%{size_download}", f"https://localhost:{port}/"], b""
        )
    assert (code, output) == (0, "1000000")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def connect_when_up(port: int) -> Connection:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                return await connect("127.0.0.1", port, TIMEOUT_S)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_server(tmp_path: Path, version: str) -> None:
    """`-rev` echoes lines reversed; the client's certificate is demanded and shown."""
    port = free_port()
    command = [program("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", version, "-rev", "-Verify", "1"]
    command += ["-cert", identity_file(tmp_path, SERVER), "-cert_chain", str(tmp_path / "identity.pem")]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        conn = await connect_when_up(port)
        tls = ClientTls(require_pkix=True, roots=TlsRoots(CA.pem), identity=CLIENT.pair)
        await conn.start_tls_client(tls, "localhost", TIMEOUT_S)
        assert conn.tls is not None and conn.tls.version == {"-tls1_2": "TLS1.2", "-tls1_3": "TLS1.3"}[version]
        conn.write(b"hello\n")
        assert await read_exactly(conn, 6) == b"olleh\n"
        await conn.close()
    finally:
        process.terminate()
        await process.wait()


async def test_gnutls_server(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "key.pem").write_bytes(SERVER.key_pem)
    (tmp_path / "cert.pem").write_bytes(SERVER.chain_pem)
    command = [program("gnutls-serv"), "--echo", "-p", str(port), "--disable-client-cert"]
    command += ["--x509keyfile", str(tmp_path / "key.pem"), "--x509certfile", str(tmp_path / "cert.pem")]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        conn = await connect_when_up(port)
        await conn.start_tls_client(ClientTls(require_pkix=True, roots=TlsRoots(CA.pem)), "localhost", TIMEOUT_S)
        conn.write(b"hello\n")
        assert await read_exactly(conn, 6) == b"hello\n"
        await conn.close()
    finally:
        process.terminate()
        await process.wait()


async def test_openssl_client_with_unknown_key(tmp_path: Path, ca_file: str) -> None:
    async with listening(echo, ServerTls([SERVER.pair], client_keys=TlsKnownKeys([]))) as port:
        command = [program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", ca_file, "-ign_eof"]
        _, output = await run([*command, "-cert", identity_file(tmp_path, CLIENT)], b"hello\n")
    assert "alert number 42" in output
