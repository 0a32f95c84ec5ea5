"""Real peers of the SMTP server: swaks with each mechanism and client certificates, Postfix in both directions."""

import base64
import contextlib
import hashlib
import os
import shutil
import smtplib
import ssl
import subprocess
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mox.config.localserve import self_signed
from mox.store.engine import Engine
from mox.store.tlskeys import TlsPublicKey, add
from tests.interop.test_clients import curl_imap, need
from tests.server_process import PASSWORD, USER, MoxProcess, free_ports, run

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("tls", ["", "--tls", "--tls-on-connect"], ids=["plain", "starttls", "tls"])
def test_swaks_mechanisms(shared_mox: MoxProcess, mechanism: str, tls: str) -> None:
    service = "submissions" if tls == "--tls-on-connect" else "submission"
    command = [
        need("swaks"), "--server", "127.0.0.1", "--port", str(shared_mox.ports[service]), "--from", USER, "--to", USER,
        "--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD,
    ]  # fmt: skip
    run([*command, *([tls] if tls else [])])


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.holds("smtp-in-1f0893")
def test_wrong_passwords(mox: MoxProcess, mechanism: str) -> None:
    with smtplib.SMTP("127.0.0.1", mox.ports["submission"], timeout=30) as client:
        client.ehlo()
        client.user, client.password = USER, "wrong password"
        method = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login, "CRAM-MD5": client.auth_cram_md5}[mechanism]
        with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            client.auth(mechanism, method, initial_response_ok=mechanism == "PLAIN")
        assert caught.value.smtp_code == 535
        assert b"5.7.8" in caught.value.smtp_error
    assert "failed authentication attempt" in mox.log()


@pytest.mark.holds("smtp-in-edde67")
def test_too_many_failures(mox: MoxProcess) -> None:
    refused = 0
    for _ in range(20):
        try:
            with smtplib.SMTP("127.0.0.1", mox.ports["submission"], timeout=30) as client:
                client.docmd("EHLO", "x")
                client.docmd("AUTH", "PLAIN AGEAYg==")
        except (smtplib.SMTPConnectError, smtplib.SMTPServerDisconnected):
            refused += 1
    assert refused >= 9


class Certificate:
    """A client certificate, registered for localserve's user."""

    def __init__(self, folder: Path, mox: MoxProcess | None) -> None:
        certificate, key = self_signed("client")
        self.cert_path, self.key_path = folder / "client.crt", folder / "client.key"
        self.cert_path.write_bytes(certificate)
        self.key_path.write_bytes(key)
        loaded = x509.load_pem_x509_certificate(certificate)
        info = loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.fingerprint = base64.urlsafe_b64encode(hashlib.sha256(info).digest()).rstrip(b"=").decode()
        self.der = loaded.public_bytes(Encoding.DER)

    async def register(self, mox: MoxProcess) -> None:
        engine = Engine(mox.folder / "auth.db", "mox.store.auth_migrations")
        record = TlsPublicKey(self.fingerprint, 1, "ecdsa-p256", "client", False, self.der, "mox", USER)
        await engine.write(lambda tx: add(tx, record))
        await engine.close()

    def context(self) -> ssl.SSLContext:
        context = no_checks()
        context.load_cert_chain(self.cert_path, self.key_path)
        return context


@pytest.mark.holds("smtp-in-c1bba8")
async def test_client_certificates(tmp_path: Path) -> None:
    mox = MoxProcess(tmp_path / "mox")
    mox.init()
    certificate = Certificate(tmp_path, mox)
    await certificate.register(mox)
    mox.start()
    try:
        with smtplib.SMTP_SSL("127.0.0.1", mox.ports["submissions"], context=certificate.context()) as client:
            assert "EXTERNAL" in client.esmtp_features["auth"] if client.ehlo()[0] == 250 else False
            # The certificate is enough.
            assert client.mail(USER)[0] == 250
            client.rset()
            assert client.docmd("AUTH", f"EXTERNAL {base64.b64encode(USER.encode()).decode()}")[0] == 235
        with smtplib.SMTP("127.0.0.1", mox.ports["submission"]) as client:
            client.starttls(context=certificate.context())
            client.ehlo()
            assert client.docmd("AUTH", "EXTERNAL =")[0] == 235
            client.sendmail(USER, [USER], f"From: <{USER}>\r\nSubject: by key\r\n\r\nhi\r\n")
        stranger = Certificate(tmp_path, None)
        with pytest.raises((ssl.SSLError, ConnectionError, smtplib.SMTPServerDisconnected)):
            with smtplib.SMTP_SSL("127.0.0.1", mox.ports["submissions"], context=stranger.context()) as client:
                client.noop()
    finally:
        mox.stop()


class Postfix:
    """A Postfix that relays everything to us over TLS, and takes mail for postfix.example from anyone."""

    def __init__(self, folder: Path, port: int, relay: int) -> None:
        self.folder, self.port = folder, port
        for name in ("etc", "queue", "data", "mail"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix")
        shutil.chown(folder / "mail", 65534)
        certificate, key = self_signed("localhost")
        (folder / "etc/tls.crt").write_bytes(certificate)
        (folder / "etc/tls.key").write_bytes(key)
        (folder / "etc/main.cf").write_text(
            textwrap.dedent(f"""\
            compatibility_level = 3.6
            queue_directory = {folder}/queue
            data_directory = {folder}/data
            command_directory = /usr/sbin
            daemon_directory = /usr/lib/postfix/sbin
            mail_owner = postfix
            setgid_group = postdrop
            myhostname = postfix.example
            mydestination =
            virtual_mailbox_domains = postfix.example
            virtual_mailbox_base = {folder}/mail
            virtual_mailbox_maps = static:box
            virtual_uid_maps = static:65534
            virtual_gid_maps = static:65534
            mynetworks = 127.0.0.0/8
            inet_interfaces = 127.0.0.1
            inet_protocols = ipv4
            relayhost = [127.0.0.1]:{relay}
            smtp_tls_security_level = encrypt
            smtpd_tls_security_level = may
            smtpd_tls_cert_file = {folder}/etc/tls.crt
            smtpd_tls_key_file = {folder}/etc/tls.key
            smtp_host_lookup = native
            disable_dns_lookups = yes
            maillog_file = {folder}/log
            maillog_file_prefixes = {folder}
            alias_maps =
            alias_database =
            local_recipient_maps =
            """)
        )
        master = Path("/usr/share/postfix/master.cf.dist").read_text()
        lines = [line for line in master.splitlines() if not line.startswith("smtp      inet")]
        fixed = [line.replace(" y       ", " n       ") for line in lines if not line.startswith("#")]
        fixed.append(f"{port} inet n - n - - smtpd")
        fixed.append("postlog unix-dgram n - n - 1 postlogd")
        (folder / "etc/master.cf").write_text("\n".join(fixed) + "\n")

    def command(self, verb: str) -> None:
        subprocess.run(["/usr/sbin/postfix", "-c", str(self.folder / "etc"), verb], capture_output=True, timeout=60)

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else "no log"


@contextlib.contextmanager
def running_postfix(port: int, relay: int) -> Iterator[Postfix]:
    """Postfix on a port; it relays to port `relay`."""
    if os.geteuid() != 0 or shutil.which("postfix", path="/usr/sbin") is None:
        pytest.skip("needs root and Postfix (make peers)")
    folder = Path(f"/tmp/mox-postfix-{os.getpid()}-{time.monotonic_ns()}")
    folder.mkdir(mode=0o755)
    server = Postfix(folder, port, relay)
    server.command("start")

    def is_up() -> bool:
        try:
            smtplib.SMTP("127.0.0.1", port, timeout=5).quit()
        except (OSError, smtplib.SMTPException):
            return False
        return True

    try:
        wait_until("Postfix did not start", is_up, server)
        yield server
    finally:
        server.command("stop")
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(what: str, found: object, server: Postfix) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found():  # type: ignore[operator]
            return
        time.sleep(0.1)
    raise AssertionError(f"{what}:\n{server.log()[-3000:]}")


def test_postfix_delivers_to_us_over_tls(mox: MoxProcess) -> None:
    with running_postfix(free_ports(1)[0], mox.ports["smtp"]) as postfix:
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
            client.sendmail("friend@postfix.example", [USER], f"To: <{USER}>\r\nSubject: via postfix\r\n\r\nhello\r\n")
        wait_until("no mail", lambda: "* SEARCH 1" in curl_imap(mox, "INBOX", "-X", "SEARCH SUBJECT postfix"), postfix)
    found = curl_imap(mox, "INBOX;MAILINDEX=1")
    assert "with ESMTPS id" in found
    assert "(TLS1.3 " in found


def test_postfix_relays_for_us_over_tls(tmp_path: Path) -> None:
    """A submitted message goes through Postfix as the transport of a route, and comes back; TLS on every way."""
    mox, port = MoxProcess(tmp_path / "mox"), free_ports(1)[0]
    mox.init()
    with (mox.folder / "mox.conf").open("a") as file:
        transport = f"Host: localhost\n\t\t\tPort: {port}\n\t\t\tSTARTTLSInsecureSkipVerify: true"
        file.write(f"Transports:\n\tpostfix:\n\t\tSMTP:\n\t\t\t{transport}\n")
    with (mox.folder / "domains.conf").open("a") as file:
        file.write("Routes:\n\t-\n\t\tToDomain:\n\t\t\t- elsewhere.example\n\t\tTransport: postfix\n")
    mox.start()
    try:
        with running_postfix(port, mox.ports["smtp"]) as postfix:
            with smtplib.SMTP_SSL("127.0.0.1", mox.ports["submissions"], context=no_checks(), timeout=30) as client:
                client.login(USER, PASSWORD)
                text = f"From: <{USER}>\r\nTo: <x@elsewhere.example>\r\nSubject: there and back\r\n\r\nhello\r\n"
                client.sendmail(USER, ["x@elsewhere.example"], text)
            asked = "SEARCH SUBJECT back"
            wait_until("no mail", lambda: "* SEARCH 1" in curl_imap(mox, "INBOX", "-X", asked), postfix)
        found = " ".join(curl_imap(mox, "INBOX;MAILINDEX=1").split())
        ours, postfixes, first = found.split("Received: ")[1:4]
        assert ours.startswith("from postfix.example") and "with ESMTPS id" in ours
        assert "by postfix.example (Postfix) with ESMTPS" in postfixes
        assert "with ESMTPSA id" in first
        assert "spf=pass" in found and "dkim=pass" in found
    finally:
        mox.stop()


def no_checks() -> ssl.SSLContext:
    """Any certificate will do."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
