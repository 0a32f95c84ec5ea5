"""Binding the configured ports, with errors that name the port and the option it comes from."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

BACKLOG = 1024


class BindError(Exception):
    """A port could not be bound; the text says which, why, and where it is configured."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One listening address: what is spoken there, and the option that configures its port."""

    service: str
    ip: str
    port: int
    option: str
    listener: str
    implicit_tls: bool

    def bind(self) -> socket.socket:
        """A listening socket, ready to be inherited. Raises BindError."""
        family = socket.AF_INET6 if ":" in self.ip else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((self.ip, self.port))
            sock.listen(BACKLOG)
        except OSError as err:
            sock.close()
            raise BindError(
                f"listening on {self.ip} port {self.port} for {self.service}: {err.strerror}; "
                f"stop the program that uses the port, or change `{self.option}` in mox.conf"
            ) from err
        sock.setblocking(False)
        return sock


def bind_all(endpoints: Iterator[Endpoint]) -> list[tuple[Endpoint, socket.socket]]:
    """Bind every endpoint, or none. An address family that this machine lacks is left out."""
    bound: list[tuple[Endpoint, socket.socket]] = []
    try:
        for endpoint in endpoints:
            if ":" in endpoint.ip and not _has_ipv6():
                continue
            bound.append((endpoint, endpoint.bind()))
    except BindError:
        for _, sock in bound:
            sock.close()
        raise
    return bound


def _has_ipv6() -> bool:
    if not socket.has_ipv6:
        return False
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True
