"""SELECT with QRESYNC (RFC 7162 §3.2.5): what a client that comes back is told."""

import pytest
import pytest_asyncio

from mox.imap import append
from mox.imap.client.client import Answer, Client, CommandFailed
from mox.imap.client.client import Message as NewMessage
from mox.imap.client.types import Exists, Fetch, Result, Vanished
from mox.imap.session import Session
from mox.store import messages
from tests.imap.harness import MESSAGE, Server


@pytest_asyncio.fixture
async def client(server: Server) -> Client:
    """UIDs 1, 3, 5, 6, 7 of seven; 2 went, then 4; 5 has \\Seen, 7 came last."""
    client = await server.client()
    await client.append("Inbox", *(NewMessage(MESSAGE) for _ in range(6)))
    await client.enable("QRESYNC")
    await client.select("Inbox")
    for uid in (2, 4):
        await client.store([uid], "+FLAGS.SILENT", ["\\Deleted"])
        await client.expunge()
    await client.store([5], "+FLAGS.SILENT", ["\\Seen"])
    await client.append("Inbox", NewMessage(MESSAGE))
    return client


async def facts(client: Client) -> tuple[int, int]:
    """UIDVALIDITY and HIGHESTMODSEQ."""
    status = await client.status("Inbox", "UIDVALIDITY HIGHESTMODSEQ")
    return int(status.values["UIDVALIDITY"] or 0), int(status.values["HIGHESTMODSEQ"] or 0)


def told(answer: Answer) -> tuple[list[int], list[int | None]]:
    """UIDs that vanished earlier, and those that were fetched."""
    gone = [uid for v in answer.all(Vanished) for uid in v.uids if v.earlier]
    return gone, [f.uid for f in answer.all(Fetch)]


async def resync(client: Client, text: str) -> tuple[list[int], list[int | None]]:
    uidvalidity, modseq = await facts(client)
    text = text.replace("V", str(uidvalidity))
    for back in range(9, -1, -1):
        text = text.replace(f"M-{back}", str(modseq - back))
    return told(await client.select("Inbox", f"(QRESYNC ({text}))"))


@pytest.mark.holds("imap-2fb299")
@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("1 1", ([], [])),
        ("V M-0", ([], [])),
        ("V M-1", ([], [7])),
        ("V M-2", ([], [5, 7])),
        ("V M-3", ([4], [5, 7])),
        ("V M-5", ([2, 4], [5, 7])),
        ("V 1", ([2, 4], [1, 3, 5, 6, 7])),
        ("V 1 1:3", ([2], [1, 3])),
        ("V M-5 1:4", ([2, 4], [])),
        ("V 1 1:7 (1 1)", ([2, 4], [1, 3, 5, 6, 7])),
        ("V M-5 1:7 (1:3 1,3,5)", ([], [5, 7])),
        ("V M-5 1:7 (1:2,4 1,3,5)", ([4], [5, 7])),
        ("V M-5 (1:2 1,3)", ([4], [5, 7])),
    ],
)
async def test_what_is_told(client: Client, argument: str, expected: tuple[list[int], list[int]]) -> None:
    assert await resync(client, argument) == expected


async def test_inconsistent_client(client: Client) -> None:
    uidvalidity, modseq = await facts(client)
    answer = await client.select("Inbox", f"(QRESYNC ({uidvalidity} {modseq} 1:7 (1:3 1,2,5)))")
    alerts = [r for r in answer.all(Result) if r.code is not None and r.code.name == "ALERT"]
    assert len(alerts) == 1
    assert told(answer) == ([2, 4], [5, 7])


async def test_purged_history(server: Server, client: Client) -> None:
    account = await server.store.open("mox")
    _, modseq = await facts(client)

    def purge(tx: object) -> None:
        tx.run("DELETE FROM message_hot WHERE expunged = 1")  # type: ignore[attr-defined]
        tx.run("UPDATE sync_state SET highest_deleted_modseq = ?", modseq)  # type: ignore[attr-defined]

    await account.write(purge)
    assert await resync(client, "V M-2") == ([2, 4], [5, 7])
    assert await resync(client, "V M-2 3:4") == ([4], [])
    answer = await client.command("UID FETCH 1:* (UID) (CHANGEDSINCE 2 VANISHED)")
    assert told(answer)[0] == [2, 4]
    answer = await client.command("UID FETCH 1:* (UID) (CHANGEDSINCE 2)")
    assert told(answer)[0] == []


@pytest.mark.parametrize(
    ("argument", "status"),
    [
        ("(QRESYNC (1 0))", "BAD"),
        ("(QRESYNC (0 1))", "BAD"),
        ("(QRESYNC (1 1 1:*))", "BAD"),
        ("(QRESYNC (1 1 $))", "BAD"),
        ("(QRESYNC (1 1 1:2 (1:2 1)))", "BAD"),
        ("(QRESYNC (1 1 1:2 (2:1 1:2)))", "NO"),
        ("(QRESYNC (1 1 1:2 (1:2 2,1)))", "NO"),
        ("(QRESYNC (1 1) QRESYNC (1 1))", "BAD"),
    ],
)
async def test_bad_arguments(client: Client, argument: str, status: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        await client.select("Inbox", argument)
    assert failed.value.answer.result.status == status


async def test_with_condstore_and_a_space(client: Client) -> None:
    await client.select("Inbox", "(CONDSTORE QRESYNC (1 1))")


@pytest.mark.holds("imap-cb7f5f")
async def test_modseq_0_of_old_databases_is_shown_as_1(server: Server, client: Client) -> None:
    account = await server.store.open("mox")
    await client.command("UNSELECT")
    await account.write(lambda tx: tx.run("UPDATE message_hot SET modseq = 0 WHERE uid = 1"))
    other = await server.client()
    for index in account._state.indexes.values():
        index.purge()
    account._drop_spare_indexes()
    await other.select("Inbox", "(CONDSTORE)")
    assert (await other.fetch("1", "(MODSEQ)"))[0].items["MODSEQ"] == 1
    await other.logout()


async def test_an_own_message_that_goes_before_its_append_is_answered(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VANISHED names a UID (RFC 7162 §3.2.10): the client must have heard of it before."""
    client = await server.client()
    await client.enable("QRESYNC")
    await client.select("Inbox")
    account = await server.store.open("mox")
    original = append.show

    async def late(session: Session, stored: append.Stored) -> str:
        uids = stored.added.uids
        # The session has heard of the message when it goes.
        await account.sync()
        await account.write(lambda tx: messages.expunge(tx, stored.mailbox_id, uids, 100, only_deleted=False))
        await account.sync()
        return await original(session, stored)

    monkeypatch.setattr(append, "show", late)
    answer = await client.append("Inbox", NewMessage(MESSAGE))
    assert [type(response) for response in answer.untagged] == [Exists, Fetch, Vanished], answer.untagged
    assert answer.one(Fetch).uid == 1
