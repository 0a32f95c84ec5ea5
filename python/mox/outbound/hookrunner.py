"""The loop that makes webhook calls that are due: at most one at a time for a URL, a bounded number in all."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import apsw

from mox import log, metrics
from mox.outbound import hooks, lanes
from mox.outbound.hooks import CallOutcome
from mox.outbound.queue import HOOK_TOPIC, Queue
from mox.outbound.records import Hook, now_ms
from mox.outbound.runner import DATABASE_RETRY_S, MAX_SLEEP_S, RENEW_INTERVAL_S, new_owner

# One at a time for a URL, so this many URLs may hang before others wait. mox has 10.
MAX_CALLS = 100
CALL_TIMEOUT_S = 60.0

# Makes one call and says what it gave; errors of the network belong into the outcome.
Call = Callable[[Hook], Awaitable[CallOutcome]]

_logger = log.get("webhook")


class HookRunner:
    """Makes the calls of a queue, in each process that may."""

    def __init__(self, queue: Queue, call: Call) -> None:
        self._queue, self._call = queue, call
        self.owner = new_owner()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Call until `stopping` is set and the running calls have ended."""
        stop_kicks = self._queue.on_kick(self._wake.set, HOOK_TOPIC)
        waker = asyncio.create_task(self._wake_when(stopping))
        renewer = asyncio.create_task(self._renew())
        try:
            while not stopping.is_set():
                try:
                    await self._round()
                except (apsw.Error, OSError) as err:
                    _logger.error("looking at the webhook queue", err=str(err))
                    await asyncio.sleep(DATABASE_RETRY_S)
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            stop_kicks()
            for task in (waker, renewer, *self._tasks):
                task.cancel()
            await asyncio.gather(waker, renewer, *self._tasks, return_exceptions=True)

    async def _wake_when(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._wake.set()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_INTERVAL_S)
            try:
                await self._queue.record(lambda tx: hooks.renew(tx, self.owner))
            except (apsw.Error, OSError) as err:
                _logger.error("keeping the leases of webhook calls", err=str(err))

    async def _round(self) -> None:
        self._wake.clear()
        room = MAX_CALLS - len(self._tasks)
        claimed = await self._queue.record(lambda tx: hooks.claim(tx, self.owner, room)) if room else []
        for hook in claimed:
            task = asyncio.create_task(self._attempt(hook))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        if not claimed:
            await self._sleep(has_room=room > 0)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (err := task.exception()) is not None:
            _logger.error("recording a webhook call", err=str(err))

    async def _sleep(self, has_room: bool) -> None:
        at = await self._queue.read(lambda tx: lanes.next_ms(tx, lanes.Kind.HOOK)) if has_room else None
        wait_s = MAX_SLEEP_S if at is None else min(MAX_SLEEP_S, max(0.0, (at - now_ms()) / 1000))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._wake.wait()

    async def _attempt(self, hook: Hook) -> None:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                outcome = await self._call(hook)
        except TimeoutError:
            outcome = CallOutcome(0, f"no answer within {CALL_TIMEOUT_S:.0f} seconds")
        except Exception as err:  # a bug must not stop the queue or lose the call
            metrics.panics.labels("webhook").inc()
            _logger.exception("webhook call failed", id=hook.id)
            outcome = CallOutcome(0, f"unexpected error: {err!r}")
        _logger.info("webhook call", id=hook.id, attempt=hook.attempts, code=outcome.code, err=outcome.error)
        keep_ms = self._queue.surroundings.keep_hooks_ms(hook.account)
        await self._queue.record(lambda tx: hooks.finish(tx, hook, outcome, keep_ms))
