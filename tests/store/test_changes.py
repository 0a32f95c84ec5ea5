"""Changes: what sessions are told, in one process and between two; when the bytes of a removed message go."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mox.net.bus import LocalBus
from mox.store import annotations, erasing, hierarchy, mailboxes, messages, threads
from mox.store.changes import (
    AnnotationChanged,
    Change,
    Changes,
    CountsChanged,
    FlagsChanged,
    MailboxChanged,
    MessagesAdded,
    MessagesRemoved,
    SubscriptionChanged,
    ThreadChanged,
)
from mox.store.engine import Tx
from mox.store.reader import Reader, last_modseq, read_news
from mox.store.store import Store
from mox.store.types import Flag, SpecialUse
from tests.server_process import child_environment
from tests.store.helpers import ACCOUNT, Box, letter


@pytest.fixture
async def reader(box: Box) -> Reader:
    """What a process knows that looks only when a test says so."""
    reader = Reader()
    reader.restart(*await box.see(lambda tx: (last_modseq(tx), mailboxes.list_mailboxes(tx))))
    return reader


async def news(box: Box, reader: Reader) -> list[Change]:
    return reader.apply(await box.see(read_news, reader.position))


@pytest.fixture
async def session(box: Box) -> AsyncIterator[Changes]:
    """A session of the account that has taken everything so far."""
    changes = box.account.subscribe()
    await box.account.sync()
    yield changes
    box.account.unsubscribe(changes)


async def taken(box: Box, session: Changes) -> list[Change]:
    await box.account.sync()
    return session.take()


async def blob_file(box: Box, message_id: int) -> Path:
    row = await box.cold(message_id, "blob_id")
    assert row is not None
    return Path(box.account.blob_path(row[0]))


def is_there(path: Path) -> bool:
    return path.exists()


def kinds(changes: list[Change]) -> list[str]:
    return [type(c).__name__ for c in changes]


async def test_a_delivery(box: Box, reader: Reader) -> None:
    added = await box.add("Inbox", letter(), letter(), keywords=frozenset({"work"}))
    inbox = await box.mailbox("Inbox")
    assert await news(box, reader) == [
        MailboxChanged(added.modseq, inbox, new_keywords=True),
        MessagesAdded(added.modseq, inbox.id, (1, 2)),
        CountsChanged(added.modseq, inbox),
    ]
    assert await news(box, reader) == []


async def test_added_and_flagged_between_two_looks(box: Box, reader: Reader) -> None:
    added = await box.add("Inbox", letter())
    await box.flag("Inbox", [1], "+", Flag.SEEN)
    inbox = await box.mailbox("Inbox")
    assert await news(box, reader) == [
        MessagesAdded(added.modseq, inbox.id, (1,)),
        FlagsChanged(added.modseq + 1, inbox.id, (1,)),
        CountsChanged(added.modseq + 1, inbox),
    ]


async def test_a_message_that_came_and_went_is_not_told_of(box: Box, reader: Reader) -> None:
    await box.add("Inbox", letter())
    await box.expunge("Inbox", [1])
    assert await news(box, reader) == []


async def test_a_move(box: Box, reader: Reader) -> None:
    await box.add("Inbox", letter(), letter())
    await news(box, reader)
    moved = await box.move("Inbox", [1, 2], "Archive")
    inbox, archive = await box.mailbox("Inbox"), await box.mailbox("Archive")
    found = await news(box, reader)
    assert set(found) == {
        MessagesRemoved(moved.modseq, inbox.id, (1, 2)),
        MessagesAdded(moved.modseq, archive.id, (1, 2)),
        CountsChanged(moved.modseq, inbox),
        CountsChanged(moved.modseq, archive),
    }
    assert kinds(found[-2:]) == ["CountsChanged", "CountsChanged"]


async def test_creating_with_a_special_use(box: Box, reader: Reader) -> None:
    await box.do(mailboxes.create, "a/b", SpecialUse.ARCHIVE)
    found = await news(box, reader)
    assert [(c.mailbox.name, c.is_new, c.new_use) for c in found if isinstance(c, MailboxChanged)] == [
        ("Archive", False, True),
        ("a", True, False),
        ("a/b", True, False),
    ]
    assert [(c.name, c.removed) for c in found if isinstance(c, SubscriptionChanged)] == [("a", False), ("a/b", False)]


async def test_renaming_tells_of_children_first(box: Box, reader: Reader) -> None:
    await box.do(mailboxes.create, "a/b")
    await news(box, reader)
    await box.do(mailboxes.rename, "a", "x/y")
    found = [c for c in await news(box, reader) if isinstance(c, MailboxChanged)]
    assert {(c.old_name, c.mailbox.name, c.is_new) for c in found} == {
        ("", "x", True),
        ("a/b", "x/y/b", False),
        ("a", "x/y", False),
    }
    renamed = [c.old_name for c in found if c.old_name]
    assert renamed == ["a/b", "a"]


async def test_deleting_tells_of_the_messages_first(box: Box, reader: Reader) -> None:
    await box.do(mailboxes.create, "a")
    await box.add("a", letter())
    await box.do(annotations.set_annotations, (await box.mailbox("a")).id, [("/private/x", b"1", True)])
    await news(box, reader)
    await box.do(hierarchy.delete, "a")
    found = await news(box, reader)
    assert kinds([c for c in found if isinstance(c, MessagesRemoved | MailboxChanged)]) == [
        "MessagesRemoved",
        "MailboxChanged",
    ]
    assert await box.see(mailboxes.is_subscribed, "a")


async def test_annotations_subscriptions_and_threads(box: Box, reader: Reader) -> None:
    added = await box.add("Inbox", letter())
    await news(box, reader)
    inbox = (await box.mailbox("Inbox")).id
    await box.do(annotations.set_annotations, inbox, [("/private/X", b"1", True)])
    await box.do(annotations.set_annotations, 0, [("/shared/y", b"2", False)])
    await box.do(annotations.set_annotations, inbox, [("/private/x", None, False)])
    await box.do(mailboxes.unsubscribe, "Trash")
    await box.do(threads.mute, added.message_ids, True)
    first = added.modseq + 1
    assert await news(box, reader) == [
        AnnotationChanged(first + 1, 0, "/shared/y"),
        AnnotationChanged(first + 2, inbox, "/private/x"),
        SubscriptionChanged(first + 3, "Trash", True),
        ThreadChanged(first + 4, added.message_ids[0], added.message_ids[0], True, True),
    ]


async def test_own_changes_are_left_out(box: Box, session: Changes) -> None:
    added = await box.add("Inbox", letter())
    session.own(added.modseq)
    await box.add("Inbox", letter())
    assert [c.uids for c in await taken(box, session) if isinstance(c, MessagesAdded)] == [(2,)]


async def test_a_waiting_session_is_woken(box: Box, session: Changes) -> None:
    woken = asyncio.Event()
    session.on_ready = woken.set
    assert not session.is_ready
    await box.add("Inbox", letter())
    async with asyncio.timeout(5):
        await woken.wait()
    assert session.is_ready
    assert "MessagesAdded" in kinds(session.take())


async def test_too_many_changes_are_dropped_and_told(box: Box) -> None:
    changes = Changes(0, limit=3)
    changes.put([MessagesAdded(1, 1, (1,))] * 3, 1)
    assert not changes.overflow
    changes.put([MessagesAdded(2, 1, (2,))], 2)
    assert changes.overflow
    changes.put([MessagesAdded(3, 1, (3,))], 3)
    assert changes.take() == [] and not changes.overflow
    assert changes.position == 3
    changes.put([MessagesAdded(4, 1, (4,))], 4)
    assert changes.take() == [MessagesAdded(4, 1, (4,))]


async def test_a_session_after_a_quiet_time_does_not_read_what_it_missed(box: Box) -> None:
    await box.add("Inbox", letter(), letter())
    changes = box.account.subscribe()
    await box.account.sync()
    assert changes.take() == []
    assert changes.position == (await box.mailbox("Inbox")).modseq
    assert box.account.known((await box.mailbox("Inbox")).id) == await box.mailbox("Inbox")
    box.account.unsubscribe(changes)


async def test_the_shared_index_follows(box: Box, session: Changes) -> None:
    inbox = (await box.mailbox("Inbox")).id
    await box.add("Inbox", letter())
    await box.account.sync()
    index = await box.account.open_index(inbox)
    assert await box.account.open_index(inbox) is index
    await box.add("Inbox", letter())
    await box.expunge("Inbox", [1])
    await box.account.sync()
    assert index.live_uids() == [2]
    box.account.release_index(inbox)
    box.account.release_index(inbox)
    assert session.position > 0


async def test_bytes_stay_until_every_session_has_passed(box: Box) -> None:
    first, second = box.account.subscribe(), box.account.subscribe()
    await box.account.sync()
    added = await box.add("Inbox", letter())
    path = await blob_file(box, added.message_ids[0])
    # The sessions hear of the message before it goes: one they never knew would be nothing to wait for.
    await box.account.sync()
    await box.expunge("Inbox", [1])
    for session in (first, second):
        await box.account.erase()
        assert is_there(path)
        rows = await box.see(messages.cold_rows, (await box.mailbox("Inbox")).id, [1], ["blob_id"])
        assert rows == [(1, int(path.name))]
        await taken(box, session)
    await box.account.erase()
    assert not is_there(path)
    assert await box.see(lambda tx: tx.run("SELECT disk_usage FROM sync_state")) == [(0,)]
    box.account.unsubscribe(first)
    box.account.unsubscribe(second)


async def test_a_session_that_comes_while_bytes_are_looked_for(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, has_erasures = threading.Event(), erasing.has_erasures

    def slow(tx: Tx) -> bool:
        assert go_on.wait(20)
        return has_erasures(tx)

    monkeypatch.setattr(erasing, "has_erasures", slow)
    added = await box.add("Inbox", letter(), letter())
    gone, path = [await blob_file(box, message_id) for message_id in added.message_ids]
    await box.expunge("Inbox", [1])
    erase = asyncio.create_task(box.account.erase())
    await asyncio.sleep(0)
    session = box.account.subscribe()
    await box.account.sync()
    await box.expunge("Inbox", [2])
    go_on.set()
    await erase
    assert is_there(path) and not is_there(gone)
    box.account.unsubscribe(session)


async def test_bytes_of_a_copy_stay(box: Box) -> None:
    added = await box.add("Inbox", letter())
    path = await blob_file(box, added.message_ids[0])
    await box.copy("Inbox", [1], "Archive")
    await box.expunge("Inbox", [1])
    await box.account.erase()
    assert is_there(path)
    await box.expunge("Archive", [1])
    await box.account.erase()
    assert not is_there(path)


# A process of its own that obeys lines: "select" and "look" print what a session there knows, "end" ends it.
CHILD = """
import asyncio, sys
from pathlib import Path
from mox.net.bus import LocalBus
from mox.store import messages
from mox.store.changes import MessagesAdded, MessagesRemoved
from mox.store.reader import Reader, last_modseq, read_news
from mox.store.store import Store

async def main(folder):
    async with Store(Path(folder), LocalBus()).closing() as store:
        account = await store.open("mjl")
        changes = account.subscribe()
        await account.sync()
        index = await account.open_index(1)
        print("ready", index.live_uids(), flush=True)
        while (line := await asyncio.to_thread(sys.stdin.readline)) != "end\\n":
            if line == "look\\n":
                await account.sync()
                found = []
                for change in changes.take():
                    match change:
                        case MessagesAdded(uids=uids):
                            found += [f"+{uid}" for uid in uids]
                        case MessagesRemoved(uids=uids):
                            found += [f"-{uid}" for uid in uids]
                print("saw", *found, index.live_uids(), flush=True)
                await account.erase()
            elif line == "read\\n":
                rows = await account.read(lambda tx: messages.cold_rows(tx, 1, [1], ["blob_id"]))
                print("content", [Path(account.blob_path(row[1])).read_bytes()[-4:] for row in rows], flush=True)
        account.release_index(1)
        account.unsubscribe(changes)

asyncio.run(main(sys.argv[1]))
"""


class Child:
    """The other process."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)],
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, text: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self) -> int:
        """Wait for the process, told to end or killed."""
        self.process.communicate(None if self.process.poll() is not None else "end\n", timeout=20)
        return self.process.returncode


async def test_two_processes(tmp_path: Path) -> None:
    """Each sees the other's changes in order; a removed message's bytes stay until the other's sessions have passed."""
    async with Store(tmp_path, LocalBus()).closing() as store:
        box = Box(await store.open(ACCOUNT))
        added = await box.add("Inbox", letter())
        path = await blob_file(box, added.message_ids[0])
        child = Child(tmp_path)
        assert await asyncio.to_thread(child.answer) == "ready [1]"
        await box.add("Inbox", letter())
        await box.expunge("Inbox", [1])
        await box.add("Inbox", letter())
        await box.account.erase()
        assert is_there(path)
        assert await asyncio.to_thread(child.ask, "read") == "content [b'hi\\r\\n']"
        assert await asyncio.to_thread(child.ask, "look") == "saw +2 -1 +3 [2, 3]"
        # The child told how far it is; this process or that one erases.
        await asyncio.to_thread(child.ask, "look")
        await box.account.erase()
        assert not is_there(path)
        assert await asyncio.to_thread(child.end) == 0
        assert await box.problems() == []


async def test_a_dead_process_holds_nothing_for_ever(tmp_path: Path, box: Box, store: Store) -> None:
    child = Child(tmp_path)
    await asyncio.to_thread(child.answer)
    child.process.kill()
    await asyncio.to_thread(child.process.wait)
    await asyncio.to_thread(child.end)
    await box.add("Inbox", letter())
    await box.expunge("Inbox", [1])
    await box.account.erase()
    assert await box.cold(1, "1") == (1,)
    # Its lease ends.
    await box.do(lambda tx: tx.run("UPDATE reader_position SET lease_ms = 1"))
    await box.account.erase()
    assert await box.cold(1, "1") is None
