"""`mox localserve`: the whole server on loopback ports, for development, with a generated configuration."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mox import __version__, log
from mox.config import localserve as generated
from mox.config.live import Config
from mox.net.bus import Bus, LocalBus
from mox.server.bus import HubBus
from mox.server.commands.table import control_server
from mox.server.core import Core
from mox.server.datadir import DataDirError, check_data_dir
from mox.server.endpoints import endpoints
from mox.server.listeners import BindError, Endpoint, bind_all
from mox.server.loop import run_loop
from mox.server.tickets import TicketRotation
from mox.server.worker import Worker

USER = "mox@localhost"
PASSWORD = "moxmoxmox"
ADMIN_PASSWORD = "moxadmin"


@dataclass(frozen=True, slots=True)
class Options:
    """Command line of localserve. `ip` only goes with a new `directory`; `workers` 1 means one process."""

    directory: Path
    ip: str | None = None
    initonly: bool = False
    workers: int = 1
    log_level: str | None = None


def summary(config: Config, directory: Path, is_new: bool) -> str:
    """What a developer needs to know, printed at start."""
    state = "new" if is_new else "existing"
    lines = [
        f"mox {__version__} localserve, {state} configuration in {directory}",
        "",
        f"  user {USER}, password {PASSWORD}; admin password {ADMIN_PASSWORD}",
        "",
    ]
    shown: set[tuple[str, int]] = set()
    for endpoint in endpoints(config.static):
        key = (endpoint.service, endpoint.port)
        if key not in shown:
            shown.add(key)
            tls = " (TLS)" if endpoint.implicit_tls else ""
            lines.append(f"  {endpoint.service + tls:20} {_shown_ip(endpoint)}:{endpoint.port}")
    lines += ["", "Mail for any address is accepted for the account. Stop with ctrl-c or `mox stop`.", ""]
    return "\n".join(lines)


def _shown_ip(endpoint: Endpoint) -> str:
    return f"[{endpoint.ip}]" if ":" in endpoint.ip else endpoint.ip


def run(options: Options) -> int:
    """Create the configuration if needed and serve until SIGINT, SIGTERM or `mox stop`. Returns the exit status."""
    is_new = not options.directory.exists()
    config = generated.ensure(options.directory, options.ip)
    if options.initonly:
        if not is_new:
            print(f"{options.directory} exists already; nothing was written", file=sys.stderr)
        return 0
    level = options.log_level or config.static.LogLevel or "debug"
    log.setup(level)
    try:
        check_data_dir(config.data_dir)
        sockets = bind_all(endpoints(config.static))
    except (BindError, DataDirError) as err:
        print(f"mox: {err}", file=sys.stderr)
        return 1
    print(summary(config, options.directory, is_new), flush=True)

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        bus = HubBus() if options.workers > 1 else LocalBus()
        others = options.workers if options.workers > 1 else 0
        started: list[asyncio.Task[None]] = []
        async with control_server(config, bus, stop, others) as control:

            def ready() -> None:
                started.append(asyncio.get_running_loop().create_task(control.start()))

            try:
                if isinstance(bus, HubBus):
                    await Core(config.path, level, options.workers, sockets, bus).run(stop, ready)
                else:
                    await _run_alone(config, bus, sockets, stop, ready)
            finally:
                await asyncio.gather(*started)

    run_loop(main())
    return 0


async def _run_alone(
    config: Config,
    bus: Bus,
    sockets: list[tuple[Endpoint, socket.socket]],
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Core and worker in this process."""
    rotation = asyncio.create_task(TicketRotation(bus).run(), name="ticket keys")
    try:
        await Worker(config, bus, sockets).run(stop, ready)
    finally:
        rotation.cancel()
