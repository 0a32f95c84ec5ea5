"""Import, export, repairs and verification (spec/cli.md sections 10 to 12 and 23)."""

import imaplib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mox.cli.command import CommandError
from mox.cli.main import run
from mox.server import control
from mox.server.control import ControlError
from tests.cli.conftest import Mox
from tests.cli.test_running_server import wait_until
from tests.server_process import PASSWORD, USER, MoxProcess

MBOX = """\
From x@example.org Mon Jan  5 10:00:00 2026
From: x@example.org
Subject: first
Status: R
X-Keywords: custom

body
>From quoted

From x@example.org Mon Jan  5 11:00:00 2026
From: x@example.org
Subject: second

body
"""


def subjects(server: MoxProcess, mailbox: str) -> list[bytes]:
    """Subject lines in the order of UIDs."""
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
    client.login(USER, PASSWORD)
    client.select(f'"{mailbox}"', readonly=True)
    _status, data = client.uid("fetch", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    client.logout()
    return [item[1].strip() for item in data if isinstance(item, tuple)]


@pytest.mark.holds("cli-f87a31")
def test_round_trip(mox: Mox, server: MoxProcess, tmp_path: Path) -> None:
    (tmp_path / "in.mbox").write_text(MBOX)
    mox("import", "mbox", "mox", "imports/one", str(tmp_path / "in.mbox"))
    wanted = [b"Subject: first", b"Subject: second"]
    assert subjects(server, "imports/one") == wanted
    account = str(server.folder / "accounts" / "mox")
    mox("export", "mbox", str(tmp_path / "mbox"), account, "imports/one")
    mox("export", "maildir", str(tmp_path / "maildir"), account, "imports/one")
    text = (tmp_path / "mbox" / "one.mbox").read_text()
    assert "\n>From quoted" in text and "Status: R" in text and "custom" in text
    assert len(list((tmp_path / "maildir" / "one" / "cur").iterdir())) == 1
    mox("import", "mbox", "mox", "imports/two", str(tmp_path / "mbox" / "one.mbox"))
    mox("import", "maildir", "mox", "imports/three", str(tmp_path / "maildir" / "one"))
    assert subjects(server, "imports/two") == wanted
    assert sorted(subjects(server, "imports/three")) == wanted


@pytest.mark.holds("cli-318335")
@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param(("mbox", "mox", "new", "{}/gone"), "No such file", id="no file"),
        pytest.param(("mbox", "gone", "new", "{}/bad"), "no such account", id="no account"),
        pytest.param(("mbox", "mox", "a//b", "{}/bad"), "empty, . or .. elements", id="bad mailbox"),
        pytest.param(("mbox", "mox", "new", "{}/bad"), "does not start with", id="no mbox"),
        pytest.param(("maildir", "mox", "new", "{}"), "has no directory new", id="no maildir"),
    ],
)
def test_failed_imports_leave_nothing(
    mox: Mox, server: MoxProcess, tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    (tmp_path / "bad").write_text("Subject: no mbox\n\n")
    with pytest.raises(ControlError, match=text):
        mox("import", *(word.format(tmp_path) for word in words))
    assert subjects(server, "Inbox") == []
    assert not list((tmp_path / "mox").glob("*"))


@pytest.mark.holds("cli-141ade")
def test_repairs(mox: Mox) -> None:
    assert mox("recalculatemailboxcounts", "mox") == ""
    assert mox("fixmsgsize", "mox").endswith("0 message size(s) fixed for account mox\n")
    assert mox("fixmsgsize").startswith("account mox\n")
    assert "message(s) reparsed for account mox in " in mox("reparse", "mox")
    assert mox("reparse").startswith("account mox\n")
    assert "placed in threads for account mox" in mox("reassignthreads", "mox")
    assert mox("fixuidmeta", "mox") == ""
    assert "trained for account mox" in mox("retrain", "mox")
    assert 'uid validity for "Inbox" updated to ' in mox("bumpuidvalidity", "mox", "Inbox")
    assert mox("bumpuidvalidity", "mox").count("\n") > 3
    assert "have new uids" in mox("reassignuids", "mox")
    with pytest.raises(ControlError, match="no such account"):
        mox("reparse", "gone")
    with pytest.raises(ControlError):
        mox("bumpuidvalidity", "mox", "gone")
    with pytest.raises(ControlError, match="not the id of a mailbox"):
        mox("reassignuids", "mox", "Inbox")


def test_verifydata(mox: Mox, server: MoxProcess, tmp_path: Path) -> None:
    assert mox("verifydata", str(server.folder)) == f"{server.folder}: OK\n"
    with pytest.raises(CommandError, match="is it a data directory"):
        run(["verifydata", str(tmp_path)])


@pytest.mark.holds("cli-5b6d0c")
@pytest.mark.holds("cli-ad3a6e")
@pytest.mark.holds("cli-ea2e4e")
def test_backup_while_mail_comes_and_goes(mox: Mox, server: MoxProcess, tmp_path: Path) -> None:
    (tmp_path / "in.mbox").write_text(MBOX)
    stopping = threading.Event()

    def traffic() -> None:
        client = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
        client.login(USER, PASSWORD)
        client.create("traffic")
        while not stopping.is_set():
            client.append("traffic", "", "", b"Subject: x\r\n\r\nbody\r\n")
            client.select("traffic")
            client.uid("store", "1:*", "+FLAGS", "\\Deleted")
            client.expunge()
        client.logout()

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        for number in range(3):
            target = server.folder / "tmp" / f"backup{number}"
            assert mox("backup", str(target)) == ""
    finally:
        stopping.set()
        thread.join()
    assert sorted(p.name for p in target.iterdir()) == ["config", "data"]
    assert (target / "config" / "mox.conf").read_bytes() == (server.folder / "mox.conf").read_bytes()
    assert not (target / "config" / "accounts").exists() and (target / "data" / "moxversion").exists()
    assert run(["verifydata", str(target / "data")]) == 0
    assert "backing up" in mox("backup", "-verbose", str(tmp_path / "other"))
    with pytest.raises(ControlError, match="errors were encountered"):
        mox("backup", str(target))


@pytest.mark.holds("cli-d37371")
@pytest.mark.holds("cli-fe9357")
def test_sessions_see_imported_messages_with_their_keywords(mox: Mox, server: MoxProcess, tmp_path: Path) -> None:
    (tmp_path / "in.mbox").write_text(MBOX)
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
    client.login(USER, PASSWORD)
    client.create("watched")
    client.select("watched")
    mox("import", "mbox", "mox", "watched", str(tmp_path / "in.mbox"))
    wait_until(lambda: (client.noop(), client.response("EXISTS"))[1][1][-1] == b"2")
    _status, data = client.fetch("1:2", "(UID FLAGS)")
    assert b"custom" in data[0] and b"UID 1 " in data[0] and b"UID 2 " in data[1]
    client.append("watched", "", "", b"Subject: later\r\n\r\n")
    _status, data = client.uid("search", None, "ALL")
    assert data == [b"1 2 3"]
    _status, flags = client.select("watched"), client.response("FLAGS")
    assert b"custom" in flags[1][0]
    client.logout()


@pytest.mark.holds("cli-58baec")
def test_an_import_over_quota_leaves_nothing(mox: Mox, server: MoxProcess, tmp_path: Path) -> None:
    mox("config", "account", "add", "small", "small@localhost")
    text = (server.folder / "domains.conf").read_text()
    (server.folder / "domains.conf").write_text(text.replace("\tsmall:\n", "\tsmall:\n\t\tQuotaMessageSize: 100\n"))
    (tmp_path / "in.mbox").write_text(MBOX)
    # A change of the configuration reads the edited file first.
    mox("config", "account", "enable", "small")
    with pytest.raises(ControlError, match="maximum total message size"):
        mox("import", "mbox", "small", "Inbox", str(tmp_path / "in.mbox"))
    assert mox("recalculatemailboxcounts", "small") == ""
    files = [path for path in (server.folder / "accounts" / "small" / "msg").rglob("*") if path.is_file()]
    assert files == []


@pytest.mark.holds("cli-62d6d1")
def test_many_connections_and_one_that_leaves_in_the_middle(mox: Mox, server: MoxProcess) -> None:
    def leave() -> None:
        answer = control.stream(server.folder, "queuedump", "1")
        answer.close()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(server.folder / "ctl"))
            sock.sendall(b"importmbox\nmox\n")

    def look() -> None:
        assert "mox\n" in control.call(server.folder, "accountlist")

    with ThreadPoolExecutor(20) as pool:
        for done in [pool.submit(work) for work in [look, leave] * 50]:
            done.result()
    assert "mox" in mox("config", "account", "list")
