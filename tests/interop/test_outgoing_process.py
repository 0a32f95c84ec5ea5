"""Mail leaving the whole program for another server: signed so that others verify it, and kept through kill -9."""

import asyncio
import re
import shutil
import smtplib
import subprocess
from collections.abc import Callable
from pathlib import Path

import apsw
import dkim
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mox.config.live import Config
from mox.mailauth.dkimkey import record_for
from tests.net.loopback import TIMEOUT_S
from tests.server_process import PASSWORD, USER, MoxProcess
from tests.smtp.fake_mx import FakeMx
from tests.web.test_webapi_server import change, webapi

pytestmark = pytest.mark.interop


def leading_to(folder: Path, port: int) -> MoxProcess:
    """A localserve that sends mail for out.example to a port here."""
    server = MoxProcess(folder / "mox")
    relay = f"\tout:\n\t\tSMTP:\n\t\t\tHost: localhost\n\t\t\tPort: {port}\n\t\t\tNoSTARTTLS: true\n"
    change(server, "mox.conf", lambda text: text + "Transports:\n" + relay)
    route = "Routes:\n\t-\n\t\tToDomain:\n\t\t\t- out.example\n\t\tTransport: out\n"
    change(server, "domains.conf", lambda text: text + route)
    return server


def queued(server: MoxProcess) -> int:
    connection = apsw.Connection(str(server.folder / "queue" / "index.db"))
    try:
        return int(next(connection.execute("SELECT count(*) FROM queued"))[0])
    finally:
        connection.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the other process does."""
    async with asyncio.timeout(6 * TIMEOUT_S):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 (another process cannot set an event)
            await asyncio.sleep(0.02)


TEXTS = {
    "plain": "hello\n",
    "dots": ".\n..\n.x\n\n\n",
    "utf-8": "¡hello world! ☺\n",
    "long lines": ("word " * 300 + "\n") * 3,
    "spaces": "a  b \t c \t\n \t\n",
}


@pytest.mark.parametrize("pair", [("8BITMIME",), ("8BITMIME", "CHUNKING", "PIPELINING")], ids=["data", "bdat"])
async def test_dkimpy_and_opendkim_verify_what_arrives(tmp_path: Path, pair: tuple[str, ...]) -> None:
    mx = FakeMx(extensions=pair)
    async with mx.running() as port:
        server = await asyncio.to_thread(leading_to, tmp_path, port)
        await asyncio.to_thread(server.start)
        try:
            for name, text in TEXTS.items():
                request = {"To": [{"Address": "a@out.example"}], "Subject": name, "Text": text, "HTML": text}
                file = {"Name": "döc.bin", "Data": "AAECAwQ="}
                request |= {"AttachedFiles": [file]} if name == "utf-8" else {}
                answer = await asyncio.to_thread(webapi, server, "Send", request)
                assert answer.status_code == 200, answer.text
            await asyncio.to_thread(submit, server, TEXTS["dots"])
            await until(lambda: len(mx.transactions) == len(TEXTS) + 1)
        finally:
            await asyncio.to_thread(server.stop)
    keys = public_keys(server)
    for transaction in mx.transactions:
        await asyncio.to_thread(check_signatures, transaction.content, keys, tmp_path)


def submit(server: MoxProcess, text: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=TIMEOUT_S) as client:
        client.login(USER, PASSWORD)
        letter = f"From: <{USER}>\nTo: <a@out.example>\nSubject: a subject\n that is folded\n\n{text}"
        client.sendmail(USER, ["a@out.example"], letter)


def public_keys(server: MoxProcess) -> dict[str, str]:
    """TXT records by name."""
    entry = Config.load(server.folder / "mox.conf").domain("localhost")
    assert entry is not None and entry.options.DKIM.Sign
    keys = {}
    for selector in entry.options.DKIM.Sign:
        file = server.folder / entry.options.DKIM.Selectors[selector].PrivateKeyFile
        key = load_pem_private_key(file.read_bytes(), None)
        keys[f"{selector}._domainkey.localhost"] = str(record_for(key))  # type: ignore[arg-type]
    return keys


def check_signatures(message: bytes, keys: dict[str, str], folder: Path) -> None:
    def answer(name: bytes, timeout: int = 5) -> bytes:
        return keys[name.decode().rstrip(".")].encode()

    count = len(re.findall(rb"^DKIM-Signature:", message, re.MULTILINE))
    assert count
    for number in range(count):
        assert dkim.DKIM(message).verify(number, dnsfunc=answer), message
        with pytest.raises(dkim.ValidationError):
            dkim.DKIM(message + b"more\r\n").verify(number, dnsfunc=answer)
    if shutil.which("opendkim") is not None:
        (folder / "keys").write_text("".join(f"{name} {record}\n" for name, record in keys.items()))
        (folder / "conf").write_text(f"Mode v\nTestPublicKeys {folder}/keys\nSyslog no\nRequireSafeKeys no\n")
        (folder / "message").write_bytes(message)
        command = ["opendkim", "-x", str(folder / "conf"), "-v", "-v", "-t", str(folder / "message")]
        said = subprocess.run(command, capture_output=True, timeout=30, check=False).stdout.decode()
        assert "dkim=pass" in said, said


# Where the program is killed, and how often the message then arrives. Only when the other server has the whole message
# and its answer is lost can nobody know: it arrives again (RFC 5321 §6.1 and RFC 1047).
STEPS = [("greeting", 1), ("ehlo", 1), ("mail", 1), ("rcpt", 1), ("data", 1), ("final", 2)]


@pytest.mark.parametrize(("step", "arrivals"), STEPS, ids=[step for step, _ in STEPS])
async def test_killed_at_each_step_of_an_attempt(tmp_path: Path, step: str, arrivals: int) -> None:
    killed = asyncio.Event()

    def kill(_line: str) -> None:
        if not killed.is_set():
            server.kill()
            killed.set()

    mx = FakeMx(**{step: kill})  # type: ignore[arg-type]
    async with mx.running() as port:
        server = await asyncio.to_thread(leading_to, tmp_path, port)
        await asyncio.to_thread(server.start)
        try:
            request = {"To": [{"Address": "a@out.example"}], "Text": "x", "IdempotencyKey": "once"}
            answer = await asyncio.to_thread(webapi, server, "Send", request)
            assert answer.status_code == 200, answer.text
            async with asyncio.timeout(TIMEOUT_S):
                await killed.wait()
            await asyncio.to_thread(server.start)
            await until(lambda: len(mx.transactions) >= arrivals and queued(server) == 0)
            # The application repeats its request, as after a lost answer: nothing more is sent.
            again = await asyncio.to_thread(webapi, server, "Send", request)
            assert again.json() == answer.json() and queued(server) == 0
        finally:
            await asyncio.to_thread(server.stop)
    assert len(mx.transactions) == arrivals
    assert len({transaction.content for transaction in mx.transactions}) == 1
