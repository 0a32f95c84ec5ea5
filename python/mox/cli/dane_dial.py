"""dane dial, dane dialmx: connections that DANE verifies, with standard input and output at this end."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError

from mox.cli.command import Command, CommandError, Flag, Invocation
from mox.dns.names import DomainError, parse_domain
from mox.dns.resolver import Resolver
from mox.dns.system import SystemResolver
from mox.net.conn import Connection
from mox.outbound import danedial
from mox.outbound.danedial import DaneError

USAGES = {"pkix-ta": 0, "pkix-ee": 1, "dane-ta": 2, "dane-ee": 3}
IDLE_S = 3600.0
STALL_S = 60.0
_PIECE = 64 << 10


async def relay(conn: Connection, source: int, sink: int) -> None:
    """Copy between a connection and two file descriptors until either side ends."""
    tasks = [asyncio.ensure_future(_to_sink(conn, sink)), asyncio.ensure_future(_from_source(conn, source))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await conn.close()


async def _to_sink(conn: Connection, sink: int) -> None:
    while data := await conn.read(IDLE_S):
        await asyncio.to_thread(_write_all, sink, data)


def _write_all(sink: int, data: bytes) -> None:
    with open(sink, "wb", closefd=False) as file:
        file.write(data)


async def _from_source(conn: Connection, source: int) -> None:
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue(1)

    def read() -> None:
        data = b"?"
        # The loop may have ended meanwhile: then nobody wants more.
        with contextlib.suppress(RuntimeError, CancelledError):
            while data:
                data = os.read(source, _PIECE)
                asyncio.run_coroutine_threadsafe(pieces.put(data), loop).result()

    # Nothing can interrupt a read of a terminal: the thread must not keep the program from ending.
    threading.Thread(target=read, daemon=True).start()
    while data := await pieces.get():
        conn.write(data)
        await conn.drain(STALL_S)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _domain(text: str) -> str:
    try:
        return parse_domain(text, lax=True).ascii
    except DomainError as err:
        raise CommandError(f"{text!r} is not a domain: {err}") from err


def _dial(invocation: Invocation) -> None:
    host, colon, port = invocation.argument(0).rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise CommandError(f"{invocation.argument(0)!r} is not host:port")
    names = [name.strip().lower() for name in invocation.text("usages").split(",")]
    unknown = [name for name in names if name not in USAGES]
    if unknown:
        raise CommandError(f"unknown usage {unknown[0]!r}; known are {', '.join(USAGES)}")

    async def run(resolver: Resolver) -> None:
        conn, record = await danedial.dial(resolver, _domain(host), int(port), {USAGES[name] for name in names})
        _tell(f"(connected, verified with {record})")
        await relay(conn, sys.stdin.fileno(), sys.stdout.fileno())

    _run(run(SystemResolver()))


def _dial_mx(invocation: Invocation) -> None:
    domain, host = _domain(invocation.argument(0)), invocation.argument(1)

    async def run(resolver: Resolver) -> None:
        hostname = invocation.text("ehlohostname")
        conn = await danedial.dial_mx(resolver, domain, _domain(host) if host else "", hostname, _tell)
        await relay(conn, sys.stdin.fileno(), sys.stdout.fileno())

    _run(run(SystemResolver()))


def _run(work: Coroutine[None, None, None]) -> None:
    try:
        asyncio.run(work)
    except (DaneError, OSError, TimeoutError) as err:
        raise CommandError(f"dialing: {err or type(err).__name__}") from err


COMMANDS = [
    Command(
        ("dane", "dial"),
        _dial,
        """Connect with TLS, verified by the TLSA records of the host, and pass standard input and output through.

DNS must be signed: this needs a resolver that verifies DNSSEC, on this machine or trusted (`options trust-ad`).

Example: mox dane dial mail.example.org:465
""",
        "[-usages list] $host:$port",
        1,
        1,
        (Flag("usages", "which kinds of records may verify", ",".join(USAGES), "list"),),
    ),
    Command(
        ("dane", "dialmx"),
        _dial_mx,
        """Connect to the mail server of a domain as the queue does, with STARTTLS verified by DANE.

Tells of each step on standard error; then passes standard input and output through, at the point after EHLO. With a
host, only that is tried, whatever the MX records say.

Example: mox dane dialmx example.org
""",
        "[-ehlohostname h] $domain [$desthost]",
        1,
        2,
        (Flag("ehlohostname", "our name in EHLO", "localhost", "hostname"),),
    ),
]
