"""Webapi: Send requests a second, and how long they take.

    python -m benches.webapi [--connections 20] [--seconds 5] [--url URL --user USER --password PASSWORD]

Without a URL, against a localserve of its own: once where the queue only takes messages, once where it also delivers.
Numbers are comparable within one run on one machine only.
"""

import argparse
import asyncio
import base64
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from tests.server_process import PASSWORD, USER, MoxProcess

WARM_UP_S = 0.5


def request(url: str, user: str, password: str, message: dict[str, object]) -> bytes:
    """A request as it goes over the wire."""
    parts = urlsplit(url)
    body = urlencode({"request": json.dumps(message)}).encode()
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    head = (
        f"POST {parts.path}v0/Send HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Basic {credentials}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def again(data: bytes, until: float) -> Iterator[bytes]:
    """The same request until a time."""
    while time.perf_counter() < until:
        yield data


async def one_connection(url: str, requests: Iterable[bytes], took: list[float]) -> None:
    """Request after request on a kept connection."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    for data in requests:
        started = time.perf_counter()
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(size[1]) if size else 0)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not sent: {head!r} {body!r}")
        took.append(time.perf_counter() - started)
    writer.close()


async def measure(url: str, data: bytes, connections: int, seconds: float) -> tuple[float, list[float]]:
    """(requests a second, seconds each took, ascending)"""
    took: list[float] = []
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(one_connection(url, again(data, started + seconds), took))
    return len(took) / (time.perf_counter() - started), sorted(took)


def cpu_seconds(server: MoxProcess) -> float:
    """What a server has used so far."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def own_server() -> Iterator[MoxProcess]:
    """A localserve without limits on sending."""
    with tempfile.TemporaryDirectory() as folder:
        server = MoxProcess(Path(folder) / "mox")
        server.init()
        path = server.folder / "domains.conf"
        limits = "\t\tMaxOutgoingMessagesPerDay: 100000000\n\t\tMaxFirstTimeRecipientsPerDay: 100000000\n"
        path.write_text(path.read_text().replace("\tmox:\n", "\tmox:\n" + limits))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def report(name: str, rate: float, took: list[float], cpu: float | None = None) -> None:
    """One line; `cpu` are the seconds that the server used."""
    at = {p: took[min(len(took) - 1, len(took) * p // 100)] * 1000 for p in (50, 99)}
    used = f"   {cpu / len(took) * 1000:5.2f} ms CPU a request" if cpu is not None else ""
    print(f"{name:28} {rate:7.0f}/s   median {at[50]:6.1f} ms   p99 {at[99]:6.1f} ms   ({len(took)} requests){used}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--url")
    parser.add_argument("--user", default=USER)
    parser.add_argument("--password", default=PASSWORD)
    options = parser.parse_args()
    message: dict[str, object] = {
        "To": [{"Name": "Ann", "Address": "ann@remote.example"}],
        "Subject": "Invoice",
        "Text": "See the attached invoice.\n" * 20,
        "HTML": "<p>See the attached invoice.</p>\n" * 20,
    }
    later = {"FutureRelease": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    for name, more in (("Send, queued", later), ("Send, queued and delivered", {})):
        if options.url:
            data = request(options.url, options.user, options.password, {**message, **more})
            report(name, *asyncio.run(measure(options.url, data, options.connections, options.seconds)))
            continue
        with own_server() as server:
            url = f"http://127.0.0.1:{server.ports['http']}/webapi/"
            data = request(url, options.user, options.password, {**message, **more})
            asyncio.run(measure(url, data, 1, WARM_UP_S))
            before = cpu_seconds(server)
            rate, took = asyncio.run(measure(url, data, options.connections, options.seconds))
            report(name, rate, took, cpu_seconds(server) - before)


if __name__ == "__main__":
    main()
