"""Changes of the configuration reach every process before the one who asked for them is told.

Every process follows the file by itself; here they are woken at once, and answer when they have read it. A process that
does not answer in time is left behind: it follows within a second, or is being restarted.
"""

import asyncio
import os
from collections.abc import Callable

from mox import log
from mox.config.live import Config
from mox.config.model import Dynamic
from mox.net.bus import Bus

CHANGED = "config-changed"
LOADED = "config-loaded"
WAIT_S = 5.0

_logger = log.get("config")


class ConfigSync:
    """One in each process. `others` is how many other processes have this configuration."""

    def __init__(self, config: Config, bus: Bus, others: int) -> None:
        self._config = config
        self._bus = bus
        self._others = others
        self._own = os.urandom(8).hex().encode()
        self._reloads: set[asyncio.Task[None]] = set()
        self._waiting: dict[bytes, tuple[set[bytes], asyncio.Event]] = {}
        self._ends = [bus.subscribe(CHANGED, self._changed), bus.subscribe(LOADED, self._loaded)]

    def close(self) -> None:
        """Stop listening."""
        for end in self._ends:
            end()

    async def change(self, edit: Callable[[Dynamic], Dynamic]) -> Dynamic:
        """`Config.change`, in force in every process on return. Raises ConfigError, OSError."""
        dynamic = await asyncio.to_thread(self._config.change, edit)
        if not self._others:
            return dynamic
        token = os.urandom(8).hex().encode()
        done = asyncio.Event()
        self._waiting[token] = (set(), done)
        self._bus.publish(CHANGED, self._own + token)
        try:
            async with asyncio.timeout(WAIT_S):
                await done.wait()
        except TimeoutError:
            _logger.warning("not every process has confirmed the new configuration yet")
        finally:
            del self._waiting[token]
        return dynamic

    def _changed(self, payload: bytes) -> None:
        source, token = payload[: len(self._own)], payload[len(self._own) :]
        if source == self._own:
            return
        task = asyncio.get_running_loop().create_task(self._reload(token), name="config reload")
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload(self, token: bytes) -> None:
        await asyncio.to_thread(self._config.reload_if_changed)
        self._bus.publish(LOADED, self._own + token)

    def _loaded(self, payload: bytes) -> None:
        source, token = payload[: len(self._own)], payload[len(self._own) :]
        waiting = self._waiting.get(token)
        if waiting is not None:
            waiting[0].add(source)
            if len(waiting[0]) >= self._others:
                waiting[1].set()
