"""Webhook calls: schedule and history in the queue, and the HTTP calls themselves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from mox.outbound import hooks, operations
from mox.outbound.hookcalls import MAX_RESPONSE_BYTES, BadUrl, HookCaller, check_url
from mox.outbound.hookrunner import HookRunner
from mox.outbound.hooks import CallOutcome
from mox.outbound.listing import HOOKS, HOOKS_RETIRED, Filter, ListingError, Sort
from mox.outbound.records import Hook, HookRetired, NewHook, now_ms
from mox.store.engine import Tx
from tests.local_config import new_config
from tests.outbound.bench import Bench, opened
from tests.web.receiver import Receiver

OK = CallOutcome(200, response="thanks")
FAILED = CallOutcome(500, 'http status "500 Internal Server Error", expected 200 ok', "sorry")


def hook(url: str = "http://hook.example/", **options: Any) -> NewHook:
    return NewHook("mjl", url, '{"a":1}', **options)


async def add(bench: Bench, *new: NewHook) -> list[int]:
    keep_ms = bench.surroundings.keep_hooks
    return [await bench.queue.write(lambda tx, one=one: hooks.add(tx, one, keep_ms)) for one in new]  # type: ignore[misc]


async def waiting(bench: Bench, which: Filter | None = None, sort: Sort | None = None) -> list[Hook]:
    return await bench.queue.read(lambda tx: HOOKS.select(tx, which or Filter(), sort or Sort()))


async def retired(bench: Bench, which: Filter | None = None) -> list[HookRetired]:
    return await bench.queue.read(lambda tx: HOOKS_RETIRED.select(tx, which or Filter()))


async def attempt(bench: Bench, outcome: CallOutcome) -> bool:
    """Make the next call, as if its time had come."""

    def due(tx: Tx) -> Hook | None:
        operations.set_hook_next_attempt(tx, Filter(), now_ms())
        return next(iter(hooks.claim(tx, "tests", 1)), None)

    claimed = await bench.queue.record(due)
    if claimed is None:
        return False
    keep_ms = bench.surroundings.keep_hooks
    await bench.queue.record(lambda tx: hooks.finish(tx, claimed, outcome, keep_ms))
    return True


@pytest.mark.holds("webapi-d4103d")
async def test_failure_and_then_success(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        (hook_id,) = await add(bench, hook(queue_id=7))
        assert await attempt(bench, FAILED)
        (queued,) = await waiting(bench)
        assert (queued.id, queued.attempts) == (hook_id, 1)
        assert [(r.success, r.code, r.error, r.response) for r in queued.results] == [
            (False, 500, FAILED.error, "sorry")
        ]
        assert await attempt(bench, OK)
        assert await waiting(bench) == []
        (kept,) = await retired(bench)
        assert (kept.id, kept.success, kept.attempts, len(kept.results)) == (hook_id, True, 2, 2)


@pytest.mark.holds("webapi-d4103d")
async def test_given_up_after_twelve_attempts(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await add(bench, hook())
        for _ in range(12):
            assert await waiting(bench)
            assert await attempt(bench, FAILED)
        assert not await attempt(bench, OK)
        (kept,) = await retired(bench)
        assert (kept.success, kept.attempts, len(kept.results)) == (False, 12, 12)


@pytest.mark.holds("webapi-d4103d")
async def test_nothing_is_kept_without_a_period(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.surroundings.keep_hooks = 0
        await add(bench, hook(queue_id=1), hook(queue_id=1))
        assert await attempt(bench, OK)
        assert await waiting(bench) == [] and await retired(bench) == []


@pytest.mark.holds("webapi-d4103d")
async def test_cancel(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await add(bench, hook(), hook("http://other.example/"))
        assert await bench.queue.record(lambda tx: operations.cancel_hooks(tx, bench.surroundings, Filter())) == 2
        assert await waiting(bench) == []
        assert [r.results[-1].error for r in await retired(bench)] == ["canceled by admin"] * 2


@pytest.mark.holds("webapi-d4103d")
async def test_second_event_of_a_message_supersedes_the_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        first, second = await add(bench, hook(queue_id=9), hook(queue_id=9))
        assert [h.id for h in await waiting(bench)] == [second]
        (kept,) = await retired(bench)
        assert (kept.id, kept.superseded_by, kept.success) == (first, second, False)
        # Incoming messages have no such id and do not supersede each other.
        await add(bench, hook(is_incoming=True), hook(is_incoming=True))
        assert len(await waiting(bench)) == 3


@pytest.mark.holds("webapi-108f70")
async def test_lists(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        ids = await add(
            bench, hook(outgoing_event="failed"), hook(is_incoming=True), hook(outgoing_event="delivered"), hook()
        )
        await bench.queue.record(lambda tx: tx.run("UPDATE hooks SET next_ms = 1000, submitted_ms = 1000 + id"))

        async def listed(which: Filter | None = None, sort: Sort | None = None) -> list[int]:
            return [h.id for h in await waiting(bench, which, sort)]

        assert await listed() == ids[::-1]
        assert await listed(sort=Sort(ascending=True)) == ids
        assert await listed(Filter(event="incoming")) == [ids[1]]
        assert await listed(Filter(event="failed")) == [ids[0]]
        assert await listed(Filter(ids=ids[:2], max=1)) == [ids[1]]
        assert await listed(Filter(account="other")) == []
        assert await listed(Filter(submitted="<now")) == ids[::-1]
        assert await listed(Filter(next_attempt=">1h")) == []
        page = Sort("Submitted", ascending=True, last_id=ids[1], last=f"1970-01-01T00:00:01.{ids[1]:03}Z")
        assert await listed(sort=page) == ids[2:]
        with pytest.raises(ListingError):
            await listed(sort=Sort("Nonsense"))


@contextlib.asynccontextmanager
async def caller(folder: Path) -> AsyncIterator[HookCaller]:
    made = HookCaller(new_config(folder / "config"))
    try:
        yield made
    finally:
        await made.close()


async def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def test_slow_and_dead_receivers_delay_nobody(tmp_path: Path) -> None:
    with Receiver(hang={"/slow"}) as receiver:
        async with opened(tmp_path) as bench, caller(tmp_path) as made:
            await add(
                bench,
                hook(receiver.url("/slow")),
                hook(receiver.url("/slow")),
                hook("http://127.0.0.1:1/dead"),
                *(hook(receiver.url("/good")) for _ in range(3)),
            )
            stopping = asyncio.Event()
            running = asyncio.create_task(HookRunner(bench.queue, made.call).run(stopping))
            await asyncio.to_thread(receiver.wait, lambda c: [x.path for x in receiver.calls].count("/good") == 3)
            # One at a time for a URL.
            assert [c.path for c in receiver.calls].count("/slow") == 1
            stopping.set()
            receiver.ended.set()
            await running
            (dead,) = await waiting(bench, Filter(max=1))
            assert dead.attempts == 1 or dead.url.endswith("/slow")


@pytest.mark.parametrize(
    ("status", "success"),
    [(200, True), (204, True), (500, False), (404, False), (301, False), (302, False), (303, False)],
)
async def test_statuses(tmp_path: Path, status: int, success: bool) -> None:
    with Receiver(status={"/": status}) as receiver:
        receiver.location["/"] = receiver.url("/elsewhere")
        async with caller(tmp_path) as made:
            outcome = await made.post(receiver.url("/"), "", "{}")
    assert (outcome.code, outcome.success) == (status, success)
    # A redirect that would lose the payload is not followed.
    assert [call.path for call in receiver.calls] == ["/"]
    if not success:
        assert outcome.error.startswith(f'http status "{status} ') and outcome.error.endswith(", expected 200 ok")


async def test_redirects_that_keep_the_payload(tmp_path: Path) -> None:
    with Receiver(status={"/a": 307}) as one, Receiver() as other:
        one.location["/a"] = other.url("/b")
        async with caller(tmp_path) as made:
            outcome = await made.post(one.url("/a"), "Basic secret", '{"x":1}', 5, 2)
        assert outcome.success
        (call,) = other.calls
        assert call.payload == {"x": 1} and call.headers["x-mox-webhook-id"] == "5"
        # Credentials are for the first server only.
        assert "authorization" not in call.headers and one.calls[0].headers["authorization"] == "Basic secret"
        one.location["/a"] = one.url("/a")
        async with caller(tmp_path / "other") as made:
            outcome = await made.post(one.url("/a"), "", "{}")
        assert not outcome.success and "redirects" in outcome.error


async def test_only_the_start_of_an_answer_is_read(tmp_path: Path) -> None:
    with Receiver(body={"/": b"x" * 5_000_000}) as receiver:
        async with caller(tmp_path) as made:
            outcome = await made.post(receiver.url("/"), "", "{}")
    assert outcome.success and outcome.response == "x" * MAX_RESPONSE_BYTES


async def test_server_that_talks_nonsense(tmp_path: Path) -> None:
    async def nonsense(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0\1\2 this is not HTTP\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with caller(tmp_path) as made:
        outcome = await made.post(f"http://127.0.0.1:{port}/", "", "{}")
        assert outcome.code == 0 and outcome.error.startswith("http request: ")
        refused = await made.post("http://127.0.0.1:1/", "", "{}")
        assert refused.code == 0 and refused.error
    server.close()


@pytest.mark.parametrize("url", ["", "ftp://x/", "http://", "/path", "javascript:alert(1)"])
def test_bad_urls(url: str) -> None:
    with pytest.raises(BadUrl):
        check_url(url)
