"""Connecting to mail servers through a SOCKS5 proxy (RFC 1928)."""

from python_socks import ProxyError
from python_socks.async_.asyncio import Proxy

from mox.dns.names import IPAddress
from mox.net.conn import Connection, adopt


class SocksDialer:
    """Connects through a SOCKS5 proxy at `host:port`."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)

    async def __call__(self, ip: IPAddress, port: int, timeout_s: float) -> Connection:
        proxy = Proxy.from_url(f"socks5://{_bracketed(self._host)}:{self._port}")
        try:
            return await adopt(await proxy.connect(str(ip), port, timeout=timeout_s))
        except ProxyError as err:
            raise OSError(f"socks proxy {self._host}:{self._port}: {err}") from err


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
