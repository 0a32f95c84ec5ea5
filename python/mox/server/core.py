"""The core process when there are several workers: starts them, restarts them, carries the bus between them.

The core binds the sockets and the workers inherit them, so every worker accepts on every port. A worker that dies is
started again; what it was doing is in the database, and its leases expire.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from mox import log, metrics
from mox.net.bus import PROCESS_ENDED
from mox.server.bus import HubBus
from mox.server.listeners import Endpoint
from mox.server.tickets import TicketRotation

# A worker that dies at once, again and again, must not keep the machine busy.
RESTART_DELAY_S = 1.0
STOP_TIMEOUT_S = 10.0

_logger = log.get("core")


class InheritedSocket(msgspec.Struct):
    """A listening socket handed to a worker by descriptor number."""

    descriptor: int
    service: str
    ip: str
    port: int
    option: str
    listener: str
    implicit_tls: bool

    def endpoint(self) -> Endpoint:
        return Endpoint(self.service, self.ip, self.port, self.option, self.listener, self.implicit_tls)


class WorkerSetup(msgspec.Struct):
    """What a worker is told on its standard input."""

    number: int
    config_path: str
    bus_descriptor: int
    log_level: str
    processes: int
    sockets: list[InheritedSocket]


class Core:
    """Keeps `count` workers running until `stop` is set."""

    def __init__(
        self,
        config_path: Path,
        log_level: str,
        count: int,
        sockets: list[tuple[Endpoint, socket.socket]],
        bus: HubBus,
    ) -> None:
        self._config_path = config_path
        self._log_level = log_level
        self._count = count
        self._sockets = sockets
        self.bus = bus

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Start the workers; `ready` is called when all of them accept."""
        waiting = set(range(self._count))

        def worker_ready(payload: bytes) -> None:
            waiting.discard(int(payload))
            if not waiting:
                ready()

        unsubscribe = self.bus.subscribe("worker-ready", worker_ready)
        rotation = asyncio.create_task(TicketRotation(self.bus).run(), name="ticket keys")
        try:
            with tempfile.TemporaryDirectory(prefix="mox-metrics-") as metrics_folder:
                os.environ[metrics.MULTIPROCESS_VARIABLE] = metrics_folder
                async with asyncio.TaskGroup() as group:
                    for number in range(self._count):
                        group.create_task(self._keep(number, stop))
        finally:
            rotation.cancel()
            unsubscribe()
            self.bus.close()

    async def _keep(self, number: int, stop: asyncio.Event) -> None:
        """Run worker `number`, again whenever it ends, until `stop`."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                process = await self._start(number)
                ended = asyncio.ensure_future(process.wait())
                await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    self.bus.publish(PROCESS_ENDED, str(number).encode())
                    metrics.process_ended(process.pid)
                    if not stop.is_set():
                        _logger.error("worker ended; starting it again", worker=number, status=ended.result())
                        await asyncio.wait({stopping}, timeout=RESTART_DELAY_S)
                    continue
                process.terminate()
                await asyncio.wait({ended}, timeout=STOP_TIMEOUT_S)
                if not ended.done():
                    _logger.error("worker does not end; killing it", worker=number)
                    process.kill()
                    await ended
        finally:
            stopping.cancel()

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        ours, theirs = socket.socketpair()
        setup = WorkerSetup(
            number=number,
            config_path=str(self._config_path),
            bus_descriptor=theirs.fileno(),
            log_level=self._log_level,
            processes=self._count + 1,
            sockets=[
                InheritedSocket(sock.fileno(), e.service, e.ip, e.port, e.option, e.listener, e.implicit_tls)
                for e, sock in self._sockets
            ],
        )
        descriptors = [theirs.fileno(), *(sock.fileno() for _, sock in self._sockets)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mox.server.worker_main",
            stdin=subprocess.PIPE,
            pass_fds=descriptors,
            env=os.environ.copy(),
        )
        theirs.close()
        await self.bus.attach(ours)
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(setup))
        process.stdin.close()
        return process
