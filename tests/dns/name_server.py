"""A name server on a loopback port whose answers a test scripts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from mox.dns.resolvconf import NameServer, Settings

Handler = Callable[[dns.message.Message, bool], list[bytes]]


def reply(
    query: dns.message.Message,
    *answers: str,
    rcode: int = dns.rcode.NOERROR,
    authority: tuple[str, ...] = (),
    ad: bool = False,
) -> dns.message.Message:
    """An answer with records as `"example.org. 300 IN A 10.0.0.1"`."""
    response = dns.message.make_response(query, recursion_available=True)
    response.set_rcode(rcode)
    if ad:
        response.flags |= dns.flags.AD
    for section, lines in ((response.answer, answers), (response.authority, authority)):
        for line in lines:
            owner, ttl, cls, kind, data = line.split(" ", 4)
            section.append(dns.rrset.from_text(owner, int(ttl), cls, kind, data))
    return response


@dataclass
class FakeServer:
    """Calls `handler(query, over_tcp)` and sends the packets it gives back; counts the questions."""

    handler: Handler
    port: int = 0
    questions: list[str] = field(default_factory=list)

    @property
    def server(self) -> NameServer:
        return NameServer("127.0.0.1", self.port)

    def settings(self, timeout_s: float = 0.5, **others: object) -> Settings:
        return Settings((self.server,), timeout_s=timeout_s, attempts=1, **others)  # type: ignore[arg-type]

    def answer(self, wire: bytes, over_tcp: bool) -> list[bytes]:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        self.questions.append(f"{question.rdtype.name} {question.name.to_text(True)}")
        return self.handler(query, over_tcp)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, fake: FakeServer) -> None:
        self.fake = fake

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for packet in self.fake.answer(data, False):
            self.transport.sendto(packet, addr)


@asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[FakeServer]:
    """UDP and TCP on one port."""
    fake = FakeServer(handler)

    async def on_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2))
        for packet in fake.answer(await reader.readexactly(size), True):
            writer.write(len(packet).to_bytes(2) + packet)
        await writer.drain()
        writer.close()

    tcp = await asyncio.start_server(on_tcp, "127.0.0.1", 0)
    fake.port = tcp.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(fake), local_addr=("127.0.0.1", fake.port))
    try:
        yield fake
    finally:
        udp.close()
        tcp.close()
        await tcp.wait_closed()
