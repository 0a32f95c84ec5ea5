"""Whatever a client sends, it gets protocol answers: no traceback, no hang, no other connection harmed."""

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mox.imap.client.parser import parse_response
from mox.imap.client.reader import ProtocolError, ResponseReader
from tests.imap.harness import PASSWORD, Server
from tests.imap.transcript import Wire

SEEDS = [
    b"CAPABILITY", b"NOOP", b"ID (\"name\" nil)", b"ENABLE QRESYNC", b"SELECT inbox (QRESYNC (1 1 1:2 (1 1)))",
    b"EXAMINE inbox", b"CREATE x (USE (\\Sent))", b"DELETE x", b"RENAME x y", b"SUBSCRIBE x", b"UNSUBSCRIBE x",
    b'LIST (SUBSCRIBED RECURSIVEMATCH) "" (% *) RETURN (STATUS (MESSAGES) METADATA (/private/x))', b'LSUB "" %',
    b"NAMESPACE", b"STATUS inbox (MESSAGES UIDNEXT)", b"APPEND inbox (\\Seen) {5+}\r\nabcde", b"GETQUOTAROOT inbox",
    b'GETQUOTA ""', b"GETMETADATA (DEPTH 1) inbox /private", b'SETMETADATA inbox (/private/x "y")', b"CHECK", b"CLOSE",
    b"UNSELECT", b"EXPUNGE", b"UID EXPUNGE 1:*", b"SEARCH RETURN (MIN MAX) CHARSET utf-8 OR NOT SEEN BODY x",
    b"ESEARCH IN (SUBTREE x PERSONAL) ALL", b"FETCH 1:* (UID FLAGS BODY.PEEK[1.2.HEADER.FIELDS (a b)]<1.2> ENVELOPE)",
    b"UID FETCH 1:* ALL (CHANGEDSINCE 1 VANISHED)", b"STORE 1 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen x)",
    b"UID COPY 1 inbox", b"MOVE 1 x", b"REPLACE 1 inbox {3+}\r\nabc", b"SORT (REVERSE DATE) utf-8 ALL",
    b"THREAD REFERENCES utf-8 ALL", b"NOTIFY SET STATUS (PERSONAL (MessageNew (UID) MessageExpunge))", b"NOTIFY NONE",
    b"IDLE\r\nDONE", b"LOGIN a b", b"AUTHENTICATE PLAIN AGEAYg==", b"UNAUTHENTICATE",
]  # fmt: skip


def mutated(dice: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(dice.randint(0, 4)):
        at = dice.randrange(len(out) + 1)
        match dice.randrange(5):
            case 0:
                out[at:at] = bytes([dice.randrange(256)])
            case 1:
                del out[at : at + dice.randint(1, 4)]
            case 2:
                out[at:at] = dice.choice(
                    [b"(", b")", b'"', b"{1+}\r\n", b"~{2+}\r\n", b"\\", b" ", b"*", b"$", b"[", b"<0.1>"]
                )
            case 3:
                out[at:at] = out[: dice.randint(0, 20)]
            case _:
                out[at:] = dice.choice(SEEDS)
    return bytes(out)


async def all_answers(wire: Wire) -> list[bytes]:
    """Every response up to the end of the connection; each can be parsed."""
    reader, out = ResponseReader(), []
    async with asyncio.timeout(20):
        while True:
            try:
                data = await wire.reader.read(1 << 16)
            except ConnectionResetError:
                # It was closed while more was on its way.
                return out
            if not data:
                return out
            reader.feed(data)
            while (response := reader.next()) is not None:
                out.append(response)


@pytest.mark.holds("imap-1301a2")
@pytest.mark.parametrize("state", ["anonymous", "authenticated", "selected"])
async def test_mutated_commands(server: Server, state: str) -> None:
    dice = random.Random(state)
    panics = server.panics()
    for round_ in range(25):
        wire = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
        start = b"s0 NOOP\r\n"
        if state != "anonymous":
            start += b"s1 LOGIN mox@localhost {%d+}\r\n%s\r\n" % (len(PASSWORD.encode()), PASSWORD.encode())
        if state == "selected":
            start += b"s2 APPEND inbox {3+}\r\nabc\r\ns3 SELECT inbox\r\n"
        commands = [b"f%d " % i + mutated(dice, dice.choice(SEEDS)) + b"\r\n" for i in range(20)]
        wire.send(start + b"".join(commands))
        wire.writer.write_eof()
        for response in await all_answers(wire):
            try:
                parse_response(response, utf8=True)
            except ProtocolError as err:
                # Mailbox names are UTF-8 or UTF-7 by what was enabled just then.
                assert "UTF-7" in str(err), (round_, response)
            assert b"internal error" not in response, commands
        wire.writer.close()
    assert server.panics() == panics


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    """The reader alone, and what parses is a command with a tag."""
    from mox._rust import CommandReader

    for size in (1, 7, 1000):
        reader = CommandReader()
        for start in range(0, len(data), size):
            reader.feed(data[start : start + size])
            while True:
                reader.take_literal(1 << 20)
                event = reader.next()
                if event is None:
                    break
                assert event[0] in ("continue", "command", "append", "error")


async def test_bytes_of_no_protocol(server: Server) -> None:
    dice = random.Random(1)
    panics = server.panics()
    for _ in range(30):
        wire = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
        wire.send(dice.randbytes(dice.randint(1, 2000)))
        wire.writer.write_eof()
        answers = await all_answers(wire)
        assert answers[0].startswith(b"* OK")
        wire.writer.close()
    assert server.panics() == panics
    client = await server.client()
    await client.logout()
