"""The bus between processes, here with both ends in one loop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from mox.server.bus import BusCallError, HubBus, WorkerBus


def run(test: Callable[[HubBus, WorkerBus, WorkerBus], Awaitable[None]]) -> None:
    async def main() -> None:
        hub, workers = HubBus(), [WorkerBus("0", lambda: None), WorkerBus("1", lambda: None)]
        for worker in workers:
            ours, theirs = socket.socketpair()
            await hub.attach(ours)
            await worker.attach(theirs)
        await asyncio.wait_for(test(hub, *workers), 10)
        for worker in workers:
            worker.close()
        hub.close()
        await asyncio.sleep(0)

    asyncio.run(main())


def test_publish_reaches_every_process_once() -> None:
    async def test(hub: HubBus, one: WorkerBus, two: WorkerBus) -> None:
        seen: asyncio.Queue[str] = asyncio.Queue()
        for name, bus in (("hub", hub), ("one", one), ("two", two)):
            bus.subscribe("t", lambda payload, name=name: seen.put_nowait(f"{name}:{payload.decode()}"))
        one.publish("t", b"x")
        assert {await seen.get() for _ in range(3)} == {"hub:x", "one:x", "two:x"}
        hub.publish("t", b"y")
        assert {await seen.get() for _ in range(3)} == {"hub:y", "one:y", "two:y"}
        assert seen.empty()

    run(test)


def test_call_is_answered_by_the_core() -> None:
    async def test(hub: HubBus, one: WorkerBus, _two: WorkerBus) -> None:
        async def double(payload: bytes) -> bytes:
            return payload * 2

        async def fail(_payload: bytes) -> bytes:
            raise ValueError("no good")

        hub.register("double", double)
        hub.register("fail", fail)
        assert await one.call("double", b"ab", 5) == b"abab"
        with pytest.raises(BusCallError, match="no good"):
            await one.call("fail", b"", 5)

    run(test)


def test_call_without_answer_times_out() -> None:
    async def test(hub: HubBus, one: WorkerBus, _two: WorkerBus) -> None:
        async def never(_payload: bytes) -> bytes:
            await asyncio.Event().wait()
            return b""

        hub.register("never", never)
        with pytest.raises(TimeoutError):
            await one.call("never", b"", 0.05)

    run(test)
