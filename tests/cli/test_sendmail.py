"""sendmail (spec/cli.md sections 14 and 23)."""

import imaplib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mox.cli.command import CommandError
from mox.cli.sendmail import send
from mox.cli.sendmail_message import Arguments, compose, parse_arguments
from tests.server_process import PASSWORD, USER, MoxProcess, child_environment


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["root"], Arguments(("root",)), id="cron"),
        pytest.param(["-i", "-oi", "-FCronDaemon", "root"], Arguments(("root",), name="CronDaemon"), id="options"),
        pytest.param(["-F", "Cron Daemon", "-f", "me", "root"], Arguments(("root",), name="Cron Daemon"), id="values"),
        pytest.param(["-t"], Arguments(reads_recipients=True), id="from the header"),
        pytest.param(["--", "-odd"], Arguments(("-odd",)), id="end of options"),
        pytest.param(["a@b.example", "c@d.example"], Arguments(("a@b.example", "c@d.example")), id="several"),
    ],
)
def test_arguments(words: list[str], expected: Arguments) -> None:
    assert parse_arguments(words) == expected


@pytest.mark.parametrize("words", [[], ["-i"], ["-t", "root"]])
def test_bad_arguments(words: list[str]) -> None:
    with pytest.raises(CommandError):
        parse_arguments(words)


@pytest.mark.holds("cli-d24fcd")
@pytest.mark.parametrize(
    ("raw", "arguments", "content", "recipients"),
    [
        pytest.param(
            b"From: root (Cron)\nTo: root\nSubject: x\n\nbody\n",
            Arguments(("root",)),
            b"From: <me@example.org>\r\nTo: root\r\nSubject: x\r\n\r\nbody\r\n",
            ("admin@example.org",),
            id="cron",
        ),
        pytest.param(
            b"Subject: long\n folded\nFrom: a\n b\n\nx\n",
            Arguments(("a@b.example",), name="The Name"),
            b"From: The Name <me@example.org>\r\nTo: <a@b.example>\r\nSubject: long\r\n folded\r\n\r\nx\r\n",
            ("a@b.example",),
            id="folded fields",
        ),
        pytest.param(
            b"To: A <a@b.example>, c@d.example\nBcc: e@f.example\n\nx",
            Arguments(reads_recipients=True),
            b"From: <me@example.org>\r\nTo: A <a@b.example>, c@d.example\r\n\r\nx",
            ("a@b.example", "c@d.example", "e@f.example"),
            id="from the header",
        ),
        pytest.param(b"\nonly a body\n", Arguments(("a@b.example",)), None, ("a@b.example",), id="no header"),
    ],
)
def test_composing(raw: bytes, arguments: Arguments, content: bytes | None, recipients: tuple[str, ...]) -> None:
    composed = compose(raw, arguments, "me@example.org", "admin@example.org", False)
    wanted = b"From: <me@example.org>\r\nTo: <a@b.example>\r\n\r\nonly a body\r\n" if content is None else content
    assert (composed.content, composed.recipients) == (wanted, recipients)


@pytest.mark.parametrize(
    ("raw", "default"),
    [(b"no header\n\nbody\n", "a@b.example"), (b"Subject: x\n\nbody\n", "")],
    ids=["line without colon", "no default destination"],
)
def test_messages_that_cannot_be_sent(raw: bytes, default: str) -> None:
    with pytest.raises(CommandError):
        compose(raw, Arguments(("root",)), "me@example.org", default, False)


def config(folder: Path, port: int, **changes: str) -> Path:
    """A moxsubmit.conf."""
    values = {
        "LocalHostname": "client.example",
        "Host": "localhost",
        "Port": str(port),
        "Username": USER,
        "Password": PASSWORD,
        "AuthMethod": "",
        "From": USER,
        "DefaultDestination": USER,
    }
    path = folder / "moxsubmit.conf"
    path.write_text("".join(f"{name}: {value}\n" for name, value in {**values, **changes}.items() if value != "-"))
    return path


@pytest.mark.holds("cli-1c64fa")
def test_submitting(shared_mox: MoxProcess, tmp_path: Path) -> None:
    path = config(tmp_path, shared_mox.ports["submission"], RequireTLS="no")
    send(["root"], b"From: root\nSubject: from sendmail\n\nbody\n", path, tmp_path)
    assert not (tmp_path / "moxsubmit.failures").exists()
    client = imaplib.IMAP4("127.0.0.1", shared_mox.ports["imap"])
    client.login(USER, PASSWORD)
    for _ in range(200):
        client.select("Inbox", readonly=True)
        _status, found = client.search(None, 'SUBJECT "from sendmail"')
        if found[0]:
            break
    assert found[0]
    _status, data = client.fetch(found[0].split()[-1], "(BODY[HEADER])")
    header = data[0][1]
    assert b"From: <mox@localhost>\r\n" in header and b"TLS-Required: No\r\n" in header
    client.logout()


@pytest.mark.holds("cli-3831cf")
@pytest.mark.holds("cli-325cb6")
@pytest.mark.parametrize(
    ("service", "changes", "text"),
    [
        pytest.param("submission", {"Password": "wrong password"}, "authentication failed", id="password"),
        pytest.param("submissions", {"TLS": "true", "AuthMethod": "PLAIN"}, "certificate", id="unknown authority"),
        pytest.param("submission", {"STARTTLS": "true", "AuthMethod": "PLAIN"}, "certificate", id="after STARTTLS"),
    ],
)
def test_failed_submissions_are_kept(
    shared_mox: MoxProcess, tmp_path: Path, service: str, changes: dict[str, str], text: str
) -> None:
    path = config(tmp_path, shared_mox.ports[service], **changes)
    with pytest.raises(CommandError, match="the message is kept in") as failed:
        send(["root"], b"Subject: x\n\nbody\n", path, tmp_path)
    assert text in str(failed.value) and PASSWORD not in str(failed.value)
    (kept,) = (tmp_path / "moxsubmit.failures").iterdir()
    assert kept.name.startswith("newmsg.") and kept.read_bytes().endswith(b"\r\n\r\nbody\r\n")
    assert kept.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.holds("cli-325cb6")
def test_a_server_of_another_protocol(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        path = config(tmp_path, server.getsockname()[1], STARTTLS="true")

        def answer() -> None:
            conn, _ = server.accept()
            with conn:
                conn.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(CommandError, match="the message is kept in") as failed:
            send(["root"], b"Subject: x\n\nbody\n", path, tmp_path)
        thread.join()
    assert PASSWORD not in str(failed.value) and len(list((tmp_path / "moxsubmit.failures").iterdir())) == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"Password": "-"}, "exactly one secret"),
        ({"ClientAuthEd25519PrivateKey": "x"}, "not Password and ClientAuthEd25519PrivateKey"),
        ({"AuthMethod": "LOGIN"}, "unknown method 'LOGIN'"),
        ({"AuthMethod": "SCRAM-SHA-256-PLUS"}, "needs TLS or STARTTLS"),
        ({"RequireTLS": "yes"}, "yes needs TLS or STARTTLS"),
        ({"LocalHostname": "-x"}, "is not a domain"),
    ],
)
def test_bad_configurations_do_not_show_secrets(tmp_path: Path, changes: dict[str, str], text: str) -> None:
    with pytest.raises(CommandError, match=text) as failed:
        send(["root"], b"Subject: x\n\nbody\n", config(tmp_path, 1, **changes), tmp_path)
    assert PASSWORD not in str(failed.value)


@pytest.mark.holds("cli-a8fabe")
def test_by_the_name_sendmail_it_is_nothing_else(tmp_path: Path) -> None:
    code = "import sys; sys.argv = sys.argv[1:]\nfrom mox.cli.main import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, "/usr/sbin/sendmail", "-config", str(tmp_path / "mox.conf"), "version"],
        env=child_environment(),
        input="",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and "moxsubmit.conf" in done.stderr and done.stdout == ""
