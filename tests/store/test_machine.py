"""Everything that can be done to an account in any order; after every step all that is kept is computed anew, and a
session that only listens knows exactly what is there."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mox.net.bus import LocalBus
from mox.store import annotations, hierarchy, mailboxes, messages, threads, training
from mox.store.changes import (
    Changes,
    CountsChanged,
    FlagsChanged,
    MailboxChanged,
    MessagesAdded,
    MessagesRemoved,
)
from mox.store.errors import HasChildren, MailboxExists, NoSuchMailbox
from mox.store.policy import JunkRules, Policy
from mox.store.store import Store
from mox.store.types import Facts, Flag, SpecialUse
from tests.store.helpers import Box, letter

T = TypeVar("T")

NAMES = st.sampled_from(["Inbox", "Junk", "Sent", "Lists", "Lists/one"])
FLAGS = st.sampled_from([0, Flag.SEEN | Flag.DELETED, Flag.DELETED, Flag.JUNK, Flag.NOTJUNK | Flag.DELETED])
UIDS = st.sets(st.integers(1, 5), min_size=1)
KEYWORDS = st.sampled_from([frozenset(), frozenset({"work"}), frozenset({"a", "b"})])
REFS = st.sampled_from("abcdef")
FACTS = Facts(msg_from_localpart="ann", msg_from_domain="example.org", dkim_domains="x.example y.example")
POLICY = Policy(junk_rules=JunkRules(), rejects_mailbox="Rejects", introbox="Lists", trains_filter=True)


class Machine(RuleBasedStateMachine):
    """One account, one session that keeps its own copy of all mailboxes from changes alone."""

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")  # hundreds of reopenings wait for no disk here
        self.folder = Path(tempfile.mkdtemp(prefix="mox-store-", dir=memory if memory.is_dir() else None))
        self.runner = asyncio.Runner()
        self.clock = itertools.count(1_700_000_000_000, 3_600_000)
        self.uidvalidities: dict[str, int] = {}

    def run(self, work: Awaitable[T]) -> T:
        async def waited() -> T:
            return await work

        return self.runner.run(waited())

    @initialize()
    def open(self) -> None:
        self.run(self._open())

    async def _open(self) -> None:
        self.store = Store(self.folder, LocalBus(), lambda _name: POLICY)
        self.box = Box(await self.store.open("mjl"))
        self.changes: Changes = self.box.account.subscribe()
        await self.box.account.sync()
        self.changes.take()
        boxes = await self.box.see(mailboxes.list_mailboxes)
        self.seen = {m.id: m for m in boxes}
        self.uids = {m.id: [r[0] for r in await self.box.see(messages.hot_rows, m.id)] for m in boxes}

    @rule()
    def reopen(self) -> None:
        self.run(self._close())
        self.run(self._open())

    async def _close(self) -> None:
        self.box.account.unsubscribe(self.changes)
        await self.store.close()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self._close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def do(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        return self.run(self.box.do(fn, *args, **kwargs))

    def mailbox(self, name: str) -> int:
        self.do(mailboxes.ensure, name, True)
        return self.run(self.box.mailbox(name)).id

    # Rules

    @rule(name=NAMES, ref=REFS, parent=REFS, flags=FLAGS, words=KEYWORDS, count=st.integers(1, 3))
    def add(self, name: str, ref: str, parent: str, flags: int, words: frozenset[str], count: int) -> None:
        self.mailbox(name)
        contents = [letter("s", message_id=f"{ref}@x", References=f"<{parent}@x>") for _ in range(count)]
        when = next(self.clock)
        self.run(self.box.add(name, *contents, flags=flags, keywords=words, facts=FACTS, received_ms=when))

    @rule(name=NAMES, flags=FLAGS, words=KEYWORDS, mode=st.sampled_from("+-="), uids=UIDS)
    def flag(self, name: str, flags: int, words: frozenset[str], mode: str, uids: set[int]) -> None:
        self.do(messages.set_flags, self.mailbox(name), sorted(uids), mode, flags, words)

    @rule(name=NAMES, uids=st.one_of(st.none(), UIDS), only_deleted=st.booleans())
    def expunge(self, name: str, uids: set[int] | None, only_deleted: bool) -> None:
        wanted = None if uids is None else sorted(uids)
        self.do(messages.expunge, self.mailbox(name), wanted, messages.MAX_UID, only_deleted)

    @rule(source=NAMES, into=NAMES, uids=UIDS, moves=st.booleans())
    def transfer(self, source: str, into: str, uids: set[int], moves: bool) -> None:
        if source != into:
            ids = self.mailbox(source), self.mailbox(into)
            self.do(messages.move if moves else messages.copy, ids[0], sorted(uids), ids[1], next(self.clock))

    @rule(name=NAMES, use=st.sampled_from([SpecialUse(0), SpecialUse.SENT, SpecialUse.JUNK]))
    def create(self, name: str, use: SpecialUse) -> None:
        try:
            self.do(mailboxes.create, name, use)
        except MailboxExists:
            return

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        if "Inbox" not in (old, new):
            try:
                self.do(mailboxes.rename, old, new)
            except (NoSuchMailbox, MailboxExists):
                return

    @rule(name=NAMES)
    def rename_inbox(self, name: str) -> None:
        if name != "Inbox":
            try:
                self.do(hierarchy.rename_inbox, name, next(self.clock))
            except MailboxExists:
                return

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name != "Inbox":
            try:
                self.do(hierarchy.delete, name)
            except (NoSuchMailbox, HasChildren):
                return

    @rule(name=NAMES, entry=st.sampled_from(["/private/a", "/private/b"]), content=st.sampled_from([None, b"", b"x"]))
    def annotate(self, name: str, entry: str, content: bytes | None) -> None:
        self.do(annotations.set_annotations, self.mailbox(name), [(entry, content, True)])

    @rule(muted=st.booleans(), collapses=st.booleans())
    def thread(self, muted: bool, collapses: bool) -> None:
        ids = [r[0] for r in self.run(self.box.see(lambda tx: tx.run("SELECT message_id FROM message LIMIT 1")))]
        self.do(threads.collapse if collapses else threads.mute, ids, muted)

    @precondition(lambda self: hasattr(self, "box"))
    @rule()
    def train(self) -> None:
        for lesson in self.run(self.box.see(training.pending)):
            self.do(training.settle, lesson.message_id, lesson.wanted)

    @rule()
    def erase(self) -> None:
        self.run(self.box.account.erase())

    # What must hold

    @invariant()
    def nothing_is_wrong(self) -> None:
        if hasattr(self, "box"):
            assert self.run(self.box.problems()) == []

    @invariant()
    def a_listener_knows_what_is_there(self) -> None:
        if hasattr(self, "box"):
            self.run(self._listen())

    async def _listen(self) -> None:
        await self.box.account.sync()
        for change in self.changes.take():
            match change:
                case MailboxChanged(mailbox=box, is_new=True):
                    assert box.id not in self.uids
                    # A new mailbox with an old name never has an old UIDVALIDITY.
                    assert box.uidvalidity > self.uidvalidities.get(box.name, 0)
                    self.uids[box.id] = []
                    self.seen[box.id] = box
                case MailboxChanged(mailbox=box) if box.expunged:
                    assert self.uids.pop(box.id) == []
                    self.uidvalidities[box.name] = box.uidvalidity
                    del self.seen[box.id]
                case MailboxChanged(mailbox=box):
                    self.seen[box.id] = box
                case CountsChanged(mailbox=box):
                    self.seen[box.id] = box
                case MessagesAdded(mailbox_id=box_id, uids=uids):
                    assert uids[0] > max(self.uids[box_id], default=0)
                    self.uids[box_id] += uids
                case FlagsChanged(mailbox_id=box_id, uids=uids):
                    assert set(uids) <= set(self.uids[box_id])
                case MessagesRemoved(mailbox_id=box_id, uids=uids):
                    for uid in uids:
                        self.uids[box_id].remove(uid)
        boxes = await self.box.see(mailboxes.list_mailboxes)
        assert set(self.seen) == {box.id for box in boxes}
        for box in boxes:
            assert (self.seen[box.id].name, self.seen[box.id].counts) == (box.name, box.counts)
            assert self.uids[box.id] == [r[0] for r in await self.box.see(messages.hot_rows, box.id)]


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
