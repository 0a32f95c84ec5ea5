"""Dialogs with the server as text files.

`C: line` sends a line, `S: pattern` expects exactly this response next, `S* pattern` skips responses up to one that
matches. `…` in a pattern stands for anything, `⏎` for CRLF (in literals), `␊` for LF. In what is sent, `⟦text⟧` is a
literal with its size. A number behind the letter names a session: `C2:`, `S2:`, `S2*`. Sessions begin logged in as
the first account; `@2 user` names another one, `@2` an anonymous connection. `S: <closed>` expects the end of the
connection. `= command` runs `C:` and expects OK, whatever else comes. `@append [session] mailbox` appends a standard
message. Lines that begin with `#` are comments.
"""

import asyncio
import re
from dataclasses import dataclass

from tests.imap.harness import MESSAGE, PASSWORD, USER, Server

TIMEOUT_S = 10
_LITERAL = re.compile(rb"~?\{(\d+)\}\r\n$")


@dataclass
class Step:
    number: int
    kind: str
    session: str
    text: str


def parse(text: str) -> list[Step]:
    """The steps of a file."""
    steps = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("@"):
            steps.append(Step(number, "@", "", line[1:]))
        elif line.startswith("= "):
            steps.append(Step(number, "=", "", line[2:]))
        else:
            found = re.fullmatch(r"([CS])(\d*)([:*])(?: (.*))?", line)
            assert found, f"line {number}: {line!r}"
            kind = found[1] + ("*" if found[3] == "*" else "")
            steps.append(Step(number, kind, found[2], found[4] or ""))
    return steps


def wire(text: str) -> bytes:
    text = text.replace("⏎", "\r\n").replace("␊", "\n")
    return re.sub("⟦(.*?)⟧", lambda m: f"{{{len(m[1].encode())}+}}\r\n{m[1]}", text, flags=re.S).encode()


def pattern(text: str) -> re.Pattern[bytes]:
    return re.compile(b".*?".join(re.escape(wire(piece)) for piece in text.split("…")), re.S)


class Wire:
    """A raw connection that reads whole responses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def response(self) -> bytes:
        """With literals in place; b"" at the end of the stream."""
        data = b""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                line = await self.reader.readline()
                data += line
                literal = _LITERAL.search(line)
                if literal is None:
                    return data.removesuffix(b"\r\n")
                data += await self.reader.readexactly(int(literal[1]))

    def send(self, data: bytes) -> None:
        self.writer.write(data)


class Player:
    """Runs a dialog."""

    def __init__(self, server: Server, name: str) -> None:
        self._server, self._name = server, name
        self._wires: dict[str, Wire] = {}
        self._tags = 0
        self._users: dict[str, str | None] = {}

    async def wire(self, session: str) -> Wire:
        if session not in self._wires:
            user = self._users.get(session, USER)
            found = Wire(*await asyncio.open_connection("127.0.0.1", self._server.port, limit=1 << 24))
            self._wires[session] = found
            if user is not None:
                assert (await found.response()).startswith(b"* OK")
                login = PASSWORD.encode()
                found.send(b"login LOGIN %s {%d+}\r\n%s\r\n" % (user.encode(), len(login), login))
                answer = await found.response()
                assert answer.startswith(b"login OK"), answer
        return self._wires[session]

    async def play(self, text: str) -> None:
        try:
            for step in parse(text):
                await self._step(step)
        finally:
            for found in self._wires.values():
                found.writer.close()

    async def _step(self, step: Step) -> None:
        where = f"{self._name}:{step.number}"
        match step.kind:
            case "@":
                await self._directive(step.text)
            case "=":
                await self._ok(step.text, where)
            case "C":
                (await self.wire(step.session)).send(wire(step.text) + b"\r\n")
            case "S":
                await self._expect(step, where)
            case "S*":
                await self._skip_to(step, where)

    async def _directive(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        if word == "append":
            session, _, mailbox = rest.rpartition(" ")
            command = f"append APPEND {mailbox} {{{len(MESSAGE)}+}}\r\n".encode() + MESSAGE
            found = await self.wire(session)
            found.send(command + b"\r\n")
            while not (answer := await found.response()).startswith(b"append "):
                pass
            assert answer.startswith(b"append OK"), answer
        else:
            self._users[word if word != "1" else ""] = rest or None

    async def _ok(self, text: str, where: str) -> None:
        session, text = (text[0], text[2:]) if text[:1].isdigit() and text[1:2] == " " else ("", text)
        self._tags += 1
        tag = f"ok{self._tags}"
        found = await self.wire(session)
        found.send(f"{tag} ".encode() + wire(text) + b"\r\n")
        while not (answer := await found.response()).startswith(tag.encode() + b" "):
            assert answer, f"{where}: connection closed"
        assert answer.startswith(f"{tag} OK".encode()), f"{where}: {answer!r}"

    async def _expect(self, step: Step, where: str) -> None:
        answer = await self._response(step, where)
        if step.text == "<closed>":
            assert answer == b"", f"{where}: expected the end, got {answer!r}"
            return
        assert pattern(step.text).fullmatch(answer), f"{where}: expected {step.text!r}, got {answer.decode()!r}"

    async def _skip_to(self, step: Step, where: str) -> None:
        seen = []
        while not pattern(step.text).fullmatch(answer := await self._response(step, where, seen)):
            seen.append(answer)
            assert answer, f"{where}: expected {step.text!r}, connection closed after {seen}"

    async def _response(self, step: Step, where: str, seen: list[bytes] | None = None) -> bytes:
        try:
            return await (await self.wire(step.session)).response()
        except TimeoutError:
            raise AssertionError(f"{where}: nothing came, expected {step.text!r}; before: {seen}") from None
