"""Limits of what a client can send (spec section 4), and of what is queued for it."""

import asyncio

import pytest

from mox.imap.client.client import CommandFailed
from mox.imap.client.client import Message as NewMessage
from mox.imap.client.types import Exists, Fetch, Result
from tests.imap.harness import MESSAGE, Server
from tests.imap.transcript import Wire

LITERAL = 102_400


async def connect(server: Server) -> Wire:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
    await wire.response()
    return wire


def strings(sizes: list[int]) -> bytes:
    return b"".join(b" {%d+}\r\n" % n + b"a" * n for n in sizes)


@pytest.mark.holds("imap-efd06c")
@pytest.mark.parametrize(
    ("sizes", "ok"),
    [
        ([LITERAL] * 10, True),
        ([LITERAL] * 10 + [1], False),
        ([1] * 1000, True),
        ([1] * 1001, False),
        ([LITERAL + 1], False),
    ],
    ids=["ten of the largest", "and one octet", "a thousand", "and one", "one too large"],
)
async def test_literals(server: Server, sizes: list[int], ok: bool) -> None:
    wire = await connect(server)
    wire.send(b"a LOGIN" + strings(sizes) + b"\r\n")
    answer = await wire.response()
    if ok:
        assert answer.startswith(b"a BAD login unrecognized syntax/command: leftover"), answer
    else:
        assert answer.startswith(b"* BYE [ALERT]")
        assert (await wire.response()).startswith(b"a BAD [TOOBIG]")
    wire.writer.close()


async def test_long_line(server: Server) -> None:
    wire = await connect(server)
    wire.send(b"a " + b"x" * (16 * 1024) + b"\r\n")
    assert (await wire.response()).startswith(b"* BYE")
    wire.writer.close()


@pytest.mark.holds("imap-cc72b1")
async def test_too_many_pending_changes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client, other = await server.client(), await server.client()
    await client.select("Inbox")
    session = next(s for s in server.ctx.sessions if s.mailbox is not None)
    assert session.changes is not None
    session.changes._limit = 10
    for _ in range(11):
        await other.append("Inbox", NewMessage(MESSAGE))
    answer = await client.noop()
    assert [r.code.name for r in answer.all(Result) if r.code is not None] == ["NOTIFICATIONOVERFLOW"]
    await other.append("Inbox", NewMessage(MESSAGE))
    assert (await client.noop()).untagged == []
    # It never used NOTIFY: SELECT is enough.
    await client.select("Inbox")
    await other.append("Inbox", NewMessage(MESSAGE))
    assert (await client.noop()).one(Exists).count == 13
    # With NOTIFY only that brings it back.
    await client.command("NOTIFY SET (selected (MessageNew MessageExpunge))")
    session.changes._limit = 1
    await other.append("Inbox", *(NewMessage(MESSAGE) for _ in range(2)))
    assert "NOTIFICATIONOVERFLOW" in str((await client.noop()).untagged)
    session.changes._limit = 10
    await client.select("Inbox")
    await other.append("Inbox", NewMessage(MESSAGE))
    assert (await client.noop()).untagged == []
    await client.command("NOTIFY SET (selected (MessageNew MessageExpunge))")
    await client.select("Inbox")
    await other.append("Inbox", NewMessage(MESSAGE))
    assert (await client.noop()).one(Fetch).uid == 17
    await client.logout()
    await other.logout()


async def test_slow_after_failures(server: Server) -> None:
    """The delays are none in tests; that they are asked for is seen in the session."""
    client = await server.client(user=None)
    for _ in range(3):
        with pytest.raises(CommandFailed):
            await client.login("nobody@localhost", "x")
    session = next(iter(server.ctx.sessions))
    assert session.failed_logins == 3
    await client.close()
