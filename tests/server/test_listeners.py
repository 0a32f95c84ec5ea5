"""Binding ports: errors name the port and the option; nothing stays bound after a failure."""

import socket

import pytest

from mox.server.listeners import BindError, Endpoint, bind_all
from tests.server_process import free_ports


def endpoint(port: int, option: str = "Listeners.local.SMTP.Port") -> Endpoint:
    return Endpoint("smtp", "127.0.0.1", port, option, "local", False)


def test_port_in_use_names_port_and_option() -> None:
    (free,) = free_ports(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BindError) as failed:
            bind_all(iter([endpoint(free), endpoint(port, "Listeners.x.IMAP.Port")]))
    assert f"port {port}" in str(failed.value)
    assert "`Listeners.x.IMAP.Port`" in str(failed.value)
    bound = bind_all(iter([endpoint(free)]))
    bound[0][1].close()
