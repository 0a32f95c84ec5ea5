"""The HTTP server embedded in a worker: granian, speaking RSGI, on a loopback port of its own.

granian calls its embedding experimental, so all knowledge of its inside is here and covered by tests.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from granian._granian import ListenerSpec
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from mox.net.front import IDLE_S

MAX_HEADER_BYTES = 1 << 20
MAX_STREAMS = 250
BACKLOG = 1024
STOP_S = 5.0

Application = Callable[[Any, Any], Awaitable[None]]


class _Server(Server):
    """Listens on a free port, known before the first connection."""

    def __init__(self, application: Application) -> None:
        super().__init__(
            application,
            address="127.0.0.1",
            port=0,
            websockets=False,
            log_enabled=False,
            backpressure=4096,
            http1_settings=HTTP1Settings(
                header_read_timeout=int(IDLE_S * 1000), max_buffer_size=MAX_HEADER_BYTES, pipeline_flush=False
            ),
            http2_settings=HTTP2Settings(
                max_concurrent_streams=MAX_STREAMS, max_headers_size=MAX_HEADER_BYTES, keep_alive_interval=None
            ),
        )
        self.listening = asyncio.Event()
        self.end: Callable[[], None] = self.stop
        self.chosen_port = 0

    def _init_shared_socket(self) -> None:
        self._ssp = None
        holder = ListenerSpec(self.bind_addr, 0, BACKLOG).build()
        self._shd: Any = holder
        with socket.socket(fileno=os.dup(holder.get_fd())) as sock:
            self.chosen_port = int(sock.getsockname()[1])
        self.listening.set()


class HttpServer:
    """Runs an RSGI application on this loop."""

    def __init__(self, application: Application) -> None:
        self._server = _Server(application)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Start; the port."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve(), name="http server")
        listening = asyncio.ensure_future(self._server.listening.wait())
        await asyncio.wait({self._task, listening}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            listening.cancel()
            await self._task
            raise RuntimeError("the embedded HTTP server ended at its start")
        return self._server.chosen_port

    async def close(self) -> None:
        """Stop; connections that are still open are cut off."""
        if self._task is None:
            return
        self._server.end()
        await asyncio.wait({self._task}, timeout=STOP_S)
        self._task.cancel()
