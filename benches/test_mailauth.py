"""What the checks of one message cost: DKIM-signed, 4 kB, DNS answers in the cache.

The budget is 1 ms of CPU time a message for all checks together.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.message
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from pytest_benchmark.fixture import BenchmarkFixture
from tests.dns.name_server import reply, serve

from mox.dns.names import Domain, parse_ip, reverse_name
from mox.dns.system import SystemResolver
from mox.mailauth import check, dkim, results
from mox.mailauth.authres import AuthResults
from mox.mailauth.canon import BytesBody
from mox.mailauth.check import Authentication, MessageFacts
from mox.mailauth.dkim import Selector
from mox.mailauth.dkimkey import PrivateKey, record_for

HEADER = (
    b"Received: from client.example.org (client.example.org [192.0.2.9])\r\n\tby mx.example.org with ESMTPS id abc;\r\n"
    b"\tTue, 3 Jan 2023 12:22:54 -0800\r\nFrom: Joe <joe@example.org>\r\nTo: Sue <sue@example.net>\r\n"
    b"Subject: A message of usual size\r\nDate: Tue, 3 Jan 2023 12:22:54 -0800\r\nMessage-ID: <1@example.org>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
)
BODY = b"The quick brown fox jumps over the lazy dog, again and again.\r\n" * 60
IP = parse_ip("192.0.2.1")
KEYS: dict[str, PrivateKey] = {"rsa-2048": generate_private_key(65537, 2048), "ed25519": Ed25519PrivateKey.generate()}


@asynccontextmanager
async def resolver_for(key: PrivateKey) -> AsyncIterator[SystemResolver]:
    """The program's resolver before a name server on loopback; records live for an hour."""
    text = str(record_for(key))
    records = {
        "example.org.": 'TXT "v=spf1 include:spf.example.org mx a:relay.example.org -all"',
        "spf.example.org.": 'TXT "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ip4:192.0.2.0/28 ~all"',
        "_dmarc.example.org.": 'TXT "v=DMARC1;p=reject;rua=mailto:reports@example.org"',
        "s._domainkey.example.org.": "TXT " + " ".join(f'"{text[i : i + 200]}"' for i in range(0, len(text), 200)),
        f"{reverse_name(IP)}.": "PTR mx.example.org.",
        "mx.example.org.": "A 192.0.2.1",
    }

    def answer(query: dns.message.Message, _: bool) -> list[bytes]:
        name = query.question[0].name.to_text()
        kind = query.question[0].rdtype.name
        found = records.get(name, "")
        return [reply(query, *([f"{name} 3600 IN {found}"] if found.startswith(kind + " ") else [])).to_wire()]

    async with serve(answer) as fake:
        yield SystemResolver(fake.settings())


@pytest.mark.parametrize("kind", KEYS)
def test_all_checks(benchmark: BenchmarkFixture, kind: str) -> None:
    """Twenty messages a round on one loop: the cost of starting the loop does not count."""
    key = KEYS[kind]
    body = BytesBody(BODY)
    with asyncio.Runner() as runner:
        field = runner.run(dkim.sign(HEADER, body, Domain("example.org"), [Selector("s", key)], "joe"))
        facts = MessageFacts(IP, field + HEADER, body, "joe", "example.org", "mx.example.org", "", "example.org", "z")
        context = resolver_for(key)
        resolver = runner.run(context.__aenter__())

        async def round_of_messages() -> Authentication:
            for _ in range(19):
                await check.authenticate(resolver, facts)
            return await check.authenticate(resolver, facts)

        found = runner.run(round_of_messages())
        assert (found.spf.status, found.dkim[0].status, found.dmarc.status, found.iprev.status) == ("pass",) * 4
        benchmark(lambda: runner.run(round_of_messages()))
        runner.run(context.__aexit__(None, None, None))


@pytest.mark.parametrize("kind", KEYS)
def test_sign(benchmark: BenchmarkFixture, kind: str) -> None:
    body = BytesBody(BODY)
    selectors = [Selector("s", KEYS[kind])]
    with asyncio.Runner() as runner:
        assert benchmark(lambda: runner.run(dkim.sign(HEADER, body, Domain("example.org"), selectors, "joe")))


def test_header_fields(benchmark: BenchmarkFixture) -> None:
    key = KEYS["rsa-2048"]
    body = BytesBody(BODY)

    async def check_once() -> tuple[MessageFacts, Authentication]:
        field = await dkim.sign(HEADER, body, Domain("example.org"), [Selector("s", key)], "joe")
        facts = MessageFacts(IP, field + HEADER, body, "joe", "example.org", "mx.example.org", "", "example.org", "z")
        async with resolver_for(key) as resolver:
            return facts, await check.authenticate(resolver, facts)

    facts, found = asyncio.run(check_once())

    def fields() -> str:
        methods = results.all_methods(facts, found)
        return str(AuthResults("mx.example.net", methods)) + str(results.received_spf(facts, found.spf))

    assert "dmarc=pass" in benchmark(fields)
