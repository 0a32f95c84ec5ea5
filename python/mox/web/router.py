"""From host and path to a handler, in mox's order (spec/web-tls.md section 3): system, webserver, services."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from mox.web.hosts import Host, HostMatch
from mox.web.messages import Answer, Handler, Request, Response


@dataclass(frozen=True, slots=True)
class Route:
    """A handler. A `path` with a final slash covers everything below it; `hosts` None means every host."""

    name: str
    path: str
    handle: Handler
    hosts: HostMatch | None = None

    def matches(self, host: Host, path: str) -> bool:
        """The route answers this host and path."""
        if path != self.path and not (self.path.endswith("/") and path.startswith(self.path)):
            return False
        return self.hosts is None or self.hosts(host)


# Answers with the handler's name for log and metrics, or declines with None.
Webserver = Callable[[Request], Awaitable[tuple[str, Answer] | None]]


def ordered(routes: Sequence[Route]) -> tuple[Route, ...]:
    """Longest path first, equal lengths by byte order."""
    return tuple(sorted(routes, key=lambda route: (-len(route.path), route.path)))


@dataclass(frozen=True, slots=True)
class Router:
    """What is reached through one port. `is_forwarded`: a reverse proxy is in front and tells the client's address."""

    system: tuple[Route, ...] = ()
    webserver: Webserver | None = None
    services: tuple[Route, ...] = ()
    is_forwarded: bool = False
    is_rate_limited: bool = True
    kinds: tuple[str, ...] = field(default=())

    async def answer(self, request: Request) -> tuple[str, Answer]:
        """(name of the handler, its answer). Raises what the handler raises, with the name in `request.log`."""
        for route in self.system:
            if route.matches(request.host, request.path):
                return await _run(route, request)
        if self.webserver is not None:
            found = await self.webserver(request)
            if found is not None:
                return found
        for route in self.services:
            if route.matches(request.host, request.path):
                return await _run(route, request)
        return "(nomatch)", Response(404, b"404 page not found\n")


async def _run(route: Route, request: Request) -> tuple[str, Answer]:
    request.handler = route.name
    return route.name, await route.handle(request)


def mounted(path: str, handler: Handler) -> Handler:
    """`handler` below `path`: it sees `/` and what follows."""
    prefix = path.rstrip("/")

    async def handle(request: Request) -> Answer:
        request.mount, request.path = prefix, request.path[len(prefix) :] or "/"
        return await handler(request)

    return handle


def service(name: str, path: str, handler: Handler, hosts: HostMatch) -> list[Route]:
    """The routes of an internal service: below `path`, and a redirect from the path without its slash."""
    routes = [Route(name, path, mounted(path, handler), hosts)]
    if path != "/" and path.endswith("/"):

        async def to_slash(_request: Request) -> Answer:
            return Response(303, headers=[("location", path)])

        routes.append(Route(name, path.rstrip("/"), to_slash, hosts))
    return routes
