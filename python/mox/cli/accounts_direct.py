"""Work on accounts of a data directory without the server: their databases may be open in several programs."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from mox.cli.command import CommandError
from mox.net.bus import LocalBus
from mox.store.account import Account
from mox.store.store import Store

T = TypeVar("T")


def with_account(data_dir: Path, name: str, work: Callable[[Account], Awaitable[T]]) -> T:
    """The result of `work` on an account that exists. Raises CommandError."""
    if not (data_dir / "accounts" / name).is_dir():
        raise CommandError(f"there is no account {name!r} in {data_dir / 'accounts'}")

    async def run() -> T:
        store = Store(data_dir, LocalBus())
        try:
            return await work(await store.open(name))
        finally:
            await store.close()

    return asyncio.run(run())
