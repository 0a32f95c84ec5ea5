"""Content of small message files that were just written, in the database until the files are known to be on disk.

A file of its own costs two syncs of the disk for every message, the file's and its directory's, besides that of the
commit. So a small file is written, but not synced; its content is committed with its record, in one sequential write.
Shortly after, many files are synced at once and their contents here dropped. When the machine fails in between, the
files are written again from here when the account is next opened, before anybody reads (docs/decisions).
"""

import asyncio
from collections.abc import Iterable, Sequence

import apsw

from mox import log
from mox.store.blobs import BlobFolder
from mox.store.engine import Engine, Tx
from mox.store.workers import Workers

# Larger content is written once and synced: twice would cost more than the syncs.
MAX_OCTETS = 32 * 1024
BATCH = 500
# How long content stays in the database.
SETTLE_S = 1.0

_logger = log.get("store")


def keep(tx: Tx, blob_id: int, content: bytes) -> None:
    """Commit content along with the record of its file."""
    tx.run("INSERT INTO blob_fresh VALUES (?, ?, ?) ON CONFLICT DO NOTHING", blob_id, tx.account_id, content)


def some(tx: Tx) -> list[int]:
    """At most BATCH blobs whose files may not be on disk."""
    rows = tx.run("SELECT blob_id FROM blob_fresh WHERE account_id = ? ORDER BY blob_id LIMIT ?", tx.account_id, BATCH)
    return [row[0] for row in rows]


def contents(tx: Tx, after: int) -> Sequence[tuple[int, bytes]]:
    """At most BATCH (blob id, content) with ids above `after`, in order."""
    rows = tx.run(
        "SELECT blob_id, content FROM blob_fresh WHERE account_id = ? AND blob_id > ? ORDER BY blob_id LIMIT ?",
        tx.account_id,
        after,
        BATCH,
    )
    return [(blob_id, content) for blob_id, content in rows]


def settled(tx: Tx, blob_ids: Iterable[int]) -> None:
    """The files are on disk."""
    tx.many("DELETE FROM blob_fresh WHERE account_id = ? AND blob_id = ?", [(tx.account_id, b) for b in blob_ids])


class FreshFiles:
    """The fresh files of an account while its database is open. Methods are for the loop's thread."""

    def __init__(self, engine: Engine, folder: BlobFolder, files: Workers) -> None:
        self._engine, self._folder, self._files = engine, folder, files
        self._is_expecting = False
        self._task: asyncio.Task[None] | None = None

    async def restore(self) -> int:
        """Write files again that were not on disk when the machine failed; how many. Raises OSError, apsw.Error."""
        after = restored = 0
        while found := await self._engine.read(lambda tx, after=after: contents(tx, after), early=True):  # type: ignore[misc]
            restored += await self._files.run(self._folder.restore, found)
            after = found[-1][0]
        await self._settle()
        return restored

    def expect(self) -> None:
        """A file was written, and its content will be committed."""
        self._is_expecting = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._settle_later())

    async def _settle_later(self) -> None:
        while self._is_expecting:
            self._is_expecting = False
            await asyncio.sleep(SETTLE_S)
            try:
                await self._settle()
            except (apsw.Error, OSError) as err:
                # The contents stay until it can be done.
                _logger.error("syncing message files failed", err=str(err))
                self._is_expecting = True

    async def _settle(self) -> None:
        while blob_ids := await self._engine.read(some, early=True):
            await self._files.run(self._folder.sync, blob_ids)
            await self._engine.write(lambda tx, ids=blob_ids: settled(tx, ids), early=True)  # type: ignore[misc]

    async def close(self) -> None:
        """Settle all, before the database is closed; what fails is done when it is opened again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        try:
            await self._settle()
        except (apsw.Error, OSError) as err:
            _logger.error("syncing message files failed", err=str(err))
