"""Puts the HTTP side of a worker together: embedded server, front, application, and a router for every port.

Which services a port has is decided by its listener (spec/web-tls.md section 2).
"""

from collections.abc import Awaitable, Callable, Mapping

from mox import log
from mox._rust import TlsTicketKeys
from mox.config.listener import Listener, WebserverService, WebService
from mox.config.live import Config
from mox.config.model import Dynamic
from mox.net.bus import Bus
from mox.net.conn import Connection
from mox.net.front import Front, Site
from mox.net.front_server import HttpServer
from mox.net.limits import RateLimiter
from mox.net.tls import ServerTls
from mox.web.app import Application
from mox.web.hosts import account_names, local_names, to_ascii
from mox.web.messages import Handler
from mox.web.router import Route, Router, ordered, service

_logger = log.get("http")

HTTP_ALPN = (b"h2", b"http/1.1")

# Internal services in mox's order, with their paths unless configured.
DEFAULT_PATHS = {"account": "/", "admin": "/admin/", "webapi": "/webapi/", "webmail": "/webmail/"}
_OPTIONS = {"account": "Account", "admin": "Admin", "webapi": "WebAPI", "webmail": "Webmail"}
_DEFAULT_PORTS = {False: 80, True: 443}

# Makes the handler of a service for a listener.
Factory = Callable[[Listener], Handler]


class WebServer:
    """HTTP of one worker. `services` has the internal services by name (of DEFAULT_PATHS)."""

    def __init__(self, config: Config, services: Mapping[str, Factory]) -> None:
        self._config = config
        self._services = services
        self._front = Front()
        self._routers: dict[tuple[str, int], Router] = {}
        self._settings_of: Dynamic | None = None
        self._settings_domains: frozenset[str] = frozenset()
        limits = config.static.Limits
        self._limiters = [RateLimiter(60, limits.HTTPRequestsPerMinute), RateLimiter(3600, limits.HTTPRequestsPerHour)]
        self._server = HttpServer(Application(self._routers, self._front.peer, self._limiters))

    async def start(self) -> None:
        """Start the embedded server. Raises RuntimeError when it does not start."""
        self._front.backend_port = await self._server.start()

    def share_limits(self, bus: Bus) -> None:
        """Count requests together with the other processes."""
        for number, limiter in enumerate(self._limiters):
            limiter.share(bus, f"http-rate-{number}")

    def shut_down(self) -> None:
        """Answer what is asked already, and no more."""
        self._front.shut_down()

    async def close(self) -> None:
        """Stop it; the connections of the front end first, with their listeners."""
        await self._server.close()

    def handler(
        self,
        listener_name: str,
        port: int,
        is_tls: bool,
        by_alpn: Mapping[str, Callable[[Connection], Awaitable[None]]],
        tickets: TlsTicketKeys,
    ) -> Callable[[Connection], Awaitable[None]]:
        """What serves the connections of a port. `by_alpn` are other protocols spoken there. Raises ConfigError."""
        tls: ServerTls | None = None
        if is_tls:
            tls = self._config.server_tls(listener_name, (*HTTP_ALPN, *(name.encode() for name in by_alpn)), tickets)
        site = Site(listener_name, port, tls, by_alpn)
        router = self._routers[site.key] = self.router(listener_name, port, is_tls)
        _logger.debug("http services", listener=listener_name, port=port, kinds=", ".join(router.kinds))
        return lambda conn: self._front.serve(conn, site)

    def router(self, listener_name: str, port: int, is_tls: bool) -> Router:
        """The router of a port."""
        listener = self._config.static.Listeners[listener_name]
        hostname = self._config.hostname(listener_name)
        scheme = "HTTPS" if is_tls else "HTTP"
        routes: list[Route] = []
        kinds: list[str] = []
        is_forwarded = False
        for name, option in _OPTIONS.items():
            group: WebService = getattr(listener, option + scheme)
            if not group.Enabled or (group.Port or _DEFAULT_PORTS[is_tls]) != port:
                continue
            is_forwarded = is_forwarded or group.Forwarded
            factory = self._services.get(name)
            if factory is None:
                continue
            path = group.Path or DEFAULT_PATHS[name]
            path = path if path.endswith("/") else path + "/"
            hosts = local_names(hostname) if name == "admin" else account_names(hostname, self._client_settings_domains)
            routes += service(name, path, factory(listener), hosts)
            kinds.append(f"{name}-{scheme.lower()} at {path}")
        webserver: WebserverService = getattr(listener, f"Webserver{scheme}")
        is_unlimited = webserver.Enabled and webserver.RateLimitDisabled
        return Router(
            services=ordered(routes), is_forwarded=is_forwarded, is_rate_limited=not is_unlimited, kinds=tuple(kinds)
        )

    def _client_settings_domains(self) -> frozenset[str]:
        dynamic = self._config.dynamic
        if self._settings_of is not dynamic:
            names = (options.ClientSettingsDomain for options in dynamic.Domains.values())
            self._settings_of, self._settings_domains = dynamic, frozenset(to_ascii(name) for name in names if name)
        return self._settings_domains
