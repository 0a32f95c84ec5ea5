"""Deferred changes of flags: nobody but the database can tell them from others."""

import random
from pathlib import Path

import pytest

from mox.net.bus import LocalBus
from mox.store import deferred, messages, sync, verify
from mox.store.account import Account
from mox.store.changes import FlagsChanged, MessagesRemoved
from mox.store.engine import Tx
from mox.store.errors import OverQuota
from mox.store.policy import Policy
from mox.store.reader import News
from mox.store.store import Store
from mox.store.types import Flag
from tests.store.helpers import ACCOUNT, Box, letter

INBOX = 1
COUNT = deferred.MANY + 20


async def pending(account: Account) -> list[object]:
    def look(tx: Tx) -> list[object]:
        return [*deferred.flag_changes(tx, 0), *deferred.copies(tx, 0), *deferred.expunges(tx, 0)]

    return await account.read(look, early=True)


async def rows(box: Box) -> list[tuple[int, int, int]]:
    """(uid, flags, modseq) of the database; settles."""
    return [(r[0], r[1], r[3]) for r in await box.see(messages.hot_rows, INBOX)]


class Watched:
    """A session with Inbox open."""

    def __init__(self, box: Box) -> None:
        self.box, self.account = box, box.account

    async def __aenter__(self) -> "Watched":
        self.changes = self.account.subscribe()
        await self.account.sync()
        self.index = await self.account.open_index(INBOX)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.account.release_index(INBOX)
        self.account.unsubscribe(self.changes)

    async def store(self, uids: list[int], mode: str, flags: int, told: int = 0) -> deferred.FlagsDone | None:
        done = await self.account.defer(
            INBOX, lambda tx, index: deferred.change_flags(tx, INBOX, index, uids, mode, flags, told)
        )
        if done is not None and done.change is not None:
            await self.account.take_in(News(done.change.modseq, boxes=[done.mailbox], flagged=[done.change]))
        return done

    async def copy(self, uids: list[int], target_id: int) -> deferred.CopyDone | None:
        done = await self.account.defer(INBOX, lambda tx, index: deferred.copy(tx, INBOX, index, uids, target_id, 5))
        if done is not None:
            await self.account.take_in(News(done.copy.modseq, boxes=[done.target], added=[done.copy.added]))
        return done

    async def expunge(self, uids: list[int]) -> deferred.ExpungeDone | None:
        done = await self.account.defer(INBOX, lambda tx, index: deferred.expunge(tx, INBOX, index, uids))
        if done is not None:
            await self.account.take_in(News(done.expunge.modseq, boxes=[done.mailbox], expunged=[done.expunge]))
        return done

    def indexed(self) -> list[tuple[int, int, int]]:
        found = [self.index.get(uid) for uid in self.index.live_uids()]
        return [(row[0], row[1], row[3]) for row in found if row is not None]


@pytest.fixture
async def full(box: Box) -> Box:
    await box.add("Inbox", *(letter() for _ in range(COUNT)))
    return box


async def test_it_is_told_at_once_and_settled_by_the_next_look(full: Box) -> None:
    async with Watched(full) as session:
        done = await session.store(list(range(1, COUNT + 1)), "+", Flag.SEEN)
        assert done is not None and done.change is not None and done.mailbox.unseen == 0
        assert len(await pending(full.account)) == 1
        assert session.changes.take()[0] == FlagsChanged(done.change.modseq, INBOX, tuple(range(1, COUNT + 1)))
        expected = [(uid, int(Flag.SEEN), done.change.modseq) for uid in range(1, COUNT + 1)]
        assert session.indexed() == expected == await rows(full)
        assert await pending(full.account) == []
        assert await full.problems() == []


@pytest.mark.parametrize(
    ("uids", "mode", "flags"),
    [
        (list(range(1, deferred.MANY)), "+", Flag.SEEN),
        (list(range(1, COUNT + 1)), "+", Flag.JUNK),
        (list(range(1, COUNT + 1)), "=", Flag.SEEN),
    ],
    ids=["few", "junk flags have consequences", "keywords would go"],
)
async def test_what_is_not_deferred(full: Box, uids: list[int], mode: str, flags: int) -> None:
    await full.flag("Inbox", [3], "+", 0, ["work"])
    async with Watched(full) as session:
        assert await session.store(uids, mode, flags) is None
        assert await pending(full.account) == []


async def test_nothing_to_change_makes_no_modseq_and_tells_of_other_changes(full: Box) -> None:
    await full.flag("Inbox", [3], "+", Flag.FLAGGED)
    async with Watched(full) as session:
        done = await session.store(list(range(1, COUNT + 1)), "-", Flag.DRAFT, told=session.changes.position - 1)
        assert done is not None and (done.change, done.before) == (None, [(3, session.changes.position)])


async def test_another_process_sees_it_and_a_crash_loses_nothing(tmp_path: Path) -> None:
    async with Store(tmp_path, LocalBus()).closing() as one, Store(tmp_path, LocalBus()).closing() as two:
        box, other = Box(await one.open(ACCOUNT)), Box(await two.open(ACCOUNT))
        await box.add("Inbox", *(letter() for _ in range(COUNT)))
        async with Watched(box) as session, Watched(other) as watcher:
            await other.flag("Inbox", [3], "+", Flag.FLAGGED)
            # Nobody woke this process: its index is behind.
            assert await session.store(list(range(1, COUNT + 1)), "+", Flag.DELETED) is None
            await session.account.sync()
            await watcher.account.sync()
            watcher.changes.take()
            assert await session.store(list(range(1, COUNT + 1)), "+", Flag.DELETED) is not None
            # It reads of the change before it is in the rows, and applies it itself.
            await watcher.account.sync()
            assert watcher.indexed() == session.indexed()
            assert [c.uids for c in watcher.changes.take() if isinstance(c, FlagsChanged)] == [
                tuple(range(1, COUNT + 1))
            ]
            known = watcher.account.known(INBOX)
            assert known is not None and known.deleted == COUNT
            async with Store(tmp_path, LocalBus()).closing() as three, Watched(Box(await three.open(ACCOUNT))) as late:
                assert late.indexed() == session.indexed()
            assert await verify.problems(other.account) == []
            assert await rows(other) == session.indexed()


async def test_expunge_in_the_same_batch_sees_it(full: Box) -> None:
    async with Watched(full) as session:
        await session.store(list(range(1, COUNT + 1)), "+", Flag.DELETED)
        assert await full.do(messages.expunge, INBOX, None, messages.MAX_UID) == list(range(1, COUNT + 1))
        assert await full.problems() == []


async def test_a_copy_is_told_at_once_and_settled_by_the_next_look(full: Box) -> None:
    await full.flag("Inbox", [2, 5], "+", Flag.SEEN | Flag.NOTJUNK, ["work"])
    await full.expunge("Inbox", [7])
    archive = (await full.mailbox("Archive")).id
    async with Watched(full) as session:
        done = await session.copy(list(range(1, COUNT + 1)), archive)
        assert done is not None and (done.target.messages, done.target.unseen) == (COUNT - 1, COUNT - 3)
        assert "work" in done.target.keywords
        # What changes afterwards does not change the copies.
        await session.store(list(range(1, COUNT + 1)), "+", Flag.DELETED)
        assert len(await pending(full.account)) == 2
        assert done.copy.added in session.changes.take()
        await full.expunge("Inbox", list(range(1, 20)))
        assert await full.uids("Archive") == list(range(1, COUNT))
        rows = await full.see(messages.hot_rows, archive)
        assert [row[0] for row in rows if row[1] & Flag.SEEN] == [2, 5]
        assert not any(row[1] & Flag.DELETED for row in rows)
        assert {row[3] for row in rows} == {done.copy.modseq}
        assert await full.problems() == []


async def test_a_copy_into_a_mailbox_that_is_open(full: Box) -> None:
    archive = (await full.mailbox("Archive")).id
    async with Watched(full) as session:
        index = await full.account.open_index(archive)
        await session.copy(list(range(1, COUNT + 1)), archive)
        assert index.live_uids() == list(range(1, COUNT + 1))
        full.account.release_index(archive)


async def test_an_expunge_is_told_at_once_and_settled_by_the_next_look(full: Box) -> None:
    await full.flag("Inbox", list(range(3, COUNT + 1)), "+", Flag.DELETED)
    archive = (await full.mailbox("Archive")).id
    async with Watched(full) as session:
        copied = await session.copy(list(range(1, COUNT + 1)), archive)
        done = await session.expunge(list(range(1, COUNT + 1)))
        assert copied is not None and done is not None and done.uids == list(range(3, COUNT + 1))
        assert (done.mailbox.messages, done.mailbox.deleted) == (2, 0)
        assert session.index.live_uids() == [1, 2]
        assert MessagesRemoved(done.expunge.modseq, INBOX, tuple(done.uids)) in session.changes.take()
        assert len(await pending(full.account)) == 2
        assert await full.uids("Inbox") == [1, 2] and len(await full.uids("Archive")) == COUNT
        assert await full.see(sync.expunged_at, INBOX, 3) == done.expunge.modseq
        assert await full.problems() == []


async def test_copies_are_refused_at_once(tmp_path: Path) -> None:
    content = letter()
    policy = Policy(quota=len(content) * (COUNT + 10))
    async with Store(tmp_path, LocalBus(), policy=lambda _: policy).closing() as store:
        box = Box(await store.open(ACCOUNT))
        await box.add("Inbox", *([content] * COUNT))
        archive = (await box.mailbox("Archive")).id
        async with Watched(box) as session:
            with pytest.raises(OverQuota):
                await session.copy(list(range(1, COUNT + 1)), archive)
            assert await pending(box.account) == []


async def test_any_order_of_changes_ends_in_the_same_rows(full: Box) -> None:
    """Deferred and immediate changes, expunges and additions; index and rows agree after each."""
    rng = random.Random(4)
    deferrals, copies = 0, 0
    archive = (await full.mailbox("Archive")).id
    async with Watched(full) as session:
        for _ in range(60):
            uids = [uid for uid in session.index.live_uids() if rng.random() < 0.95]
            mode, flags = rng.choice("+-="), rng.choice([1, 2, 4, 8, 9, 16])
            match rng.randrange(8):
                case 0:
                    await full.expunge("Inbox", rng.sample(uids, 1))
                    await session.account.sync()
                case 1:
                    await full.add("Inbox", letter(), letter(), letter())
                    await session.account.sync()
                case 2:
                    await full.flag("Inbox", rng.sample(uids, 5), mode, flags)
                    await session.account.sync()
                case 4:
                    await session.expunge(uids)
                    await full.add("Inbox", *(letter() for _ in range(COUNT - len(session.index.live_uids()))))
                    await session.account.sync()
                case 3:
                    copies += await session.copy(uids, archive) is not None
                case _:
                    deferrals += await session.store(uids, mode, flags) is not None
            if rng.random() < 0.3:
                assert session.indexed() == await rows(full)
                assert await full.problems() == []
    assert deferrals > 10 and copies > 4
