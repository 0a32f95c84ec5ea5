"""The queue of webhook calls: schedule, superseding, what is kept."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.outbound import hooks, operations
from mox.outbound.backoff import HOOK_WAITS_S
from mox.outbound.hookrunner import HookRunner
from mox.outbound.hooks import CallOutcome
from mox.outbound.listing import HOOKS, HOOKS_RETIRED, Filter
from mox.outbound.records import Hook, HookRetired, NewHook, now_ms
from tests.outbound.bench import DAY_MS, TIMEOUT_S, Bench, opened

FAILED = CallOutcome(500, "status 500", "oops")
DONE = CallOutcome(200, response="ok")


def hook(**facts: object) -> NewHook:
    return NewHook(**{"account": "mjl", "url": "http://hook.example/", "payload": "{}", **facts})  # type: ignore[arg-type]


async def add(bench: Bench, **facts: object) -> int:
    return await bench.queue.write(lambda tx: hooks.add(tx, hook(**facts), DAY_MS))


async def queued(bench: Bench) -> list[Hook]:
    return await bench.queue.read(lambda tx: HOOKS.select(tx))


async def retired(bench: Bench) -> list[HookRetired]:
    return await bench.queue.read(lambda tx: HOOKS_RETIRED.select(tx))


async def until(bench: Bench, condition: Callable[[list[Hook]], bool]) -> None:
    pause = asyncio.Event()
    async with asyncio.timeout(TIMEOUT_S):
        while not condition(await queued(bench)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.005):
                    await pause.wait()


async def attempt(bench: Bench, outcome: CallOutcome) -> None:
    """Make everything due and call it once."""
    await bench.queue.write(lambda tx: operations.set_hook_next_attempt(tx, Filter(), 1))
    for claimed in await bench.queue.record(lambda tx: hooks.claim(tx, "owner", 10)):
        await bench.queue.record(lambda tx, h=claimed: hooks.finish(tx, h, outcome, DAY_MS))  # type: ignore[misc]


@pytest.mark.holds("outbound-e115ba")
async def test_waits_and_the_last_attempt(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await add(bench)
        for number, wait_s in enumerate(HOOK_WAITS_S, 1):
            before = now_ms()
            await attempt(bench, FAILED)
            (waiting,) = await queued(bench)
            assert waiting.attempts == number
            assert abs((waiting.next_ms - before) / 1000 - wait_s) <= wait_s * 0.01 + 1
        await attempt(bench, FAILED)
        assert await queued(bench) == []
        (kept,) = await retired(bench)
        assert (kept.attempts, kept.success, len(kept.results)) == (12, False, 12)
        assert {(r.code, r.error, r.response) for r in kept.results} == {(500, "status 500", "oops")}


@pytest.mark.parametrize("code", [200, 201, 204, 302, 404])
async def test_only_2xx_is_success(tmp_path: Path, code: int) -> None:
    async with opened(tmp_path) as bench:
        await add(bench)
        await attempt(bench, CallOutcome(code))
        assert (await queued(bench) == []) is (code < 300)


async def test_a_newer_event_supersedes(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        first = await add(bench, queue_id=5, outgoing_event="delayed")
        other = await add(bench, queue_id=6)
        incoming = await add(bench, is_incoming=True)
        second = await add(bench, queue_id=5, outgoing_event="failed")
        assert {h.id for h in await queued(bench)} == {other, incoming, second}
        (kept,) = await retired(bench)
        assert (kept.id, kept.superseded_by, kept.success) == (first, second, False)


@pytest.mark.holds("outbound-5642a8")
@pytest.mark.parametrize("how", ["superseded", "canceled"])
async def test_superseded_during_its_call(tmp_path: Path, how: str) -> None:
    async with opened(tmp_path) as bench:
        await add(bench, queue_id=5)
        (claimed,) = await bench.queue.record(lambda tx: hooks.claim(tx, "owner", 10))
        if how == "superseded":
            await add(bench, queue_id=5)
        else:
            surroundings = bench.surroundings
            await bench.queue.write(lambda tx: operations.cancel_hooks(tx, surroundings, Filter()))
        await bench.queue.record(lambda tx: hooks.finish(tx, claimed, FAILED, DAY_MS))
        kept = {h.id: h for h in await retired(bench)}[claimed.id]
        assert kept.results[-1].error == "status 500 (superseded)" and not kept.success


async def test_one_call_at_a_time_for_a_url(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        for number in range(6):
            await add(bench, url=f"http://h{number % 2}.example/")
        running: dict[str, int] = {}
        most = 0

        async def call(called: Hook) -> CallOutcome:
            nonlocal most
            running[called.url] = running.get(called.url, 0) + 1
            most = max(most, running[called.url])
            await asyncio.sleep(0)
            running[called.url] -= 1
            return DONE

        stopping = asyncio.Event()
        task = asyncio.create_task(HookRunner(bench.queue, call).run(stopping))
        await until(bench, lambda found: not found)
        stopping.set()
        await task
        assert most == 1 and len(await retired(bench)) == 6


async def test_a_bug_in_the_call_does_not_lose_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await add(bench)

        async def call(_hook: Hook) -> CallOutcome:
            raise RuntimeError("oops")

        stopping = asyncio.Event()
        task = asyncio.create_task(HookRunner(bench.queue, call).run(stopping))
        await until(bench, lambda found: "oops" in str(found[0].results))
        stopping.set()
        await task


async def test_nothing_is_kept_without_a_period_and_old_calls_go(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        hook_id = await bench.queue.write(lambda tx: hooks.add(tx, hook(), 0))
        (claimed,) = await bench.queue.record(lambda tx: hooks.claim(tx, "owner", 10))
        assert claimed.id == hook_id
        await bench.queue.record(lambda tx: hooks.finish(tx, claimed, DONE, 0))
        assert await retired(bench) == []
        await add(bench)
        await attempt(bench, DONE)
        assert await bench.queue.record(hooks.clean_up) == 0 and len(await retired(bench)) == 1
