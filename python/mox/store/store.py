"""The accounts of a data directory, opened when needed and shared by all who use them, and what is beside them."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw

from mox import log
from mox.net.bus import Bus
from mox.store import attempts, tlskeys
from mox.store.account import Account
from mox.store.attempts import AttemptWriter
from mox.store.engine import Engine, Tx
from mox.store.errors import AccountRemoved
from mox.store.folder import AccountFolder
from mox.store.policy import NO_POLICY, Policy
from mox.store.workers import Workers

T = TypeVar("T")

# Files are written by this many threads at once; each waits for the disk most of the time.
FILE_THREADS = 20
REMOVED_TOPIC = "account-removed"
# Published with the name of an account whose log-ins are no longer good: its password changed.
CREDENTIALS_TOPIC = "credentials-changed"
# Published after every change that `write_auth` made.
AUTH_CHANGED_TOPIC = "auth-changed"

_logger = log.get("store")


class Store:
    """Opens accounts; they stay with the store until it is closed, though an idle one costs little."""

    def __init__(self, data_dir: Path, bus: Bus, policy: Callable[[str], Policy] = lambda _name: NO_POLICY) -> None:
        self._policy = policy
        self._data_dir = data_dir
        self._bus = bus
        self._files = Workers(FILE_THREADS, "files")
        self._accounts: dict[str, Account] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._removing: dict[str, asyncio.Task[None]] = {}
        self.tmp_dir = data_dir / "tmp"
        self.tmp_dir.mkdir(parents=True, exist_ok=True, mode=0o770)
        self._auth = Engine(data_dir / "auth.db", "mox.store.auth_migrations")
        self._attempts: AttemptWriter | None = None
        self._unsubscribe = bus.subscribe(REMOVED_TOPIC, lambda name: self._removed(name.decode()))

    async def start(self) -> None:
        """Finish removals of accounts that were interrupted. Raises DatabaseVersionError, apsw.Error."""
        for name in await self._auth.read(_removals):
            self._removed(name)

    async def open(self, name: str) -> Account:
        """The account; created on first use. Raises AccountRemoved, DatabaseVersionError, apsw.Error, OSError."""
        if name in self._removing:
            raise AccountRemoved(f"account {name} is being removed")
        found = self._accounts.get(name)
        if found is not None:
            return found
        # A slow first opening of one account does not delay others.
        async with self._opening.setdefault(name, asyncio.Lock()):
            if name not in self._accounts:
                account = Account(name, self._folder(name), self._bus, self._files, partial(self._policy, name))
                await account.start()
                self._accounts[name] = account
            self._opening.pop(name, None)
            return self._accounts[name]

    def awake(self) -> list[Account]:
        """Accounts whose databases are open now."""
        return [account for account in self._accounts.values() if account.is_awake]

    def _folder(self, name: str) -> Path:
        return self._data_dir / "accounts" / name

    # auth.db

    async def read_auth(self, fn: Callable[[Tx], T]) -> T:
        """Run a function of `tlskeys` or `attempts` on a snapshot of auth.db."""
        return await self._auth.read(fn)

    async def write_auth(self, fn: Callable[[Tx], T]) -> T:
        """Run a function of `tlskeys` or `attempts` in a transaction on auth.db; all processes are told."""
        result = await self._auth.write(fn)
        self._bus.publish(AUTH_CHANGED_TOPIC, b"")
        return result

    def credentials_changed(self, account: str) -> None:
        """End the sessions of an account in every process: who has them knew the former password."""
        self._bus.publish(CREDENTIALS_TOPIC, account.encode())

    @property
    def attempts(self) -> AttemptWriter:
        """Where log-in attempts go."""
        if self._attempts is None:
            self._attempts = AttemptWriter(self._auth)
        return self._attempts

    # Removing accounts

    async def remove(self, name: str) -> None:
        """Have an account removed with all its data, once nobody in any process uses it: at once when nobody does, at
        the next start when the program ends before. It cannot be opened from now on."""
        await self._auth.write(lambda tx: tx.run("INSERT INTO account_remove VALUES (?) ON CONFLICT DO NOTHING", name))
        self._bus.publish(REMOVED_TOPIC, name.encode())

    def _removed(self, name: str) -> None:
        if name not in self._removing:
            self._removing[name] = asyncio.get_running_loop().create_task(self._remove(name), name=f"removal of {name}")

    async def removed(self, name: str) -> None:
        """Return when this process has done its part in the removal of an account."""
        if name in self._removing:
            await asyncio.shield(self._removing[name])

    async def _remove(self, name: str) -> None:
        """Close the account when its last user left; the last process moves its folder away."""
        account = self._accounts.pop(name, None)
        if account is not None:
            await account.unused()
        try:
            if account is not None:
                await account.close()
            target = self.tmp_dir / f"oldaccount-{name}"
            await self._files.run(lambda: shutil.rmtree(target, ignore_errors=True))
            if await self._files.run(AccountFolder(self._folder(name)).retire, target):
                await self._auth.write(lambda tx: _forget_account(tx, name))
                await self._files.run(lambda: shutil.rmtree(target, ignore_errors=True))
                _logger.info("account removed", account=name)
        except (apsw.Error, OSError) as err:
            _logger.error("removing account failed; it is tried again at the next start", account=name, err=str(err))
        del self._removing[name]

    async def close(self) -> None:
        """Close all accounts."""
        self._unsubscribe()
        for task in list(self._removing.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._attempts is not None:
            await self._attempts.close()
        for account in self._accounts.values():
            await account.close()
        self._accounts.clear()
        await self._auth.close()
        await asyncio.to_thread(self._files.close)

    @asynccontextmanager
    async def closing(self) -> AsyncIterator["Store"]:
        """Close at the end of the block."""
        try:
            yield self
        finally:
            await self.close()


def _removals(tx: Tx) -> list[str]:
    return [row[0] for row in tx.run("SELECT account_name FROM account_remove ORDER BY account_name")]


def _forget_account(tx: Tx, name: str) -> None:
    tlskeys.remove_account(tx, name)
    attempts.remove_account(tx, name)
    tx.run("DELETE FROM account_remove WHERE account_name = ?", name)
