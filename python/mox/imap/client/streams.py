"""A `mox.net.conn.Connection` for the client: it has the channel binding of TLS 1.3 (RFC 9266)."""

from mox.net.conn import Connection


class ConnectionStreams:
    """What the client uses of asyncio's StreamReader and StreamWriter."""

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        self.connection = connection
        self._timeout_s = timeout_s

    async def read(self, _most: int) -> bytes:
        """What is there, at least one octet; b"" at the end."""
        return await self.connection.read(self._timeout_s)

    def write(self, data: bytes) -> None:
        """Queue octets."""
        self.connection.write(data)

    async def drain(self) -> None:
        """Wait until the server took enough."""
        await self.connection.drain(self._timeout_s)

    def close(self) -> None:
        """Nothing more is sent; see `wait_closed`."""

    async def wait_closed(self) -> None:
        """Close."""
        await self.connection.close()
