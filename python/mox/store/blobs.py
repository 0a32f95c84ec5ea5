"""Files with the content of messages: `msg/<shard>/<blob id>` in the account's folder.

A blob id is the time in microseconds and some random bits, so that processes need not agree on numbers, and files of an
hour share a directory. A file without a record is left by a crash between file and commit, and swept later.
"""

import os
import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from mox import log
from mox._rust import fsync_dir, sync_files
from mox.store.engine import Tx

RANDOM_BITS = 12
SHARD_BITS = 44
# A message may be on its way from file to record for this long.
ORPHAN_AGE_S = 3600.0

_logger = log.get("store")


class BlobFolder:
    """The files of an account. Methods may be called in any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder_text = str(folder)
        self._shards: set[int] = set()

    def create(self) -> None:
        """Make the folder durably with those above it. Raises OSError."""
        missing = [p for p in (self._folder, *self._folder.parents) if not p.exists()]
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o770)
        for path in reversed(missing):
            fsync_dir(str(path.parent))

    def path(self, blob_id: int) -> str:
        """Where the content of a blob is."""
        # Called for every row of a FETCH: no Path here.
        return f"{self._folder_text}/{blob_id >> SHARD_BITS:x}/{blob_id}"

    def new(self) -> int:
        """An id for a new file, whose directory is there durably. Raises OSError."""
        blob_id = ((time.time_ns() // 1000) << RANDOM_BITS) | random.getrandbits(RANDOM_BITS)
        shard = blob_id >> SHARD_BITS
        if shard not in self._shards:
            Path(self.path(blob_id)).parent.mkdir(exist_ok=True, mode=0o770)
            fsync_dir(str(self._folder))
            self._shards.add(shard)
        return blob_id

    def sync(self, blob_ids: Sequence[int]) -> None:
        """Make files durable. Raises OSError."""
        sync_files([self.path(blob_id) for blob_id in blob_ids])
        for shard in {blob_id >> SHARD_BITS for blob_id in blob_ids}:
            fsync_dir(f"{self._folder_text}/{shard:x}")

    def restore(self, contents: Iterable[tuple[int, bytes]]) -> int:
        """Write the files (blob id, content) again that a failure of the machine took; how many. Raises OSError."""
        restored = 0
        for blob_id, content in contents:
            path = Path(self.path(blob_id))
            if path.exists() and path.read_bytes() == content:
                continue
            path.parent.mkdir(exist_ok=True, mode=0o770)
            temporary = path.with_suffix(".new")
            temporary.write_bytes(content)
            temporary.replace(path)
            restored += 1
        fsync_dir(self._folder_text)
        return restored

    def unlink(self, blob_ids: Iterable[int]) -> None:
        """Remove files. Raises OSError."""
        for blob_id in blob_ids:
            Path(self.path(blob_id)).unlink(missing_ok=True)

    def shards(self) -> list[int]:
        """Numbers of the directories, ascending."""
        names = (entry.name for entry in os.scandir(self._folder))
        return sorted(int(name, 16) for name in names if all(c in "0123456789abcdef" for c in name))

    def old_files(self, shard: int) -> set[int]:
        """Blobs of a directory whose files are not fresh. Files that do not belong there are left alone."""
        limit = time.time() - ORPHAN_AGE_S
        with os.scandir(self._folder / f"{shard:x}") as entries:
            old = {int(e.name) for e in entries if e.name.isdigit() and e.stat().st_mtime < limit}
        return {blob_id for blob_id in old if blob_id >> SHARD_BITS == shard}

    def sweep(self, shard: int, known: set[int]) -> None:
        """Remove old files of a directory that are not `known`. Raises OSError."""
        for blob_id in sorted(self.old_files(shard) - known):
            _logger.info("removing message file without record", folder=str(self._folder), blob=blob_id)
            self.unlink([blob_id])


def known_blobs(tx: Tx, shard: int) -> set[int]:
    """Blobs of a directory that records name."""
    rows = tx.run(
        "SELECT blob_id FROM blob WHERE account_id = ? AND blob_id BETWEEN ? AND ?",
        tx.account_id,
        shard << SHARD_BITS,
        ((shard + 1) << SHARD_BITS) - 1,
    )
    return {row[0] for row in rows}


def known(tx: Tx, blob_ids: Iterable[int]) -> set[int]:
    """Those of some blobs that records name."""
    sql = "SELECT 1 FROM blob WHERE account_id = ? AND blob_id = ?"
    return {blob_id for blob_id in blob_ids if tx.one(sql, tx.account_id, blob_id) is not None}


def swept_to(tx: Tx) -> int:
    """Directories below this number have no files without record."""
    row = tx.one("SELECT swept_shard FROM sync_state WHERE account_id = ?", tx.account_id)
    return 0 if row is None else int(row[0])


def set_swept(tx: Tx, shard: int) -> None:
    """See `swept_to`."""
    tx.run("UPDATE sync_state SET swept_shard = ? WHERE account_id = ?", shard, tx.account_id)


def unused(tx: Tx) -> list[int]:
    """Some blobs that no message has any more; their files may be removed, and then `forget` called."""
    rows = tx.run("SELECT blob_id FROM blob WHERE account_id = ? AND refs = 0 LIMIT 1000", tx.account_id)
    return [row[0] for row in rows]


def forget(tx: Tx, blob_ids: Sequence[int]) -> None:
    """The files are gone."""
    tx.many(
        "DELETE FROM blob WHERE account_id = ? AND blob_id = ? AND refs = 0", [(tx.account_id, b) for b in blob_ids]
    )
    tx.many(
        "DELETE FROM blob_fresh AS f WHERE account_id = ? AND blob_id = ? "
        "AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.account_id = f.account_id AND b.blob_id = f.blob_id)",
        [(tx.account_id, b) for b in blob_ids],
    )
