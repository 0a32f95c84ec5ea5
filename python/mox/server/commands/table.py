"""All commands of the control socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from mox.admin.backup import BackupError
from mox.admin.context import Admin, RequestError
from mox.config.live import Config, ConfigError
from mox.net.bus import Bus
from mox.outbound.holdrules import HoldRuleError
from mox.outbound.listing import ListingError
from mox.outbound.notices import AccountNotices
from mox.outbound.notifier import NotifyError, SenderNotifier
from mox.outbound.queue import Queue
from mox.outbound.suppression import SuppressionError
from mox.outbound.surroundings import ConfigSurroundings
from mox.outbound.webhooks import outgoing_call
from mox.server import loglevels
from mox.server.commands import accounts, aliases, backups, domains, importing, logs, maintenance, queue, tlskeys
from mox.server.configsync import ConfigSync
from mox.server.control import Command, Commands, ControlServer, Request
from mox.store.errors import StoreError
from mox.store.policy import Policies
from mox.store.store import Store

ERRORS = (
    RequestError,
    BackupError,
    ConfigError,
    StoreError,
    ListingError,
    HoldRuleError,
    SuppressionError,
    NotifyError,
    OSError,
)


@asynccontextmanager
async def control_server(config: Config, bus: Bus, stop: asyncio.Event, workers: int) -> AsyncIterator[ControlServer]:
    """The control server, not yet started, with a store of its own. `workers` are the other processes."""
    loglevels.follow(bus)
    sync = ConfigSync(config, bus, workers)
    store = Store(config.data_dir, bus, Policies(config))
    surroundings = ConfigSurroundings(config, partial(outgoing_call, config))
    outgoing = Queue(config.data_dir, bus, surroundings)
    notices = AccountNotices(config, store)
    notifier = SenderNotifier(outgoing, notices.store, config.static.Hostname)
    admin = Admin(config, store, outgoing, notifier, sync.change)
    control = ControlServer(config.data_dir, commands(admin, bus, stop), ERRORS)
    # With worker processes nobody else in this process follows the file.
    watch = asyncio.create_task(config.watch(), name="config") if workers else None
    try:
        yield control
    finally:
        if watch is not None:
            watch.cancel()
        await control.close()
        await outgoing.close()
        await store.close()
        sync.close()


def commands(admin: Admin, bus: Bus, stop: asyncio.Event) -> Commands:
    """Names and what they do."""

    async def do_stop(_request: Request) -> None:
        # The answer goes out before the shutdown closes the connection.
        asyncio.get_running_loop().call_soon(stop.set)

    return {
        "stop": Command(0, do_stop),
        **accounts.commands(admin),
        **domains.commands(admin),
        **aliases.commands(admin),
        **tlskeys.commands(admin),
        **queue.commands(admin),
        **maintenance.commands(admin),
        **importing.commands(admin),
        **backups.commands(admin),
        **logs.commands(bus),
    }
