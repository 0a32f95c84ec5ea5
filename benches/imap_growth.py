"""Does IMAP slow down as a mailbox grows? The same commands over a connection, on a small and on a large Inbox.

`python -m benches.imap_growth [--rows 1000000]`. The mailbox is filled by SQL, like that of `benches.growth`. What
looks at every message (SEARCH by flags, FETCH of all) takes time in proportion: there the time per message counts.
"""

import argparse
import asyncio
import os
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benches.growth import FACTS, SMALL, TARGET, letter, multiply
from benches.idle import resident_kb
from benches.servers import peers
from benches.servers.clients import Imap, message
from mox._rust import stage_bytes
from mox.net.bus import LocalBus
from mox.store import messages
from mox.store.store import Store
from mox.store.types import Flag

REPEATS = 40


def fill(data_dir: Path, rows: int) -> None:
    """Put so many messages into Inbox."""

    async def run() -> None:
        async with Store(data_dir, LocalBus()).closing() as store:
            account = await store.open("mox")
            prepared = await account.prepare(stage_bytes(letter(0)))
            first = account.new_message(prepared, facts=FACTS, flags=int(Flag.NOTJUNK))
            await account.write(lambda tx: messages.add(tx, 1, [first]))
            await account.write(lambda tx: multiply(tx, rows))

    asyncio.run(run())
    # The disk must not be busy with this while others wait for it.
    os.sync()


def median_ms(work: Callable[[int], object], repeats: int = REPEATS) -> float:
    """Median of the times that `work` takes, after one time that does not count."""
    times = []
    for number in range(repeats + 1):
        started = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:]) * 1000


class Watcher:
    """A session in IDLE."""

    def __init__(self, server: peers.Server) -> None:
        assert server.imap_port is not None
        self._sock = socket.create_connection(("127.0.0.1", server.imap_port), timeout=120)
        self._until(b"* OK")
        login = f'a LOGIN {server.user} "{server.password}"'
        for command, mark in ((login, b"a OK"), ("a SELECT Inbox", b"a OK"), ("a IDLE", b"+ ")):
            self._sock.sendall(f"{command}\r\n".encode())
            self._until(mark)

    def _until(self, mark: bytes) -> None:
        seen = b""
        while mark not in seen:
            data = self._sock.recv(1 << 16)
            if not data:
                raise RuntimeError(f"closed while waiting for {mark!r}")
            seen = seen[-100:] + data

    def hears(self) -> None:
        """Wait for a new message."""
        self._until(b" EXISTS")

    def close(self) -> None:
        self._sock.close()


def measure(rows: int) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds of what should not grow, and microseconds a message of what looks at all."""
    server = peers.start_ours(fill=lambda data_dir: fill(data_dir, rows))
    try:
        assert server.imap_port is not None
        client = Imap("127.0.0.1", server.imap_port, server.user, server.password)
        started = time.perf_counter()
        client.command("SELECT Inbox")
        print(f"{rows} messages: first SELECT {time.perf_counter() - started:.2f} s", flush=True)
        middle = rows // 2
        watcher = Watcher(server)

        def deliver(number: int) -> None:
            client.append("Inbox", message(number))
            watcher.hears()

        flat = {
            "SELECT (warm)": lambda _: client.command("SELECT Inbox"),
            "FETCH of one": lambda n: client.command(f"UID FETCH {middle + n} (FLAGS ENVELOPE)"),
            "STORE of one": lambda n: client.command(f"UID STORE {middle + n} +FLAGS (\\Flagged)"),
            "APPEND to telling in IDLE": deliver,
            "SEARCH by UID": lambda n: client.command(f"UID SEARCH UID {middle + n}:{middle + n + 50}"),
            "EXPUNGE of one": lambda n: (
                client.command(f"UID STORE {middle - n - 1} +FLAGS.SILENT (\\Deleted)"),
                client.command(f"UID EXPUNGE {middle - n - 1}"),
            ),
        }
        constant = {name: median_ms(work) for name, work in flat.items()}
        before = resident_kb(server.process.pid)
        size = 0

        def all_flags(_number: int) -> None:
            nonlocal size
            size = len(client.command("FETCH 1:* (FLAGS)"))

        linear = {
            "SEARCH FLAGGED": lambda _: client.command("SEARCH FLAGGED"),
            "FETCH 1:* FLAGS": all_flags,
            "STORE 1:* +FLAGS.SILENT": lambda n: client.command(
                f"STORE 1:* {'-' if n % 2 else '+'}FLAGS.SILENT (\\Answered)"
            ),
        }
        per_message = {name: median_ms(work, 3) * 1000 / rows for name, work in linear.items()}
        grown = resident_kb(server.process.pid) - before
        print(
            f"FETCH 1:* FLAGS sent {size >> 20} MB; the process grew by {grown / 1024:.0f} MB during these", flush=True
        )
        watcher.close()
        client.close()
        return constant, per_message
    finally:
        server.stop()


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benches.imap_growth", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    small, large = measure(SMALL), measure(rows)
    slow = []
    for unit, before, after in (("ms", small[0], large[0]), ("µs a message", small[1], large[1])):
        print(f"{unit:28}{SMALL:>10}{rows:>10}   ratio")
        for name, value in before.items():
            ratio = after[name] / value
            print(f"{name:28}{value:10.3f}{after[name]:10.3f}{ratio:8.2f}")
            if ratio > TARGET:
                slow.append(name)
    print(f"slower than {TARGET} times: {', '.join(slow) or 'nothing'}")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
