"""Import and export: formats, archives, round trips, failures."""

import asyncio
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from mox.store import importing, mailboxes, maildirs, mboxes, messages
from mox.store.errors import BadArchive, BadName, ExportError, NoSuchMailbox, OverQuota
from mox.store.exporting import (
    DirectoryArchiver,
    MboxArchiver,
    Selection,
    TarArchiver,
    ZipArchiver,
    export,
    file_name,
)
from mox.store.importing import Imports
from mox.store.mboxes import Imported
from mox.store.policy import Policy
from mox.store.types import Flag
from tests.store.helpers import ACCOUNT, Box, letter

HEAD = b"From a@example.org Mon Jan  2 15:04:05 2006\n"
WHEN = 1136214245000


def read(text: bytes) -> list[Imported]:
    return list(mboxes.read(io.BytesIO(text)))


MBOXES = [
    ("empty", b"", []),
    ("one line without end", b"From a", []),
    ("one", HEAD + b"A: b\n\nhi\n", [b"A: b\r\n\r\nhi\r\n"]),
    ("the empty line between is not of the message", HEAD + b"A: b\n\nhi\n\n" + HEAD + b"C: d\n\n\n", [
        b"A: b\r\n\r\nhi\r\n", b"C: d\r\n\r\n",
    ]),
    ("last line without end", HEAD + b"A: b\n\nhi", [b"A: b\r\n\r\nhi\r\n"]),
    ("quoted", HEAD + b"A: b\n\n>From x\n>>From y\n> From z\n", [b"A: b\r\n\r\nFrom x\r\n>From y\r\n> From z\r\n"]),
    ("From after text is text", HEAD + b"A: b\n\nhi\nFrom x\n", [b"A: b\r\n\r\nhi\r\nFrom x\r\n"]),
    ("CRLF", HEAD + b"A: b\r\n\r\nhi\r\n", [b"A: b\r\n\r\nhi\r\n"]),
    ("only a header", HEAD + b"A: b\n\n", [b"A: b\r\n\r\n"]),
    ("status headers go", HEAD + b"status: RO\nA: b\nX-Keywords: a,\n b\n\nStatus: x\n", [
        b"A: b\r\n\r\nStatus: x\r\n",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "contents"), [m[1:] for m in MBOXES], ids=[m[0] for m in MBOXES])
def test_reading_mbox(text: bytes, contents: list[bytes]) -> None:
    assert [m.content for m in read(text)] == contents


FLAGS = [
    (b"Status: R", Flag.SEEN, ""),
    (b"STATUS: RO\nx-status: AF", Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED, ""),
    (b"X-Status: TD", Flag.DRAFT | Flag.DELETED, ""),
    (b"X-Keywords: $Forwarded, junk,Work,$label1", Flag.FORWARDED | Flag.JUNK, "$label1 work"),
    (b"X-Keywords: NonJunk,phishing,$MDNSent, (x),b]", Flag.NOTJUNK | Flag.PHISHING | Flag.MDNSENT, ""),
]


@pytest.mark.parametrize(("header", "flags", "keywords"), FLAGS)
def test_flags_in_mbox(header: bytes, flags: int, keywords: str) -> None:
    (message,) = read(HEAD + header + b"\nA: b\n\nhi\n")
    assert (message.flags, " ".join(sorted(message.keywords))) == (int(flags), keywords)


TIMES = [
    (b"From x Mon Jan  2 15:04:05 2006\n", WHEN),
    (b"From x Mon Jan  2 15:04:05 MST 2006\n", WHEN),
    (b"From x Mon Jan 02 15:04:05 -0700 2006\n", WHEN + 7 * 3_600_000),
    (b"From x\n", None),
    (b"From x some day\n", None),
]


@pytest.mark.parametrize(("line", "expected"), TIMES)
def test_times_in_mbox(line: bytes, expected: int | None) -> None:
    assert read(line + b"A: b\n\n")[0].received_ms == expected


def test_what_is_no_mbox() -> None:
    with pytest.raises(BadArchive):
        read(b"Subject: x\n\n")


NAMES = [
    ("1136214245.M1P2.host:2,RS", Flag.ANSWERED | Flag.SEEN, "", WHEN),
    ("1136214245.1.host:2,DFTPab", Flag.DRAFT | Flag.FLAGGED | Flag.DELETED | Flag.JUNK, "work", WHEN),
    ("1136214245.1.host:2,z", 0, "", WHEN),
    ("x", 0, "", None),
]


@pytest.mark.parametrize(("name", "flags", "keywords", "when"), NAMES)
def test_names_in_maildirs(name: str, flags: int, keywords: str, when: int | None) -> None:
    found = maildirs.parse_name(name, {"a": "$junk", "b": "work"})
    assert (found[0], " ".join(sorted(found[1])), found[2]) == (int(flags), keywords, when)


def test_bad_lines_in_dovecot_keywords() -> None:
    found, problems = maildirs.parse_keywords(b"0 Work\n3 $Forwarded\n0 again\n26 beyond\nx y\n4\n")
    assert found == {"a": "work", "d": "$forwarded"}
    assert len(problems) == 4


async def fill(box: Box) -> None:
    """Two messages in six mailboxes, with all that has to survive."""
    await box.add("Inbox", letter("one", body="From me\r\n>From you"), received_ms=WHEN, flags=Flag.FLAGGED)
    await box.add(
        "Archive",
        letter("two", body=""),
        received_ms=WHEN + 1000,
        flags=Flag.SEEN | Flag.ANSWERED | Flag.FORWARDED | Flag.NOTJUNK,
        keywords=frozenset({"work", "$label1"}),
    )


async def contents(box: Box, mailbox: str) -> list[tuple[int, str, int, bytes]]:
    """(flags, keywords, received, whole message) of a mailbox."""
    mailbox_id = (await box.mailbox(mailbox)).id
    rows = await box.see(messages.hot_rows, mailbox_id)
    found = []
    for uid, flags, keywords, _, _, received_ms, *_ in rows:
        ((_, prefix, blob_id),) = await box.see(messages.cold_rows, mailbox_id, [uid], ["prefix", "blob_id"])
        content = await asyncio.to_thread(Path(box.account.blob_path(blob_id)).read_bytes)
        found.append((flags, keywords, received_ms, prefix + content))
    return found


@pytest.mark.holds("store-197deb")
@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
async def test_what_is_in_an_archive(box: Box, tmp_path: Path, kind: str) -> None:
    await fill(box)
    for maildir in (True, False):
        path = tmp_path / f"mail{maildir}.{kind}"
        with path.open("wb") as out:
            archiver = ZipArchiver(out) if kind == "zip" else TarArchiver(out, compress=kind == "tgz")
            assert await export(box.account, archiver, Selection(), maildir) == []
        names = archive_names(path)
        directories, files = [n for n in names if n.endswith("/")], [n for n in names if not n.endswith("/")]
        if maildir:
            assert len(directories) == 6 * 3
            messages_in = [n for n in files if not n.endswith("dovecot-keywords")]
            assert [n.partition("/")[0] for n in messages_in] == ["Archive", "Inbox"]
            assert messages_in[0].startswith("Archive/cur/") and messages_in[1].startswith("Inbox/new/")
        else:
            assert directories == []
            assert files == [f"{n}.mbox" for n in ("Archive", "Drafts", "Inbox", "Junk", "Sent", "Trash")]


def archive_names(path: Path) -> list[str]:
    """Names in an archive, of directories with a slash at the end."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    with tarfile.open(path) as tar:
        return [m.name + "/" * m.isdir() for m in tar]


@pytest.mark.parametrize("kind", ["zip", "tgz"])
@pytest.mark.parametrize("maildir", [True, False], ids=["maildir", "mbox"])
async def test_a_round_trip_changes_nothing(box: Box, tmp_path: Path, kind: str, maildir: bool) -> None:
    await fill(box)
    path = tmp_path / f"mail.{kind}"
    with path.open("wb") as out:
        archiver = ZipArchiver(out) if kind == "zip" else TarArchiver(out, compress=True)
        await export(box.account, archiver, Selection(), maildir)
    done = Imports()
    source = importing.archive_source(path, done, mailbox_prefix="old")
    await importing.import_messages(box.account, source, done)
    assert done.problems == []
    assert done.counts == {"old/Archive": 1, "old/Inbox": 1}
    for name in ("Inbox", "Archive"):
        assert await contents(box, f"old/{name}") == await contents(box, name)
    assert "old/Archive" in await box.see(mailboxes.subscriptions)


async def test_a_directory_round_trip(box: Box, tmp_path: Path) -> None:
    await fill(box)
    await export(box.account, DirectoryArchiver(tmp_path / "out"), Selection("Archive"), True)
    done = Imports()
    folder = tmp_path / "out" / "Archive"
    await importing.import_messages(box.account, importing.maildir_source(folder, "Back", done), done)
    assert await contents(box, "Back") == await contents(box, "Archive")


async def test_one_mailbox_with_those_below(box: Box, tmp_path: Path) -> None:
    await box.do(mailboxes.create, "a/b/c")
    archiver = DirectoryArchiver(tmp_path / "out")
    await export(box.account, archiver, Selection("a/b", recursive=True), False)
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.mbox")) == ["b.mbox", "c.mbox"]
    with pytest.raises(NoSuchMailbox):
        await export(box.account, archiver, Selection("nope"), False)


async def test_selected_messages_in_one_mbox(box: Box) -> None:
    await fill(box)
    out = io.BytesIO()
    assert await export(box.account, MboxArchiver(out), Selection(message_ids=[2, 99, 1]), False) == []
    assert [m.content for m in read(out.getvalue())] == [
        (await contents(box, name))[0][3] for name in ("Archive", "Inbox")
    ]


async def test_unreadable_messages_are_told_of(box: Box, tmp_path: Path) -> None:
    await fill(box)
    row = await box.cold(1, "blob_id")
    assert row is not None
    path = Path(box.account.blob_path(row[0]))
    kept = await asyncio.to_thread(path.read_bytes)
    await asyncio.to_thread(path.unlink)
    errors = await export(box.account, DirectoryArchiver(tmp_path / "out"), Selection(), True)
    assert len(errors) == 1 and "message 1" in errors[0]
    assert "message 1" in (tmp_path / "out" / "errors.txt").read_text()
    with pytest.raises(ExportError, match="message 1"):
        await export(box.account, MboxArchiver(io.BytesIO()), Selection("Inbox"), False)
    await asyncio.to_thread(path.write_bytes, kept)


async def test_a_failing_import_leaves_nothing(
    box: Box, rules: dict[str, Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    rules[ACCOUNT] = Policy(quota=1000)
    text = b"".join(mboxes.render(Imported(letter(body="x" * 100)), "a@b") for _ in range(9))
    done = Imports()
    with pytest.raises(OverQuota):
        await importing.import_messages(box.account, importing.mbox_source(io.BytesIO(text), "New"), done)
    assert done.total == 0
    assert await box.uids("New") == []
    await box.account.erase()
    assert await box.see(lambda tx: tx.run("SELECT disk_usage, (SELECT count(*) FROM blob) FROM sync_state")) == [
        (0, 0)
    ]


async def test_progress_and_dates(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    text = b"From x\nDate: Mon, 2 Jan 2006 15:04:05 +0000\n\nhi\n\n" * 3
    told: list[tuple[str, int]] = []
    done = Imports()
    source = importing.mbox_source(io.BytesIO(text), "New")
    await importing.import_messages(box.account, source, done, lambda name, count: told.append((name, count)))
    assert told == [("New", 2), ("New", 3)]
    assert {row[2] for row in await contents(box, "New")} == {WHEN}


async def test_archives_of_others(box: Box, tmp_path: Path) -> None:
    """Letters explained after the messages, other files, files in tmp, a mailbox that cannot be."""
    path = tmp_path / "mail.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("top/inbox/cur/1136214245.1.x:2,Sa", "A: b\n\nhi")
        archive.writestr("top/inbox/tmp/1136214245.2.x", "not finished")
        archive.writestr("top/inbox/dovecot-keywords", "0 work\nbad\n")
        archive.writestr("top/readme.txt", "x")
        archive.writestr("top/broken.mbox", "no mbox")
    done = Imports()
    await importing.import_messages(box.account, importing.archive_source(path, done, skip_prefix="top"), done)
    assert done.counts == {"Inbox": 1}
    assert await contents(box, "Inbox") == [(1, "work", WHEN, b"A: b\r\n\r\nhi\r\n")]
    assert len(done.problems) == 4
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/../b.mbox", HEAD)
    with pytest.raises(BadName):
        await importing.import_messages(box.account, importing.archive_source(path, done), done)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x1f\x8b broken", b"text"])
async def test_what_is_no_archive(box: Box, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mail"
    await asyncio.to_thread(path.write_bytes, content)
    done = Imports()
    with pytest.raises(BadArchive):
        await importing.import_messages(box.account, importing.archive_source(path, done), done)


def test_names_of_downloads() -> None:
    def clock() -> float:
        return 0.0

    assert file_name(Selection(), True, "tgz", clock).startswith("mailexport-all-19")
    assert file_name(Selection("a/b"), False, "", clock).endswith("00.mbox")
    assert file_name(Selection("a/b"), False, "", clock).startswith("mailexport-a-b-")
    assert file_name(Selection(message_ids=[1]), True, "zip", clock).startswith("mailexport-selection-")
