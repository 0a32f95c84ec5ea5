"""Real mail programs against the whole server: send, sync, read."""

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.server_process import PASSWORD, USER, MoxProcess, run

pytestmark = pytest.mark.interop


def need(program: str) -> str:
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed (make peers)")
    return path


def curl_imap(mox: MoxProcess, path: str, *extra: str) -> str:
    url = f"imap://127.0.0.1:{mox.ports['imap']}/{path}"
    return run([need("curl"), "-sS", "--user", f"{USER}:{PASSWORD}", url, *extra]).stdout


def test_swaks_delivers_and_curl_reads(mox: MoxProcess) -> None:
    run([
        need("swaks"), "--server", "127.0.0.1", "--port", str(mox.ports["smtp"]), "--from", "a@example.org",
        "--to", USER, "--header", "Subject: from swaks", "--body", "hello there",
    ])  # fmt: skip
    found = curl_imap(mox, "INBOX;MAILINDEX=1")
    assert "Subject: from swaks" in found
    assert "hello there" in found


@pytest.mark.parametrize("tls", [[], ["--tls"], ["--tls-on-connect"]], ids=["plain", "starttls", "tls"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_swaks_submits(shared_mox: MoxProcess, tls: list[str], mechanism: str) -> None:
    if (
        mechanism != "PLAIN"
        and subprocess.run(["perl", "-MAuthen::SASL::Perl::SCRAM_SHA_256", "-e1"], capture_output=True).returncode
    ):
        pytest.skip("Perl has no SCRAM-SHA-256 here")
    service = "submissions" if tls == ["--tls-on-connect"] else "submission"
    run([
        need("swaks"), "--server", "127.0.0.1", "--port", str(shared_mox.ports[service]), "--from", USER, "--to", USER,
        "--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD, *tls, "--header", "Subject: submitted",
    ])  # fmt: skip


def wait_for_mail(mox: MoxProcess, subject: str) -> None:
    """Mail from the queue arrives soon after its acceptance; curl's IDLE-less polling is enough here."""
    for _ in range(100):
        if re.search(r"\* SEARCH \d", curl_imap(mox, "INBOX", "-X", f'SEARCH SUBJECT "{subject}"')):
            return
    raise AssertionError(f"no message with subject {subject!r}:\n{mox.log()[-3000:]}")


def test_curl_submits_over_tls(shared_mox: MoxProcess, tmp_path: Path) -> None:
    letter = tmp_path / "letter"
    letter.write_text(f"From: <{USER}>\nTo: <{USER}>\nSubject: curl letter\n\nhi\n")
    run([
        need("curl"), "-sS", "-k", "--ssl-reqd", f"smtp://127.0.0.1:{shared_mox.ports['submission']}", "--user",
        f"{USER}:{PASSWORD}", "--mail-from", USER, "--mail-rcpt", USER, "--crlf", "-T", str(letter),
    ])  # fmt: skip
    wait_for_mail(shared_mox, "curl letter")


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"])
def test_msmtp_submits(shared_mox: MoxProcess, tmp_path: Path, mechanism: str) -> None:
    """GNU SASL on the other side."""
    config = tmp_path / "msmtprc"
    config.write_text(
        f"account default\nhost 127.0.0.1\nport {shared_mox.ports['submission']}\nfrom {USER}\nauth {mechanism}\n"
        f"user {USER}\npassword {PASSWORD}\ntls on\ntls_starttls on\ntls_certcheck off\n"
    )
    config.chmod(0o600)
    text = f"From: {USER}\nTo: {USER}\nSubject: msmtp by {mechanism}\n\nhi\n"
    run([need("msmtp"), "-C", str(config), USER], input=text)
    wait_for_mail(shared_mox, f"msmtp by {mechanism}")


def test_smtp_source_load(mox: MoxProcess) -> None:
    run([
        need("smtp-source"), "-d", "-s", "10", "-m", "200", "-l", "2000", "-f", "a@example.org", "-t", USER,
        f"127.0.0.1:{mox.ports['smtp']}",
    ])  # fmt: skip
    assert "MESSAGES 200" in curl_imap(mox, "", "-X", "STATUS INBOX (MESSAGES)")


def mbsync_config(mox: MoxProcess, folder: Path) -> Path:
    config = folder / "mbsyncrc"
    (folder / "mail").mkdir(exist_ok=True)
    config.write_text(
        textwrap.dedent(f"""\
        IMAPAccount mox
        Host 127.0.0.1
        Port {mox.ports["imap"]}
        User {USER}
        Pass {PASSWORD}
        SSLType None
        AuthMechs LOGIN

        IMAPStore far
        Account mox

        MaildirStore near
        Path {folder}/mail/
        Inbox {folder}/mail/INBOX
        SubFolders Verbatim

        Channel all
        Far :far:
        Near :near:
        Patterns *
        Create Both
        Expunge Both
        SyncState *
        """)
    )
    return config


def test_mbsync_both_ways(mox: MoxProcess, tmp_path: Path) -> None:
    config = mbsync_config(mox, tmp_path)
    curl_imap(mox, "INBOX", "-T", str(_letter(tmp_path, "far letter")))
    run([need("mbsync"), "-c", str(config), "-a"])
    folder = tmp_path / "mail/INBOX"
    near = [p for p in folder.rglob("*") if (p.is_file() and ":" in p.name) or p.parent.name == "new"]
    assert any(b"far letter" in p.read_bytes() for p in near)
    local = tmp_path / "mail/INBOX/new/1700000000.1.test"
    local.write_bytes(_letter(tmp_path, "near letter").read_bytes().replace(b"\r\n", b"\n"))
    run([need("mbsync"), "-c", str(config), "-a"])
    assert "* SEARCH 2" in curl_imap(mox, "INBOX", "-X", "SEARCH SUBJECT near")
    curl_imap(mox, "INBOX", "-X", "STORE 1 +FLAGS (\\Deleted)")
    curl_imap(mox, "INBOX", "-X", "EXPUNGE")
    run([need("mbsync"), "-c", str(config), "-a"])
    left = [p for p in (tmp_path / "mail/INBOX").rglob("*") if p.is_file() and p.parent.name in ("cur", "new")]
    assert len(left) == 1
    assert b"near letter" in left[0].read_bytes()


def _letter(folder: Path, subject: str) -> Path:
    path = folder / f"{subject}.eml"
    path.write_bytes(f"From: <a@example.org>\r\nTo: <{USER}>\r\nSubject: {subject}\r\n\r\nbody\r\n".encode())
    return path


def test_mutt_reads_in_batch_mode(mox: MoxProcess, tmp_path: Path) -> None:
    curl_imap(mox, "INBOX", "-T", str(_letter(tmp_path, "mutt letter")))
    muttrc = tmp_path / "muttrc"
    saved = tmp_path / "saved"
    muttrc.write_text(
        f'set folder="imap://127.0.0.1:{mox.ports["imap"]}/"\nset spoolfile="+INBOX"\n'
        f'set imap_user="{USER}"\nset imap_pass="{PASSWORD}"\nset ssl_starttls=no\nset ssl_force_tls=no\n'
        f'set mbox_type=mbox\nset confirmappend=no\nset confirmcreate=no\nset header_cache=""\n'
        f'push "<copy-message>{saved}<enter><quit>"\n'
    )
    # Without a terminal mutt takes its input for a message to send.
    command = f"{need('mutt')} -n -F {muttrc}"
    environment = {"TERM": "xterm", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    run([need("script"), "-qec", command, "/dev/null"], env=environment, stdin=subprocess.DEVNULL)
    assert "mutt letter" in saved.read_text()
