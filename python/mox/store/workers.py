"""Threads for work that must not hold up the loop: reads of databases, message files.

`concurrent.futures` costs as much per call as the calls that are made here; this is the little that they need.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class _Call:
    __slots__ = ("arguments", "error", "fn", "future", "loop", "result")

    def __init__(self, fn: Callable[..., Any], arguments: tuple[Any, ...], loop: asyncio.AbstractEventLoop) -> None:
        self.fn, self.arguments, self.loop = fn, arguments, loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.fn(*self.arguments)
        except BaseException as err:  # every failure belongs to the caller
            self.error = err


class Workers:
    """Up to `count` threads, started when there is work for them. `run` is for the loop's thread."""

    def __init__(self, count: int, name: str) -> None:
        self._count, self._name = count, name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0

    async def run(self, fn: Callable[..., T], *arguments: Any) -> T:
        """Call `fn` in a thread. Raises what it raises. When the caller is cancelled, the call is finished all the
        same."""
        call = _Call(fn, arguments, asyncio.get_running_loop())
        self._unfinished += 1
        if self._unfinished > len(self._threads) < self._count:
            thread = threading.Thread(target=self._work, name=f"{self._name} {len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._calls.put(call)
        result: T = await call.future
        return result

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
            # A loop that is closed has nobody who waits.
            with contextlib.suppress(RuntimeError):
                call.loop.call_soon_threadsafe(self._resolve, call)
            # A thread that waits must not keep anything alive.
            del call

    def _resolve(self, call: _Call) -> None:
        self._unfinished -= 1
        if call.future.done():
            return
        if call.error is not None:
            call.future.set_exception(call.error)
        else:
            call.future.set_result(call.result)

    def close(self) -> None:
        """Finish what is queued, then end the threads; waits for them."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
