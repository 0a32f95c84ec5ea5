"""Mail programs and client libraries against the whole server: reading, syncing, and finding out about changes."""

import asyncio
import contextlib
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.raw_clients import Imap
from tests.server_process import PASSWORD, USER, MoxProcess, run

pytestmark = pytest.mark.interop


def need(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed (make peers)")
    return path


def letter(subject: str) -> bytes:
    return f"From: <a@example.org>\r\nTo: <{USER}>\r\nSubject: {subject}\r\n\r\nbody of {subject}\r\n".encode()


def fill(mox: MoxProcess, *subjects: str) -> Imap:
    client = Imap(mox.ports["imap"])
    for subject in subjects:
        assert client.append("INBOX", letter(subject)).startswith(b"OK")
    return client


@pytest.mark.parametrize("disabled", ["", "UIDPLUS MOVE LITERAL+"], ids=["all extensions", "as few as possible"])
def test_mbsync_finds_changes(mox: MoxProcess, tmp_path: Path, disabled: str) -> None:
    client = fill(mox, "one", "two", "three")
    config = tmp_path / "mbsyncrc"
    (tmp_path / "mail").mkdir()
    extensions = f"DisableExtension {disabled}" if disabled else ""
    config.write_text(
        textwrap.dedent(f"""\
        IMAPAccount mox
        Host 127.0.0.1
        Port {mox.ports["imap"]}
        User {USER}
        Pass {PASSWORD}
        TLSType None
        AuthMechs LOGIN
        {extensions}

        IMAPStore far
        Account mox

        MaildirStore near
        Path {tmp_path}/mail/
        Inbox {tmp_path}/mail/INBOX

        Channel all
        Far :far:
        Near :near:
        Patterns INBOX
        Create Both
        Expunge Both
        Sync All
        SyncState *
        """).replace("TLSType", "SSLType" if "1.4" in version("mbsync") else "TLSType")
    )
    sync = [need("mbsync"), "-c", str(config), "-a"]
    run(sync)
    folder = tmp_path / "mail/INBOX"
    assert len(list(folder.glob("*/*.*"))) == 3
    client.ok("SELECT INBOX")
    client.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    client.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    client.ok("EXPUNGE")
    run(sync)
    assert len(list(folder.glob("cur/*S"))) == 1
    assert len(list(folder.glob("*/*.*"))) == 2
    next(iter(folder.glob("cur/*S"))).rename(folder / "cur/gone.tmp")
    (folder / "cur/gone.tmp").unlink()
    run(sync)
    client.ok("NOOP")
    assert client.ok("SEARCH ALL")[0][0] == b"* SEARCH 1"


def version(program: str) -> str:
    return subprocess.run([need(program), "--version"], capture_output=True, text=True).stdout


def test_neomutt_copies(mox: MoxProcess, tmp_path: Path) -> None:
    fill(mox, "for neomutt")
    muttrc, saved = tmp_path / "muttrc", tmp_path / "saved"
    muttrc.write_text(
        f'set folder="imap://127.0.0.1:{mox.ports["imap"]}/"\nset spool_file="+INBOX"\n'
        f'set imap_user="{USER}"\nset imap_pass="{PASSWORD}"\nset ssl_starttls=no\nset ssl_force_tls=no\n'
        "set imap_qresync=yes\nset imap_condstore=yes\nset imap_idle=yes\nset imap_deflate=yes\n"
        'set mbox_type=mbox\nset confirm_append=no\nset confirm_create=no\nset header_cache=""\n'
        f'push "<copy-message>{saved}<enter><quit>"\n'
    )
    command = f"{need('neomutt')} -n -F {muttrc}"
    environment = {"TERM": "xterm", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    run([need("script"), "-qec", command, "/dev/null"], env=environment, stdin=subprocess.DEVNULL)
    assert "for neomutt" in saved.read_text()


def test_fetchmail_takes_all(mox: MoxProcess, tmp_path: Path) -> None:
    client = fill(mox, "first", "second")
    out = tmp_path / "out"
    config = tmp_path / "fetchmailrc"
    config.write_text(
        f"poll 127.0.0.1 service {mox.ports['imap']} protocol imap auth password\n"
        f'  user "{USER}" password "{PASSWORD}" sslproto "" no sslcertck\n  mda "cat >> {out}"\n  nokeep\n'
    )
    config.chmod(0o600)
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "FETCHMAILHOME": str(tmp_path)}
    run([need("fetchmail"), "-f", str(config), "--nodetach", "--nosyslog"], env=environment)
    assert "body of first" in out.read_text() and "body of second" in out.read_text()
    client.ok("SELECT INBOX")
    assert client.ok("SEARCH ALL")[0][0] == b"* SEARCH"


def test_offlineimap_syncs_both_ways(mox: MoxProcess, tmp_path: Path) -> None:
    client = fill(mox, "one", "two")
    config = tmp_path / "offlineimaprc"
    config.write_text(
        textwrap.dedent(f"""\
        [general]
        accounts = mox
        metadata = {tmp_path}/meta
        ui = quiet
        [Account mox]
        localrepository = near
        remoterepository = far
        [Repository near]
        type = Maildir
        localfolders = {tmp_path}/mail
        [Repository far]
        type = IMAP
        remotehost = 127.0.0.1
        remoteport = {mox.ports["imap"]}
        remoteuser = {USER}
        remotepass = {PASSWORD}
        ssl = no
        starttls = no
        auth_mechanisms = LOGIN
        folderfilter = lambda name: name.upper() == "INBOX"
        """)
    )
    command = [need("offlineimap"), "-c", str(config), "-o", "-u", "quiet"]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    run(command, env=environment)
    folder = next(p for p in (tmp_path / "mail").iterdir() if p.name.lower() == "inbox")
    assert len([p for p in folder.glob("*/*") if p.is_file()]) == 2
    (folder / "new/1700000000.1.test").write_bytes(letter("three").replace(b"\r\n", b"\n"))
    run(command, env=environment)
    client.ok("SELECT INBOX")
    assert client.ok("SEARCH SUBJECT three")[0][0] == b"* SEARCH 3"


def test_imapclient_library(mox: MoxProcess) -> None:
    imapclient = pytest.importorskip("imapclient")
    fill(mox, "one", "two")
    with imapclient.IMAPClient("127.0.0.1", port=mox.ports["imap"], ssl=False, use_uid=True) as client:
        client.login(USER, PASSWORD)
        assert {flags for flags, _, _ in client.list_folders()}
        assert client.select_folder("INBOX")[b"EXISTS"] == 2
        found = client.search(["SUBJECT", "two"])
        assert found == [2]
        data = client.fetch([1, 2], ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "BODY.PEEK[TEXT]", "INTERNALDATE"])
        assert data[2][b"ENVELOPE"].subject == b"two"
        assert data[1][b"BODY[TEXT]"] == b"body of one\r\n"
        assert client.sort("REVERSE SUBJECT") == [2, 1]
        assert client.thread("REFERENCES")
        assert client.add_flags([1], [b"\\Flagged", b"word"])[1] == (b"\\Flagged", b"word")
        client.create_folder("Entw\u00fcrfe")
        client.move([1], "Entw\u00fcrfe")
        assert client.folder_status("Entw\u00fcrfe", ["MESSAGES"])[b"MESSAGES"] == 1
        client.idle()
        fill(mox, "three")
        assert client.idle_check(timeout=5)
        client.idle_done()
        assert client.get_quota_root("INBOX")


async def test_aioimaplib_library(mox: MoxProcess) -> None:
    aioimaplib = pytest.importorskip("aioimaplib")
    fill(mox, "one")
    client = aioimaplib.IMAP4("127.0.0.1", mox.ports["imap"], timeout=20)
    await client.wait_hello_from_server()
    assert (await client.login(USER, PASSWORD)).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    fetched = await client.uid("fetch", "1:*", "(UID FLAGS BODY.PEEK[])")
    assert any(b"body of one" in bytes(line) for line in fetched.lines if isinstance(line, bytes | bytearray))
    idle = await client.idle_start(timeout=20)
    fill(mox, "two")
    pushed: list[bytes] = []
    async with asyncio.timeout(10):
        while not any(b"EXISTS" in line for line in pushed):
            pushed += await client.wait_server_push()
    client.idle_done()
    await asyncio.wait_for(idle, 10)
    await client.logout()
    with contextlib.suppress(AttributeError):
        client.protocol.transport.close()


# What well-known programs send, from their documentation and from watching them: each line is answered with OK.
SEQUENCES = {
    "Thunderbird": [
        'ID ("name" "Thunderbird" "version" "128.0")', "NAMESPACE", "ENABLE UTF8=ACCEPT", 'LIST "" "INBOX"',
        'LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)',
        'LIST (SUBSCRIBED) "" "INBOX" RETURN (STATUS (UIDNEXT MESSAGES UNSEEN RECENT))',
        'SELECT "INBOX" (CONDSTORE)', 'GETQUOTAROOT "INBOX"', "UID FETCH 1:* (FLAGS)",
        "UID FETCH 1:2 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority "
        "X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])",
        "UID FETCH 2 (UID RFC822.SIZE BODY[])", "UID FETCH 1 (BODYSTRUCTURE)",
        "UID STORE 1 +FLAGS (\\Deleted)", 'UID MOVE 1 "Trash"', "NOOP", "CHECK", 'CREATE "Archives"',
        'SUBSCRIBE "Archives"',
        'STATUS "Archives" (UIDNEXT MESSAGES UNSEEN RECENT)', "CLOSE",
    ],
    "Apple Mail": [
        'ID ("name" "Mac OS X Mail" "version" "16.0" "os" "Mac OS X" "vendor" "Apple Inc.")', "CAPABILITY", "NAMESPACE",
        'LIST "" "*"', 'LIST "" "" RETURN (SPECIAL-USE)', "SELECT INBOX", "FETCH 1:* (FLAGS UID)",
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)", "UID SEARCH 1:* NOT DELETED",
        "UID FETCH 1:2 (INTERNALDATE UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (date subject from to cc message-id "
        "in-reply-to references content-type x-priority x-uniform-type-identifier x-universally-unique-identifier "
        "list-id list-unsubscribe bimi-indicator bimi-location x-bimi-indicator-hash authentication-results "
        "dkim-signature)])",
        "UID FETCH 1 (BODYSTRUCTURE BODY.PEEK[HEADER])", "UID FETCH 1 BODY.PEEK[1]<0.65536>",
        "UID STORE 1 +FLAGS.SILENT (\\Seen)", 'UID COPY 1 "Archive"', "UID STORE 1 +FLAGS.SILENT (\\Deleted)",
        "UID EXPUNGE 1", "STATUS Archive (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)",
    ],
    "Outlook": [
        'ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")', 'LIST "" "*" RETURN (SPECIAL-USE)',
        'LSUB "" "*"', "SELECT INBOX", "UID FETCH 1:* (UID FLAGS)", "UID SEARCH UNDELETED SINCE 1-Jan-2020",
        "UID FETCH 1:2 (UID BODY.PEEK[HEADER] RFC822.SIZE INTERNALDATE FLAGS)", "UID FETCH 1 (BODY.PEEK[])",
        "UID STORE 1 FLAGS (\\Seen)", "NOOP", "EXAMINE INBOX", "UNSELECT",
    ],
    "K-9 Mail": [
        'ID ("name" "Thunderbird for Android" "version" "8.0")', "NAMESPACE",
        'LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)', 'LIST "" "*" RETURN (SPECIAL-USE)', 'SELECT "INBOX"',
        "UID SEARCH 1:2 NOT DELETED", "UID SEARCH UID 1:* NOT DELETED",
        "UID FETCH 1,2 (UID FLAGS)",
        "UID FETCH 1,2 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from content-type to "
        "cc reply-to message-id references in-reply-to list-unsubscribe sender X-K9mail-Identity Chat-Version)])",
        "UID FETCH 1 (UID BODYSTRUCTURE)", "UID FETCH 1 (UID BODY.PEEK[]<0.32768>)",
        "UID STORE 1 +FLAGS.SILENT (\\Seen)", 'UID MOVE 1 "Trash"', "CLOSE",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SEQUENCES)
def test_recorded_sequence(mox: MoxProcess, name: str) -> None:
    client = fill(mox, "one", "two")
    for command in SEQUENCES[name]:
        client.ok(command)
    assert "panic" not in mox.log().lower()
