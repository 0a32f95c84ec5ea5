"""Outgoing mail with real peers: Postfix as destination with and without TLS and with DANE, smtp-sink, crashes."""

import concurrent.futures
import os
import shutil
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mox.dns.resolver import Mx, Tlsa
from mox.dns.static import StaticResolver
from tests.interop.test_smtp_peers import Postfix, wait_until
from tests.outbound.bench import Bench, new, opened
from tests.raw_clients import Imap
from tests.server_process import PASSWORD, USER, MoxProcess, free_ports

pytestmark = pytest.mark.interop


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    if os.geteuid() != 0 or shutil.which("postfix", path="/usr/sbin") is None:
        pytest.skip("needs root and Postfix (make peers)")
    folder = Path(f"/tmp/mox-postfix-{os.getpid()}-{time.monotonic_ns()}")
    folder.mkdir(mode=0o755)
    server = Postfix(folder, free_ports(1)[0], 1)
    yield server
    server.command("stop")
    shutil.rmtree(folder, ignore_errors=True)


def start(server: Postfix, **options: str) -> None:
    """Start with further options of main.cf."""
    with (server.folder / "etc/main.cf").open("a") as file:
        file.writelines(f"{name} = {value}\n" for name, value in options.items())
    server.command("start")

    def is_up() -> bool:
        try:
            smtplib.SMTP("127.0.0.1", server.port, timeout=5).quit()
        except (OSError, smtplib.SMTPException):
            return False
        return True

    wait_until("Postfix did not start", is_up, server)


def lead_to(bench: Bench, server: Postfix, tlsa: list[Tlsa] | None = None) -> None:
    dns = StaticResolver(authentic=tlsa is not None)
    dns.add("postfix.example", "MX", [Mx(10, "mx.postfix.example")])
    dns.add("mx.postfix.example", "A", ["10.0.0.1"])
    if tlsa is not None:
        dns.add("_25._tcp.mx.postfix.example", "TLSA", tlsa)
    bench.use_dns(dns)
    bench.dialer.ports["10.0.0.1"] = server.port


def key_record(server: Postfix, good: bool) -> Tlsa:
    certificate = x509.load_pem_x509_certificate((server.folder / "etc/tls.crt").read_bytes())
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return Tlsa(3, 1, 1, digest.finalize() if good else bytes(32))


async def test_postfix_over_tls(tmp_path: Path, postfix: Postfix) -> None:
    start(postfix)
    async with opened(tmp_path) as bench:
        lead_to(bench, postfix)
        await bench.add(new("a@postfix.example"), new("b@postfix.example"))
        assert await bench.run_due() == []
        assert all(kept.success for kept in await bench.retired())
        assert bench.remembered == [("mjl", "postfix.example", True, False)]
    wait_until("not delivered", lambda: postfix.log().count("status=sent") == 2, postfix)


async def test_postfix_without_tls(tmp_path: Path, postfix: Postfix) -> None:
    start(postfix, smtpd_tls_security_level="none")
    async with opened(tmp_path) as bench:
        lead_to(bench, postfix)
        await bench.add(new("a@postfix.example"))
        assert await bench.run_due() == []
        assert bench.remembered == [("mjl", "postfix.example", False, False)]


@pytest.mark.parametrize("good", [True, False])
async def test_postfix_with_dane(tmp_path: Path, postfix: Postfix, good: bool) -> None:
    start(postfix)
    async with opened(tmp_path) as bench:
        lead_to(bench, postfix, [key_record(postfix, good)])
        await bench.add(new("a@postfix.example"))
        assert (await bench.run_due() == []) is good


@pytest.mark.parametrize("chunking", [True, False])
async def test_postfix_refuses_one_recipient(tmp_path: Path, postfix: Postfix, chunking: bool) -> None:
    options = {
        "smtpd_recipient_restrictions": "check_recipient_access inline:{ {bad@postfix.example = REJECT} }, permit"
    }
    if not chunking:
        options["smtpd_discard_ehlo_keywords"] = "chunking"
    start(postfix, **options)
    async with opened(tmp_path) as bench:
        lead_to(bench, postfix)
        await bench.add(new("good@postfix.example"), new("bad@postfix.example"))
        assert await bench.run_due() == []
        assert {k.recipient_localpart: k.success for k in await bench.retired()} == {"good": True, "bad": False}


def test_kill_in_the_middle_of_queue_deliveries_loses_nothing(tmp_path: Path) -> None:
    """Every message that submission acknowledged arrives, whatever step the crash hit; hardly any arrives twice."""
    mox = MoxProcess(tmp_path / "mox").start()
    acknowledged: list[str] = []

    def submit(name: int) -> None:
        try:
            with smtplib.SMTP("127.0.0.1", mox.ports["submission"], timeout=30) as client:
                client.login(USER, PASSWORD)
                for number in range(1000):
                    mark = f"m{name}-{number}"
                    client.sendmail(USER, [USER], f"From: <{USER}>\r\nTo: <{USER}>\r\nSubject: {mark}\r\n\r\nbody\r\n")
                    acknowledged.append(mark)
        except (OSError, smtplib.SMTPException):
            return

    for round_number in range(2):
        before = len(acknowledged)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(submit, round_number * 100 + i) for i in range(8)]
            deadline = time.monotonic() + 60
            while len(acknowledged) < before + 40 and time.monotonic() < deadline:
                time.sleep(0.001)
            mox.kill()
            concurrent.futures.wait(futures)
        mox.start()
    try:
        imap = Imap(mox.ports["imap"])
        imap.ok("SELECT INBOX")
        deadline = time.monotonic() + 60
        while True:
            imap.ok("NOOP")
            parts = [
                lits[0].decode() for text, lits in imap.ok("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])") if lits
            ]
            subjects = [part.split(":", 1)[1].strip() for part in parts]
            if set(acknowledged) <= set(subjects):
                break
            assert time.monotonic() < deadline, f"lost: {set(acknowledged) - set(subjects)}"
            time.sleep(0.05)
        # What was under way at the two crashes may have arrived without our knowing.
        assert len(subjects) - len(set(subjects)) <= 40
    finally:
        assert mox.stop() == 0
