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
            tail = (tail + data)[-512:]
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
