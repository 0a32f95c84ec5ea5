"""Send dies between any two of its steps, in order: before and after each thing that it does to store and queue. Then
the application repeats its request, with the same key, to a server that started again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mox.config.live import Config
from mox.net.bus import LocalBus
from mox.outbound.composed import Outbox
from mox.outbound.listing import MESSAGES
from mox.outbound.queue import Queue
from mox.outbound.surroundings import ConfigSurroundings
from mox.store import mailboxes
from mox.store.policy import Policies
from mox.store.store import Store
from mox.web.forms import Form
from mox.web.webapi.api import Call
from mox.web.webapi.send import send
from mox.webapi.types import NameAddress, SendRequest, SendResult
from tests.local_config import new_config

USER = "mox@localhost"
# What Send does: opens the account (three times), counts, adds, prepares, stores, asks for the key, and ends.
FEWEST_STEPS = 10


class Killed(BaseException):
    """Nothing after this happens."""


class Fate:
    """Kills at step `at`, counted from 1; 0 is never."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self._at:
            raise Killed


class Mortal:
    """Another object, with steps around those of its coroutines that are named."""

    def __init__(self, inner: Any, fate: Fate, *names: str, wrap: Callable[[Any], Any] = lambda result: result) -> None:
        self._inner, self._fate, self._names, self._wrap = inner, fate, names, wrap

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        async def call(*arguments: Any, **options: Any) -> Any:
            self._fate.step()
            result = await found(*arguments, **options)
            self._fate.step()
            return self._wrap(result)

        return call


@asynccontextmanager
async def server(config: Config, fate: Fate) -> AsyncIterator[Callable[[SendRequest], Awaitable[SendResult]]]:
    """Sends until fate comes; another one on the same data is the server started again."""
    bus = LocalBus()
    store = Store(config.data_dir, bus, Policies(config))
    await store.start()
    queue = Queue(config.data_dir, bus, ConfigSurroundings(config))
    mortal_store: Any = Mortal(store, fate, "open", wrap=lambda account: Mortal(account, fate, "write", "prepare"))
    mortal_queue: Any = Mortal(queue, fate, "add", "record", "read")
    outbox = Outbox(config, mortal_store, mortal_queue)
    context: Any = SimpleNamespace(config=config, store=mortal_store, queue=mortal_queue, outbox=outbox)
    request: Any = SimpleNamespace(header=lambda _name: "", cid=1, peer=SimpleNamespace(tls=None))
    try:
        yield lambda message: send(Call(context, "mox", USER, request, Form(), 1 << 20), message)
    finally:
        await queue.close()
        await store.close()


async def found(config: Config) -> tuple[int, int]:
    """How many messages are queued, and how many are in Sent."""
    store = Store(config.data_dir, LocalBus(), Policies(config))
    await store.start()
    queue = Queue(config.data_dir, LocalBus(), ConfigSurroundings(config))
    account = await store.open("mox")
    sent = await account.read(lambda tx: mailboxes.get_by_name(tx, "Sent"))
    queued = await queue.read(lambda tx: len(MESSAGES.select(tx)))
    await queue.close()
    await store.close()
    assert sent is not None
    return queued, sent.total


async def test_killed_between_any_two_steps(tmp_path: Path) -> None:
    config = new_config(tmp_path / "mox")
    at = 0
    while True:
        at += 1
        message = SendRequest(
            To=[NameAddress("", f"a{at}@remote.example"), NameAddress("", f"b{at}@remote.example")],
            Text="x",
            SaveSent=True,
            IdempotencyKey=f"order-{at}",
        )
        fate = Fate(at)
        was_killed = False
        async with server(config, fate) as first:
            try:
                await first(message)
            except Killed:
                was_killed = True
        async with server(config, Fate(0)) as second:
            answer = await second(message)
            assert await second(message) == answer
        # Both recipients once, one copy, whenever it was.
        assert await found(config) == (2 * at, at), f"killed at step {at}"
        if not was_killed:
            break
    assert fate.steps >= FEWEST_STEPS and at == fate.steps + 1
