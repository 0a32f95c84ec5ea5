"""The loop that makes webhook calls that are due: at most one at a time for a URL, a bounded number in all."""

import asyncio
from collections.abc import Awaitable, Callable

import apsw

from mox import log, metrics
from mox.outbound import hooks, lanes
from mox.outbound.claimloop import ClaimLoop
from mox.outbound.hooks import CallOutcome
from mox.outbound.queue import Queue
from mox.outbound.records import Hook
from mox.outbound.runner import RENEW_INTERVAL_S, new_owner
from mox.store.engine import Tx

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
        self._loop = ClaimLoop(
            queue,
            lanes.Kind.HOOK,
            MAX_CALLS,
            self._claim,
            self._attempt,
            "webhook",
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Call until `stopping` is set and the running calls have ended."""
        renewer = asyncio.create_task(self._renew())
        try:
            await self._loop.run(stopping)
        finally:
            renewer.cancel()
            await asyncio.gather(renewer, return_exceptions=True)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_INTERVAL_S)
            try:
                await self._queue.record(lambda tx: hooks.renew(tx, self.owner))
            except (apsw.Error, OSError) as err:
                _logger.error("keeping the leases of webhook calls", err=str(err))

    def _claim(self, tx: Tx, room: int) -> list[Hook]:
        return hooks.claim(tx, self.owner, room)

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
