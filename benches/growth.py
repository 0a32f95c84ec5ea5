"""Does the store slow down as a mailbox grows? One operation each on a small and on a large mailbox.

`python -m benches.growth [--rows 1000000]`. The mailbox is filled by SQL from one message, as adding a million messages
would take a quarter of an hour; only here is that allowed.
"""

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from mox._rust import stage_bytes
from mox.net.bus import LocalBus
from mox.store import messages, reputation
from mox.store.account import Account
from mox.store.engine import Tx
from mox.store.reputation import Kind
from mox.store.store import Store
from mox.store.types import Facts, Flag

SMALL = 1000
REPEATS = 60
TARGET = 1.5
FACTS = Facts(msg_from_localpart="ann", msg_from_domain="example.org", dkim_domains="example.org")


def letter(number: int) -> bytes:
    head = f"From: Ann <ann@example.org>\r\nTo: b@example.net\r\nSubject: test\r\nMessage-ID: <{number}@growth>\r\n\r\n"
    return head.encode() + b"x" * 70 + b"\r\n"


def multiply(tx: Tx, rows: int) -> None:
    """Make `rows` messages of message 1 of mailbox 1, all marked as not junk."""
    counter = f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
    for table, changed in (
        ("message_hot", {"uid": "i", "message_id": "i", "received_ms": "received_ms + i"}),
        (
            "message_cold",
            {"message_id": "i", "message_ref": "'m' || i", "thread_id": "i", "received_ms": "received_ms + i"},
        ),
        ("reputation", {"message_id": "i", "received_ms": "received_ms + i"}),
    ):
        columns = [row[1] for row in tx.run(f"PRAGMA table_info({table})")]
        values = ", ".join(changed.get(column, column) for column in columns)
        tx.run(f"{counter} INSERT INTO {table} SELECT {values} FROM n, {table} WHERE message_id = 1")
    size = tx.run("SELECT size FROM message_hot WHERE message_id = 1")[0][0]
    tx.run("UPDATE blob SET refs = ?", rows)
    tx.run("UPDATE sync_state SET next_message_id = ?, disk_usage = ?", rows + 1, rows * size)
    tx.run(
        "UPDATE mailbox_all SET uidnext = ?, total = ?, unread = ?, unseen = ?, size = ? WHERE id = 1",
        rows + 1,
        rows,
        rows,
        rows,
        rows * size,
    )


async def deliver(account: Account, number: int) -> None:
    prepared = await account.prepare(stage_bytes(letter(number)))
    new = account.new_message(prepared, facts=FACTS)
    await account.write(lambda tx: messages.add(tx, 1, [new]))


async def median_ms(work: Callable[[int], Awaitable[object]]) -> float:
    times = []
    for number in range(REPEATS):
        started = time.perf_counter()
        await work(number)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


async def measure(folder: Path, rows: int) -> dict[str, float]:
    """Milliseconds by operation on a mailbox of that size."""
    async with Store(folder, LocalBus()).closing() as store:
        account = await store.open("bench")
        prepared = await account.prepare(stage_bytes(letter(0)))
        first = account.new_message(prepared, facts=FACTS, flags=int(Flag.NOTJUNK))
        await account.write(lambda tx: messages.add(tx, 1, [first]))
        await account.write(lambda tx: multiply(tx, rows))
        session = account.subscribe()
        await account.sync()
        started = time.perf_counter()
        held = await account.open_index(1)
        cold = (time.perf_counter() - started) * 1000

        async def select(_number: int) -> None:
            index = await account.open_index(1)
            index.new_view()
            account.release_index(1)

        async def fetch(number: int) -> None:
            await account.read(lambda tx: messages.cold_rows(tx, 1, [rows // 2 + number], ["envelope"]))

        async def flag(number: int) -> None:
            uid = rows // 2 + number
            await account.write(lambda tx: messages.set_flags(tx, 1, [uid], "+", int(Flag.SEEN), frozenset()))
            await account.sync()

        async def expunge(number: int) -> None:
            uid = rows // 3 + number
            await account.write(lambda tx: messages.expunge(tx, 1, [uid], messages.MAX_UID, only_deleted=False))
            await account.sync()

        async def look_up(_number: int) -> None:
            await account.read(lambda tx: reputation.history(tx, Kind.DKIM_DOMAIN, "example.org", 1, 0, 50))

        result = {
            "first SELECT": cold,
            "SELECT (warm)": await median_ms(select),
            "FETCH ENVELOPE of one": await median_ms(fetch),
            "STORE of one": await median_ms(flag),
            "delivery": await median_ms(lambda n: deliver(account, n + 1)),
            "EXPUNGE of one": await median_ms(expunge),
            "reputation look-up": await median_ms(look_up),
        }
        assert len(held.live_uids()) > rows - REPEATS
        account.release_index(1)
        account.unsubscribe(session)
        return result


async def main(rows: int) -> int:
    results = []
    for count in (SMALL, rows):
        folder = Path(tempfile.mkdtemp(prefix="mox-growth-"))
        try:
            results.append(await measure(folder, count))
        finally:
            shutil.rmtree(folder)
    print(f"{'milliseconds':24}{SMALL:>10}{rows:>10}   ratio")
    slow = []
    for name, small in results[0].items():
        ratio = results[1][name] / small
        print(f"{name:24}{small:10.3f}{results[1][name]:10.3f}{ratio:8.2f}")
        if ratio > TARGET and name != "first SELECT":
            slow.append(name)
    print(f"slower than {TARGET} times: {', '.join(slow) or 'nothing'}")
    return bool(slow)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    sys.exit(asyncio.run(main(parser.parse_args().rows)))
