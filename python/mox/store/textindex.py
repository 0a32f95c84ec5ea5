"""The text index of an account: which messages cannot contain what a search looks for.

It has two kilobytes of trigram bits for each message (`rust/imapbatch/src/signature.rs`), in files of 1,024 messages in
the folder `text`. A search reads only messages that may match and those that are not in the index yet: its answers are
those of reading all. Nothing waits for the index: messages get in after a search has missed them. All of it can be made
again, so it is neither in transactions nor in backups. docs/decisions/032-text-index.md.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from mox import log
from mox._rust import TextIndex
from mox.store.engine import Tx
from mox.store.errors import EngineClosed
from mox.store.workers import Workers

if TYPE_CHECKING:
    from mox.store.account import Account

# A file is written anew when so many messages can be added to it: reading fewer is less work.
ENOUGH = 64

_logger = log.get("store")


class TextFolder:
    """The files of an account. `index` and `check` may be used in any thread, all else is for the loop's."""

    def __init__(self, folder: Path, workers: Workers) -> None:
        self._folder = folder
        self._workers = workers
        self.index = TextIndex(str(folder))
        self._due: set[int] = set()
        self._builder: asyncio.Task[None] | None = None

    def want(self, account: "Account", message_ids: Iterable[int]) -> None:
        """These messages were looked for in vain. Blocks where there are enough of them are brought up to date in the
        background."""
        missing = Counter(message_id // TextIndex.BLOCK for message_id in message_ids)
        self._due |= {block for block, count in missing.items() if count >= ENOUGH}
        if self._due and (self._builder is None or self._builder.done()):
            name = f"text index of account {account.name}"
            self._builder = asyncio.get_running_loop().create_task(self._build(account), name=name)

    async def built(self) -> None:
        """Return when everything that was wanted is in the index."""
        if self._builder is not None:
            await asyncio.wait([self._builder])

    async def stop(self) -> None:
        """Leave the rest for another time."""
        self._due.clear()
        if self._builder is not None:
            self._builder.cancel()
            await self.built()

    async def _build(self, account: "Account") -> None:
        while self._due:
            block = self._due.pop()
            try:
                await self._add(account, block)
            except EngineClosed:
                return
            except (apsw.Error, OSError) as err:
                _logger.error("text index failed", account=account.name, block=block, err=str(err))

    async def _add(self, account: "Account", block: int) -> None:
        """Bring a block up to date."""
        known = await account.read(lambda tx: _ids(tx, block), early=True)
        missing = set(await self._workers.run(self.index.missing, known))
        rows = await account.read(lambda tx: _rows(tx, missing, account.blob_path), early=True)
        await self._workers.run(self._write, rows)

    def _write(self, rows: list[tuple[int, bytes, bytes, str]]) -> None:
        self._folder.mkdir(exist_ok=True, mode=0o770)
        self.index.add(rows)

    def _blocks(self) -> list[int]:
        if not self._folder.is_dir():
            return []
        return sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdigit())

    def check(self, next_message_id: int) -> None:
        """Drop an index that knows messages which are yet to come: the database is an older one that was restored.
        Raises OSError."""
        blocks = self._blocks()
        if not blocks:
            return
        highest = self.index.highest(blocks[-1])
        if highest is None or highest >= next_message_id:
            self._remove()

    async def clear(self) -> None:
        """Drop the index, because texts are understood in another way now. Raises OSError."""
        await self.stop()
        await self._workers.run(self._remove)

    def _remove(self) -> None:
        for path in self._folder.glob("*"):
            path.unlink(missing_ok=True)

    async def tidy(self, account: "Account") -> None:
        """Remove blocks whose messages are all gone. Raises OSError, and what `Account.read` does."""
        blocks = await self._workers.run(self._blocks)
        gone = await account.read(lambda tx: [b for b in blocks if not _ids(tx, b, limit=1)], early=True)
        for block in gone:
            await self._workers.run((self._folder / str(block)).unlink, True)


def _ids(tx: Tx, block: int, limit: int = TextIndex.BLOCK) -> list[int]:
    rows = tx.run(
        "SELECT message_id FROM message_cold WHERE account_id = ? AND message_id BETWEEN ? AND ? LIMIT ?",
        tx.account_id,
        block * TextIndex.BLOCK,
        (block + 1) * TextIndex.BLOCK - 1,
        limit,
    )
    return [row[0] for row in rows]


def _rows(tx: Tx, message_ids: set[int], path: Callable[[int], str]) -> list[tuple[Any, ...]]:
    """(id, structure, prefix, path) of messages of one block."""
    if not message_ids:
        return []
    rows: Sequence[tuple[Any, ...]] = tx.run(
        "SELECT message_id, structure, prefix, blob_id FROM message_cold WHERE account_id = ? "
        "AND message_id BETWEEN ? AND ?",
        tx.account_id,
        min(message_ids),
        max(message_ids),
    )
    return [(*row[:3], path(row[3])) for row in rows if row[0] in message_ids]
