"""Repairs: each mends what it is for, and a sound account is left as it is."""

import asyncio
from pathlib import Path

from mox.store import maintenance, messages, sync, threads
from mox.store.types import Flag
from tests.store.helpers import Box, letter


async def test_new_uidvalidity(box: Box) -> None:
    before = await box.mailbox("Inbox")
    value = await box.do(maintenance.bump_uidvalidity, before.id)
    assert value > before.uidvalidity
    assert (await box.mailbox("Inbox")).uidvalidity == value
    assert (await box.mailbox("Sent")).uidvalidity == before.uidvalidity
    value = await box.do(maintenance.bump_uidvalidity)
    assert {(await box.mailbox(name)).uidvalidity for name in ("Inbox", "Sent")} == {value}


async def test_new_uids(box: Box) -> None:
    await box.add("Inbox", *(letter() for _ in range(4)))
    await box.expunge("Inbox", [1, 3])
    await box.account.erase()
    before = await box.mailbox("Inbox")
    assert await box.do(maintenance.reassign_uids, before.id) == 2
    after = await box.mailbox("Inbox")
    assert await box.uids("Inbox") == [1, 2]
    assert (after.uidnext, after.uidvalidity > before.uidvalidity) == (3, True)
    rows = await box.see(messages.hot_rows, before.id)
    assert [row[7] for row in rows] == [2, 4]


async def test_uidnext_and_next_uidvalidity(box: Box) -> None:
    await box.add("Inbox", letter(), letter())
    assert await box.do(maintenance.fix_uid_meta) == []
    await box.do(lambda tx: tx.run("UPDATE mailbox_all SET uidnext = 1 WHERE name = 'Inbox'"))
    await box.do(lambda tx: tx.run("UPDATE sync_state SET next_uidvalidity = 1"))
    assert len(await box.do(maintenance.fix_uid_meta)) == 2
    assert (await box.mailbox("Inbox")).uidnext == 3


async def test_counts_usage_and_references(box: Box) -> None:
    await box.add("Inbox", letter(), letter(), flags=Flag.SEEN)
    await box.copy("Inbox", [1], "Archive")
    assert await box.do(maintenance.recalculate_counts) == []
    for sql in (
        "UPDATE mailbox_all SET total = 9, unseen = 9, size = 9 WHERE name = 'Inbox'",
        "UPDATE sync_state SET disk_usage = 9",
        "UPDATE blob SET refs = 9",
    ):
        await box.do(lambda tx, sql=sql: tx.run(sql))  # type: ignore[misc]
    assert len(await box.do(maintenance.recalculate_counts)) == 4


async def test_tombstones_go_and_clients_can_know(box: Box) -> None:
    await box.add("Inbox", *(letter() for _ in range(3)))
    inbox = (await box.mailbox("Inbox")).id
    await box.expunge("Inbox", [1])
    await box.account.erase()
    await box.expunge("Inbox", [2])
    first, second = [r for r in await box.see(sync.changed_since, inbox, 0) if r[1]]
    assert await box.do(maintenance.purge_tombstones, first[2] - 1) == 0
    assert await box.see(sync.purged_to) == -1
    # The second is not erased yet.
    assert await box.do(maintenance.purge_tombstones, second[2]) == 1
    assert await box.see(sync.purged_to) == first[2]
    assert [r[0] for r in await box.see(sync.changed_since, inbox, 0)] == [3, 2]


async def test_sizes_from_files(box: Box) -> None:
    await box.add("Inbox", letter(body="hello"), letter(), prefix=b"X: y\r\n")
    assert await maintenance.fix_message_sizes(box.account) == []
    row = await box.cold(1, "blob_id")
    assert row is not None
    path = Path(box.account.blob_path(row[0]))
    await asyncio.to_thread(path.write_bytes, letter(body="another body"))
    assert len(await maintenance.fix_message_sizes(box.account)) == 3
    assert await box.cold(1, "preview") == ("another body\n",)


async def test_parsing_anew(box: Box) -> None:
    await box.add("Inbox", letter("subject", message_id="a@x"), letter())
    columns = "structure, envelope, body, bodystructure, header, header_size, message_ref, subject_base, preview"
    before = await box.cold(1, columns)
    await box.do(lambda tx: tx.run("UPDATE message_cold SET structure = x'', message_ref = '', preview = 'x'"))
    told: list[int] = []
    assert await maintenance.reparse(box.account, told.append) == 2
    assert (await box.cold(1, columns), told) == (before, [2])


async def test_threads_anew(box: Box) -> None:
    await box.add("Inbox", letter("re: s", message_id="c@x", References="<a@x> <b@x>"))
    await box.add("Inbox", letter("re: s", message_id="b@x", References="<a@x>"), letter("s", message_id="a@x"))
    await box.add("Inbox", letter("t"))
    await box.do(threads.mute, [2], True)
    sql = "SELECT thread_id, thread_parents, thread_missing_link, thread_muted FROM message_cold ORDER BY message_id"
    before = await box.see(lambda tx: tx.run(sql))
    await box.do(lambda tx: tx.run("UPDATE message_cold SET thread_id = message_id, thread_parents = ''"))
    assert await box.do(maintenance.reassign_threads) == 4
    assert await box.see(lambda tx: tx.run(sql)) == before
