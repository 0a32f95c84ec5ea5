"""Databases of every released schema open and keep what they have. `data/index-<version>.sql` are dumps made when that
version was current; add one with each migration."""

import contextlib
from importlib import resources
from pathlib import Path

import apsw
import pytest

from mox.net.bus import LocalBus
from mox.store import annotations, mailboxes, messages, verify
from mox.store.engine import Tx
from mox.store.history import Question, Sent
from mox.store.store import Store
from tests.store.helpers import EVER_MS, Box, letter

DATA = Path(__file__).parent / "data"
CONTENTS = {
    (7 << 44) + 1: b"From: <a@example.org>\r\nSubject: one\r\nMessage-ID: <1@x>\r\n\r\nhi\r\n",
    (7 << 44) + 2: (
        b"From: <a@example.org>\r\nTo: <b@example.net>\r\nSubject: re: one\r\nReferences: <1@x>\r\n\r\nho\r\n"
    ),
}


def restore(dump: Path, folder: Path) -> None:
    """Make an account's folder of a dump."""
    (folder / "msg" / "7").mkdir(parents=True)
    with contextlib.closing(apsw.Connection(str(folder / "index.db"))) as connection:
        connection.execute(dump.read_text())
    for blob_id, content in CONTENTS.items():
        (folder / "msg" / "7" / str(blob_id)).write_bytes(content)


def newest() -> int:
    return len([f for f in resources.files("mox.store.migrations").iterdir() if f.name.endswith(".sql")])


@pytest.mark.parametrize("dump", sorted(DATA.glob("index-*.sql")), ids=lambda p: p.stem)
async def test_an_older_database(dump: Path, tmp_path: Path) -> None:
    folder = tmp_path / "accounts" / "old"
    restore(dump, folder)
    async with Store(tmp_path, LocalBus()).closing() as store:
        box = Box(await store.open("old"))
        assert await box.see(Tx.one, "PRAGMA user_version") == (newest(),)
        assert await verify.problems(box.account) == []
        assert (await box.uids("Inbox"), await box.uids("Sent"), await box.uids("Archive")) == ([1], [1], [])
        inbox = await box.mailbox("Inbox")
        assert (inbox.keywords, [a.name for a in await box.see(annotations.list_annotations, inbox.id)]) == (
            "work",
            ["/private/a"],
        )
        assert await box.ask(0, Question(Sent.ADDRESS, "b@example.net", EVER_MS))
        ((_, thread_id),) = await box.see(messages.cold_rows, (await box.mailbox("Sent")).id, [1], ["thread_id"])
        assert thread_id == 1
        assert "Trash" in await box.see(mailboxes.subscriptions)
        await box.add("Inbox", letter("re: one", References="<1@x>"))
        assert await verify.problems(box.account) == []


def test_there_is_a_dump_of_the_first_version() -> None:
    assert (DATA / "index-001.sql").exists()
