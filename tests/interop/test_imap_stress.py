"""Many sessions at once on the same mailboxes, in one process and in two, and how soon IDLE tells.

`MOX_STRESS_S` makes the stress longer (seconds).
"""

import asyncio
import os
import random
import statistics
import time
from pathlib import Path

import pytest

from mox.imap.client.client import Client, CommandFailed
from mox.imap.client.client import Message as NewMessage
from mox.imap.client.types import Exists, Fetch
from tests.imap.model import View
from tests.raw_clients import Imap
from tests.server_process import PASSWORD, USER, MoxProcess

pytestmark = pytest.mark.interop

SECONDS = float(os.environ.get("MOX_STRESS_S", "6"))
BOXES = ("Inbox", "Archive")
LETTER = b"Subject: stress\r\n\r\nbody\r\n"


async def connect(port: int) -> Client:
    client = await Client.connect("127.0.0.1", port)
    await client.login(USER, PASSWORD)
    return client


class Worker:
    """Does random things, and checks every untagged response against what it was told before."""

    def __init__(self, client: Client, dice: random.Random) -> None:
        self.client, self.dice, self.view, self.commands = client, dice, View(), 0

    async def run(self, text: str) -> None:
        self.commands += 1
        try:
            answer = await self.client.command(text)
        except CommandFailed as err:
            # Another session may have removed the messages meanwhile; nothing else may fail.
            assert err.answer.result.status == "NO" and "no matching messages" in err.answer.result.text, (text, err)
            answer = err.answer
        self.view.take(answer.untagged, text)
        if unknown := self.view.unknown():
            answer = await self.client.command(f"FETCH {unknown[0]}:{unknown[-1]} (UID FLAGS)")
            self.view.take(answer.untagged, "FETCH")

    async def select(self) -> None:
        self.view = View(self.dice.choice(BOXES))
        await self.run(f"SELECT {self.view.mailbox}")

    async def step(self) -> None:
        known = self.view.known()
        if not known or self.dice.random() < 0.25:
            answer = await self.client.append(self.view.mailbox, NewMessage(LETTER))
            self.view.take(answer.untagged, "APPEND")
            assert answer.result.code is not None
            (own,) = answer.result.code.args[1]
            # The own message comes without its UID, because the result has it.
            self.view.uids = [own if uid is None else uid for uid in self.view.uids]
            await self.run("NOOP")
            return
        some = sorted(self.dice.sample(known, min(len(known), self.dice.randint(1, 6))))
        uids = ",".join(map(str, some))
        seqs = ",".join(str(self.view.uids.index(u) + 1) for u in some)
        other = BOXES[1 - BOXES.index(self.view.mailbox)]
        flag = self.dice.choice(("\\Seen", "\\Flagged", "\\Deleted", "\\Deleted", "word"))
        await self.run(
            self.dice.choice((
                f"STORE {seqs} +FLAGS ({flag})", f"UID STORE {uids} -FLAGS.SILENT ({flag})",
                f"FETCH {seqs} (UID FLAGS BODY[])", f"UID FETCH {uids} (ENVELOPE BODYSTRUCTURE)", "EXPUNGE",
                f"UID EXPUNGE {uids}", f"COPY {seqs} {other}",
                f"UID MOVE {uids} {other}", "SEARCH UNSEEN TEXT stress", "NOOP", "CHECK",
                f"STATUS {other} (MESSAGES UIDNEXT)", "UID STORE 1:* +FLAGS (word)", "UID STORE 1:* -FLAGS (\\Flagged)",
            ))
        )  # fmt: skip
        if self.dice.random() < 0.03:
            await self.select()

    async def truth(self) -> dict[int, frozenset[str]]:
        found = (await self.client.command("UID FETCH 1:* (FLAGS)")).all(Fetch)
        return {f.uid or 0: frozenset(f.items["FLAGS"]) for f in found}


async def stress(port: int, seconds: float, seed: int) -> int:
    workers = [Worker(await connect(port), random.Random(seed + n)) for n in range(6)]
    await workers[1].client.enable("QRESYNC")
    for worker in workers:
        await worker.select()
    until = time.monotonic() + seconds

    async def work(worker: Worker) -> None:
        while time.monotonic() < until:
            await worker.step()

    await asyncio.gather(*(work(w) for w in workers))
    # All quiet: everybody knows the same.
    views = {}
    for worker in workers:
        await worker.run("NOOP")
    for worker in workers:
        await worker.run("NOOP")
        views.setdefault(worker.view.mailbox, []).append(worker)
    for name, group in views.items():
        fresh = Worker(await connect(port), random.Random(0))
        await fresh.client.command(f"EXAMINE {name}")
        truth = await fresh.truth()
        for worker in group:
            assert worker.view.known() == sorted(truth), name
            assert worker.view.flags.items() <= truth.items() or all(
                truth[uid] == flags for uid, flags in (await worker.truth()).items()
            )
        await fresh.client.logout()
    for worker in workers:
        await worker.client.logout()
    return sum(w.commands for w in workers)


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("workers", [1, 2], ids=["one process", "two workers"])
async def test_stress(tmp_path: Path, workers: int) -> None:
    mox = MoxProcess(tmp_path / "mox", workers)
    await asyncio.to_thread(mox.start)
    try:
        assert await stress(mox.ports["imap"], SECONDS, workers) > 50
        assert "unhandled" not in mox.log() and "command failed" not in mox.log()
    finally:
        await asyncio.to_thread(mox.stop)


async def test_idle_tells_twenty_sessions_soon(mox: MoxProcess) -> None:
    port = mox.ports["imap"]
    clients = [await connect(port) for _ in range(20)]
    tags = []
    for client in clients:
        await client.select("Inbox")
        tags.append(await client.idle())
    sender = await connect(port)
    medians: list[float] = []

    async def told(client: Client, count: int, since: float) -> float:
        while True:
            response = await client.receive()
            if isinstance(response, Exists) and response.count == count:
                return time.monotonic() - since

    for count in range(1, 9):
        tag = await sender.start(b"APPEND Inbox {%d+}\r\n%s" % (len(LETTER), LETTER))
        await sender.finish(tag)
        # The answer to APPEND is the moment from which the message is there.
        since = time.monotonic()
        medians.append(statistics.median(await asyncio.gather(*(told(client, count, since) for client in clients))))
    # Other programs may take the machine away for a while, but not each time.
    assert min(medians) < 0.1, medians
    for client, tag in zip(clients, tags, strict=True):
        await client.done(tag)
        await client.logout()
    await sender.logout()


def test_a_short_look_from_two_workers(tmp_path: Path) -> None:
    """What one process stored is there for a session of another at once."""
    mox = MoxProcess(tmp_path / "mox", 2).start()
    try:
        sessions = [Imap(mox.ports["imap"]) for _ in range(6)]
        for number, session in enumerate(sessions, 1):
            assert session.append("INBOX", LETTER).startswith(b"OK")
            for other in sessions:
                other.ok("SELECT INBOX")
                assert other.ok("SEARCH RETURN (COUNT) ALL")[0][0].endswith(b"COUNT %d" % number)
    finally:
        mox.stop()
