"""Entry point of a worker process: reads its setup from standard input, then serves until SIGTERM.

It also ends when the core is gone: the bus descriptor then reports the end of the stream.
"""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import msgspec

from mox import log
from mox.config.live import Config
from mox.server import loglevels
from mox.server.bus import WorkerBus
from mox.server.configsync import ConfigSync
from mox.server.core import WorkerSetup
from mox.server.loop import run_loop
from mox.server.worker import Worker


async def serve(setup: WorkerSetup) -> None:
    """Serve on the inherited sockets until told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # ctrl-c reaches the whole process group; the core decides when its workers end.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    bus = WorkerBus(str(setup.number), on_lost=stop.set)
    await bus.attach(socket.socket(fileno=setup.bus_descriptor))
    config = Config.load(Path(setup.config_path))
    loglevels.follow(bus)
    sync = ConfigSync(config, bus, setup.processes - 1)
    sockets = [(item.endpoint(), socket.socket(fileno=item.descriptor)) for item in setup.sockets]
    worker = Worker(config, bus, sockets, is_first=setup.number == 0)
    try:
        await worker.run(stop, lambda: bus.publish("worker-ready", str(setup.number).encode()))
    finally:
        sync.close()
        bus.close()


def main() -> int:
    """Read the setup, run, return the exit status."""
    setup = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerSetup)
    log.setup(setup.log_level, worker=setup.number)
    run_loop(serve(setup))
    return 0


if __name__ == "__main__":
    sys.exit(main())
