"""Keys of TLS session tickets: made and rotated in one process, used by all, so that a session can be resumed with any
worker. They are in memory only: who takes the disk cannot read recorded sessions (RFC 8446 §2.2, appendix C.4)."""

import asyncio
import os

import msgspec

from mox.net.bus import Bus

SERVICE = TOPIC = "tls-ticket-keys"
KEY_BYTES = 32
# A new key every day; tickets are good for a week, so a key is kept for the day that it makes tickets and a week more.
ROTATION_S = 24 * 3600.0
KEPT = 8


def encode(keys: list[bytes]) -> bytes:
    """Keys as they go over the bus, newest first."""
    return msgspec.msgpack.encode(keys)


def decode(payload: bytes) -> list[bytes]:
    """What `encode` made."""
    return msgspec.msgpack.decode(payload, type=list[bytes])


class TicketRotation:
    """The process that makes the keys: the core, or the only one."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._keys = [os.urandom(KEY_BYTES)]
        bus.register(SERVICE, self._answer)

    async def _answer(self, _payload: bytes) -> bytes:
        return encode(self._keys)

    def rotate(self) -> None:
        """Make a new key for new tickets, forget the oldest, tell everybody."""
        self._keys = [os.urandom(KEY_BYTES), *self._keys][:KEPT]
        self._bus.publish(TOPIC, encode(self._keys))

    async def run(self) -> None:
        """Rotate from time to time, for ever."""
        while True:
            await asyncio.sleep(ROTATION_S)
            self.rotate()
