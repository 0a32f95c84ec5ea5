"""Messages over SMTP into an account, judged by what unbound says of zones that knot signs."""

import asyncio
import smtplib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mox.config.listener import Listener, SMTPService
from mox.dns.system import SystemResolver
from mox.mailauth.dkim import Selector
from mox.mailauth.dkimkey import record_for
from mox.net.conn import serve
from mox.outbound.queue import Queue
from mox.outbound.surroundings import ConfigSurroundings
from mox.smtp.server import SmtpContext, serve_connection
from mox.smtp.shell import Times
from tests.inbound.world import World
from tests.interop.signed_zones import NEEDED, Zone, serving
from tests.mailauth.test_dkim import ed_key, sign

pytestmark = [pytest.mark.interop, NEEDED]

TEXT = f"""\
mx 300 A 192.0.2.1
sender 300 MX 10 mx
sender 300 TXT "v=spf1 ip4:127.0.0.1 -all"
s._domainkey.sender 300 TXT "{record_for(ed_key())}"
_dmarc.sender 300 TXT "v=DMARC1;p=reject"
"""
ZONES = {
    "signed-zone.org": Zone(TEXT),
    "bogus-zone.org": Zone(TEXT, bogus=True),
    "plain-zone.org": Zone(TEXT, signed=False),
}


@pytest.fixture(scope="module")
def name_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`127.0.0.1:port` of a validating resolver."""
    with serving(tmp_path_factory.mktemp("dns"), ZONES) as address:
        yield address


@asynccontextmanager
async def server(folder: Path, name_server: str) -> AsyncIterator[tuple[World, int]]:
    """The SMTP server of a world, on a port, with real DNS."""
    world, stopping = World(folder), asyncio.Event()
    queue = Queue(folder, world.bus, ConfigSurroundings(world.config))
    ctx = SmtpContext(world.config, world.store, queue, stopping, SystemResolver.from_servers([name_server]))
    # Refused clients are not kept waiting.
    ctx.times = Times(drip=0)
    await ctx.start()
    facts = Listener(IPs=[], SMTP=SMTPService(Enabled=True))
    sock = socket.create_server(("127.0.0.1", 0))
    listener = await serve(sock, lambda conn: serve_connection(conn, ctx, "smtp", facts, None))
    try:
        yield world, sock.getsockname()[1]
    finally:
        stopping.set()
        listener.close()
        await listener.wait_closed(5)
        await queue.close()
        await world.store.close()


def send(port: int, domain: str, message: bytes, source: str) -> tuple[int, bytes]:
    """The last answer that a client at an address gets."""
    with smtplib.SMTP("127.0.0.1", port, timeout=30, source_address=(source, 0)) as client:
        client.ehlo(f"mx.{domain}")
        for answer in (client.mail(f"a@sender.{domain}"), client.rcpt("mjl@mox.example")):
            if answer[0] != 250:
                return answer
        return client.data(message)


async def letter(domain: str) -> bytes:
    text = f"From: <a@sender.{domain}>\r\nTo: <mjl@mox.example>\r\nSubject: hello\r\n\r\nhello\r\n".encode()
    return await sign(text, Selector("s", ed_key()), domain=f"sender.{domain}")


@pytest.mark.parametrize(
    ("domain", "dnssec"), [("signed-zone.org", "with dnssec"), ("plain-zone.org", "without dnssec")]
)
async def test_everything_passes(tmp_path: Path, name_server: str, domain: str, dnssec: str) -> None:
    async with server(tmp_path, name_server) as (world, port):
        answer = await asyncio.to_thread(send, port, domain, await letter(domain), "127.0.0.1")
        assert answer[0] == 250, answer
        header = " ".join((await world.headers("Inbox"))[0].split())
        assert f"spf=pass ({dnssec}) smtp.mailfrom=sender.{domain}" in header
        assert f"dkim=pass ({dnssec}) header.d=sender.{domain} header.s=s" in header
        assert f"dmarc=pass ({dnssec}) header.from=sender.{domain}" in header
        assert "Received-SPF: pass" in header


async def test_a_signature_alone_is_enough(tmp_path: Path, name_server: str) -> None:
    async with server(tmp_path, name_server) as (world, port):
        signed = await letter("signed-zone.org")
        answer = await asyncio.to_thread(send, port, "signed-zone.org", signed, "127.0.0.2")
        header = " ".join((await world.headers("Inbox" if answer[0] == 250 else "Rejects"))[0].split())
        assert "spf=fail (with dnssec)" in header and "dkim=pass" in header and "dmarc=pass" in header


async def test_forgeries_are_refused(tmp_path: Path, name_server: str) -> None:
    async with server(tmp_path, name_server) as (world, port):
        changed = (await letter("signed-zone.org")).replace(b"Subject: hello", b"Subject: money")
        answer = await asyncio.to_thread(send, port, "signed-zone.org", changed, "127.0.0.2")
        assert answer[0] == 550 and answer[1].startswith(b"5.7.26"), answer
        header = " ".join((await world.headers("Rejects"))[0].split())
        assert "dkim=fail" in header and "dmarc=fail" in header and "X-Mox-Reason: dmarc-policy" in header


async def test_a_zone_that_does_not_validate_is_tried_later(tmp_path: Path, name_server: str) -> None:
    async with server(tmp_path, name_server) as (_, port):
        answer = await asyncio.to_thread(send, port, "bogus-zone.org", b"", "127.0.0.1")
        assert answer[0] == 451 and answer[1].startswith(b"4.4.0"), answer
