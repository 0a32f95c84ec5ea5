"""Connecting to mail servers through a SOCKS5 proxy (RFC 1928), with a log-in where it wants one (RFC 1929)."""

from python_socks import ProxyError, ProxyType
from python_socks.async_.asyncio import Proxy

from mox.dns.names import IPAddress
from mox.net.conn import Connection, adopt


class SocksDialer:
    """Connects through a SOCKS5 proxy at `host:port`; with `username`, it logs in there."""

    def __init__(self, address: str, username: str = "", password: str = "") -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._username, self._password = username or None, password or None

    async def __call__(self, ip: IPAddress, port: int, timeout_s: float) -> Connection:
        proxy = Proxy(ProxyType.SOCKS5, self._host, self._port, self._username, self._password)
        try:
            return await adopt(await proxy.connect(str(ip), port, timeout=timeout_s))
        except ProxyError as err:
            raise OSError(f"socks proxy {self._host}:{self._port}: {err}") from err
