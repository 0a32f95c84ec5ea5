"""The accounts of a data directory, opened when needed and shared by all who use them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from mox.net.bus import Bus
from mox.store.account import Account
from mox.store.policy import NO_POLICY, Policy

# Files are written by this many threads at once; each waits for the disk most of the time.
FILE_THREADS = 20


class Store:
    """Opens accounts. An opened account stays open until the store is closed."""

    def __init__(self, data_dir: Path, bus: Bus, policy: Callable[[str], Policy] = lambda _name: NO_POLICY) -> None:
        self._policy = policy
        self._data_dir = data_dir
        self._bus = bus
        self._files = ThreadPoolExecutor(FILE_THREADS, "files")
        self._accounts: dict[str, Account] = {}
        self._opening = asyncio.Lock()
        self.tmp_dir = data_dir / "tmp"
        self.tmp_dir.mkdir(parents=True, exist_ok=True, mode=0o770)

    async def open(self, name: str) -> Account:
        """The account; created on first use. Raises DatabaseVersionError, apsw.Error, OSError."""
        found = self._accounts.get(name)
        if found is not None:
            return found
        async with self._opening:
            if name not in self._accounts:
                account = Account(
                    name, self._data_dir / "accounts" / name, self._bus, self._files, partial(self._policy, name)
                )
                await account.start()
                self._accounts[name] = account
            return self._accounts[name]

    async def close(self) -> None:
        """Close all accounts."""
        for account in self._accounts.values():
            await account.close()
        self._accounts.clear()
        self._files.shutdown(wait=True)

    @asynccontextmanager
    async def closing(self) -> AsyncIterator["Store"]:
        """Close at the end of the block."""
        try:
            yield self
        finally:
            await self.close()
