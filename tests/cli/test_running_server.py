"""Commands that change a running server (spec/cli.md sections 7, 8 and 23)."""

import imaplib
import io
import smtplib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.admin import dkimkeys
from mox.cli.main import run
from mox.server.control import ControlError
from tests.cli.conftest import Mox
from tests.server_process import MoxProcess


def log_in(server: MoxProcess, user: str, password: str) -> str:
    """`OK`, or why not."""
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
    try:
        client.login(user, password)
    except imaplib.IMAP4.error as err:
        return str(err)
    finally:
        client.logout()
    return "OK"


def submit(server: MoxProcess, user: str, password: str, recipient: str) -> None:
    """Queue a message."""
    with smtplib.SMTP("127.0.0.1", server.ports["submission"]) as client:
        client.login(user, password)
        client.sendmail(user, [recipient], f"From: <{user}>\r\nTo: <{recipient}>\r\nSubject: x\r\n\r\nbody\r\n")


def wait_until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    """Until something is so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_accounts(mox: Mox, server: MoxProcess) -> None:
    added = mox("config", "account", "add", "alice", "alice@localhost")
    assert added == 'account added, set a password with "mox setaccountpassword alice"\n'
    mox("setaccountpassword", "alice", input="one good password\n")
    assert log_in(server, "alice@localhost", "one good password") == "OK"
    assert mox("config", "account", "addresses", "alice") == "alice@localhost\n"
    assert mox("config", "account", "disable", "alice", "call us") == "account disabled\n"
    assert mox("config", "account", "list") == "alice\t(disabled)\nmox\n"
    assert "call us" in log_in(server, "alice@localhost", "one good password")
    assert mox("config", "address", "account", "alice@localhost") == "alice\n"
    assert mox("config", "account", "enable", "alice") == "account enabled\n"
    assert log_in(server, "alice@localhost", "one good password") == "OK"


@pytest.mark.holds("config-e77b0b")
def test_removing_an_account(mox: Mox, server: MoxProcess) -> None:
    mox("config", "account", "add", "erin", "erin@localhost")
    mox("setaccountpassword", "erin", input="one good password\n")
    mox("queue", "suppress", "add", "erin", "x@example.org")
    submit(server, "erin@localhost", "one good password", "queuetemperror@localhost")
    assert "from:erin@localhost" in mox("queue", "list", "-account", "erin")
    with pytest.raises(ControlError, match="erin@localhost is in the queue"):
        mox("config", "address", "rm", "erin@localhost")
    assert mox("config", "account", "rm", "erin") == "account removed\n"
    assert mox("queue", "list", "-account", "erin") == "messages:\n(none)\n"
    assert mox("queue", "suppress", "list", "-account", "erin").endswith("\n(none)\n")
    assert "erin" not in mox("config", "account", "list")
    wait_until(lambda: not (server.folder / "accounts" / "erin").exists())
    mox("config", "account", "add", "erin", "erin@localhost")
    assert log_in(server, "erin@localhost", "one good password") != "OK"


def test_an_account_that_is_needed_keeps_its_queue(mox: Mox, server: MoxProcess) -> None:
    """A refusal comes before messages fail."""
    submit(server, "mox@localhost", "moxmoxmox", "queuetemperror@localhost")
    with pytest.raises(ControlError, match="Postmaster"):
        mox("config", "account", "rm", "mox")
    assert "from:mox@localhost" in mox("queue", "list", "-account", "mox")
    mox("queue", "drop", "-account", "mox")


@pytest.mark.holds("cli-f13d66")
def test_domains_and_addresses(mox: Mox, server: MoxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "mox config dnsrecords \u263a.example" in mox("config", "domain", "add", "\u263a.example", "mox")
    assert len(list((server.folder / "dkim").glob("*._domainkey.xn--74h.example.*"))) == 2
    mox("config", "account", "add", "bob", "bob@\u263a.example")
    assert mox("config", "address", "add", "bobby@localhost", "bob") == "address added\n"
    assert mox("config", "address", "add", "@xn--74h.example", "bob") == "address added\n"
    assert mox("config", "account", "addresses", "bob") == "@\u263a.example\nbob@\u263a.example\nbobby@localhost\n"
    assert mox("config", "address", "account", "other@\u263a.example") == "bob\n"
    assert mox("config", "address", "account", "@\u263a.example") == "bob\n"
    assert mox("config", "address", "account", "bobby+x@localhost") == "bob\n"
    with pytest.raises(ControlError, match="not in Domains"):
        mox("config", "domain", "rm", "\u263a.example")
    assert mox("config", "domain", "disable", "\u263a.example") == "domain disabled\n"
    with pytest.raises(ControlError, match="is disabled"):
        mox("config", "address", "account", "other@\u263a.example")
    assert mox("config", "domain", "enable", "\u263a.example") == "domain enabled\n"
    mox("config", "address", "add", "bob@localhost", "bob")
    for address in ("@\u263a.example", "bob@\u263a.example"):
        assert mox("config", "address", "rm", address) == "address removed\n"
    monkeypatch.chdir(server.folder)
    assert "remember to remove dns records" in mox("config", "domain", "rm", "\u263a.example")
    assert len(list((server.folder / "dkim" / dkimkeys.OLD_FOLDER).iterdir())) == 2


@pytest.mark.holds("cli-3e6c76")
def test_aliases(mox: Mox) -> None:
    mox("config", "account", "add", "carol", "carol@localhost")
    mox("config", "alias", "add", "team@localhost", "mox@localhost")
    assert mox("config", "alias", "list", "localhost") == "team@localhost\n"
    options = "# postpublic true\n# listmembers false\n# allowmsgfrom false\n# members:\n"
    assert mox("config", "alias", "print", "team@localhost") == f"{options}mox@localhost\n"
    mox("config", "alias", "update", "team@localhost", "-postpublic", "false", "-allowmsgfrom", "true")
    assert "# postpublic false\n# listmembers false\n# allowmsgfrom true\n" in mox(
        "config", "alias", "print", "team@localhost"
    )
    mox("config", "alias", "addaddr", "Team@localhost", "carol@localhost")
    assert mox("config", "alias", "print", "team@localhost").endswith("mox@localhost\ncarol@localhost\n")
    mox("config", "alias", "rmaddr", "team@localhost", "mox@localhost")
    with pytest.raises(ControlError, match="address not found: mox@localhost"):
        mox("config", "alias", "rmaddr", "team@localhost", "mox@localhost")
    with pytest.raises(ControlError, match="last member of alias"):
        mox("config", "address", "rm", "carol@localhost")
    mox("config", "alias", "rm", "team@localhost")
    assert mox("config", "alias", "list", "localhost") == ""


@pytest.mark.holds("cli-3e6c76")
def test_tls_public_keys(mox: Mox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mox("config", "tlspubkey", "gen", "phone")
    certificate = next(p for p in tmp_path.glob("phone.*.certificate.pem")).read_text()
    assert sorted(p.stat().st_mode & 0o777 for p in tmp_path.iterdir()) == [0o600] * 3
    mox("config", "tlspubkey", "add", "-no-imap-preauth", "mox@localhost", "my phone", input=certificate)
    with pytest.raises(ControlError):
        mox("config", "tlspubkey", "add", "mox@localhost", input=certificate)
    with pytest.raises(ControlError, match="not a login address"):
        mox("config", "tlspubkey", "add", "nobody@localhost", input=certificate)
    header, line = mox("config", "tlspubkey", "list").splitlines()
    assert header == "# fingerprint, type, name, account, login address, no imap preauth (1)"
    fingerprint, *values = line.split("\t")
    assert values == ["ed25519", '"my phone"', "mox", "mox@localhost", "true"]
    assert mox("config", "tlspubkey", "list", "mox").endswith(line + "\n")
    shown = mox("config", "tlspubkey", "get", fingerprint)
    assert shown.endswith(f"no imap preauth: true\ncertificate:\n\n{certificate}")
    mox("config", "tlspubkey", "rm", fingerprint)
    assert mox("config", "tlspubkey", "list").splitlines() == [header.replace("(1)", "(0)")]
    with pytest.raises(ControlError, match="no TLS public key"):
        mox("config", "tlspubkey", "rm", fingerprint)


@pytest.mark.holds("cli-4778e2")
def test_log_levels(mox: Mox, server: MoxProcess) -> None:
    general = mox("loglevels")
    assert general.startswith("(default): ")
    mox("loglevels", "debug")
    mox("loglevels", "trace", "queue")
    assert mox("loglevels") == "(default): debug\nqueue: trace\n"
    mox("loglevels", "", "queue")
    mox("loglevels", "info")
    assert mox("loglevels") == "(default): info\n"
    with pytest.raises(ControlError, match="bad level 'loud'"):
        mox("loglevels", "loud")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param(("config", "account", "add", "mox", "x@localhost"), "is present already", id="account twice"),
        pytest.param(("config", "account", "add", "new", "mox@localhost"), "in account 'mox'", id="address taken"),
        pytest.param(("config", "account", "add", "new", "MOX@localhost"), "in account 'mox'", id="any case"),
        pytest.param(("config", "account", "add", "new", "a+b@localhost"), "catchall separator", id="separator"),
        pytest.param(("config", "account", "add", "new", "a@gone.example"), "is not configured", id="no domain"),
        pytest.param(("config", "account", "add", "new", "nonsense"), "is not an address", id="no address"),
        pytest.param(("config", "account", "add", "../x", "y@localhost"), "cannot be the name", id="bad name"),
        pytest.param(("config", "account", "addresses", "gone"), "no such account", id="no account"),
        pytest.param(("config", "account", "enable", "gone"), "no such account", id="enable nothing"),
        pytest.param(("config", "account", "disable", "mox", "\u00e9"), "printable ASCII", id="message"),
        pytest.param(("config", "address", "add", "a@localhost", "gone"), "no such account", id="address of nobody"),
        pytest.param(("config", "address", "rm", "gone@localhost"), "is not an address of", id="no such address"),
        pytest.param(("config", "domain", "add", "localhost", "mox"), "is present already", id="domain twice"),
        pytest.param(("config", "domain", "add", "a.example", "mox", "x"), "leave out the localpart", id="localpart"),
        pytest.param(("config", "domain", "add", "a.example", "gone"), "give a localpart", id="no localpart"),
        pytest.param(("config", "domain", "rm", "gone.example"), "no such domain", id="domain rm"),
        pytest.param(("config", "alias", "list", "gone.example"), "no such domain", id="aliases of nothing"),
        pytest.param(("config", "alias", "print", "gone@localhost"), "no such alias", id="no alias"),
        pytest.param(("config", "alias", "rm", "gone@localhost"), "no such alias", id="alias rm"),
        pytest.param(("config", "alias", "add", "mox@localhost", "mox@localhost"), "is an address of", id="taken"),
        pytest.param(("config", "alias", "add", "x@localhost", "gone@localhost"), "is not an address", id="no member"),
    ],
)
def test_what_is_not_possible(mox: Mox, server: MoxProcess, words: tuple[str, ...], text: str) -> None:
    before = (server.folder / "domains.conf").read_text()
    with pytest.raises(ControlError, match=text):
        mox(*words)
    assert (server.folder / "domains.conf").read_text() == before
    assert not list((server.folder).glob("dkim/*a.example*"))


def test_short_passwords_are_refused(mox: Mox) -> None:
    from mox.cli.command import CommandError

    with pytest.raises(CommandError, match="at least 8 bytes"):
        mox("setaccountpassword", "mox", input="short\n")


def test_the_admin_password_is_replaced(mox: Mox, server: MoxProcess) -> None:
    before = (server.folder / "adminpasswd").read_bytes()
    mox("setadminpassword", input="x" * 100)
    after = (server.folder / "adminpasswd").read_bytes()
    assert after != before and after.startswith(b"$2")


@pytest.mark.holds("cli-3d4b29")
def test_a_password_can_be_set_as_soon_as_the_socket_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = MoxProcess(tmp_path / "mox")
    server.init()
    monkeypatch.setattr(server, "wait_ready", lambda: None)
    server.start()
    try:
        wait_until(lambda: (server.folder / "ctl").exists())
        monkeypatch.setattr(sys, "stdin", io.StringIO("another good password"))
        assert run(["-config", str(server.folder / "mox.conf"), "setaccountpassword", "mox"]) == 0
        assert log_in(server, "mox@localhost", "another good password") == "OK"
    finally:
        server.stop()


@pytest.mark.interop
def test_changes_reach_all_workers_before_the_command_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MoxProcess(tmp_path / "mox", workers=2).start()
    try:
        config = str(server.folder / "mox.conf")
        assert run(["-config", config, "config", "account", "add", "dave", "dave@localhost"]) == 0
        monkeypatch.setattr(sys, "stdin", io.StringIO("one good password"))
        assert run(["-config", config, "setaccountpassword", "dave"]) == 0
        assert [log_in(server, "dave@localhost", "one good password") for _ in range(6)] == ["OK"] * 6
        assert run(["-config", config, "config", "account", "disable", "dave", "no more"]) == 0
        assert all("no more" in log_in(server, "dave@localhost", "one good password") for _ in range(6))
    finally:
        server.stop()
