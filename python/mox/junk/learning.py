"""Learning what users decide: settles the training that the store has noted as pending.

Words are read and counted outside of transactions. One transaction then changes the counts and notes the messages as
trained, for those whose wish is still the same; what changed in the meantime is pending again.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from mox import log
from mox._rust import junk_words
from mox.config.junkfilter import JunkFilterParams
from mox.junk import table
from mox.store import training
from mox.store.account import Account
from mox.store.engine import Tx
from mox.store.training import Lesson

BATCH = 100

_logger = log.get("junk")


@dataclass(frozen=True, slots=True)
class _Read:
    """A lesson with its words."""

    lesson: Lesson
    words: list[str]


def words_of(content: bytes, params: JunkFilterParams) -> list[str]:
    """Words of a message without the lines that delivery added."""
    return junk_words(content, params.Onegrams, params.Twograms, params.Threegrams)


async def settle(account: Account, params: JunkFilterParams) -> int:
    """Learn and forget all that is pending; how many messages."""
    done = 0
    while lessons := await account.read(lambda tx: training.pending(tx, BATCH)):
        read = await asyncio.to_thread(_read_words, account, lessons, params)
        await account.write(lambda tx, read=read: _learn(tx, read))  # type: ignore[misc]
        done += len(lessons)
    return done


def _read_words(account: Account, lessons: list[Lesson], params: JunkFilterParams) -> list[_Read]:
    return [_Read(lesson, _words(account, lesson, params)) for lesson in lessons]


def _words(account: Account, lesson: Lesson, params: JunkFilterParams) -> list[str]:
    try:
        content = Path(account.blob_path(lesson.blob_id)).read_bytes()
    except OSError as err:
        _logger.error("reading message to learn", account=account.name, message_id=lesson.message_id, err=str(err))
        return []
    return words_of(content, params)


def _learn(tx: Tx, read: list[_Read]) -> None:
    for item in read:
        trained, wanted = training.state(tx, item.lesson.message_id)
        # Another process may have learned it meanwhile.
        if trained != wanted and trained != training.NOTHING:
            table.unlearn(tx, item.words, trained == training.JUNK)
        if trained != wanted and wanted != training.NOTHING:
            table.learn(tx, item.words, wanted == training.JUNK)
        training.settle(tx, item.lesson.message_id, wanted)


async def retrain(account: Account, params: JunkFilterParams) -> int:
    """Empty the filter and learn all messages anew; how many."""

    def empty(tx: Tx) -> None:
        table.clear(tx)
        training.restart(tx)

    await account.write(empty)
    return await settle(account, params)


async def verify(account: Account, params: JunkFilterParams) -> list[str]:
    """What the tables say differently from the messages they were learned from."""
    trained = await account.read(
        lambda tx: tx.run(
            "SELECT c.blob_id, h.trained FROM message_hot h JOIN message_cold c USING (account_id, message_id) "
            # Of a moved message, the row where it was before says nothing.
            "WHERE h.account_id = ? AND h.trained != 0 AND NOT EXISTS (SELECT 1 FROM message_hot n "
            "WHERE n.account_id = h.account_id AND n.message_id = h.message_id AND n.create_seq > h.create_seq)",
            tx.account_id,
        )
    )

    def read() -> list[tuple[list[str], bool]]:
        return [
            (words_of(Path(account.blob_path(blob_id)).read_bytes(), params), kind == training.JUNK)
            for blob_id, kind in trained
        ]

    messages = await asyncio.to_thread(read)
    return await account.read(lambda tx: table.verify(tx, messages))
