"""Short ways to fill an account."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mox._rust import stage_bytes
from mox.store import history, mailboxes, messages, verify
from mox.store.account import Account
from mox.store.engine import Tx
from mox.store.history import Question
from mox.store.messages import Added
from mox.store.reputation import Verdict
from mox.store.types import Facts, Mailbox

T = TypeVar("T")

ACCOUNT = "mjl"
# As a moment the far future, as an age since ever.
EVER_MS = 10**13
_numbers = itertools.count(1)


def letter(subject: str = "test", *, message_id: str | None = None, body: str = "hi", **headers: str) -> bytes:
    """A message; `headers` with `_` for `-`. A Message-ID of its own unless given; "" for none."""
    number = next(_numbers)
    lines = {"From": "<a@example.org>", "To": "<b@example.org>", "Subject": subject}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    if message_id != "":
        lines["Message-ID"] = f"<{message_id or f'{number}@test'}>"
    return "".join(f"{k}: {v}\r\n" for k, v in lines.items()).encode() + f"\r\n{body}\r\n".encode()


async def until(condition: Callable[[], bool]) -> None:
    """Return when it holds; fails after some seconds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to hold")


class Box:
    """An account under test."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def do(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function of the store in a write transaction."""
        return await self.account.write(lambda tx: fn(tx, *args, **kwargs))

    async def see(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function of the store on a snapshot."""
        return await self.account.read(lambda tx: fn(tx, *args, **kwargs))

    async def ask(self, mailbox_id: int, question: Question, now_ms: int = EVER_MS) -> list[Verdict]:
        """What the history says; by default of all times."""
        (found,) = await self.see(history.answers, mailbox_id, now_ms, [question])
        return found

    async def mailbox(self, name: str) -> Mailbox:
        return await self.see(mailboxes.get_by_name, name)

    async def add(self, name: str, *contents: bytes, prefix: bytes = b"", **fields: Any) -> Added:
        """Add messages to a mailbox; `fields` are those of NewMessage."""
        new = []
        for content in contents:
            prepared = await self.account.prepare(stage_bytes(content), prefix)
            new.append(self.account.new_message(prepared, **fields))
        return await self.do(messages.add, (await self.mailbox(name)).id, new)

    async def deliver(self, name: str, content: bytes, facts: Facts, **fields: Any) -> int:
        """Add one message with facts; its id."""
        return (await self.add(name, content, facts=facts, **fields)).message_ids[0]

    async def uids(self, name: str) -> list[int]:
        rows = await self.see(messages.hot_rows, (await self.mailbox(name)).id)
        return [row[0] for row in rows]

    async def flag(self, name: str, uids: Sequence[int], mode: str, flags: int, keywords: Sequence[str] = ()) -> None:
        await self.do(messages.set_flags, (await self.mailbox(name)).id, uids, mode, flags, frozenset(keywords))

    async def expunge(self, name: str, uids: Sequence[int]) -> list[int]:
        box_id = (await self.mailbox(name)).id
        return await self.do(messages.expunge, box_id, uids, messages.MAX_UID, only_deleted=False)

    async def move(self, source: str, uids: Sequence[int], target: str) -> messages.Copied:
        ids = (await self.mailbox(source)).id, (await self.mailbox(target)).id
        return await self.do(messages.move, ids[0], uids, ids[1], 1)

    async def copy(self, source: str, uids: Sequence[int], target: str) -> messages.Copied:
        ids = (await self.mailbox(source)).id, (await self.mailbox(target)).id
        return await self.do(messages.copy, ids[0], uids, ids[1], 1)

    async def cold(self, message_id: int, columns: str) -> tuple[Any, ...] | None:
        """Columns of a message that is not erased."""
        sql = f"SELECT {columns} FROM message_cold WHERE account_id = 1 AND message_id = ?"
        return await self.see(Tx.one, sql, message_id)

    async def problems(self) -> list[str]:
        """Everything that verification finds, files included."""
        return await verify.problems(self.account)
