"""All checks of a message together, and how they are written into its header."""

import asyncio
import time
from typing import Any

import pytest
from prometheus_client import REGISTRY

from mox.dns.names import Domain, parse_ip
from mox.dns.resolver import Answer, DnsTemporary, Kind, Resolver
from mox.dns.static import StaticResolver
from mox.mailauth import check, results
from mox.mailauth.authres import AuthResults
from mox.mailauth.canon import BytesBody
from mox.mailauth.check import Authentication, MessageFacts
from mox.mailauth.dkim import Policy, Selector
from mox.mailauth.dkimkey import record_for
from tests.mailauth.test_dkim import MESSAGE, NOW, ed_key, parts, rsa_key, sign

ZONE: dict[str, dict[str, list[Any]]] = {
    "football.example.com": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
    "other.org": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
    "_dmarc.example.com": {"TXT": ["v=DMARC1;p=reject"]},
    "s._domainkey.example.com": {"TXT": [str(record_for(ed_key()))]},
    "r._domainkey.football.example.com": {"TXT": [str(record_for(rsa_key()))]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["mx.other.org"]},
    "mx.other.org": {"A": ["192.0.2.1"]},
}


async def authenticate(message: bytes, resolver: Resolver | None = None, **facts: Any) -> Authentication:
    header, body = parts(message)
    options = {"timeout_s": facts.pop("timeout_s", 5.0)}
    given = {"from_domain": "football.example.com", "helo": "mx.other.org"} | facts
    resolver = resolver or StaticResolver(ZONE, authentic=True)
    ip = parse_ip(given.pop("remote_ip", "192.0.2.1"))
    known = MessageFacts(ip, header, body, **given)
    return await check.authenticate(resolver, known, Policy(), sample=0, now=NOW, **options)


async def test_everything_passes() -> None:
    signed = await sign(MESSAGE, Selector("s", ed_key()), domain="example.com")
    found = await authenticate(signed, mail_from_localpart="joe", mail_from_domain="football.example.com")
    assert (found.iprev.status, found.spf.status, found.dmarc.status) == ("pass", "pass", "pass")
    assert found.dkim_domains == ("example.com",)
    assert (found.mail_from_status, found.helo_status) == ("pass", None)
    assert (found.from_validation, found.is_from_validated) == ("strict", True)


@pytest.mark.parametrize(
    ("domain", "selector", "mail_from", "zone", "expected"),
    [
        ("football.example.com", "r", "other.org", {}, "strict"),
        ("example.com", "s", "other.org", {}, "dmarc"),
        ("example.com", "s", "other.org", {"_dmarc.example.com": {}}, "relaxed"),
        ("example.com", "absent", "other.org", {}, "none"),
        ("example.com", "absent", "football.example.com", {}, "strict"),
    ],
    ids=["dkim-equal", "dkim-org-with-dmarc", "dkim-org", "nothing", "spf-equal"],
)
async def test_validation_of_the_from_domain(
    domain: str, selector: str, mail_from: str, zone: dict[str, Any], expected: str
) -> None:
    key = rsa_key() if selector == "r" else ed_key()
    signed = await sign(MESSAGE, Selector(selector, key), domain=domain)
    found = await authenticate(signed, StaticResolver(ZONE | zone), mail_from_domain=mail_from)
    assert found.from_validation == expected


async def test_unauthenticated_message_of_a_domain_with_a_policy() -> None:
    found = await authenticate(MESSAGE, mail_from_domain="forger.org", remote_ip="198.51.100.1")
    assert (found.dmarc.status, found.dmarc.rejects, found.dmarc.applies) == ("fail", True, True)
    assert (found.from_validation, found.dkim) == ("none", ())


async def test_no_usable_from() -> None:
    found = await authenticate(MESSAGE, from_domain="", mail_from_domain="other.org")
    assert (found.dmarc.status, found.from_validation, found.mail_from_status) == ("none", "none", "pass")


async def test_a_header_that_is_none() -> None:
    header = b"no field\r\n\r\n"
    facts = MessageFacts(parse_ip("192.0.2.1"), header, BytesBody(b""), from_domain="football.example.com")
    found = await check.authenticate(StaticResolver(ZONE), facts)
    assert found.dkim == ()
    assert found.dkim_problem.startswith("malformed header")
    assert found.arc.status == "none"
    assert "dkim=none" in str(AuthResults("h", results.all_methods(facts, found)))


class Silent(Resolver):
    """Answers nothing, ever."""

    async def lookup(self, name: str, kind: Kind) -> Answer[object]:
        await asyncio.Event().wait()
        raise DnsTemporary("never")


async def test_silent_dns_is_a_temporary_failure_within_the_deadline() -> None:
    started = time.monotonic()
    signed = await sign(MESSAGE, Selector("s", ed_key()), domain="example.com")
    found = await authenticate(signed, Silent(), mail_from_domain="other.org", timeout_s=0.05)
    assert time.monotonic() - started < 2
    assert (found.iprev.status, found.spf.status, found.dmarc.status) == ("temperror",) * 3
    assert [r.status for r in found.dkim] == ["temperror"]
    assert (found.spf.identity, found.spf.domain) == ("mailfrom", "other.org")


class Broken(StaticResolver):
    """Has a bug in one kind of look-up."""

    async def lookup(self, name: str, kind: Kind) -> Answer[object]:
        if kind is Kind.PTR:
            raise ZeroDivisionError
        return await super().lookup(name, kind)


async def test_a_bug_in_one_check_does_not_lose_the_message() -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("mox_panic_total", {"pkg": "iprevverify"}) or 0

    before = counted()
    found = await authenticate(MESSAGE, Broken(ZONE), mail_from_domain="other.org")
    assert (found.iprev.status, found.spf.status) == ("temperror", "pass")
    assert counted() == before + 1


class Slow(StaticResolver):
    """Each answer takes a moment; counts how many questions wait at one time."""

    waiting = most = 0

    async def lookup(self, name: str, kind: Kind) -> Answer[object]:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.waiting -= 1
        return await super().lookup(name, kind)


async def test_checks_run_in_parallel() -> None:
    signed = await sign(MESSAGE, Selector("s", ed_key()), Selector("r", rsa_key()), domain="example.com")
    resolver = Slow(ZONE)
    await authenticate(signed, resolver, mail_from_domain="other.org")
    assert resolver.most >= 5


async def test_spf_that_is_known_is_not_asked_again() -> None:
    known = await check.check_spf(
        StaticResolver(ZONE), check.SpfFacts(parse_ip("192.0.2.1"), "joe", "other.org", "mx.other.org")
    )
    without = {name: records for name, records in ZONE.items() if name != "other.org"}
    found = await authenticate(MESSAGE, StaticResolver(without), mail_from_domain="other.org", spf=known)
    assert found.spf is known


async def test_header_fields() -> None:
    signed = await sign(MESSAGE, Selector("s", ed_key()), domain="example.com")
    signed = await sign(signed, Selector("r", rsa_key()), domain="football.example.com")
    header, body = parts(signed)
    facts = MessageFacts(
        parse_ip("192.0.2.1"),
        header,
        body,
        "odd joe",
        "football.example.com",
        "mx.other.org",
        from_domain="football.example.com",
        receiver="mx.example.net",
    )
    found = await check.authenticate(StaticResolver(ZONE), facts, Policy(), sample=0, now=NOW)
    text = str(AuthResults("mx.example.net", results.all_methods(facts, found, ["mailing_list", "sampled_out"])))
    lines = text.replace("\r\n\t", " ")
    assert "iprev=pass (without dnssec) policy.iprev=192.0.2.1;" in lines
    assert (
        "dkim=pass (1024 bit rsa, without dnssec) header.d=football.example.com header.s=r header.a=rsa-sha256" in lines
    )
    assert "header.i=joe@football.example.com;" in lines
    assert "dkim=pass (without dnssec) header.d=example.com header.s=s header.a=ed25519-sha256 header.b=" in lines
    assert "spf=pass (without dnssec) smtp.mailfrom=football.example.com;" in lines
    assert "dmarc=pass (without dnssec, override mailing_list,sampled_out) header.from=football.example.com" in lines
    assert all(len(line) <= 77 for line in text.splitlines() if line.count(" ") > 1)
    received = str(results.received_spf(facts, found.spf)).replace("\r\n\t", " ")
    assert received == (
        "Received-SPF: pass (domain football.example.com) client-ip=192.0.2.1; "
        'envelope-from="\\"odd joe\\"@football.example.com"; helo=mx.other.org; mechanism="+ip4:192.0.2.1"; '
        "receiver=mx.example.net; identity=mailfrom\r\n"
    )


@pytest.mark.parametrize(
    ("helo", "literal", "expected"),
    [
        (
            "other.org",
            "",
            "pass (domain other.org, from ehlo because mailfrom is empty) client-ip=192.0.2.1; "
            'envelope-from="postmaster@other.org"; helo=other.org; mechanism="+ip4:192.0.2.1"; '
            "receiver=z; identity=helo",
        ),
        (
            "",
            "192.0.2.7",
            "none (no domain, ehlo is an ip literal and mailfrom is empty) client-ip=192.0.2.1; "
            'envelope-from="\\"\\"@192.0.2.7"; helo=192.0.2.7; problem="no domain to check"; receiver=z; identity=""',
        ),
    ],
    ids=["helo", "ip-literal"],
)
async def test_received_spf_of_the_null_path(helo: str, literal: str, expected: str) -> None:
    facts = MessageFacts(parse_ip("192.0.2.1"), b"\r\n", BytesBody(b""), helo=helo, helo_literal=literal, receiver="z")
    result = await check.check_spf(StaticResolver(ZONE), facts.spf_facts)
    assert str(results.received_spf(facts, result)).replace("\r\n\t", " ") == f"Received-SPF: {expected}\r\n"


def test_submission() -> None:
    method = results.submission_method("joe@bücher.example", Domain("xn--bcher-kva.example", "bücher.example"))
    text = str(AuthResults("h", (method,)))
    assert text.endswith("\tauth=pass smtp.mailfrom=joe@bücher.example (xn--bcher-kva.example)\r\n")


async def test_short_signature_value_is_shown_as_it_is() -> None:
    """A signature shorter than the part that is shown must not do harm."""
    field = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x; h=From:Subject; bh=" + b"A" * 43 + b"=; b=YQ==\r\n"
    header, body = parts(field + MESSAGE)
    facts = MessageFacts(parse_ip("192.0.2.1"), header, body, helo="x.org", from_domain="football.example.com")
    found = await check.authenticate(StaticResolver(ZONE), facts)
    assert 'header.b="YQ=="' in str(AuthResults("h", results.all_methods(facts, found)))
