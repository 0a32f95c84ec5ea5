"""Our resolver behind unbound, which validates what knot signs: AD bit, bogus zones, unsigned zones, truncation."""

from collections.abc import Iterator

import pytest

from mox.dns.names import parse_ip
from mox.dns.resolver import DnsNotFound, DnsTemporary
from mox.dns.system import SystemResolver
from mox.mailauth import check
from mox.mailauth.canon import BytesBody
from tests.interop.signed_zones import NEEDED, Zone, serving

pytestmark = [pytest.mark.interop, NEEDED]

TEXT = """\
@ 300 MX 10 mx
@ 300 TXT "v=spf1 mx -all"
_dmarc 300 TXT "v=DMARC1;p=reject"
mx 300 A 192.0.2.1
alias 300 CNAME mx
outside 300 CNAME mx.plain-zone.org.
_25._tcp.mx 300 TLSA 3 1 1 aabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccdd
big 300 TXT {big}
"""
BIG = " ".join(f'"{chr(97 + i % 26) * 250}"' for i in range(20))
ZONES = {
    "signed-zone.org": Zone(TEXT.format(big=BIG)),
    "bogus-zone.org": Zone(TEXT.format(big=BIG), bogus=True),
    "plain-zone.org": Zone(TEXT.format(big=BIG), signed=False),
}


@pytest.fixture(scope="module")
def name_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`127.0.0.1:port` of a validating resolver."""
    with serving(tmp_path_factory.mktemp("dns"), ZONES) as address:
        yield address


@pytest.fixture
def resolver(name_server: str) -> SystemResolver:
    return SystemResolver.from_servers([name_server])


async def test_signed_answers_are_authentic(resolver: SystemResolver) -> None:
    assert (await resolver.mx("signed-zone.org")).authentic
    assert (await resolver.a("alias.signed-zone.org")).authentic
    tlsa = await resolver.tlsa("_25._tcp.mx.signed-zone.org")
    assert tlsa.authentic
    assert tlsa.records[0].data == bytes.fromhex("aabbccdd" * 8)
    with pytest.raises(DnsNotFound) as caught:
        await resolver.a("absent.signed-zone.org")
    assert caught.value.authentic


async def test_unsigned_answers_are_not(resolver: SystemResolver) -> None:
    assert not (await resolver.mx("plain-zone.org")).authentic
    assert not (await resolver.a("outside.signed-zone.org")).authentic
    with pytest.raises(DnsNotFound) as caught:
        await resolver.a("absent.plain-zone.org")
    assert not caught.value.authentic


async def test_bogus_zone_is_a_temporary_error_that_names_dnssec(resolver: SystemResolver) -> None:
    with pytest.raises(DnsTemporary, match="SERVFAIL") as caught:
        await resolver.mx("bogus-zone.org")
    assert caught.value.is_dnssec_failure


async def test_ad_bit_is_not_believed_from_afar(name_server: str) -> None:
    believing = SystemResolver.from_servers([name_server, "192.0.2.53"])
    assert not (await believing.mx("signed-zone.org")).authentic


async def test_large_answer_comes_over_tcp(resolver: SystemResolver) -> None:
    assert len((await resolver.txt("big.signed-zone.org")).records[0]) == 20 * 250


async def test_checks_of_a_message(resolver: SystemResolver) -> None:
    facts = check.MessageFacts(
        *(parse_ip("192.0.2.1"), b"From: a@signed-zone.org\r\n\r\n", BytesBody(b""), "a", "signed-zone.org"),
        helo="mx.signed-zone.org",
        from_domain="signed-zone.org",
    )
    found = await check.authenticate(resolver, facts)
    assert (found.spf.status, found.spf.authentic) == ("pass", True)
    assert (found.dmarc.status, found.dmarc.authentic) == ("pass", True)


async def test_checks_of_a_message_of_a_bogus_zone(resolver: SystemResolver) -> None:
    facts = check.MessageFacts(
        *(parse_ip("192.0.2.1"), b"From: a@bogus-zone.org\r\n\r\n", BytesBody(b""), "a", "bogus-zone.org"),
        helo="mx.bogus-zone.org",
        from_domain="bogus-zone.org",
    )
    found = await check.authenticate(resolver, facts)
    assert (found.spf.status, found.dmarc.status, found.dmarc.rejects) == ("temperror", "temperror", False)
