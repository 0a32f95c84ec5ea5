"""The loop of everything that works by lease: messages (`runner`) and webhook calls (`hookrunner`).

It claims what is due and fits, runs each piece in a task, and sleeps until something is due or somebody kicks.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import apsw

from mox import log
from mox.outbound import lanes
from mox.outbound.queue import Queue
from mox.outbound.records import now_ms
from mox.store.engine import Tx

MAX_SLEEP_S = 3600.0
DATABASE_RETRY_S = 1.0

W = TypeVar("W")


class ClaimLoop(Generic[W]):
    """At most `room` pieces of work at a time in this process.

    `claim` takes up to so many in a transaction, their attempts already counted and rescheduled. `work` sees to one and
    records what came of it; when it fails to, the piece is due again by its schedule. `log_package` is where that is
    told.
    """

    def __init__(
        self,
        queue: Queue,
        kind: lanes.Kind,
        room: int,
        claim: Callable[[Tx, int], Sequence[W]],
        work: Callable[[W], Awaitable[None]],
        log_package: str,
    ) -> None:
        self._queue, self._kind, self._room = queue, kind, room
        self._claim, self._work = claim, work
        self._logger: Any = log.get(log_package)
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Future[None]] = set()
        # While it sleeps: until when. Kicks for later than that change nothing.
        self._until_ms: int | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set and what runs has ended. When cancelled, work is cut off."""
        stop_kicks = self._queue.on_kick(self._kicked, self._kind)
        waker = asyncio.create_task(self._wake_when(stopping))
        try:
            while not stopping.is_set():
                try:
                    await self._round()
                except (apsw.Error, OSError) as err:
                    self._logger.error("looking at the queue", kind=self._kind.value, err=str(err))
                    await asyncio.sleep(DATABASE_RETRY_S)
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            stop_kicks()
            for task in (waker, *self._tasks):
                task.cancel()
            await asyncio.gather(waker, *self._tasks, return_exceptions=True)

    def _kicked(self, at_ms: int) -> None:
        if self._until_ms is None or at_ms < self._until_ms:
            self._wake.set()

    async def _wake_when(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._wake.set()

    async def _round(self) -> None:
        """Start what is due and fits; otherwise wait for a reason to look again."""
        self._wake.clear()
        room = self._room - len(self._tasks)
        claimed = await self._queue.record(lambda tx: self._claim(tx, room)) if room else []
        for piece in claimed:
            task = asyncio.ensure_future(self._work(piece))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        if not claimed:
            await self._sleep(has_room=room > 0)

    def _ended(self, task: "asyncio.Future[None]") -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (err := task.exception()) is not None:
            self._logger.error("recording an outcome", kind=self._kind.value, err=str(err))

    async def _sleep(self, has_room: bool) -> None:
        at = await self._queue.read(lambda tx: lanes.next_ms(tx, self._kind)) if has_room else None
        wait_s = MAX_SLEEP_S if at is None else min(MAX_SLEEP_S, max(0.0, (at - now_ms()) / 1000))
        self._until_ms = now_ms() + int(wait_s * 1000)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        self._until_ms = None
