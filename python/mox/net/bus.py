"""The bus: wake-ups and calls between the parts of the program, in one process or several (DESIGN section 3).

A published message may be lost when a process dies; what it announces is in the database. Nothing here blocks.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Protocol

Callback = Callable[[bytes], None]
Service = Callable[[bytes], Awaitable[bytes]]


# Published by the core with the name of a process that ended.
PROCESS_ENDED = "process-ended"


class Bus(Protocol):
    """What users of a bus may rely on."""

    process: str
    """Name of this process, different from those of all others on the bus."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Tell every subscriber in every process, this one included."""

    def subscribe(self, topic: str, callback: Callback) -> Callable[[], None]:
        """Have `callback` called on the loop; returns what ends the subscription."""

    def register(self, service: str, handler: Service) -> None:
        """Answer calls of `service`."""

    async def call(self, service: str, payload: bytes, timeout_s: float) -> bytes:
        """Call a service. Raises TimeoutError, or KeyError where nobody answers it."""


class LocalBus:
    """A bus inside one process."""

    def __init__(self, process: str = "core") -> None:
        self.process = process
        self._callbacks: defaultdict[str, list[Callback]] = defaultdict(list)
        self._handlers: dict[str, Service] = {}

    def publish(self, topic: str, payload: bytes) -> None:
        """Call the subscribers of `topic`, here and now."""
        for callback in tuple(self._callbacks.get(topic, ())):
            callback(payload)

    def subscribe(self, topic: str, callback: Callback) -> Callable[[], None]:
        """See Bus."""
        self._callbacks[topic].append(callback)

        def unsubscribe() -> None:
            callbacks = self._callbacks.get(topic, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._callbacks.pop(topic, None)

        return unsubscribe

    def register(self, service: str, handler: Service) -> None:
        """See Bus."""
        self._handlers[service] = handler

    async def call(self, service: str, payload: bytes, timeout_s: float) -> bytes:
        """See Bus."""
        async with asyncio.timeout(timeout_s):
            return await self._handlers[service](payload)
