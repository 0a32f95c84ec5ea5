"""kill -9 of the whole program in the middle of deliveries, many times: what was acknowledged is there, byte for byte,
and the records are consistent.

The page cache survives a kill, so the files of messages that were not synced are emptied after each, as a power cut
does; that the commit waits for the disk is shown by `tests/store/test_engine.py`.
"""

import asyncio
import contextlib
import random
import re
import threading
import time
from pathlib import Path

import apsw
import pytest

from mox.net.bus import LocalBus
from mox.store import verify
from mox.store.account import Account
from mox.store.blobs import SHARD_BITS
from mox.store.engine import Tx
from mox.store.store import Store
from tests.raw_clients import Smtp
from tests.server_process import CRASH_ROUNDS, MoxProcess

pytestmark = pytest.mark.interop

CONNECTIONS = 20
MARK = re.compile(rb"^mark: (\S+)\r\n", re.MULTILINE)


def letter(mark: str, size: int) -> bytes:
    head = f"From: <a@example.org>\r\nTo: <mox@localhost>\r\nSubject: {mark}\r\nMessage-ID: <{mark}@x>\r\n\r\n"
    return f"{head}mark: {mark}\r\n".encode() + b"x" * 70 * (size // 72) + b"\r\n"


class Sender(threading.Thread):
    """Delivers until the server is gone; knows what was acknowledged."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__()
        self.port, self.mark = port, name
        self.acknowledged: dict[bytes, bytes] = {}

    def run(self) -> None:
        try:
            smtp = Smtp(self.port)
            for number in range(10_000):
                mark = f"{self.mark}-{number}"
                content = letter(mark, random.choice((100, 3000, 70_000)))
                if smtp.deliver(content)[0] == 250:
                    self.acknowledged[mark.encode()] = content
        except (OSError, EOFError, ValueError):
            return  # the server was killed


def stored(tx: Tx, account: Account) -> list[tuple[int, bytes, str]]:
    rows = tx.run(
        "SELECT h.size, c.prefix, c.blob_id FROM message h JOIN message_cold c USING (account_id, message_id) "
        "JOIN mailbox m ON m.account_id = h.account_id AND m.id = h.mailbox_id WHERE m.name = 'Inbox'"
    )
    return [(size, prefix, account.blob_path(blob_id)) for size, prefix, blob_id in rows]


async def look(folder: Path) -> tuple[dict[bytes, bytes], list[str]]:
    """Content by mark of what is in Inbox, and what is wrong with the account."""
    async with Store(folder, LocalBus()).closing() as store:
        account = await store.open("mox")
        found: dict[bytes, bytes] = {}
        for size, prefix, path in await account.read(lambda tx: stored(tx, account)):
            content = await asyncio.to_thread(Path(path).read_bytes)
            assert size == len(prefix) + len(content)
            mark = MARK.search(content)
            assert mark is not None and mark[1] not in found, "a message is there twice, or is not whole"
            found[mark[1]] = content
        return found, await verify.problems(account)


def lose_files(account: Path) -> int:
    """Empty the message files that were not synced: what a power cut takes, which SIGKILL leaves in the page cache."""
    with contextlib.closing(apsw.Connection(str(account / "index.db"))) as connection:
        blob_ids = [row[0] for row in connection.execute("SELECT blob_id FROM blob_fresh")]
    for blob_id in blob_ids:
        (account / "msg" / f"{blob_id >> SHARD_BITS:x}" / str(blob_id)).write_bytes(b"")
    return len(blob_ids)


def data_folder(mox: MoxProcess) -> Path:
    return next(p.parent for p in mox.folder.rglob("accounts") if p.is_dir())


@pytest.mark.timeout(600)
def test_killed_in_the_middle_of_deliveries_again_and_again(tmp_path: Path) -> None:
    mox = MoxProcess(tmp_path / "mox")
    acknowledged: dict[bytes, bytes] = {}
    lost = 0
    for number in range(CRASH_ROUNDS):
        mox.start()
        senders = [Sender(mox.ports["smtp"], f"{number}-{i}") for i in range(CONNECTIONS)]
        for sender in senders:
            sender.start()
        # The moment of the kill is what the rounds vary; a few are sure to hit a commit.
        deadline = time.monotonic() + 20
        wanted = random.randrange(1, 60)
        while sum(len(s.acknowledged) for s in senders) < wanted and time.monotonic() < deadline:
            time.sleep(0.002)
        mox.kill()
        for sender in senders:
            sender.join()
            acknowledged |= sender.acknowledged
        lost += lose_files(data_folder(mox) / "accounts" / "mox")
    found, problems = asyncio.run(look(data_folder(mox)))
    assert problems == []
    assert len(acknowledged) > CRASH_ROUNDS and lost
    assert [mark for mark in acknowledged if found.get(mark) != acknowledged[mark]] == []
