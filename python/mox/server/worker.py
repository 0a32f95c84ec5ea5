"""A worker: accepts on the inherited sockets, serves SMTP, IMAP and HTTP, delivers from the queue.

One process or several run the same code; what they share is the database, and wake-ups over the bus.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from mox import log, metrics
from mox.config.live import Config
from mox.imap.server import ImapContext
from mox.imap.server import serve_connection as serve_imap
from mox.inbound.deliver import Neighbours
from mox.junk.trainer import Trainer
from mox.net.bus import Bus
from mox.net.conn import Connection, Listener, serve
from mox.net.tls import ServerTls
from mox.outbound.composed import Outbox
from mox.outbound.hookcalls import HookCaller
from mox.outbound.hookrunner import HookRunner
from mox.outbound.incoming import IncomingHooks
from mox.outbound.queue import Queue
from mox.outbound.surroundings import ConfigSurroundings
from mox.outbound.webhooks import outgoing_call
from mox.reports.evaluations import EvaluationStore, open_evaluations
from mox.reports.received import ReceivedReports
from mox.server import ownlists
from mox.server.handshakes import Handshakes
from mox.server.listeners import Endpoint
from mox.server.outgoing import Outgoing
from mox.smtp.server import SmtpContext
from mox.smtp.server import serve_connection as serve_smtp
from mox.store.login import has_password, set_password
from mox.store.policy import Policies
from mox.store.store import CREDENTIALS_TOPIC, Store
from mox.web import plain
from mox.web.service import WebServer
from mox.web.webapi import methods
from mox.web.webapi.api import WebApiContext, webapi_factory

# mox's shutdown: let sessions end by themselves, then cut them off.
SHUTDOWN_GRACE_S = 3.0

# Where other protocols are offered by ALPN (spec/web-tls.md section 19).
HTTPS_PORT = 443

LOCAL_ACCOUNT = "mox"
LOCAL_PASSWORD = "moxmoxmox"

PASSWORD_CHANGED = "the password was changed, log in again"

_logger = log.get("worker")

Handler = Callable[[Connection], Awaitable[None]]


class Worker:
    """Everything one process serves."""

    def __init__(
        self, config: Config, bus: Bus, sockets: list[tuple[Endpoint, socket.socket]], is_first: bool = False
    ) -> None:
        """The first worker of a host also does what only one process should."""
        self._is_first = is_first
        self._config = config
        self._bus = bus
        self._sockets = sockets
        self._listeners: list[Listener] = []
        self._stopping = asyncio.Event()

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Serve until `stop` is set and the sessions ended; `ready` is called when every socket accepts."""
        data_dir = Path(self._config.data_dir)
        async with AsyncExitStack() as stack:
            store = Store(data_dir, self._bus, Policies(self._config))
            stack.push_async_callback(store.close)
            await store.start()
            await _ensure_password(store)
            surroundings = ConfigSurroundings(self._config, partial(outgoing_call, self._config))
            queue = Queue(data_dir, self._bus, surroundings)
            stack.push_async_callback(queue.close)
            delivered = IncomingHooks(self._config, store, queue).delivered
            caller = HookCaller(self._config)
            stack.push_async_callback(caller.close)
            reports = ReceivedReports(self._config, data_dir)
            stack.push_async_callback(reports.close)
            evaluations = open_evaluations(data_dir)
            stack.push_async_callback(evaluations.close)
            neighbours = Neighbours(reports, EvaluationStore(evaluations), delivered)
            smtp = SmtpContext(self._config, store, queue, self._stopping, neighbours=neighbours)
            await smtp.start()
            imap = ImapContext(self._config, store, self._stopping)
            # One count of failed log-ins for all protocols.
            imap.logins = smtp.logins
            outbox = Outbox(self._config, store, queue)
            webapi = WebApiContext(self._config, store, queue, smtp.logins, outbox)
            web = WebServer(self._config, {"webapi": webapi_factory(webapi, methods.ALL)})
            stack.push_async_callback(web.close)
            await web.start()
            _share_limits(self._bus, smtp, imap, web)
            stack.callback(
                self._bus.subscribe(CREDENTIALS_TOPIC, lambda name: imap.kick(name.decode(), PASSWORD_CHANGED))
            )
            handshakes = Handshakes(self._bus, store, imap.keep_client_keys)
            stack.push_async_callback(handshakes.close)
            await handshakes.start()
            outgoing = Outgoing(self._config, store, queue, surroundings, smtp.deliverer, smtp.resolver, evaluations)
            stack.push_async_callback(outgoing.close)
            async with asyncio.TaskGroup() as group:
                background = [
                    group.create_task(outgoing.run(self._stopping), name="queue"),
                    group.create_task(self._config.watch(), name="config"),
                    group.create_task(Trainer(self._config, store).run(), name="junk filters"),
                    group.create_task(HookRunner(queue, caller.call).run(self._stopping), name="webhooks"),
                ]
                if self._is_first:
                    watching = ownlists.monitor(self._config, smtp.resolver).run()
                    background.append(group.create_task(watching, name="lists"))
                for endpoint, sock in self._sockets:
                    self._listeners.append(await self._listen(endpoint, sock, handshakes, smtp, imap, web))
                _logger.info("serving")
                ready()
                await stop.wait()
                await self._shut_down(web)
                for task in background:
                    task.cancel()

    async def _listen(
        self,
        endpoint: Endpoint,
        sock: socket.socket,
        handshakes: Handshakes,
        smtp: SmtpContext,
        imap: ImapContext,
        web: WebServer,
    ) -> Listener:
        tls = self._config.server_tls(endpoint.listener, tickets=handshakes.tickets, client_keys=handshakes.client_keys)
        if endpoint.service in ("http", "https"):
            return await serve(sock, self._web_handler(endpoint, handshakes, smtp, imap, web))
        implicit = tls if endpoint.implicit_tls else None
        return await serve(sock, self._handler(endpoint, smtp, imap, tls), tls=implicit)

    def _handler(self, endpoint: Endpoint, smtp: SmtpContext, imap: ImapContext, tls: ServerTls | None) -> Handler:
        """What is spoken on a port. `tls` is what STARTTLS would use."""
        listener = self._config.static.Listeners[endpoint.listener]
        match endpoint.service:
            case "smtp" | "submission" | "submissions":
                return lambda conn: serve_smtp(conn, smtp, endpoint.service, listener, tls)
            case "imap" | "imaps":
                return lambda conn: serve_imap(conn, imap, endpoint.service, listener, tls)
            case "metrics":
                routes: plain.Routes = {"/metrics": (metrics.CONTENT_TYPE, metrics.expose)}
                return lambda conn: plain.serve_connection(conn, routes)
            case service:
                raise ValueError(f"no protocol for service {service!r}")

    def _web_handler(
        self, endpoint: Endpoint, handshakes: Handshakes, smtp: SmtpContext, imap: ImapContext, web: WebServer
    ) -> Handler:
        """The front does TLS itself: it chooses by ALPN who goes on with the connection."""
        listener = self._config.static.Listeners[endpoint.listener]
        by_alpn: dict[str, Handler] = {}
        if endpoint.port == HTTPS_PORT and listener.IMAPS.EnabledOnHTTPS:
            by_alpn["imap"] = lambda conn: serve_imap(conn, imap, "imaps", listener, None)
        if endpoint.port == HTTPS_PORT and listener.Submissions.EnabledOnHTTPS:
            by_alpn["smtp"] = lambda conn: serve_smtp(conn, smtp, "submissions", listener, None)
        is_tls = endpoint.service == "https"
        return web.handler(endpoint.listener, endpoint.port, is_tls, by_alpn, handshakes.tickets)

    async def _shut_down(self, web: WebServer) -> None:
        """Stop accepting, let sessions say goodbye, then cut off what is left."""
        _logger.info("shutting down")
        self._stopping.set()
        for listener in self._listeners:
            listener.close()
        web.shut_down()
        async with asyncio.TaskGroup() as group:
            for listener in self._listeners:
                group.create_task(listener.wait_closed(SHUTDOWN_GRACE_S))


def _share_limits(bus: Bus, smtp: SmtpContext, imap: ImapContext, web: WebServer) -> None:
    """Limits hold for all workers together."""
    smtp.rate.share(bus, "smtp-rate")
    smtp.open.share(bus, "smtp-open")
    imap.rate.share(bus, "imap-rate")
    imap.open.share(bus, "imap-open")
    smtp.logins.share(bus)
    web.share_limits(bus)


async def _ensure_password(store: Store) -> None:
    """localserve's account can log in from the start."""
    if not await has_password(store, LOCAL_ACCOUNT):
        await set_password(store, LOCAL_ACCOUNT, LOCAL_PASSWORD)
