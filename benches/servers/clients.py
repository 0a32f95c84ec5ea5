"""Raw-socket clients. They do the least work possible, so that what is measured is the server."""

import asyncio
import socket
import time


def message(number: int, size: int = 2048) -> bytes:
    """A plain message with CRLF line ends; `number` makes it unique."""
    head = (
        f"From: Alice Example <alice@example.org>\r\nTo: Bob <mox@localhost>\r\n"
        f"Subject: bench message {number}\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
        f"Message-ID: <bench-{number}-{time.time_ns()}@example.org>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    ).encode()
    line = b"The quick brown fox jumps over the lazy dog and runs away %06d.\r\n" % number
    return head + line * max(1, (size - len(head)) // len(line))


class Imap:
    """A blocking IMAP connection that counts bytes and parses nothing but the tagged result."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self._sock = socket.create_connection((host, port), timeout=120)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._number = 0
        self._sock.recv(65536)
        self.command(f'LOGIN {user} "{password}"')

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def tag(self) -> str:
        self._number += 1
        return f"b{self._number}"

    def wait(self, tag: str) -> bytes:
        """Read up to the tagged result of `tag`. Raises RuntimeError when it is not OK."""
        chunks: list[bytes] = []
        tail = b""
        mark = b"\r\n" + tag.encode() + b" "
        while True:
            data = self._sock.recv(1 << 18)
            if not data:
                raise RuntimeError("connection closed by the server")
            chunks.append(data)
            tail = (tail + data)[-4096:]
            at = ((b"\r\n" if len(chunks) == 1 else b"") + tail).rfind(mark)
            if at >= 0 and tail.endswith(b"\r\n"):
                break
        answer = b"".join(chunks)
        last = answer.rstrip(b"\r\n").rsplit(b"\r\n", 1)[-1]
        if not last.startswith(tag.encode() + b" OK"):
            raise RuntimeError(f"unexpected answer: {last[:200]!r}")
        return answer

    def command(self, text: str) -> bytes:
        tag = self.tag()
        self.send(f"{tag} {text}\r\n".encode())
        return self.wait(tag)

    def append(self, mailbox: str, data: bytes) -> None:
        tag = self.tag()
        self.send(f"{tag} APPEND {mailbox} {{{len(data)}+}}\r\n".encode() + data + b"\r\n")
        self.wait(tag)

    def append_pipelined(self, mailbox: str, messages: list[bytes]) -> None:
        tags = [self.tag() for _ in messages]
        wire = [
            f"{tag} APPEND {mailbox} {{{len(data)}+}}\r\n".encode() + data + b"\r\n"
            for tag, data in zip(tags, messages, strict=True)
        ]
        for start in range(0, len(wire), 50):
            self.send(b"".join(wire[start : start + 50]))
            self.wait(tags[min(start + 50, len(tags)) - 1])

    def multiappend(self, mailbox: str, messages: list[bytes]) -> None:
        tag = self.tag()
        parts = [f"{tag} APPEND {mailbox}".encode()]
        parts += [b" {%d+}\r\n%s" % (len(data), data) for data in messages]
        self.send(b"".join(parts) + b"\r\n")
        self.wait(tag)

    def close(self) -> None:
        self._sock.close()


async def _answers(reader: asyncio.StreamReader, count: int) -> None:
    for _ in range(count):
        while True:
            line = await asyncio.wait_for(reader.readline(), 120)
            if line[:1] not in b"23":
                raise RuntimeError(f"server said {line!r}")
            if line[3:4] != b"-":
                break


async def _deliver(host: str, port: int, hello: str, recipient: str, messages: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        await _answers(reader, 1)
        writer.write(f"{hello} bench.example\r\n".encode())
        await _answers(reader, 1)
        for data in messages:
            writer.write(f"MAIL FROM:<alice@example.org>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
            await _answers(reader, 3)
            writer.write(data + b".\r\n")
            await _answers(reader, 1)
        writer.write(b"QUIT\r\n")
    finally:
        writer.close()


def deliver(host: str, port: int, hello: str, recipient: str, connections: int, messages: list[bytes]) -> float:
    """Send `messages` over SMTP (`hello` EHLO) or LMTP (LHLO) on parallel connections; seconds it took."""

    async def run() -> float:
        started = time.perf_counter()
        await asyncio.gather(
            *(_deliver(host, port, hello, recipient, messages[i::connections]) for i in range(connections))
        )
        return time.perf_counter() - started

    return asyncio.run(run())


async def _imap(host: str, port: int, user: str, password: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(host, port)
    await _line(reader, b"* ")
    await _ask(reader, writer, f'LOGIN {user} "{password}"')
    return reader, writer


async def _line(reader: asyncio.StreamReader, start: bytes) -> bytes:
    """Read up to a line that begins with `start`. Raises RuntimeError at the end of the stream."""
    while True:
        line = await asyncio.wait_for(reader.readline(), 60)
        if line.startswith(start):
            return line
        if not line:
            raise RuntimeError(f"connection closed while waiting for {start!r}")


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, command: str) -> None:
    writer.write(f"x {command}\r\n".encode())
    line = await _line(reader, b"x ")
    if not line.startswith(b"x OK"):
        raise RuntimeError(f"unexpected answer: {line!r}")


async def logins(host: str, port: int, user: str, password: str, count: int) -> float:
    """Connect and log in `count` times at once; seconds until all are in."""
    started = time.perf_counter()
    connections = await asyncio.gather(*(_imap(host, port, user, password) for _ in range(count)))
    seconds = time.perf_counter() - started
    for _, writer in connections:
        writer.close()
    return seconds


async def idle_latencies(host: str, port: int, user: str, password: str, sessions: int, changes: int) -> list[float]:
    """Seconds between the moment a flag change of `bench` is sent and each of `sessions` in IDLE hearing of it."""
    watchers = await asyncio.gather(*(_imap(host, port, user, password) for _ in range(sessions)))
    for reader, writer in watchers:
        await _ask(reader, writer, "SELECT bench")
        writer.write(b"x IDLE\r\n")
        await _line(reader, b"+")
    reader, writer = await _imap(host, port, user, password)
    await _ask(reader, writer, "SELECT bench")
    found: list[float] = []

    async def hear(source: asyncio.StreamReader, started: float) -> None:
        await _line(source, b"* 1 FETCH")
        found.append(time.perf_counter() - started)

    for number in range(changes):
        started = time.perf_counter()
        listening = [asyncio.ensure_future(hear(source, started)) for source, _ in watchers]
        sign = "-" if number % 2 else "+"
        await _ask(reader, writer, f"STORE 1 {sign}FLAGS.SILENT (\\Answered)")
        await asyncio.gather(*listening)
    for _, other in (*watchers, (reader, writer)):
        other.close()
    return found
