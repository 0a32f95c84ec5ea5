"""Learns in the background what users decided, for every account that is in use in this process.

Deliveries learn what is pending before they ask the filter; this is for accounts that get no mail it is asked about.
"""

import asyncio

import apsw

from mox import log
from mox.config.live import Config
from mox.junk import learning
from mox.store.errors import EngineClosed
from mox.store.store import Store

# Longer than an unused account stays open: learning must not keep it so.
INTERVAL_S = 600.0

_logger = log.get("junk")


class Trainer:
    """One for a process; several processes may learn for one account."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config, self._store = config, store

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            await self.learn()

    async def learn(self) -> int:
        """Learn what is pending; how many messages."""
        count = 0
        for account in self._store.awake():
            options = self._config.dynamic.Accounts.get(account.name)
            if options is None or options.JunkFilter is None:
                continue
            try:
                count += await learning.settle(account, options.JunkFilter.Params)
            except (apsw.Error, OSError, EngineClosed) as err:
                _logger.error("learning", account=account.name, err=str(err))
        return count
