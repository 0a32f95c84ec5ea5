"""Mail that goes out of the queue: messages a second to smtp-sink next to smtp-source straight into it, delivery here
through the queue next to direct delivery, the time from submission to the sink, and what scheduling costs when much is
queued.

    python -m benches.outgoing [--count 2000] [--only sink,local,latency,scheduling]

Needs Postfix's smtp-sink and smtp-source. Figures are comparable within one run on one machine only.
"""

import argparse
import asyncio
import os
import random
import smtplib
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
from tests.server_process import PASSWORD, USER, MoxProcess, free_ports

from benches.servers.clients import deliver, message
from benches.servers.peers import Server, start_smtp_sink
from benches.webapi import cpu_seconds, one_connection, request
from mox._rust import stage_bytes
from mox.config.localserve import ensure
from mox.net.bus import LocalBus
from mox.outbound.backoff import Schedule
from mox.outbound.claims import Claimer
from mox.outbound.outcomes import Outcome, finish
from mox.outbound.queue import Queue
from mox.outbound.records import NewMessage
from mox.outbound.surroundings import ConfigSurroundings
from mox.server import control
from mox.smtp.address import parse_mailbox
from mox.store.engine import Tx

CONNECTIONS = 20
# A recipient domain has at most five transactions at a time.
DOMAINS = 4
SIZE = 2048


@contextmanager
def server(sink_port: int) -> Iterator[MoxProcess]:
    """A localserve that sends mail for the domains of the sink there, and has no limits on sending."""
    with tempfile.TemporaryDirectory() as folder:
        mox = MoxProcess(Path(folder) / "mox")
        mox.init()
        path = mox.folder / "domains.conf"
        limits = "\t\tMaxOutgoingMessagesPerDay: 100000000\n\t\tMaxFirstTimeRecipientsPerDay: 100000000\n"
        text = path.read_text().replace("\tmox:\n", "\tmox:\n" + limits)
        path.write_text(text + "Routes:\n\t-\n\t\tToDomain:\n\t\t\t- .sink.example\n\t\tTransport: sink\n")
        path = mox.folder / "mox.conf"
        relay = f"Host: localhost\n\t\t\tPort: {sink_port}\n\t\t\tNoSTARTTLS: true\n"
        path.write_text(path.read_text() + f"Transports:\n\tsink:\n\t\tSMTP:\n\t\t\t{relay}")
        mox.start()
        try:
            yield mox
        finally:
            mox.stop()


def waiting(mox: MoxProcess) -> int:
    """Messages in the queue."""
    connection = apsw.Connection(str(mox.folder / "queue" / "index.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(next(connection.execute("SELECT count(*) FROM queued"))[0])
    finally:
        connection.close()


def fill(mox: MoxProcess, recipients: list[str]) -> None:
    """Queue a message for each recipient, on hold."""
    control.call(mox.folder, "queueholdrulesadd", "", "", "")
    url = f"http://127.0.0.1:{mox.ports['http']}/webapi/"

    def body(recipient: str) -> bytes:
        text = ("word " * 9 + "\n") * (SIZE // 46)
        return request(url, USER, PASSWORD, {"To": [{"Address": recipient}], "Subject": "Invoice", "Text": text})

    async def run() -> None:
        shares = (recipients[i::CONNECTIONS] for i in range(CONNECTIONS))
        await asyncio.gather(*(one_connection(url, map(body, share), []) for share in shares))

    asyncio.run(run())
    control.call(mox.folder, "queueholdrulesremove", "1")


def drain(mox: MoxProcess) -> tuple[float, float]:
    """Release everything; (seconds until the queue is empty, CPU seconds of the server)."""
    cpu, started = cpu_seconds(mox), time.perf_counter()
    control.call(mox.folder, "queueholdset", "{}", "false")
    while waiting(mox):
        time.sleep(0.005)
    return time.perf_counter() - started, cpu_seconds(mox) - cpu


def straight(port: int, count: int) -> float:
    """Messages a second of smtp-source."""
    started = time.perf_counter()
    subprocess.run(
        ["smtp-source", "-d", "-s", str(CONNECTIONS), "-m", str(count), "-l", str(SIZE), f"127.0.0.1:{port}"],
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
    )
    return count / (time.perf_counter() - started)


def measure_sink(count: int) -> None:
    """To smtp-sink over 20 connections."""
    sink = _sink()
    assert sink.delivery is not None
    port = sink.delivery[0]
    try:
        with server(port) as mox:
            fill(mox, [f"u{n}@d{n % DOMAINS}.sink.example" for n in range(count)])
            before = straight(port, count)
            seconds, cpu = drain(mox)
            after = straight(port, count)
    finally:
        sink.stop()
    print(f"queue to smtp-sink           {count / seconds:7.0f}/s   {cpu / count * 1000:5.2f} ms CPU a message")
    print(f"smtp-source to smtp-sink     {before:7.0f}/s   {after:7.0f}/s afterwards")


def measure_local(count: int) -> None:
    """To an account here: through the queue, and straight over SMTP."""
    with server(free_ports(1)[0]) as mox:
        fill(mox, [USER] * count)
        seconds, cpu = drain(mox)
        letters = [message(n, SIZE) for n in range(count)]
        before = cpu_seconds(mox)
        direct = deliver("127.0.0.1", mox.ports["smtp"], "EHLO", USER, CONNECTIONS, letters)
        direct_cpu = cpu_seconds(mox) - before
    print(
        f"local delivery from queue    {count / seconds:7.0f}/s   {cpu / count * 1000:5.2f} ms CPU a message   "
        f"{direct / seconds:.2f} of direct delivery"
    )
    print(f"direct delivery over SMTP    {count / direct:7.0f}/s   {direct_cpu / count * 1000:5.2f} ms CPU a message")


class _Watch:
    """A server that notes when messages came."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[float] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 watch\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            writer.write(b"354 go\r\n" if verb == b"DATA" else b"250 ok\r\n")
            if verb == b"DATA":
                await reader.readuntil(b"\r\n.\r\n")
                self.came.put_nowait(time.perf_counter())
                writer.write(b"250 taken\r\n")
            if verb == b"QUIT":
                break
        writer.close()


def measure_latency(count: int) -> None:
    """From submission accepted to handed over, with an idle queue."""
    watch = _Watch()

    async def run(mox: MoxProcess, sock: socket.socket) -> list[float]:
        listener = await asyncio.start_server(watch.serve, sock=sock, limit=1 << 20)
        took = []
        client = await asyncio.to_thread(smtplib.SMTP, "127.0.0.1", mox.ports["submission"])
        await asyncio.to_thread(client.login, USER, PASSWORD)
        for number in range(count):
            letter = f"From: <{USER}>\r\nTo: <a@d.sink.example>\r\nSubject: n{number}\r\n\r\nhello\r\n"
            await asyncio.to_thread(client.sendmail, USER, ["a@d.sink.example"], letter)
            accepted = time.perf_counter()
            took.append(await watch.came.get() - accepted)
            await asyncio.sleep(0.02)
        await asyncio.to_thread(client.quit)
        listener.close()
        return sorted(took)

    with socket.create_server(("127.0.0.1", 0)) as sock, server(sock.getsockname()[1]) as mox:
        took = asyncio.run(run(mox, sock))
    worst = took[min(len(took) - 1, len(took) * 99 // 100)]
    print(f"submission to the sink        median {statistics.median(took) * 1000:6.1f} ms   p99 {worst * 1000:6.1f} ms")


async def _scheduling(count: int, domains: int) -> float:
    """CPU seconds of the thread that claims and finishes one message with `count` others queued."""
    with tempfile.TemporaryDirectory() as folder:
        surroundings = ConfigSurroundings(ensure(Path(folder) / "config", "127.0.0.1"))
        queue = Queue(Path(folder), LocalBus(), surroundings)
        staged = stage_bytes(b"Subject: x\r\n\r\nx\r\n")
        sender = parse_mailbox("mox@localhost")
        for start in range(0, count, 1000):
            new = [
                NewMessage(sender, parse_mailbox(f"u{n}@d{n % domains}.example"), b"%d" % n)
                for n in range(start, min(count, start + 1000))
            ]
            await queue.add("mox", staged, new)
        claimer = Claimer("bench/1/x", surroundings, Schedule(), lambda _domain: 5, random.Random(1))

        def work(tx: Tx) -> float:
            started = time.thread_time()
            for claim in claimer.claim(tx, 20):
                for queued in claim.messages:
                    finish(tx, surroundings, queued, Outcome(True, code=250))
            return (time.thread_time() - started) / 20

        took = [await queue.record(work) for _ in range(15)]
        await queue.close()
    return statistics.median(took)


def measure_scheduling(count: int) -> None:
    """Claiming and finishing, with few and with very many messages queued."""
    for name, domains in (("many domains", 10_000), ("few domains", 20)):
        small, large = (asyncio.run(_scheduling(n, min(n, domains))) for n in (1000, max(count, 100_000)))
        print(
            f"scheduling, {name:13}     {small * 1000:6.2f} ms a message with 1,000 queued   "
            f"{large * 1000:6.2f} ms with {max(count, 100_000):,}   {large / small:.2f} times"
        )


def _sink() -> Server:
    sink = start_smtp_sink()
    if sink is None:
        raise SystemExit("smtp-sink is not installed: it is part of Postfix (make peers)")
    return sink


ROWS: dict[str, Callable[[int], None]] = {
    "sink": measure_sink,
    "local": measure_local,
    "latency": lambda count: measure_latency(min(count, 100)),
    "scheduling": measure_scheduling,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--only", default=",".join(ROWS))
    options = parser.parse_args()
    for name in options.only.split(","):
        ROWS[name](options.count)


if __name__ == "__main__":
    main()
