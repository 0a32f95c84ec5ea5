"""Small messages are durable with their commit, before their files are: what a failure of the machine takes is written
again."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mox.net.bus import LocalBus
from mox.store import fresh, messages
from mox.store.blobs import BlobFolder
from mox.store.store import Store
from tests.store.helpers import ACCOUNT, Box, letter, until

SMALL = [letter(body=f"message {number}") for number in range(5)]
LARGE = letter(body="x" * fresh.MAX_OCTETS)


@pytest.fixture
async def unsettled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Box]:
    """An account whose files are not synced before it is closed."""
    monkeypatch.setattr(fresh, "SETTLE_S", 3600.0)
    async with Store(tmp_path / "live", LocalBus()).closing() as store:
        box = Box(await store.open(ACCOUNT))
        yield box
        assert await box.problems() == []


async def kept(box: Box) -> list[int]:
    return await box.see(fresh.some)


async def contents(box: Box) -> list[bytes]:
    """Of all messages in the Inbox, from their files."""
    inbox = (await box.mailbox("Inbox")).id
    rows = await box.see(messages.cold_rows, inbox, await box.uids("Inbox"), ["blob_id"])
    return [_read(box.account.blob_path(blob_id)) for (_, blob_id) in rows]


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "accounts" / ACCOUNT / "msg").glob("*/*"))


@pytest.mark.parametrize("loss", ["removed", "emptied", "other"])
async def test_files_that_the_machine_lost_are_written_again(unsettled: Box, tmp_path: Path, loss: str) -> None:
    await unsettled.add("Inbox", *SMALL)
    assert len(await kept(unsettled)) == len(SMALL)
    shutil.copytree(tmp_path / "live", tmp_path / "after")
    for path in files(tmp_path / "after")[1:]:
        if loss == "removed":
            path.unlink()
        else:
            path.write_bytes(b"" if loss == "emptied" else b"\0" * path.stat().st_size)
    async with Store(tmp_path / "after", LocalBus()).closing() as store:
        box = Box(await store.open(ACCOUNT))
        assert await contents(box) == SMALL
        assert await kept(box) == []
        assert await box.problems() == []


async def test_files_are_synced_soon_and_nothing_is_kept_then(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sync = BlobFolder.sync
    monkeypatch.setattr(fresh, "SETTLE_S", 0.01)
    monkeypatch.setattr(BlobFolder, "sync", lambda self, ids: (synced.extend(ids), sync(self, ids)))
    await box.add("Inbox", *SMALL)
    await until(lambda: len(synced) == len(SMALL))
    for _ in range(1000):
        if not await kept(box):
            break
    assert await kept(box) == []
    assert await contents(box) == SMALL


async def test_a_large_message_is_synced_at_once(unsettled: Box) -> None:
    await unsettled.add("Inbox", LARGE)
    assert await kept(unsettled) == []
    assert await contents(unsettled) == [LARGE]


async def test_a_closed_account_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "SETTLE_S", 3600.0)
    for expected in ([], SMALL):
        async with Store(tmp_path, LocalBus()).closing() as store:
            box = Box(await store.open(ACCOUNT))
            assert (await kept(box), await contents(box)) == ([], expected)
            if not expected:
                await box.add("Inbox", *SMALL)


async def test_what_is_erased_is_not_kept(unsettled: Box, tmp_path: Path) -> None:
    added = await unsettled.add("Inbox", *SMALL)
    await unsettled.copy("Inbox", added.uids[:1], "Archive")
    await unsettled.expunge("Inbox", added.uids)
    await unsettled.account.erase()
    assert len(await kept(unsettled)) == len(files(tmp_path / "live")) == 1, "the copy is still there"


async def test_a_disk_that_fails_loses_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    sync = BlobFolder.sync

    def failing(self: BlobFolder, ids: list[int]) -> None:
        calls.append(len(ids))
        if len(calls) == 1:
            raise OSError(5, "input/output error")
        sync(self, ids)

    monkeypatch.setattr(fresh, "SETTLE_S", 0.01)
    monkeypatch.setattr(BlobFolder, "sync", failing)
    await box.add("Inbox", *SMALL)
    await until(lambda: len(calls) == 1)
    assert len(await kept(box)) == len(SMALL)
    await until(lambda: len(calls) == 2)
    assert await contents(box) == SMALL
