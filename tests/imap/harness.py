"""The real IMAP server on a loopback port of this process, with accounts for every case."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mox import metrics
from mox._rust import TlsKnownKeys
from mox.config.live import Config
from mox.imap.client.client import Client
from mox.imap.server import Delays, ImapContext, serve_connection
from mox.net.bus import LocalBus
from mox.net.conn import serve
from mox.sasl.precis import opaque_string
from mox.store import passwords
from mox.store.policy import Policies
from mox.store.store import Store
from tests.local_config import new_folder

USER = "mox@localhost"
PASSWORD = "te\u0301st pass\u00a0word"
ACCOUNTS = """
Domains:
\tlocalhost:
\t\tLocalpartCatchallSeparator: +
Accounts:
\tmox:
\t\tDomain: localhost
\t\tDestinations:
\t\t\tmox@localhost:
\t\t\t\tRulesets:
\t\t\t\t\t-
\t\t\t\t\t\tVerifiedDomain: list.example
\t\t\t\t\t\tMailbox: lists/one
\t\t\tm\u00f6x@localhost: nil
\t\t\t""@localhost: nil
\t\t\tother@localhost:
\t\t\t\tMailbox: other
\tlimit:
\t\tDomain: localhost
\t\tQuotaMessageSize: 1
\t\tDestinations:
\t\t\tlimit@localhost: nil
\tdisabled:
\t\tDomain: localhost
\t\tLoginDisabled: testing
\t\tDestinations:
\t\t\tdisabled@localhost: nil
\tnocaps:
\t\tDomain: localhost
\t\tIMAPCapabilitiesDisabled:
\t\t\t- UIDONLY
\t\tDestinations:
\t\t\tnocaps@localhost: nil
"""
MESSAGE = (
    b"From: Mjl <mjl@mox.example>\r\nTo: <mox@localhost>\r\nSubject: afternoon meeting\r\n"
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-Id: <B27397-0100000@Blurdybloop.example>\r\n\r\n"
    b"Hello Joe, do you think we can meet at 3:30 tomorrow?\r\n"
)


class Server:
    """What a test needs of a running server."""

    def __init__(self, config: Config, store: Store, ctx: ImapContext) -> None:
        self.config, self.store, self.ctx = config, store, ctx
        self.port = self.plain_port = self.tls_port = 0
        self.known_keys = TlsKnownKeys([])
        self.clients: list[Client] = []

    @staticmethod
    def panics() -> float:
        """Unexpected exceptions so far."""
        found = [s.value for m in metrics.panics.collect() for s in m.samples if s.name == "mox_panic_total"]
        return sum(found)

    async def client(self, user: str | None = USER, password: str = PASSWORD) -> Client:
        """A client, logged in unless `user` is None."""
        client = await Client.connect("127.0.0.1", self.port)
        self.clients.append(client)
        if user is not None:
            await client.login(user, password)
        return client


def client_tls() -> ssl.SSLContext:
    """Trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def make_folder(folder: Path) -> None:
    """A localserve configuration with the accounts above, all with PASSWORD."""
    new_folder(folder)
    (folder / "domains.conf").write_text(ACCOUNTS.lstrip())
    config = Config.load(folder / "mox.conf")
    secrets = passwords.hashed(opaque_string(PASSWORD))
    async with Store(folder / "data", LocalBus(), Policies(config)).closing() as store:
        for name in config.dynamic.Accounts:
            account = await store.open(name)
            await account.write(lambda tx: passwords.save(tx, secrets))
            await account.close()


@asynccontextmanager
async def running(folder: Path, delays: Delays | None = None) -> AsyncIterator[Server]:
    """Serve until the end of the block; three ports: plain passwords allowed, STARTTLS wanted, TLS at once."""
    config = Config.load(folder / "mox.conf")
    store = Store(folder / "data", LocalBus(), Policies(config))
    stopping = asyncio.Event()
    await store.start()
    ctx = ImapContext(config, store, stopping, delays or Delays(0, 0, 10))
    server = Server(config, store, ctx)
    name, listener = next(iter(config.static.Listeners.items()))
    tls = config.server_tls(name, client_keys=server.known_keys)
    strict = type(listener)(IPs=["127.0.0.1"])
    listeners = []
    for kind, facts in (("port", listener), ("plain_port", strict), ("tls_port", strict)):
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        setattr(server, kind, sock.getsockname()[1])
        listeners.append(
            await serve(
                sock,
                lambda conn, facts=facts: serve_connection(conn, ctx, "imap", facts, tls),  # type: ignore[misc]
                tls=tls if kind == "tls_port" else None,
            )
        )
    try:
        yield server
    finally:
        for client in server.clients:
            await client.close()
        stopping.set()
        for one in listeners:
            one.close()
        for one in listeners:
            await one.wait_closed(2)
        await store.close()
