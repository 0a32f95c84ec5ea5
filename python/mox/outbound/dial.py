"""Connecting to mail servers: address by address, from the address that others know us by."""

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Protocol

from mox import metrics
from mox.config.model import Static
from mox.dns.names import IPAddress
from mox.net.conn import Connection, connect

DIAL_TIMEOUT_S = 30.0


class DialError(Exception):
    """No address could be connected to; the text tells what happened with each."""


class Dialer(Protocol):
    """How connections are made."""

    async def __call__(self, ip: IPAddress, port: int, timeout_s: float) -> Connection:
        """Raises OSError, TimeoutError."""


class DirectDialer:
    """Connects from our own addresses; `local` has at most one of each family."""

    def __init__(self, local: Mapping[int, str]) -> None:
        self._local = local

    async def __call__(self, ip: IPAddress, port: int, timeout_s: float) -> Connection:
        return await connect(str(ip), port, timeout_s, self._local.get(ip.version))


def local_addresses(static: Static) -> dict[int, str]:
    """Addresses to connect from, by family: those that SMTP listens on explicitly, if that leaves no choice; so SPF
    and reverse DNS fit."""
    found: dict[int, str] = {}
    for listener in static.Listeners.values():
        if not listener.SMTP.Enabled:
            continue
        for text in listener.IPs or [""]:
            try:
                ip = ipaddress.ip_address(text)
            except ValueError:
                return {}
            if ip.is_unspecified or ip.version in found:
                return {}
            found[ip.version] = text
    return found


async def dial(
    dialer: Dialer, host: str, ips: Sequence[IPAddress], port: int, dialed: dict[str, list[str]]
) -> tuple[Connection, IPAddress]:
    """Connect to the first address that answers; each gets its share of the time. The one that did is added to `dialed`
    of `host`. Raises DialError."""
    problems = []
    timeout_s = DIAL_TIMEOUT_S / len(ips)
    for ip in ips:
        try:
            conn = await dialer(ip, port, timeout_s)
        except TimeoutError:
            metrics.queue_connections.labels("timeout").inc()
            problems.append(f"{ip}: timeout")
        except OSError as err:
            metrics.queue_connections.labels("error").inc()
            problems.append(f"{ip}: {err.strerror or err}")
        except asyncio.CancelledError:
            metrics.queue_connections.labels("canceled").inc()
            raise
        else:
            metrics.queue_connections.labels("ok").inc()
            dialed[host] = [*dialed.get(host, ()), str(ip)]
            return conn, ip
    raise DialError(f"dialing {host}:{port}: {'; '.join(problems)}")
