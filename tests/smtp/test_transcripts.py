"""Every transcript against the core at once, byte by byte, and over a socket."""

import asyncio
import os
import re
import socket
from pathlib import Path

import pytest

from mox.net.conn import Connection, serve
from mox.smtp.shell import Shell, Times
from tests.smtp.scripted import FOLDER, ScriptedHandler, Step, Transcript, load, session

# Must-hold lines that a transcript shows.
HOLDS = {
    "first-command": "smtp-in-0e8b95",
    "smuggling": "smtp-in-e25a1a",
    "eof-in-data": "smtp-in-af81c4",
    "mail-parameters": "smtp-in-a0396e",
    "future-release": "smtp-in-102e54",
    "submission": "smtp-in-640073",
}
FILES = [
    pytest.param(p, id=p.stem, marks=[pytest.mark.holds(HOLDS[p.stem])] if p.stem in HOLDS else [])
    for p in sorted(FOLDER.glob("*.txt"))
]
PLAIN = [p for p in FILES if not load(Path(str(p.values[0]))).has_tls]
NO_DELAYS = Times(drip=0, failed_auth=0, read=5, read_slow=5, read_data=5)


class FakeConnection:
    """As much of a Connection as the shell uses, fed by a transcript."""

    cid = 1
    remote = ("10.0.0.1", 1)
    local = ("127.0.0.1", 25)

    def __init__(self, transcript: Transcript, piece: int) -> None:
        self._steps = transcript.steps
        self._piece = piece
        self._at = 0
        self._pending = b""
        self.output = b""

    def write(self, data: bytes) -> None:
        self.output += data

    async def drain(self, timeout_s: float) -> None:
        return

    async def start_tls(self, tls: object, unread: bytes = b"") -> None:
        assert unread == b""
        while self._steps[self._at].kind == "expect":
            self._at += 1
        assert self._steps[self._at].kind == "tls"
        self._at += 1

    async def read(self, timeout_s: float) -> bytes:
        if not self._pending:
            self._pending = self._more()
        data, self._pending = self._pending[: self._piece], self._pending[self._piece :]
        return data

    def _more(self) -> bytes:
        data = b""
        while self._at < len(self._steps) and self._steps[self._at].kind != "tls":
            step = self._steps[self._at]
            self._at += 1
            if step.kind == "eof":
                break
            if step.kind == "send":
                data += step.data
                if re.match("STARTTLS", step.text, re.IGNORECASE):
                    break
        return data


def compare(transcript: Transcript, output: bytes, path: Path) -> None:
    expected = [s for s in transcript.steps if s.kind == "expect"]
    got = output.decode().removesuffix("\r\n").split("\r\n")
    for number, step in enumerate(expected):
        assert number < len(got), f"{path.name}:{step.line}: no reply, expected {step.text!r}"
        _match(step, got[number], path)
    assert len(got) == len(expected), f"{path.name}: not expected: {got[len(expected) :]}"


def _match(step: Step, line: str, path: Path) -> None:
    pattern = ".*".join(re.escape(piece) for piece in step.text.split("…"))
    assert re.fullmatch(pattern, line), f"{path.name}:{step.line}: got {line!r}, expected {step.text!r}"


@pytest.mark.parametrize("piece", [1 << 20, 1], ids=["whole", "bytes"])
@pytest.mark.parametrize("path", FILES)
async def test_core(path: Path, piece: int, tmp_path: Path) -> None:
    transcript = load(path)
    conn = FakeConnection(transcript, piece)
    handler = ScriptedHandler(str(tmp_path))
    shell = Shell(conn, session(transcript.options), handler, asyncio.Event(), object(), NO_DELAYS)  # type: ignore[arg-type]
    await shell.run()
    compare(transcript, conn.output, path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", PLAIN)
async def test_socket(path: Path, tmp_path: Path) -> None:
    transcript = load(path)
    handler = ScriptedHandler(str(tmp_path))

    async def run(conn: Connection) -> None:
        await Shell(conn, session(transcript.options), handler, asyncio.Event(), None, NO_DELAYS).run()

    sock = socket.create_server(("127.0.0.1", 0))
    listener = await serve(sock, run)
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    output = b""
    for step in transcript.steps:
        if step.kind == "send":
            writer.write(step.data)
        elif step.kind == "expect":
            line = await reader.readline()
            _match(step, line.decode().removesuffix("\r\n"), path)
            output += line
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    listener.close()
    await listener.wait_closed(5)
    compare(transcript, output, path)


async def test_idle_clients_are_told_of_a_shutdown(tmp_path: Path) -> None:
    stopping = asyncio.Event()

    async def run(conn: Connection) -> None:
        await Shell(conn, session({}), ScriptedHandler(str(tmp_path)), stopping, None, NO_DELAYS).run()

    sock = socket.create_server(("127.0.0.1", 0))
    listener = await serve(sock, run)
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    assert (await reader.readline()).startswith(b"220 ")
    stopping.set()
    assert await reader.read() == b"421 4.3.2 shutting down\r\n"
    writer.close()
    listener.close()
    await listener.wait_closed(5)


async def test_silent_clients_are_timed_out(tmp_path: Path) -> None:
    class Silent(FakeConnection):
        async def read(self, timeout_s: float) -> bytes:
            raise TimeoutError

    conn = Silent(Transcript({}, []), 1)
    shell = Shell(conn, session({}), ScriptedHandler(str(tmp_path)), asyncio.Event(), None, NO_DELAYS)  # type: ignore[arg-type]
    await shell.run()
    assert conn.output.endswith(b"421 4.4.2 timed out\r\n")


async def test_slow_clients_get_replies_byte_by_byte(tmp_path: Path) -> None:
    transcript = load(FOLDER / "helo.txt")
    conn = FakeConnection(transcript, 1 << 20)
    pieces: list[bytes] = []
    conn.write = pieces.append  # type: ignore[method-assign]
    slow = session(transcript.options)
    slow.is_slow = True
    times = Times(drip=0.00001, write=0.05, drip_margin=0.03)
    await Shell(conn, slow, ScriptedHandler(str(tmp_path)), asyncio.Event(), None, times).run()  # type: ignore[arg-type]
    assert pieces[:4] == [b"2", b"2", b"0", b" "]
    assert len(max(pieces, key=len)) > 1, "the rest comes at once before the time-out"
    compare(transcript, b"".join(pieces), FOLDER / "helo.txt")
