"""A connection to an IMAP server: commands as coroutines, responses as values of `types`.

Every wait has a time-out. One command at a time; for several at once use `start` and `finish`.
"""

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mox._rust import Deflate, Inflate, format_set, quote_mailbox, quote_string
from mox.imap.client.parser import parse_response
from mox.imap.client.reader import ProtocolError, ResponseReader
from mox.imap.client.streams import ConnectionStreams
from mox.imap.client.types import (
    Capability,
    Continuation,
    Enabled,
    Esearch,
    Fetch,
    ListEntry,
    Result,
    Search,
    Status,
    Untagged,
)
from mox.net.conn import Connection
from mox.sasl.client import ClientMechanism, SaslClientError

T = TypeVar("T")

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came for a command: untagged responses, and the tagged result."""

    untagged: list[Untagged]
    result: Result

    def all(self, kind: type[T]) -> list[T]:
        """The untagged responses of a type."""
        return [r for r in self.untagged if isinstance(r, kind)]

    def one(self, kind: type[T]) -> T:
        """The only untagged response of a type. Raises ProtocolError when there is none, or several."""
        found = self.all(kind)
        if len(found) != 1:
            raise ProtocolError(f"{len(found)} responses of type {kind.__name__}")
        return found[0]


class CommandFailed(Exception):
    """The server answered NO or BAD."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.result.status} {answer.result.text}")
        self.answer = answer

    @property
    def code(self) -> str:
        """Name of the response code, may be empty."""
        return self.answer.result.code.name if self.answer.result.code is not None else ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message to append. `date` is an IMAP date-time without quotes."""

    data: bytes
    flags: Sequence[str] = ()
    date: str = ""


@dataclass(slots=True)
class Client:
    """Use `connect`. Raises ConnectionError when the connection is gone, TimeoutError, ProtocolError."""

    _stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | tuple[ConnectionStreams, ConnectionStreams]
    greeting: Result = field(init=False)
    capabilities: frozenset[str] = frozenset()
    enabled: set[str] = field(default_factory=set)
    timeout_s: float = TIMEOUT_S
    _responses: ResponseReader = field(default_factory=ResponseReader)
    _tags: int = 0
    _deflate: Deflate | None = None
    _inflate: Inflate | None = None

    @classmethod
    async def over(cls, connection: Connection) -> "Client":
        """Use a connection that is there, and read the greeting. Raises ConnectionError after BYE."""
        streams = ConnectionStreams(connection, TIMEOUT_S)
        return await cls((streams, streams))._greeted()

    @classmethod
    async def connect(cls, host: str, port: int, tls: ssl.SSLContext | None = None) -> "Client":
        """Connect and read the greeting; with `tls` from the first byte. Raises ConnectionError after BYE."""
        async with asyncio.timeout(TIMEOUT_S):
            client = cls(await asyncio.open_connection(host, port, ssl=tls))
        return await client._greeted()

    async def _greeted(self) -> "Client":
        greeting = await self.receive()
        if not isinstance(greeting, Result) or greeting.status not in ("OK", "PREAUTH"):
            await self.close()
            raise ConnectionError(f"server refuses: {greeting}")
        self.greeting = greeting
        return self

    @property
    def is_preauthenticated(self) -> bool:
        """The greeting was PREAUTH."""
        return self.greeting.status == "PREAUTH"

    @property
    def utf8(self) -> bool:
        """Mailbox names go as UTF-8."""
        return bool(self.enabled & {"IMAP4REV2", "UTF8=ACCEPT"})

    # Bytes

    async def write(self, data: bytes) -> None:
        """Send octets as they are."""
        if self._deflate is not None:
            data = self._deflate.write(data, flush=True)
        self._stream[1].write(data)
        async with asyncio.timeout(self.timeout_s):
            await self._stream[1].drain()

    async def receive(self) -> Untagged | Continuation:
        """The next response of any kind."""
        while (data := self._responses.next()) is None:
            if self._inflate is not None and self._inflate.has_more:
                self._responses.feed(self._inflate.feed(b""))
                continue
            async with asyncio.timeout(self.timeout_s):
                received = await self._stream[0].read(1 << 18)
            if not received:
                raise ConnectionError("connection closed by the server")
            self._responses.feed(self._inflate.feed(received) if self._inflate is not None else received)
        response = parse_response(data, self.utf8)
        self._note(response)
        return response

    def _note(self, response: Untagged | Continuation) -> None:
        match response:
            case Capability(words):
                self.capabilities = frozenset(words)
            case Result(code=code) if code is not None and code.name == "CAPABILITY":
                self.capabilities = frozenset(code.args)
            case Enabled(words):
                self.enabled |= {word.upper() for word in words}

    async def close(self) -> None:
        """Close without LOGOUT."""
        self._stream[1].close()
        try:
            async with asyncio.timeout(5):
                await self._stream[1].wait_closed()
        except (ConnectionError, TimeoutError, ssl.SSLError):
            pass

    # Commands

    async def start(self, command: str | bytes) -> str:
        """Send a command; its tag, for `finish`."""
        self._tags += 1
        tag = f"c{self._tags}"
        await self.write(tag.encode() + b" " + (command.encode() if isinstance(command, str) else command) + b"\r\n")
        return tag

    async def finish(self, tag: str, proceed: Callable[[bytes], Awaitable[None]] | None = None) -> Answer:
        """What came up to the command's result; `proceed` answers continuations. Raises CommandFailed."""
        untagged: list[Untagged] = []
        while True:
            response = await self.receive()
            if isinstance(response, Continuation):
                if proceed is None:
                    raise ProtocolError("unexpected continuation")
                await proceed(response.text)
                continue
            if isinstance(response, Result) and response.tag == tag:
                answer = Answer(untagged, response)
                if response.status != "OK":
                    raise CommandFailed(answer)
                return answer
            if isinstance(response, Result) and response.tag != "*":
                raise ProtocolError(f"result of another command: {response}")
            untagged.append(response)

    async def command(self, text: str | bytes) -> Answer:
        """Send a command and wait for its result. Raises CommandFailed."""
        return await self.finish(await self.start(text))

    def name(self, mailbox: str) -> str:
        """A mailbox name as an argument. Names that need a literal cannot be used."""
        return quote_mailbox(mailbox, self.utf8).decode()

    async def login(self, user: str, password: str) -> Answer:
        """LOGIN"""
        arguments = [quote_string(word, utf8=True).decode() for word in (user, password)]
        return await self.command(f"LOGIN {' '.join(arguments)}")

    async def authenticate(self, mechanism: ClientMechanism) -> Answer:
        """AUTHENTICATE; where the server breaks the mechanism's rules the client gives up with `*`."""

        async def proceed(challenge: bytes) -> None:
            try:
                response = base64.b64encode(mechanism.step(base64.b64decode(challenge)))
            except SaslClientError:
                response = b"*"
            await self.write(response + b"\r\n")

        initial = mechanism.initial()
        first = "" if initial is None else f" {base64.b64encode(initial).decode() or '='}"
        return await self.finish(await self.start(f"AUTHENTICATE {mechanism.name}{first}"), proceed)

    async def start_tls(self, context: ssl.SSLContext, server_name: str = "localhost") -> None:
        """STARTTLS and the handshake."""
        writer = self._stream[1]
        assert isinstance(writer, asyncio.StreamWriter), "a client that was given its connection"
        await self.command("STARTTLS")
        async with asyncio.timeout(self.timeout_s):
            await writer.start_tls(context, server_hostname=server_name)

    async def compress(self) -> Answer:
        """COMPRESS DEFLATE"""
        answer = await self.command("COMPRESS DEFLATE")
        self._deflate, self._inflate = Deflate(), Inflate()
        self._responses.feed(self._inflate.feed(self._responses.drain()))
        return answer

    async def enable(self, *names: str) -> Answer:
        """ENABLE"""
        return await self.command(f"ENABLE {' '.join(names)}")

    async def capability(self) -> frozenset[str]:
        """CAPABILITY"""
        await self.command("CAPABILITY")
        return self.capabilities

    async def noop(self) -> Answer:
        """NOOP"""
        return await self.command("NOOP")

    async def logout(self) -> None:
        """LOGOUT, and close."""
        await self.command("LOGOUT")
        await self.close()

    async def select(self, mailbox: str, params: str = "", read_only: bool = False) -> Answer:
        """SELECT or EXAMINE; `params` with its parentheses."""
        verb = "EXAMINE" if read_only else "SELECT"
        return await self.command(f"{verb} {self.name(mailbox)} {params}".rstrip())

    async def create(self, mailbox: str, special_use: Sequence[str] = ()) -> Answer:
        """CREATE"""
        use = f" (USE ({' '.join(special_use)}))" if special_use else ""
        return await self.command(f"CREATE {self.name(mailbox)}{use}")

    async def delete(self, mailbox: str) -> Answer:
        """DELETE"""
        return await self.command(f"DELETE {self.name(mailbox)}")

    async def rename(self, old: str, new: str) -> Answer:
        """RENAME"""
        return await self.command(f"RENAME {self.name(old)} {self.name(new)}")

    async def subscribe(self, mailbox: str) -> Answer:
        """SUBSCRIBE"""
        return await self.command(f"SUBSCRIBE {self.name(mailbox)}")

    async def unsubscribe(self, mailbox: str) -> Answer:
        """UNSUBSCRIBE"""
        return await self.command(f"UNSUBSCRIBE {self.name(mailbox)}")

    async def list_mailboxes(self, reference: str = "", pattern: str = "*") -> list[ListEntry]:
        """LIST"""
        return (await self.command(f"LIST {quote_string(reference).decode()} {self.name(pattern)}")).all(ListEntry)

    async def list_full(self, *patterns: str, subscribed_only: bool = False) -> Answer:
        """LIST with everything that can come with it (RFC 5258, RFC 5819)."""
        selection = "(SUBSCRIBED RECURSIVEMATCH)" if subscribed_only else "()"
        names = " ".join(self.name(pattern) for pattern in patterns)
        items = "MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE RECENT APPENDLIMIT"
        return await self.command(
            f'LIST {selection} "" ({names}) RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS ({items}))'
        )

    async def status(self, mailbox: str, items: str) -> Status:
        """STATUS; `items` without parentheses."""
        return (await self.command(f"STATUS {self.name(mailbox)} ({items})")).one(Status)

    async def append(self, mailbox: str, *messages: Message) -> Answer:
        """APPEND of one or more messages."""
        wire = [f"APPEND {self.name(mailbox)}".encode()]
        for message in messages:
            date = f' "{message.date}"' if message.date else ""
            wire.append(f" ({' '.join(message.flags)}){date} {{{len(message.data)}+}}\r\n".encode() + message.data)
        return await self.command(b"".join(wire))

    async def replace(self, number: int, mailbox: str, message: Message, uid: bool = True) -> Answer:
        """REPLACE (RFC 8508)"""
        verb = "UID REPLACE" if uid else "REPLACE"
        head = f"{verb} {number} {self.name(mailbox)} ({' '.join(message.flags)}) {{{len(message.data)}+}}\r\n"
        return await self.command(head.encode() + message.data)

    async def fetch(self, numbers: str | Iterable[int], items: str, uid: bool = True) -> list[Fetch]:
        """FETCH; also what the server told of other messages meanwhile."""
        return (await self.command(f"{_verb('FETCH', uid)} {_set(numbers)} {items}")).all(Fetch)

    async def store(self, numbers: str | Iterable[int], action: str, flags: Sequence[str], uid: bool = True) -> Answer:
        """STORE; `action` is `+FLAGS`, `-FLAGS.SILENT` and the like."""
        return await self.command(f"{_verb('STORE', uid)} {_set(numbers)} {action} ({' '.join(flags)})")

    async def copy(self, numbers: str | Iterable[int], mailbox: str, uid: bool = True) -> Answer:
        """COPY"""
        return await self.command(f"{_verb('COPY', uid)} {_set(numbers)} {self.name(mailbox)}")

    async def move(self, numbers: str | Iterable[int], mailbox: str, uid: bool = True) -> Answer:
        """MOVE"""
        return await self.command(f"{_verb('MOVE', uid)} {_set(numbers)} {self.name(mailbox)}")

    async def expunge(self, uids: str | Iterable[int] | None = None) -> Answer:
        """EXPUNGE, or UID EXPUNGE."""
        return await self.command("EXPUNGE" if uids is None else f"UID EXPUNGE {_set(uids)}")

    async def search(self, keys: str, uid: bool = True) -> list[int]:
        """SEARCH; the numbers, ascending."""
        answer = await self.command(f"{_verb('SEARCH', uid)} {keys}")
        found: list[int] = [n for response in answer.all(Search) for n in response.numbers]
        for response in answer.all(Esearch):
            found += response.all or ()
        return found

    async def idle(self) -> str:
        """Begin IDLE; its tag, for `done`. Until then `receive` gives what happens."""
        tag = await self.start("IDLE")
        response = await self.receive()
        while not isinstance(response, Continuation):
            if isinstance(response, Result) and response.tag == tag:
                raise CommandFailed(Answer([], response))
            response = await self.receive()
        return tag

    async def done(self, tag: str) -> Answer:
        """End IDLE."""
        await self.write(b"DONE\r\n")
        return await self.finish(tag)


def _verb(name: str, uid: bool) -> str:
    return f"UID {name}" if uid else name


def _set(numbers: str | Iterable[int]) -> str:
    return numbers if isinstance(numbers, str) else format_set(list(numbers))
