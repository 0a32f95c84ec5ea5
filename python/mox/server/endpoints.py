"""Which ports a configuration asks for, and what is served on each."""

from collections.abc import Iterator

from mox.config.model import Listener, Static
from mox.server.listeners import Endpoint

# service, option group of the listener, default port, TLS from the first byte
SERVICES: tuple[tuple[str, str, int, bool], ...] = (
    ("smtp", "SMTP", 25, False),
    ("submission", "Submission", 587, False),
    ("submissions", "Submissions", 465, True),
    ("imap", "IMAP", 143, False),
    ("imaps", "IMAPS", 993, True),
    ("metrics", "MetricsHTTP", 8010, False),
)
# HTTP services share a port: the first option that asks for it names it.
HTTP_OPTIONS = ("AccountHTTP", "AdminHTTP", "WebmailHTTP", "WebAPIHTTP", "WebserverHTTP")
HTTPS_OPTIONS = ("AccountHTTPS", "AdminHTTPS", "WebmailHTTPS", "WebAPIHTTPS", "WebserverHTTPS")


def endpoints(static: Static) -> Iterator[Endpoint]:
    """Every address and port of the configuration, listeners in name order."""
    for name in sorted(static.Listeners):
        listener = static.Listeners[name]
        for ip in listener.IPs:
            yield from _listener_endpoints(name, listener, ip)


def _listener_endpoints(name: str, listener: Listener, ip: str) -> Iterator[Endpoint]:
    for service, option, default, implicit_tls in SERVICES:
        group = getattr(listener, option, None)
        if group is not None and group.Enabled:
            path = f"Listeners.{name}.{option}.Port"
            yield Endpoint(service, ip, group.Port or default, path, name, implicit_tls)
    for service, options, default, implicit_tls in (
        ("http", HTTP_OPTIONS, 80, False),
        ("https", HTTPS_OPTIONS, 443, True),
    ):
        seen: set[int] = set()
        for option in options:
            group = getattr(listener, option, None)
            if group is None or not group.Enabled:
                continue
            port = group.Port or default
            if port not in seen:
                seen.add(port)
                yield Endpoint(service, ip, port, f"Listeners.{name}.{option}.Port", name, implicit_tls)
