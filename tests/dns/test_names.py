"""Names in both IDNA forms, reverse names, and resolv.conf."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.dns.names import (
    Domain,
    DomainError,
    is_same_or_below,
    is_valid_name,
    parse_domain,
    parse_ip,
    reverse_labels,
    reverse_name,
)
from mox.dns.resolvconf import NameServer, Settings, parse_resolv_conf, parse_server


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Example.ORG", Domain("example.org")),
        ("bücher.example", Domain("xn--bcher-kva.example", "bücher.example")),
        ("XN--bcher-kva.example", Domain("xn--bcher-kva.example", "bücher.example")),
        ("BÜCHER.example", Domain("xn--bcher-kva.example", "bücher.example")),
        ("faß.example", Domain("xn--fa-hia.example", "faß.example")),
        ("\u263a.Mox.example", Domain("xn--74h.mox.example", "\u263a.mox.example")),
        ("localhost", Domain("localhost")),
        ("a" * 63 + ".org", Domain("a" * 63 + ".org")),
    ],
)
def test_parse_domain(text: str, expected: Domain) -> None:
    assert parse_domain(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "example.org.", "a..b", ".a", "-a.org", "a-.org", "a_b.org", "a b.org", "10.0.0.1", "::1"),
        *("a" * 64 + ".org", ".".join(["a" * 60] * 5), "xn--a", "a\u2028b.org", "ü" * 70, "a\0.org", "*.org"),
    ],
)
def test_bad_domains(text: str) -> None:
    with pytest.raises(DomainError):
        parse_domain(text)


def test_lax_allows_underscores_in_ascii_names() -> None:
    assert parse_domain("_dmarc.a_b.org", lax=True).ascii == "_dmarc.a_b.org"


def test_forms_for_people_comments_and_logs() -> None:
    idn, plain = parse_domain("bücher.example"), parse_domain("example.org")
    assert (idn.name, idn.xname(False), idn.xname(True)) == (
        "bücher.example",
        "xn--bcher-kva.example",
        "bücher.example",
    )
    assert (idn.ascii_extra(True), idn.ascii_extra(False), plain.ascii_extra(True)) == ("xn--bcher-kva.example", "", "")
    assert (idn.log_string, plain.log_string) == ("bücher.example/xn--bcher-kva.example", "example.org")


@given(st.text(max_size=80))
def test_any_text_is_a_domain_or_a_domain_error(text: str) -> None:
    try:
        domain = parse_domain(text)
    except DomainError:
        return
    assert is_valid_name(domain.ascii)
    assert parse_domain(domain.name) == domain


@pytest.mark.parametrize(
    ("ip", "name", "labels"),
    [
        ("192.0.2.1", "1.2.0.192.in-addr.arpa", "1.2.0.192"),
        ("2001:db8::1", "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa", "1." + "0." * 23 + "8.b.d.0.1.0.0.2"),
    ],
)
def test_reverse_names(ip: str, name: str, labels: str) -> None:
    assert reverse_name(parse_ip(ip)) == name
    assert reverse_labels(parse_ip(ip)) == labels


def test_parse_ip_maps_to_ipv4_and_drops_zones() -> None:
    assert parse_ip("::ffff:192.0.2.1") == ipaddress.IPv4Address("192.0.2.1")
    assert parse_ip("fe80::1%eth0") == ipaddress.IPv6Address("fe80::1")


def test_same_or_below() -> None:
    assert is_same_or_below("a.b", "a.b")
    assert is_same_or_below("x.a.b", "a.b")
    assert not is_same_or_below("xa.b", "a.b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3.4", NameServer("1.2.3.4")),
        ("1.2.3.4:5353", NameServer("1.2.3.4", 5353)),
        ("::1", NameServer("::1")),
        ("[::1]:99", NameServer("::1", 99)),
    ],
)
def test_parse_server(text: str, expected: NameServer) -> None:
    assert parse_server(text) == expected


@pytest.mark.parametrize("text", ["", "dns.example", "1.2.3.4:0", "1.2.3.4:70000", "[::1", "1.2.3"])
def test_bad_servers(text: str) -> None:
    with pytest.raises(ValueError, match="name server"):
        parse_server(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Settings((NameServer("127.0.0.1"), NameServer("::1")))),
        ("nameserver bad\nnameserver", Settings((NameServer("127.0.0.1"), NameServer("::1")))),
        (
            "# a comment\nnameserver 192.0.2.1 ; x\nnameserver ::1\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n"
            "search example.org\noptions timeout:3 attempts:9 rotate use-vc trust-ad edns0 ndots:x",
            Settings((NameServer("192.0.2.1"), NameServer("::1"), NameServer("192.0.2.3")), 3.0, 5, True, True, True),
        ),
        ("nameserver 192.0.2.1\noptions timeout:x attempts:", Settings((NameServer("192.0.2.1"),))),
    ],
    ids=["empty", "no-usable-server", "everything", "bad-numbers"],
)
def test_resolv_conf(text: str, expected: Settings) -> None:
    assert parse_resolv_conf(text) == expected


@given(st.text(max_size=200))
def test_any_resolv_conf_gives_servers(text: str) -> None:
    assert parse_resolv_conf(text).servers
