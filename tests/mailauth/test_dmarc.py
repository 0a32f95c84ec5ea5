"""DMARC: records, discovery, evaluation, consent to reports of other domains."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.dns.names import Domain
from mox.dns.resolver import DnsTemporary
from mox.dns.static import StaticResolver
from mox.mailauth import dmarc
from mox.mailauth.dkim import DkimResult, DkimStatus
from mox.mailauth.dkimsignature import Signature
from mox.mailauth.dmarc import DmarcStatus
from mox.mailauth.dmarcrecord import (
    Alignment,
    DmarcPolicy,
    DmarcRecord,
    DmarcSyntaxError,
    ReportUri,
    is_dmarc,
    parse_consent_record,
    parse_record,
)
from mox.mailauth.spf import SpfIdentity, SpfResult, SpfStatus


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=DMARC1;p=none", DmarcRecord()),
        ("v = DMARC1 ; p = Reject ; ", DmarcRecord(DmarcPolicy.REJECT)),
        (
            "v=DMARC1;p=quarantine;sp=none;adkim=S;aspf=s;pct=7;ri=3600;fo=1:d:s;rf=afrf;x=y",
            DmarcRecord(
                DmarcPolicy.QUARANTINE,
                DmarcPolicy.NONE,
                (),
                (),
                Alignment.STRICT,
                Alignment.STRICT,
                3600,
                ("1", "d", "s"),
                ("afrf",),
                7,
            ),
        ),
        (
            "v=DMARC1;p=none;rua=mailto:a@b.org!10m, https://x/y,mailto:c@d",
            DmarcRecord(
                aggregate_uris=(ReportUri("mailto:a@b.org", "10m"), ReportUri("https://x/y"), ReportUri("mailto:c@d"))
            ),
        ),
        ("v=DMARC1;rua=mailto:a@b.org", DmarcRecord(aggregate_uris=(ReportUri("mailto:a@b.org"),))),
        ("v=DMARC1;p=bad;rua=mailto:a@b.org", DmarcRecord(aggregate_uris=(ReportUri("mailto:a@b.org"),))),
        ("v=DMARC1;p=reject;sp=bad;rua=mailto:a@b.org", DmarcRecord(aggregate_uris=(ReportUri("mailto:a@b.org"),))),
    ],
    ids=["least", "white-space", "everything", "uris", "no-policy", "bad-policy", "bad-subdomain-policy"],
)
def test_records(text: str, expected: DmarcRecord) -> None:
    assert parse_record(text) == expected
    assert parse_record(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "is_dmarc_record"),
    [
        ("v=DMARC1", True),
        ("v=DMARC1;", True),
        ("v=DMARC1;pct=1;p=none", True),
        ("v=DMARC1;p=bad", True),
        ("v=DMARC1;p=none;p=none", True),
        ("v=DMARC1;p=none;;pct=1", True),
        ("v=DMARC1;p=none;pct=101", True),
        ("v=DMARC1;p=none;pct=x", True),
        ("v=DMARC1;p=none;adkim=x", True),
        ("v=DMARC1;p=none;fo=x", True),
        ("v=DMARC1;p=none;ri=-1", True),
        ("v=DMARC1;p=none;rua=a@b.org", True),
        ("v=DMARC1;p=none;rua=mailto:a@b.org!x", True),
        ("v=dmarc1;p=none", False),
        ("v=DMARC10;p=none", False),
        ("v=DMARC2;p=none", False),
        ("p=none;v=DMARC1", False),
        ("", False),
    ],
)
def test_malformed_records(text: str, is_dmarc_record: bool) -> None:
    with pytest.raises(DmarcSyntaxError) as caught:
        parse_record(text)
    assert (caught.value.is_dmarc, is_dmarc(text)) == (is_dmarc_record, is_dmarc_record)


@pytest.mark.parametrize(("limit", "size"), [("", None), ("5", 5), ("2k", 2048), ("10m", 10 << 20), ("1t", 1 << 40)])
def test_report_sizes(limit: str, size: int | None) -> None:
    assert ReportUri("mailto:a@b", limit).max_bytes == size


@given(st.text(max_size=60) | st.text("v=DMARC1;psuarfcti :,!@%mk0", max_size=60))
def test_any_text_is_a_record_or_is_refused(text: str) -> None:
    for parse in (parse_record, parse_consent_record):
        try:
            parse("v=DMARC1;" + text)
        except DmarcSyntaxError:
            continue


def resolver_with(records: dict[str, list[str]], **options: Any) -> StaticResolver:
    return StaticResolver({name: {"TXT": texts} for name, texts in records.items()}, **options)


ORG, SUB = "_dmarc.example.org", "_dmarc.a.b.example.org"


@pytest.mark.parametrize(
    ("records", "domain", "status", "found"),
    [
        ({SUB: ["v=DMARC1;p=none"], ORG: ["v=DMARC1;p=reject"]}, "a.b.example.org", "none", True),
        ({ORG: ["v=DMARC1;p=reject"]}, "example.org", "none", True),
        ({ORG: ["other", "v=DMARC1;p=reject"]}, "example.org", "none", True),
        ({"_dmarc.b.example.org": ["v=DMARC1;p=reject"]}, "a.b.example.org", "none", False),
        ({SUB: ["v=DMARC1;p=none"] * 2, ORG: ["v=DMARC1;p=reject"]}, "example.org", "none", True),
        ({ORG: ["v=DMARC1;p=none", "v=DMARC1;p=reject"]}, "a.b.example.org", "none", False),
        ({SUB: ["v=DMARC1"], ORG: ["v=DMARC1;p=reject"]}, "a.b.example.org", "permerror", False),
        ({}, "a.b.example.org", "none", False),
    ],
    ids=["own", "own-is-org", "other-text-beside", "not-between", "several-then-org", "several", "broken", "none"],
)
async def test_discovery(records: dict[str, list[str]], domain: str, status: str, found: bool) -> None:
    discovery = await dmarc.discover(resolver_with(records, authentic=True), domain)
    assert (discovery.status, discovery.record is not None, discovery.authentic) == (status, found, True)


@pytest.mark.parametrize("fails", [SUB, ORG])
async def test_dns_failure_in_discovery(fails: str) -> None:
    discovery = await dmarc.discover(resolver_with({}, fail=[("TXT", fails)]), "a.b.example.org")
    assert discovery.status is DmarcStatus.TEMPERROR
    result = dmarc.evaluate(discovery, "a.b.example.org", [], SpfResult(SpfStatus.NONE), 0)
    assert (result.status, result.rejects, result.applies) == ("temperror", False, False)


def signed(status: str, domain: str) -> DkimResult:
    signature = Signature("rsa", "sha256", b"x", b"y", "relaxed", "relaxed", Domain(domain), "s", ("from",))
    return DkimResult(DkimStatus(status), signature)


def spf(status: str, domain: str) -> SpfResult:
    return SpfResult(SpfStatus(status), SpfIdentity.MAILFROM, domain)


NO_SPF = SpfResult(SpfStatus.NONE)


@pytest.mark.parametrize(
    ("record", "at", "results", "spf_result", "expected"),
    [
        ("p=reject", "example.org", [], NO_SPF, ("fail", True)),
        ("p=quarantine", "example.org", [], NO_SPF, ("fail", True)),
        ("p=none", "example.org", [], NO_SPF, ("fail", False)),
        ("p=reject;sp=none", "example.org", [], NO_SPF, ("fail", False)),
        ("p=none;sp=reject", "example.org", [], NO_SPF, ("fail", True)),
        ("p=reject;sp=none", "sub.example.org", [], NO_SPF, ("fail", True)),
        ("p=reject", "example.org", [signed("pass", "example.org")], NO_SPF, ("pass", False)),
        ("p=reject;adkim=s", "example.org", [signed("pass", "example.org")], NO_SPF, ("fail", True)),
        ("p=reject;adkim=s", "example.org", [signed("pass", "sub.example.org")], NO_SPF, ("pass", False)),
        ("p=reject", "example.org", [signed("fail", "example.org")], NO_SPF, ("fail", True)),
        ("p=reject", "example.org", [signed("pass", "other.org")], NO_SPF, ("fail", True)),
        ("p=reject", "example.org", [], spf("pass", "x.example.org"), ("pass", False)),
        ("p=reject;aspf=s", "example.org", [], spf("pass", "x.example.org"), ("fail", True)),
        ("p=reject", "example.org", [], spf("softfail", "example.org"), ("fail", True)),
        ("p=reject", "example.org", [], spf("temperror", "example.org"), ("temperror", False)),
        ("p=reject", "example.org", [], spf("temperror", "forger.org"), ("fail", True)),
        ("p=reject", "example.org", [signed("temperror", "example.org")], NO_SPF, ("temperror", False)),
        ("p=reject", "example.org", [signed("temperror", "forger.org")], NO_SPF, ("fail", True)),
        (
            "p=reject",
            "example.org",
            [signed("temperror", "example.org"), signed("pass", "example.org")],
            NO_SPF,
            ("pass", False),
        ),
        ("p=reject", "example.org", [DkimResult(DkimStatus.PERMERROR)], NO_SPF, ("fail", True)),
    ],
    ids=[
        *("reject", "quarantine", "none", "sp-none", "sp-reject", "sp-of-own-record", "dkim", "dkim-strict-org"),
        *("dkim-strict-equal", "dkim-fail", "dkim-other", "spf", "spf-strict", "spf-softfail", "spf-temperror"),
        *("spf-temperror-of-forger", "dkim-temperror", "dkim-temperror-of-forger", "temperror-and-pass", "unparsable"),
    ],
)
def test_evaluation(
    record: str, at: str, results: list[DkimResult], spf_result: SpfResult, expected: tuple[str, bool]
) -> None:
    discovery = dmarc.Discovery(at, parse_record("v=DMARC1;" + record))
    result = dmarc.evaluate(discovery, "sub.example.org", results, spf_result, 0)
    assert (result.status, result.rejects) == expected
    assert result.aligned_dkim_pass or result.aligned_spf_pass or result.status != "pass"


@pytest.mark.parametrize(("sample", "applies"), [(0, True), (29.9, True), (30, False), (99.9, False)])
def test_percentage(sample: float, applies: bool) -> None:
    discovery = dmarc.Discovery("example.org", parse_record("v=DMARC1;p=reject;pct=30"))
    result = dmarc.evaluate(discovery, "example.org", [], NO_SPF, sample)
    assert (result.rejects, result.applies) == (True, applies)
    full = dmarc.evaluate(
        dmarc.Discovery("example.org", parse_record("v=DMARC1;p=none")), "example.org", [], NO_SPF, 99.9
    )
    assert full.applies


async def test_consent_to_reports() -> None:
    name = "example.org._report._dmarc.other.net"
    resolver = resolver_with({name: ["v=DMARC1", "noise", "v=DMARC1;rua=mailto:x@other.net"]}, authentic=True)
    consent = await dmarc.lookup_consent(resolver, "example.org", "other.net")
    assert (consent.accepts, len(consent.records), consent.authentic) == (True, 2, True)
    assert str(consent.records[1].aggregate_uris[0]) == "mailto:x@other.net"
    assert not (await dmarc.lookup_consent(resolver, "example.com", "other.net")).accepts
    with pytest.raises(DnsTemporary):
        await dmarc.lookup_consent(resolver_with({}, fail=[("TXT", name)]), "example.org", "other.net")
