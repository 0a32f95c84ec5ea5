"""Connections that only DANE vouches for: what `mox dane dial` and `dialmx` take and refuse (spec/outbound.md 16)."""

import asyncio
import os
from collections.abc import Sequence

import pytest

from mox._rust import TlsRoots
from mox.cli.dane_dial import relay
from mox.dns.resolver import Mx, Tlsa
from mox.dns.static import StaticResolver
from mox.net.conn import Connection, connect
from mox.net.tls import ServerTls
from mox.outbound import danedial
from mox.outbound.danedial import DaneError
from tests.net.loopback import TIMEOUT_S, listening
from tests.net.pki import Ca
from tests.smtp.fake_mx import FakeMx

CA = Ca()
SERVER = CA.issue("host.example")
EE = Tlsa(3, 1, 1, SERVER.key_digest)
TA = Tlsa(2, 0, 0, CA.der)
PKIX_EE = Tlsa(1, 1, 1, SERVER.key_digest)
WRONG = Tlsa(3, 1, 1, bytes(32))
ALL = (0, 1, 2, 3)


def dns(port: int, *records: Tlsa, host: str = "host.example", authentic: bool = True) -> StaticResolver:
    found = StaticResolver(authentic=authentic)
    found.add(host, "A", ["127.0.0.1"])
    if records:
        found.add(f"_{port}._tcp.{host}", "TLSA", records)
    return found


@pytest.mark.parametrize(
    ("records", "usages", "expected"),
    [
        ([EE], ALL, EE),
        ([WRONG, TA], ALL, TA),
        ([PKIX_EE], ALL, PKIX_EE),
        ([EE, TA], (2,), TA),
        ([EE], (0, 1, 2), "no tlsa record of host.example has an allowed usage"),
        ([WRONG], ALL, "tls with host.example"),
        ([], ALL, "no tlsa records for port"),
    ],
    ids=["ee", "second", "pkix-ee", "usages", "no usage", "mismatch", "none"],
)
async def test_dial(records: Sequence[Tlsa], usages: Sequence[int], expected: Tlsa | str) -> None:
    async with listening(tls=ServerTls([SERVER.pair])) as port:
        resolver = dns(port, *records)
        if isinstance(expected, str):
            with pytest.raises(DaneError, match=expected):
                await danedial.dial(resolver, "host.example", port, usages, TlsRoots(CA.pem))
            return
        conn, record = await danedial.dial(resolver, "host.example", port, usages, TlsRoots(CA.pem))
        assert record == expected
        conn.write(b"hello")
        assert await conn.read(TIMEOUT_S) == b"hello"
        conn.abort()


async def test_dial_needs_dnssec() -> None:
    with pytest.raises(DaneError, match="not dnssec-signed"):
        await danedial.dial(dns(1, EE, authentic=False), "host.example", 1, ALL)


async def test_dial_follows_aliases() -> None:
    async with listening(tls=ServerTls([SERVER.pair])) as port:
        resolver = dns(port, EE)
        resolver.add("alias.example", "CNAME", ["host.example"])
        conn, record = await danedial.dial(resolver, "alias.example", port, ALL, TlsRoots(CA.pem))
        assert record == EE and conn.tls is not None and conn.tls.server_name in ("", "host.example")
        conn.abort()


def mail_dns(*records: Tlsa, authentic: bool = True) -> StaticResolver:
    found = StaticResolver(authentic=authentic)
    found.add("d.example", "MX", [Mx(5, "gone.example"), Mx(10, "host.example")])
    found.add("host.example", "A", ["127.0.0.1"])
    if records:
        found.add("_25._tcp.host.example", "TLSA", records)
    return found


@pytest.mark.parametrize(
    ("records", "authentic", "only_host", "said"),
    [
        ([EE], True, "", "verified with 3 1 1"),
        ([EE], True, "host.example", "verified with 3 1 1"),
        ([PKIX_EE], True, "", "connected, not verified"),
        ([WRONG], True, "", None),
        ([], True, "", None),
        ([EE], False, "", None),
    ],
    ids=["verified", "one host", "unusable", "mismatch", "none", "unsigned"],
)
async def test_dial_mx(records: Sequence[Tlsa], authentic: bool, only_host: str, said: str | None) -> None:
    told: list[str] = []
    mx = FakeMx(tls=ServerTls([SERVER.pair]))
    async with mx.running() as port:
        resolver = mail_dns(*records, authentic=authentic)
        work = danedial.dial_mx(resolver, "d.example", only_host, "me.example", told.append, TlsRoots(CA.pem), port)
        if said is None:
            with pytest.raises(DaneError, match=r"no remaining destinations|not dnssec-signed"):
                await work
            return
        conn = await work
        conn.write(b"MAIL FROM:<>\r\n")
        assert (await conn.read(TIMEOUT_S)).startswith(b"250")
        conn.abort()
    assert said in told[-1] and mx.lines[0] == "EHLO me.example"
    assert only_host or any("gone.example: " in line for line in told)


async def test_relay_passes_both_ways_and_ends() -> None:
    async def answer(conn: Connection) -> None:
        assert await conn.read(TIMEOUT_S) == b"question"
        conn.write(b"answer")

    async with listening(answer) as port:
        conn = await connect("127.0.0.1", port, TIMEOUT_S)
        (there, here), (out, back) = os.pipe(), os.pipe()
        os.write(here, b"question")
        async with asyncio.timeout(TIMEOUT_S):
            await relay(conn, there, back)
        assert os.read(out, 100) == b"answer"
        for descriptor in (here, out, back):
            os.close(descriptor)
