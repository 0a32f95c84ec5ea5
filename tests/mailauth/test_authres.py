"""Authentication-Results and Received-SPF: rendering, and parsing what others write."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.mailauth.authres import AuthMethod, AuthProperty, AuthResults, AuthResultsError, parse
from mox.mailauth.receivedspf import ReceivedSpf, ReceivedSpfError, envelope_address
from mox.mailauth.receivedspf import parse as parse_received_spf
from mox.mailauth.spf import SpfStatus

OWN = AuthResults(
    "mx.example.org",
    (
        AuthMethod("iprev", "pass", "without dnssec", "", (AuthProperty("policy", "iprev", "192.0.2.1"),)),
        AuthMethod(
            "dkim",
            "fail",
            "2048 bit rsa, with dnssec",
            "body hash does not match",
            (
                AuthProperty("header", "d", "example.com"),
                AuthProperty("header", "b", "abc/def+ghi="),
                AuthProperty("header", "i", "joe@example.com", True),
            ),
        ),
        AuthMethod("auth", "pass", "", "", (AuthProperty("smtp", "mailfrom", "ü@example.com", True, "x(y)z"),)),
        AuthMethod("spf", "none", "never shown"),
    ),
    "a comment",
)
RENDERED = (
    "Authentication-Results: (a comment) mx.example.org;\r\n"
    "\tiprev=pass (without dnssec) policy.iprev=192.0.2.1;\r\n"
    '\tdkim=fail (2048 bit rsa, with dnssec) reason="body hash does not match"\r\n'
    '\theader.d=example.com header.b="abc/def+ghi=" header.i=joe@example.com;\r\n'
    "\tauth=pass smtp.mailfrom=ü@example.com (x\\(y\\)z);\r\n"
    "\tspf=none\r\n"
)


def test_rendering() -> None:
    assert str(OWN) == RENDERED
    assert str(AuthResults("mx.example.org")) == "Authentication-Results: mx.example.org; none\r\n"
    assert f"ARC-Authentication-Results: i=1;{OWN.payload}".endswith("spf=none")


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a b", '"a b"'),
        ("a@b", '"a@b"'),
        ('a"\\b', '"a\\"\\\\b"'),
        ("a;b", '"a;b"'),
        ("a=b", '"a=b"'),
        ("x\r\ny", '"x y"'),
    ],
)
def test_quoting(value: str, quoted: str) -> None:
    results = AuthResults("h", (AuthMethod("m", "pass", "", "", (AuthProperty("header", "x", value),)),))
    assert f"header.x={quoted}\r\n" in str(results)


GOOGLE = """Authentication-Results: mx.google.com;
       dkim=pass header.i=@test.example.org header.s=sel header.b="Z9k/yJvA";
       spf=pass (google.com: domain of mjl@test.example.org designates 2a02::1 as permitted sender)
       smtp.mailfrom=mjl@test.example.org;
       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=test.example.org
"""
YAHOO = """Authentication-Results: atlas220.free.mail.bf1.yahoo.com;
 dkim=perm_fail header.i=@test.example.org header.s=sel;
 spf=pass smtp.mailfrom=mjl@test.example.org;
 dmarc=pass(p=REJECT) header.from=test.example.org;
"""


def summary(results: AuthResults) -> list[tuple[str, str, str, list[str]]]:
    return [
        (m.method, m.result, m.comment, [f"{p.type}.{p.property}={p.value}" for p in m.properties])
        for m in results.methods
    ]


@pytest.mark.parametrize(
    ("text", "host", "expected"),
    [
        (
            GOOGLE,
            "mx.google.com",
            [
                ("dkim", "pass", "", ["header.i=@test.example.org", "header.s=sel", "header.b=Z9k/yJvA"]),
                (
                    *("spf", "pass"),
                    "google.com: domain of mjl@test.example.org designates 2a02::1 as permitted sender",
                    ["smtp.mailfrom=mjl@test.example.org"],
                ),
                ("dmarc", "pass", "p=REJECT sp=REJECT dis=NONE", ["header.from=test.example.org"]),
            ],
        ),
        (
            YAHOO,
            "atlas220.free.mail.bf1.yahoo.com",
            [
                ("dkim", "perm_fail", "", ["header.i=@test.example.org", "header.s=sel"]),
                ("spf", "pass", "", ["smtp.mailfrom=mjl@test.example.org"]),
                ("dmarc", "pass", "p=REJECT", ["header.from=test.example.org"]),
            ],
        ),
        (
            "localhost; auth=pass smtp.mailfrom=mox+qwerty@test.example.org\r\n",
            "localhost",
            [("auth", "pass", "", ["smtp.mailfrom=mox+qwerty@test.example.org"])],
        ),
        ("h 1; none", "h", []),
        ("h (a (nested\\)) comment) 1 (x) ; none (no more)", "h", []),
        ("h;", "h", []),
        (
            'h; spf/1 = (c) PASS reason = "a \\"b" smtp . mailfrom = "odd local"@example.org (d)',
            "h",
            [("spf", "pass", "", ["smtp.mailfrom=odd local@example.org"])],
        ),
        ("h; a=b x.y=", "h", [("a", "b", "", ["x.y="])]),
        ("h; iprev=pass policy.iprev=2001:db8::1", "h", [("iprev", "pass", "", ["policy.iprev=2001:db8::1"])]),
        ("[192.0.2.1]; spf=none", "[192.0.2.1]", [("spf", "none", "", [])]),
    ],
    ids=["google", "yahoo", "localhost", "none-and-version", "comments", "nothing", "everything", "empty", "six", "ip"],
)
def test_parsing(text: str, host: str, expected: object) -> None:
    results = parse(text)
    assert results.hostname == host
    assert summary(results) == expected


def test_our_own_is_parsed_as_it_was() -> None:
    parsed = parse(RENDERED)
    assert summary(parsed)[:3] == summary(OWN)[:3]
    assert parsed.methods[1].reason == "body hash does not match"
    assert parsed.comment == "a comment"


@pytest.mark.parametrize(
    "text",
    [
        *("", ";", "h; =pass", "h; spf", "h; spf=", "h; spf=pass x", "h; spf=pass x.", "h; spf=pass x.y", "h (open"),
        *(
            "h; spf=pass; none=",
            "h; none; spf=pass",
            'h; spf=pass x.y="open',
            "h; spf/x=pass",
            "h" + "(" * 100,
            "h; \xff=x",
        ),
        "h; " + "a=b;" * 500,
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(AuthResultsError):
        parse(text)


@given(st.text(max_size=80) | st.text('h;=()\\". /a1\r\n\t@:', max_size=80))
def test_any_text_parses_or_is_refused(text: str) -> None:
    with suppress(AuthResultsError):
        parse(text)
    with suppress(ReceivedSpfError):
        parse_received_spf("pass " + text)


_VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs"]), max_size=20)


@given(_VALUES, _VALUES)
def test_what_is_rendered_is_parsed_back(reason: str, value: str) -> None:
    method = AuthMethod("dkim", "fail", "", reason, (AuthProperty("header", "x", value, "@" in value),))
    parsed = parse(str(AuthResults("h", (method,)))).methods[0]
    assert (parsed.reason, parsed.properties[0].value) == (reason, value)


def test_received_spf_is_folded_exactly() -> None:
    field = ReceivedSpf(SpfStatus.PASS, "c", "0.0.0.0", "x@x", "y", 'a b"\\', "+ip4:0.0.0.0/0", "z", "mailfrom")
    assert str(field) == (
        'Received-SPF: pass (c) client-ip=0.0.0.0; envelope-from="x@x"; helo=y;\r\n'
        '\tproblem="a b\\"\\\\"; mechanism="+ip4:0.0.0.0/0"; receiver=z;\r\n'
        "\tidentity=mailfrom\r\n"
    )
    assert parse_received_spf(str(field)) == field


def test_received_spf_of_others() -> None:
    parsed = parse_received_spf(
        'Received-SPF: Softfail (odd \\(y\\)) client-ip = 192.0.2.1 ;\r\n\tenvelope-from="a b"; x-unknown=1; helo=h;\n'
    )
    assert (parsed.result, parsed.comment, parsed.client_ip) == ("softfail", "odd (y)", "192.0.2.1")
    assert (parsed.envelope_from, parsed.helo, parsed.identity) == ("a b", "h", "")


@pytest.mark.parametrize("text", ["", "maybe x=y", "pass x", "pass x=a b", 'pass x="open', "pass (open"])
def test_malformed_received_spf(text: str) -> None:
    with pytest.raises(ReceivedSpfError):
        parse_received_spf(text)


def test_envelope_address() -> None:
    assert envelope_address("a.b", "x.org") == "a.b@x.org"
    assert envelope_address("a b", "x.org") == '"a b"@x.org'
    assert envelope_address("", "x.org") == '""@x.org'
