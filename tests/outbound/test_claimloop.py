"""When the loops of the queue look for work."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from mox.outbound import lanes
from mox.outbound.claimloop import ClaimLoop
from mox.outbound.records import now_ms

HOUR_MS = 3_600_000
TURNS = 20


class Looked:
    """A queue with nothing in it that is due before `next_ms`; counts how often somebody looks."""

    def __init__(self, next_ms: int | None) -> None:
        self.next_ms = next_ms
        self.looks = 0
        self.kick: Callable[[int], None] = lambda _at: None

    async def record(self, _claim: object) -> list[str]:
        self.looks += 1
        return []

    async def read(self, _look: object) -> int | None:
        return self.next_ms

    def on_kick(self, callback: Callable[[int], None], _kind: lanes.Kind) -> Callable[[], None]:
        self.kick = callback
        return lambda: None


async def settled() -> None:
    """Everything that can go on without waiting for time has gone on."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


@asynccontextmanager
async def looping(queue: Looked) -> AsyncIterator[None]:
    async def work(_piece: str) -> None:
        raise AssertionError("nothing is ever claimed")

    stopping = asyncio.Event()
    loop: ClaimLoop[str] = ClaimLoop(
        queue,  # type: ignore[arg-type]
        lanes.Kind.MESSAGE,
        5,
        lambda _tx, _room: [],
        work,
        "queue",
    )
    task = asyncio.create_task(loop.run(stopping))
    await settled()
    yield
    stopping.set()
    await task


@pytest.mark.parametrize(
    ("next_in_ms", "kick_in_ms", "looks"),
    [(HOUR_MS // 2, HOUR_MS, 1), (HOUR_MS // 2, HOUR_MS // 4, 2), (None, HOUR_MS // 2, 2), (HOUR_MS // 2, None, 2)],
    ids=["later", "earlier", "first", "anything"],
)
async def test_kicks_for_later_than_it_waits_for_change_nothing(
    next_in_ms: int | None, kick_in_ms: int | None, looks: int
) -> None:
    queue = Looked(None if next_in_ms is None else now_ms() + next_in_ms)
    async with looping(queue):
        assert queue.looks == 1
        queue.kick(0 if kick_in_ms is None else now_ms() + kick_in_ms)
        await settled()
        assert queue.looks == looks
