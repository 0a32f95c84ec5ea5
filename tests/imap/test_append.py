"""APPENDs whose connection is cut off while they are stored."""

import asyncio
import threading

import pytest

from mox.imap import append
from mox.imap.client.client import Message as NewMessage
from mox.store import messages, verify
from mox.store.engine import Tx
from tests.imap.harness import MESSAGE, Server


async def cut_off() -> list["asyncio.Task[object]"]:
    """What the end of the program does with connections that stay; their tasks, which have heard of it."""
    tasks = [t for t in asyncio.all_tasks() if getattr(t.get_coro(), "__qualname__", "") == "Listener._run"]
    for task in tasks:
        task.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    return tasks


@pytest.mark.parametrize("is_replace", [False, True], ids=["append", "replace"])
async def test_a_message_that_is_being_committed_keeps_its_file(
    server: Server, monkeypatch: pytest.MonkeyPatch, is_replace: bool
) -> None:
    client = await server.client()
    await client.select("Inbox")
    await client.append("Inbox", NewMessage(MESSAGE))
    inside, go_on, add = threading.Event(), threading.Event(), messages.add

    def slow(tx: Tx, mailbox_id: int, new: list[messages.NewMessage]) -> messages.Added:
        inside.set()
        assert go_on.wait(20)
        return add(tx, mailbox_id, new)

    monkeypatch.setattr(append.messages, "add", slow)
    name = b"REPLACE 1 Inbox" if is_replace else b"APPEND Inbox"
    await client.write(b"x %s {%d+}\r\n%s\r\n" % (name, len(MESSAGE), MESSAGE))
    assert await asyncio.to_thread(inside.wait, 20)
    tasks = await cut_off()
    go_on.set()
    _, left = await asyncio.wait(tasks, timeout=10)
    assert tasks and not left
    account = await server.store.open("mox")
    # The writer comes to this after what was cut off.
    await account.write(lambda tx: None)
    inbox = account.known_by_name("Inbox")
    assert inbox is not None
    assert len(await account.read(lambda tx: messages.hot_rows(tx, inbox.id))) == (1 if is_replace else 2)
    assert await verify.problems(account) == []
