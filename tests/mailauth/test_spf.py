"""SPF beyond the public suites: limits, identities, explanations, DNSSEC, records, hostile input."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.dns.names import MAX_NAME, parse_ip
from mox.dns.resolver import DnsNotFound, Mx
from mox.dns.static import StaticResolver
from mox.mailauth import spf
from mox.mailauth.spf import SpfFacts, SpfIdentity, SpfStatus
from mox.mailauth.spfmacro import MacroError, MacroValues, expand, expand_domain, parse_macro_string
from mox.mailauth.spfrecord import SpfSyntaxError, parse_record

Zone = dict[str, dict[str, list[Any]]]


def txt(*records: str) -> dict[str, list[Any]]:
    return {"TXT": list(records)}


async def check(zone: Zone, ip: str = "192.0.2.1", domain: str = "example.org", **options: Any) -> spf.SpfResult:
    return await spf.verify(StaticResolver(zone, **options), SpfFacts(parse_ip(ip), "user", domain, "helo.example.org"))


# RFC 7208 appendix A.
APPENDIX: Zone = {
    "example.com": {
        "MX": [Mx(10, "mail-a.example.com"), Mx(20, "mail-b.example.com")],
        "A": ["192.0.2.10", "192.0.2.11"],
    },
    "amy.example.com": {"A": ["192.0.2.65"]},
    "bob.example.com": {"A": ["192.0.2.66"]},
    "mail-a.example.com": {"A": ["192.0.2.129"]},
    "mail-b.example.com": {"A": ["192.0.2.130"]},
    "example.org": {"MX": [Mx(10, "mail-c.example.org")]},
    "mail-c.example.org": {"A": ["192.0.2.140"]},
    "10.2.0.192.in-addr.arpa": {"PTR": ["example.com"]},
    "65.2.0.192.in-addr.arpa": {"PTR": ["amy.example.com"]},
    "130.2.0.192.in-addr.arpa": {"PTR": ["mail-b.example.com"]},
    "140.2.0.192.in-addr.arpa": {"PTR": ["mail-c.example.org"]},
    "4.0.0.10.in-addr.arpa": {"PTR": ["bob.example.com"]},
}


@pytest.mark.holds("smtp-in-fe343c")
@pytest.mark.parametrize(
    ("record", "ip", "status"),
    [
        ("v=spf1 +all", "198.51.100.1", "pass"),
        ("v=spf1 a -all", "192.0.2.10", "pass"),
        ("v=spf1 a -all", "192.0.2.65", "fail"),
        ("v=spf1 a:example.org -all", "192.0.2.10", "fail"),
        ("v=spf1 mx -all", "192.0.2.130", "pass"),
        ("v=spf1 mx -all", "192.0.2.140", "fail"),
        ("v=spf1 mx:example.org -all", "192.0.2.140", "pass"),
        ("v=spf1 mx mx:example.org -all", "192.0.2.140", "pass"),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.143", "pass"),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.144", "fail"),
        ("v=spf1 ptr -all", "192.0.2.65", "pass"),
        ("v=spf1 ptr -all", "192.0.2.140", "fail"),
        ("v=spf1 ptr -all", "10.0.0.4", "fail"),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129", "pass"),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.65", "fail"),
    ],
)
async def test_examples_of_appendix_a(record: str, ip: str, status: str) -> None:
    zone = {**APPENDIX, "example.com": {**APPENDIX["example.com"], **txt(record)}}
    assert (await check(zone, ip, "example.com")).status == status


VOID = txt("v=spf1 exists:a.absent.example exists:b.absent.example ip4:192.0.2.1 exists:c.absent.example ~all")


@pytest.mark.holds("smtp-in-fe343c")
@pytest.mark.parametrize(
    ("zone", "ip", "status", "problem"),
    [
        ({"example.org": VOID}, "192.0.2.1", "pass", ""),
        ({"example.org": VOID}, "192.0.2.2", "permerror", "without an answer"),
        ({"example.org": txt("v=spf1 include:example.org -all")}, "192.0.2.1", "permerror", "more than 10 terms"),
        ({"example.org": txt("v=spf1 redirect=example.org")}, "192.0.2.1", "permerror", "more than 10 terms"),
        ({"example.org": txt("v=spf1 a:absent.example")}, "192.0.2.1", "neutral", ""),
        ({"example.org": txt("v=spf1 include:absent.example -all")}, "192.0.2.1", "permerror", "no record"),
        ({"example.org": txt("v=spf1 -all", "v=spf1 +all")}, "192.0.2.1", "permerror", "more than one"),
        ({"example.org": txt("v=spf1 exists:%{x}.example.org")}, "192.0.2.1", "permerror", "bad macro"),
        ({"example.org": txt("v=spf1 exists:%{i0}.example.org")}, "192.0.2.1", "permerror", "bad macro"),
        ({"example.org": txt("v=spf1 exists:%{c}.example.org")}, "192.0.2.1", "permerror", "bad macro"),
        ({"example.org": txt("v=spf1 exists:%(i).example.org")}, "192.0.2.1", "permerror", "bad macro"),
        ({"example.org": txt("other")}, "192.0.2.1", "none", "no SPF record"),
    ],
    ids=[
        *("two-voids-then-match", "third-void", "self-include", "redirect-loop", "a-absent", "include-none"),
        *("two-records", "macro-x", "macro-i0", "macro-c", "macro-parenthesis", "none"),
    ],
)
async def test_limits_and_errors(zone: Zone, ip: str, status: str, problem: str) -> None:
    result = await check(zone, ip)
    assert result.status == status
    assert problem in result.problem


@pytest.mark.holds("smtp-in-fe343c")
async def test_include_of_a_temporary_error_is_temporary() -> None:
    result = await check({"example.org": txt("v=spf1 include:x.org -all")}, fail=[("TXT", "x.org")])
    assert result.status is SpfStatus.TEMPERROR


@pytest.mark.holds("smtp-in-fe343c")
@pytest.mark.parametrize(("matching", "status"), [(9, "pass"), (10, "permerror")])
async def test_mx_hosts_beyond_ten_are_an_error_unless_one_matched_before(matching: int, status: str) -> None:
    zone: Zone = {f"m{i}.org": {"A": ["192.0.2.1" if i == matching else "192.0.2.9"]} for i in range(11)}
    zone["example.org"] = {**txt("v=spf1 mx -all"), "MX": [Mx(i, f"m{i}.org") for i in range(11)]}
    assert (await check(zone)).status == status


@pytest.mark.holds("smtp-in-fe343c")
@pytest.mark.parametrize(("matching", "status"), [(9, "pass"), (10, "fail")])
async def test_ptr_names_beyond_ten_are_ignored(matching: int, status: str) -> None:
    zone: Zone = {"1.2.0.192.in-addr.arpa": {"PTR": [f"m{i}.example.org" for i in range(12)]}}
    zone |= {f"m{i}.example.org": {"A": ["192.0.2.1" if i >= matching else "192.0.2.9"]} for i in range(12)}
    zone["example.org"] = txt("v=spf1 ptr -all")
    assert (await check(zone)).status == status


@pytest.mark.holds("smtp-in-fe343c")
def test_expanded_names_lose_labels_on_the_left() -> None:
    values = MacroValues(parse_ip("192.0.2.1"), "a" * 60, "x.org", ".".join(["b" * 60] * 4), "h.org")
    name = expand_domain(parse_macro_string("%{l}.%{d}.end.org"), values, "")
    assert name == ".".join([*["b" * 60] * 4, "end.org"])
    assert len(name) <= MAX_NAME


@pytest.mark.parametrize(
    ("mail_from", "helo", "identity", "status"),
    [
        ("example.org", "other.org", SpfIdentity.MAILFROM, "pass"),
        ("", "example.org", SpfIdentity.HELO, "pass"),
        ("", "", SpfIdentity.UNKNOWN, "none"),
        ("[192.0.2.1]", "x.org", SpfIdentity.MAILFROM, "none"),
        ("localhost", "x.org", SpfIdentity.MAILFROM, "none"),
    ],
    ids=["mailfrom", "null-path", "null-path-and-ip-literal", "ip-literal", "single-label"],
)
async def test_identity(mail_from: str, helo: str, identity: SpfIdentity, status: str) -> None:
    resolver = StaticResolver({"example.org": txt("v=spf1 ip4:192.0.2.1 -all")})
    result = await spf.verify(resolver, SpfFacts(parse_ip("192.0.2.1"), "", mail_from, helo))
    assert (result.identity, result.status) == (identity, status)


async def test_redirect_counts_as_a_term() -> None:
    zone: Zone = {f"r{i}.org": txt(f"v=spf1 redirect=r{i + 1}.org") for i in range(11)}
    zone["r10.org"] = txt("v=spf1 +all")
    assert (await check(zone, domain="r0.org")).status is SpfStatus.PASS
    zone["r10.org"], zone["r11.org"] = txt("v=spf1 redirect=r11.org"), txt("v=spf1 +all")
    assert (await check(zone, domain="r0.org")).status is SpfStatus.PERMERROR


async def test_an_ipv6_client_of_a_domain_with_ipv4_only_makes_no_void_look_ups() -> None:
    zone: Zone = {f"{i}.org": {"A": ["192.0.2.9"]} for i in range(5)}
    zone["example.org"] = txt("v=spf1 a:0.org a:1.org a:2.org a:3.org ip6:2001:db8::1 -all")
    assert (await check(zone, "2001:db8::1")).status is SpfStatus.PASS


async def test_macros_in_a_and_mx_are_expanded() -> None:
    zone: Zone = {"user.example.org": {"A": ["192.0.2.1"]}, "example.org": txt("v=spf1 a:%{l}.%{d}/32 -all")}
    result = await check(zone)
    assert (result.status, result.mechanism) == ("pass", "+a:%{l}.%{d}/32")


async def test_a_localpart_outside_ascii_matches_nothing_and_breaks_nothing() -> None:
    """RFC 8616 §4."""
    resolver = StaticResolver({"example.org": txt("v=spf1 exists:%{l}.example.org exists:%{s}.x.org ?all")})
    result = await spf.verify(resolver, SpfFacts(parse_ip("192.0.2.1"), "jürgen", "example.org", "h.org"))
    assert result.status is SpfStatus.NEUTRAL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "%{i} is not %{d}'s; see http://%{d}/%{S}?%{c}",
            "192.0.2.1 is not example.org's; see http://example.org/user%40example.org?192.0.2.1",
        ),
        ("%{r} %{h} %{v} %{p} %{o}", "unknown helo.example.org in-addr unknown example.org"),
        ("bad \u00e9", ""),
        ("line\nbreak", ""),
        ("%{z}", ""),
        ("x" * 900, "x" * 797 + "..."),
    ],
    ids=["macros", "more-macros", "non-ascii", "control", "bad-macro", "long"],
)
async def test_explanation(text: str, expected: str) -> None:
    zone = {"example.org": txt("v=spf1 -all exp=why.%{d}"), "why.example.org": txt(text)}
    assert (await check(zone)).explanation == expected


async def test_explanation_of_an_include_is_not_used() -> None:
    zone = {
        "example.org": txt("v=spf1 include:other.org -all exp=why.example.org"),
        "other.org": txt("v=spf1 -all exp=why.other.org"),
        "why.example.org": txt("ours"),
        "why.other.org": txt("theirs"),
    }
    assert (await check(zone)).explanation == "ours"


@pytest.mark.parametrize(
    ("authentic", "exceptions", "expected"),
    [(True, [], True), (False, [], False), (True, [("A", "mx.org")], False)],
    ids=["all", "none", "all-but-one"],
)
async def test_authentic_when_every_answer_is(authentic: bool, exceptions: list[Any], expected: bool) -> None:
    zone: Zone = {"example.org": txt("v=spf1 a:mx.org -all"), "mx.org": {"A": ["192.0.2.1"]}}
    result = await check(zone, authentic=authentic, exceptions=exceptions)
    assert result.authentic is expected


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("v=spf1", "v=spf1"),
        ("V=SPF1 +A:x.org/24//64 mx ?Include:%{d}.org ~all", "v=spf1 a:x.org/24//64 mx ?include:%{d}.org ~all"),
        (
            "v=spf1 exp=e.org moo=cow redirect=r.org allx=1 ip6:2001:db8::/32 a",
            "v=spf1 ip6:2001:db8::/32 a redirect=r.org exp=e.org moo=cow allx=1",
        ),
    ],
    ids=["empty", "case", "order"],
)
def test_records_are_rendered_in_order(text: str, rendered: str) -> None:
    assert str(parse_record(text)) == rendered
    assert str(parse_record(rendered)) == rendered


@pytest.mark.parametrize(
    "text",
    [
        *(
            "v=spf10",
            "v=spf1 all:x",
            "v=spf1 +a=b:c",
            "v=spf1 -redirect=x.org",
            "v=spf1 ip4:1.2.3",
            "v=spf1 ip4:1.2.3.04",
        ),
        *(
            "v=spf1 ip4:1.2.3.4/33",
            "v=spf1 ip6:::1/129",
            "v=spf1 ip6:fe80::1%eth0",
            "v=spf1 a:x.org/33",
            "v=spf1 a:x.123",
        ),
        *(
            "v=spf1 redirect=a.org redirect=b.org",
            "v=spf1 exp=a.org exp=b.org",
            "v=spf1 include",
            "v=spf1 mx:",
            "v=spf1\tall",
        ),
        *(
            "v=spf1 \u00e9=x",
            "v=spf1 foo",
            "v=spf1 x=%",
            "v=spf1 a:-x.-",
            "v=spf1 ip4",
            "v=spf1 ip4:1.2.3.4/",
            "v=spf1 ptr:",
        ),
    ],
)
def test_malformed_records(text: str) -> None:
    with pytest.raises(SpfSyntaxError):
        parse_record(text)


async def test_lookup() -> None:
    resolver = StaticResolver({"example.org": txt("other", "v=spf1 -all")}, authentic=True)
    text, record, authentic = await spf.lookup(resolver, "example.org")
    assert (text, str(record), authentic) == ("v=spf1 -all", "v=spf1 -all", True)
    with pytest.raises(DnsNotFound):
        await spf.lookup(resolver, "absent.org")


_terms = st.sampled_from(
    [
        "a",
        "mx",
        "ptr",
        "-all",
        "include:example.org",
        "exists:%{ir}.%{v}.org",
        "redirect=example.org",
        "exp=example.org",
    ]
)


@given(st.one_of(st.text(max_size=60), st.lists(_terms, max_size=30).map(" ".join)))
async def test_any_record_gives_a_result(text: str) -> None:
    result = await check({"example.org": {**txt("v=spf1 " + text), "MX": [Mx(1, "example.org")]}})
    assert result.status in SpfStatus
    assert result.explanation.isprintable()


@given(st.text(alphabet="%{}slodiphvcrt0123456789-+.,/_= x", max_size=40), st.booleans())
def test_any_macro_string_expands_or_is_refused(text: str, is_text: bool) -> None:
    values = MacroValues(parse_ip("2001:db8::1"), "l", "s.org", "d.org", "h.org")
    try:
        string = parse_macro_string(text, is_text)
    except MacroError:
        return
    assert "%{" not in expand(string, values, "p.org")
