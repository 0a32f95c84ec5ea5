"""Random sessions on shared mailboxes against a model: every answer, and what each client knows after it, is checked.

`MOX_IMAP_STEPS` and `MOX_IMAP_SEED` make longer or other runs.
"""

import os
import random

import pytest

from mox.imap.client.client import Answer, Client, CommandFailed
from mox.imap.client.client import Message as NewMessage
from mox.imap.client.types import Fetch, Search
from mox.store import deferred
from tests.imap.harness import Server
from tests.imap.model import SYSTEM, Box, Message, View, changed

STEPS = int(os.environ.get("MOX_IMAP_STEPS", "1500"))
BOXES = ("Inbox", "Archive", "Sent")
WORDS = (*SYSTEM, "$Forwarded", "one", "two")


class Actor:
    """A client, its view, and the random things it does."""

    def __init__(self, number: int, client: Client, boxes: dict[str, Box], dice: random.Random, log: list[str]) -> None:
        self.number, self.client, self.boxes, self.dice = number, client, boxes, dice
        self.view = View()
        self.log = log

    @property
    def box(self) -> Box:
        return self.boxes[self.view.mailbox]

    async def run(self, text: str) -> Answer:
        """A command; its untagged responses go to the view."""
        self.log.append(f"{self.number}: {text}")
        try:
            answer = await self.client.command(text)
        except CommandFailed as err:
            self.view.take(err.answer.untagged, text)
            raise
        self.view.take(answer.untagged, text)
        return answer

    async def learn(self) -> None:
        """Ask for the UIDs of messages that came without."""
        if unknown := self.view.unknown():
            await self.run(f"FETCH {unknown[0]}:{unknown[-1]} (UID FLAGS)")

    def check(self) -> None:
        """After a command that tells everything: the client knows what there is."""
        assert [u for u in self.view.uids if u is not None] == [
            u for u in sorted(self.box.messages) if u in self.view.uids
        ]
        assert len(self.view.uids) == len(self.box.messages), (self.view.uids, sorted(self.box.messages))
        for uid, flags in self.view.flags.items():
            assert flags == self.box.messages[uid].flags, (uid, flags, self.box.messages[uid].flags)

    def flags(self) -> frozenset[str]:
        return frozenset(self.dice.sample(WORDS, self.dice.randint(0, 3)))

    def some(self) -> list[int]:
        known = self.view.known()
        return sorted(self.dice.sample(known, min(len(known), self.dice.randint(1, 5)))) if known else []

    def live(self, uids: list[int]) -> list[int]:
        return [uid for uid in uids if uid in self.box.messages]

    def numbers(self, uids: list[int], uid: bool) -> str:
        return ",".join(str(n if uid else self.view.uids.index(n) + 1) for n in uids)

    # What it does

    async def select(self) -> None:
        name = self.dice.choice(BOXES)
        self.view = View()
        read_only = self.dice.random() < 0.1
        await self.run(f"{'EXAMINE' if read_only else 'SELECT'} {name}")
        self.view.mailbox, self.view.read_only = name, read_only
        if self.view.uids:
            await self.run("FETCH 1:* (UID FLAGS)")
        self.check()

    async def noop(self) -> None:
        await self.run("NOOP")
        self.check()

    async def append(self) -> None:
        name, flags = self.dice.choice(BOXES), self.flags()
        count = self.dice.choice((1, 1, 2))
        new = [Message(b"Subject: %d\r\n\r\nbody\r\n" % self.dice.randrange(10**9), flags) for _ in range(count)]
        self.log.append(f"{self.number}: APPEND {name} {sorted(flags)} x{count}")
        answer = await self.client.append(name, *(NewMessage(m.body, sorted(flags)) for m in new))
        uids = [self.boxes[name].add(m) for m in new]
        self.view.take(answer.untagged, "APPEND")
        assert answer.result.code is not None and answer.result.code.args[1] == uids
        await self.learn()
        self.check()

    async def store(self) -> None:
        uids, uid = self.some(), self.dice.random() < 0.5
        if not uids or self.view.read_only:
            return
        action = self.dice.choice(("FLAGS", "+FLAGS", "-FLAGS", "+FLAGS.SILENT", "-FLAGS.SILENT", "FLAGS.SILENT"))
        flags = self.flags()
        verb = "UID STORE" if uid else "STORE"
        live = self.live(uids)
        for one in live:
            message = self.box.messages[one]
            message.flags = changed(message.flags, action, flags)
            if action.endswith(".SILENT") and one in self.view.flags:
                self.view.flags[one] = changed(self.view.flags[one], action, flags)
        await self.run(f"{verb} {self.numbers(uids, uid)} {action} ({' '.join(sorted(flags))})")
        if uid:
            self.check()
        elif not action.endswith(".SILENT"):
            assert all(self.view.flags[one] == self.box.messages[one].flags for one in live)

    async def copy(self) -> None:
        uids, uid = self.some(), self.dice.random() < 0.5
        target = self.dice.choice([b for b in BOXES if b != self.view.mailbox])
        moves = not self.view.read_only and self.dice.random() < 0.5
        verb = ("UID " if uid else "") + ("MOVE" if moves else "COPY")
        if not uids:
            return
        live = self.live(uids)
        copies = [(one, self.box.messages[one]) for one in live]
        try:
            await self.run(f"{verb} {self.numbers(uids, uid)} {target}")
        except CommandFailed:
            assert not live
        else:
            assert live
            for one, message in copies:
                self.boxes[target].add(Message(message.body, message.flags))
                if moves:
                    del self.box.messages[one]
        await self.learn()
        self.check()

    async def expunge(self) -> None:
        if self.view.read_only:
            return
        uids = (self.some() or None) if self.dice.random() < 0.4 else None
        seen = self.view.known() if uids is None else uids
        gone = [u for u in self.live(seen) if "\\Deleted" in self.box.messages[u].flags]
        # Without UIDs it is about all that the client knows of, by the highest UID it was told.
        await self.run("EXPUNGE" if uids is None else f"UID EXPUNGE {self.numbers(uids, True)}")
        for one in gone:
            del self.box.messages[one]
        await self.learn()
        self.check()

    async def fetch(self) -> None:
        uids, uid = self.some(), self.dice.random() < 0.5
        if not uids:
            return
        bodies = {u: self.box.messages[u].body for u in self.live(uids)}
        peek = self.dice.random() < 0.5
        item = "BODY.PEEK[]" if peek else "BODY[]"
        answer = await self.run(f"{'UID FETCH' if uid else 'FETCH'} {self.numbers(uids, uid)} (UID {item})")
        found = {f.uid: f.items["BODY[]"] for f in answer.all(Fetch) if "BODY[]" in f.items}
        assert set(bodies) <= set(found) <= set(uids)
        assert all(found[u] == body for u, body in bodies.items())
        if not peek and not self.view.read_only:
            for one in self.live(uids):
                self.box.messages[one].flags |= {"\\Seen"}
        if uid:
            # The new \Seen was told at the end of this command.
            await self.learn()
            self.check()

    async def search(self) -> None:
        flag = self.dice.choice(SYSTEM)
        if self.view.unknown():
            return
        uid = self.dice.random() < 0.5
        # Others' messages that are told at the end of UID SEARCH were not searched.
        live = self.live(self.view.known())
        expected = [int(self.numbers([u], uid)) for u in live if flag in self.box.messages[u].flags]
        answer = await self.run(f"{'UID ' if uid else ''}SEARCH {flag[1:].upper()}")
        assert [n for r in answer.all(Search) for n in r.numbers] == expected
        if uid:
            await self.learn()
            self.check()

    async def replace(self) -> None:
        uids = self.some()
        if not uids or self.view.read_only:
            return
        one = uids[0]
        body = b"Subject: replaced\r\n\r\n%d\r\n" % self.dice.randrange(10**9)
        target = self.dice.choice(BOXES)
        text = f"UID REPLACE {one} {target} () {{{len(body)}+}}\r\n{body.decode()}"
        try:
            await self.run(text)
        except CommandFailed:
            assert one not in self.box.messages
        else:
            del self.box.messages[one]
            self.boxes[target].add(Message(body, frozenset()))
        await self.learn()
        self.check()

    async def leave(self) -> None:
        if self.dice.random() < 0.5 and not self.view.read_only:
            gone = [u for u in self.live(self.view.known()) if "\\Deleted" in self.box.messages[u].flags]
            await self.run("CLOSE")
            for one in gone:
                del self.box.messages[one]
        else:
            await self.run("UNSELECT")
        await self.select()

    async def idle(self) -> None:
        tag = await self.client.idle()
        answer = await self.client.done(tag)
        self.log.append(f"{self.number}: IDLE")
        self.view.take(answer.untagged, "IDLE")
        await self.run("NOOP")
        await self.learn()
        self.check()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [int(s) for s in os.environ.get("MOX_IMAP_SEED", "1,2").split(",")])
@pytest.mark.parametrize("many", [deferred.MANY, 1], ids=["", "all that can be is deferred"])
async def test_random_sessions(server: Server, seed: int, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "MANY", many)
    dice = random.Random(seed)
    boxes = {name: Box() for name in BOXES}
    actors: list[Actor] = []
    log: list[str] = []
    for number in range(5):
        client = await server.client()
        if number in (1, 2):
            await client.enable("QRESYNC" if number == 1 else "CONDSTORE")
        actors.append(Actor(number, client, boxes, dice, log))
        await actors[-1].select()
    names = ["append"] * 5 + ["store"] * 8 + ["copy"] * 3 + ["expunge"] * 2 + ["fetch"] * 4 + ["search"] * 2
    names += ["noop"] * 3 + ["replace", "leave", "select", "idle"]
    try:
        for _ in range(STEPS // 2):
            await getattr(dice.choice(actors), dice.choice(names))()
        for actor in actors:
            await actor.noop()
    except (AssertionError, CommandFailed, KeyError) as err:
        history = "\n".join(log[-60:])
        raise AssertionError(f"seed {seed}: {err}\n{history}") from err
    finally:
        for actor in actors:
            await actor.client.close()
