"""A mail server whose every answer a test can choose."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mox.net.conn import Connection
from mox.net.tls import ServerTls, TlsFailure
from tests.net.loopback import TIMEOUT_S, listening


@dataclass
class Transaction:
    """What was accepted."""

    mail: str
    recipients: list[str] = field(default_factory=list)
    content: bytes = b""


# What to answer a line with: text with CRLF added, or None for the usual; "close" closes, "hang" says nothing.
Answer = Callable[[str], str | None]


class Peer:
    """Lines of a connection."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self._buffer = bytearray()

    async def line(self) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            data = await self.conn.read(TIMEOUT_S)
            if not data:
                raise EOFError
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r").decode()

    async def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = await self.conn.read(TIMEOUT_S)
            if not data:
                raise EOFError
            self._buffer += data
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def content(self) -> bytes:
        lines = []
        while (line := await self.line()) != ".":
            lines.append(line.removeprefix(".").encode() + b"\r\n")
        return b"".join(lines)

    def send(self, text: str) -> None:
        self.conn.write(text.encode() + b"\r\n")

    def take_rest(self) -> bytes:
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


class FakeMx:
    """`extensions` are announced before STARTTLS, `tls_extensions` after; `answers` choose replies by verb
    (lower case; `final` is after the content, `greeting` first)."""

    def __init__(
        self,
        extensions: Sequence[str] = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"),
        tls: ServerTls | None = None,
        tls_extensions: Sequence[str] | None = None,
        immediate: bool = False,
        **answers: Answer | str,
    ) -> None:
        self.extensions = list(extensions) + (["STARTTLS"] if tls is not None and not immediate else [])
        self.tls_extensions = list(extensions) if tls_extensions is None else list(tls_extensions)
        self.tls, self.immediate = tls, immediate
        self.answers = answers
        self.connections = 0
        self.lines: list[str] = []
        self.transactions: list[Transaction] = []
        self.unended: list[bytes] = []
        self.tls_failures: list[str] = []
        self.server_names: list[str] = []

    def _answer(self, verb: str, line: str, usual: str) -> str:
        chosen = self.answers.get(verb)
        if callable(chosen):
            chosen = chosen(line)
        return usual if chosen is None else chosen

    async def handle(self, conn: Connection) -> None:
        self.connections += 1
        peer = Peer(conn)
        try:
            if self.immediate:
                await self._handshake(peer)
            await self._session(peer)
        except EOFError:
            return

    async def _handshake(self, peer: Peer) -> None:
        assert self.tls is not None
        try:
            await peer.conn.start_tls(self.tls, unread=peer.take_rest())
        except TlsFailure as err:
            self.tls_failures.append(err.kind)
            raise
        assert peer.conn.tls is not None
        self.server_names.append(peer.conn.tls.server_name)

    async def _session(self, peer: Peer) -> None:
        if not self._reply(peer, "greeting", "", "220 mx.test ESMTP"):
            return
        current: Transaction | None = None
        while True:
            line = await peer.line()
            self.lines.append(line)
            verb = line.partition(" ")[0].lower()
            match verb:
                case "ehlo":
                    names = self.tls_extensions if peer.conn.tls is not None else self.extensions
                    lines = ["mx.test", *names]
                    usual = "\r\n".join(f"250{'-' if n + 1 < len(lines) else ' '}{x}" for n, x in enumerate(lines))
                    go_on = self._reply(peer, verb, line, usual)
                case "starttls":
                    go_on = self._reply(peer, verb, line, "220 go")
                    if go_on and self._answer(verb, line, "220").startswith("220"):
                        if self.tls is None:
                            return
                        await self._handshake(peer)
                case "mail":
                    answer = self._answer(verb, line, "250 2.1.0 ok")
                    current = Transaction(line) if answer.startswith("250") else None
                    go_on = self._reply(peer, verb, line, "250 2.1.0 ok", answer)
                case "rcpt" | "data" | "bdat" if current is None:
                    go_on = self._reply(peer, "", line, "503 5.5.1 no sender")
                case "rcpt":
                    assert current is not None
                    answer = self._answer(verb, line, "250 2.1.5 ok")
                    if answer.startswith("25"):
                        found = re.search("<([^>]*)>", line)
                        assert found is not None
                        current.recipients.append(found[1])
                    go_on = self._reply(peer, verb, line, "250 2.1.5 ok", answer)
                case "data":
                    assert current is not None
                    answer = self._answer(verb, line, "354 go" if current.recipients else "503 5.5.1 no recipients")
                    go_on = self._reply(peer, verb, line, "354 go", answer)
                    if answer.startswith("354"):
                        current.content = await peer.content()
                        go_on = self._end(peer, current)
                case "bdat":
                    assert current is not None
                    words = line.split()
                    current.content += await peer.exactly(int(words[1]))
                    go_on = self._end(peer, current) if words[-1] == "LAST" else self._reply(peer, verb, line, "250 ok")
                case "quit":
                    self._reply(peer, verb, line, "221 bye")
                    return
                case _:
                    go_on = self._reply(peer, verb, line, "250 ok")
            if not go_on:
                return

    def _end(self, peer: Peer, current: Transaction) -> bool:
        answer = self._answer(
            "final", "", "250 2.0.0 queued" if current.recipients else "554 5.5.1 no valid recipients"
        )
        if answer.startswith("250"):
            self.transactions.append(current)
        return self._reply(peer, "final", "", "250 2.0.0 queued", answer)

    def _reply(self, peer: Peer, verb: str, line: str, usual: str, answer: str | None = None) -> bool:
        """False to end the connection; `…; close` says something first."""
        text = self._answer(verb, line, usual) if answer is None else answer
        if text == "hang":
            return True
        text, semicolon, _last = text.partition("; ")
        if text != "close":
            peer.send(text)
        return text != "close" and not semicolon

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """The port that it listens on."""
        async with listening(self.handle) as port:
            yield port
