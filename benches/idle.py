"""What an idle IMAP connection costs: memory of one worker with many of them, and how soon one of them hears of mail.

`python -m benches.idle [--connections 10000]`. Every connection is logged in, has Inbox selected and is in IDLE.
"""

import argparse
import asyncio
import resource
import sys
import time
from pathlib import Path

from benches.servers import peers
from benches.servers.clients import Imap, message

TARGET_KB = 15.0
# Connections that log in at the same time.
AT_ONCE = 50


def resident_kb(pid: int) -> int:
    """Memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("no VmRSS")


def serving_process(server: peers.Server) -> int:
    """The process that has the connections: localserve itself, with one worker."""
    return server.process.pid


class Idler(asyncio.Protocol):
    """A client that goes through a fixed dialogue and then only counts what it hears. It is no stream: thousands of
    these are to be cheap here as well."""

    def __init__(self, user: str, password: str) -> None:
        self._steps = [f'a LOGIN {user} "{password}"', "b SELECT Inbox", "c IDLE"]
        self._marks = [b"* OK", b"a OK", b"b OK", b"+ "]
        self._seen = b""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.heard: asyncio.Future[float] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.heard is not None and not self.heard.done() and b"EXISTS" in data:
            self.heard.set_result(time.perf_counter())
            return
        self._seen += data
        if self._marks and self._seen.endswith(b"\r\n") and self._has(self._marks[0]):
            del self._marks[0]
            self._seen = b""
            if self._steps:
                self.transport.write(self._steps.pop(0).encode() + b"\r\n")
            elif not self.ready.done():
                self.ready.set_result(None)

    def _has(self, mark: bytes) -> bool:
        return any(line.startswith(mark) for line in self._seen.split(b"\r\n"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError(f"closed by the server after {self._seen[-200:]!r}"))


async def connect(server: peers.Server, number: int) -> Idler:
    """Connections come from many addresses: the limits per address are not what is measured."""
    source = f"127.1.{number // 200}.{number % 200 + 1}"
    _, protocol = await asyncio.get_running_loop().create_connection(
        lambda: Idler(server.user, server.password), "127.0.0.1", server.imap_port, local_addr=(source, 0)
    )
    async with asyncio.timeout(120):
        await protocol.ready
    return protocol


async def measure(server: peers.Server, count: int) -> float:
    """Kilobytes for each connection; prints what was found."""
    pid = serving_process(server)
    idlers = [await connect(server, n) for n in range(20)]
    base = resident_kb(pid)
    started = time.perf_counter()
    while len(idlers) < count:
        first = len(idlers)
        idlers += await asyncio.gather(*(connect(server, n) for n in range(first, min(count, first + AT_ONCE))))
    seconds = time.perf_counter() - started
    each = (resident_kb(pid) - base) / (count - 20)
    print(f"{count} connections in IDLE after {seconds:.1f} s: {each:.1f} kB each over a base of {base / 1024:.0f} MB")
    for idler in idlers:
        idler.heard = asyncio.get_running_loop().create_future()
    assert server.imap_port is not None
    client = await asyncio.to_thread(Imap, "127.0.0.1", server.imap_port, server.user, server.password)
    started = time.perf_counter()
    await asyncio.to_thread(client.append, "Inbox", message(1))
    times = sorted(await asyncio.gather(*(idler.heard for idler in idlers if idler.heard is not None)))
    first, last = (1000 * (times[at] - started) for at in (0, -1))
    print(f"a new message is told after {first:.0f} ms to the first, after {last:.0f} ms to the last of them")
    for idler in idlers:
        idler.transport.close()
    client.close()
    return each


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benches.idle", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    count = parser.parse_args().connections
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = peers.start_ours()
    try:
        each = asyncio.run(measure(server, count))
    finally:
        server.stop()
    return int(each > TARGET_KB)


if __name__ == "__main__":
    sys.exit(main())
