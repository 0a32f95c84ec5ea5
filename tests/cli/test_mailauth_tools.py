"""dns, dnsbl, iprev, spf, dkim, dmarc: what the tools print (spec/cli.md section 13)."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mox.admin import dkimkeys
from mox.cli import dns_tools, mailauth_tools
from mox.cli.command import CommandError
from mox.cli.main import run
from mox.config import localserve
from mox.config.pem import parse_pem, render_pem
from mox.dns.names import Domain, parse_ip
from mox.dns.resolver import Mx, Srv, Tlsa
from mox.dns.static import StaticResolver
from mox.mailauth.dkim import Selector
from mox.mailauth.dkimkey import parse_key_record, record_for
from tests.mailauth.test_dkim import MESSAGE, ed_key, sign

ZONE: dict[str, dict[str, list[Any]]] = {
    "example.org": {
        "A": ["192.0.2.1"],
        "AAAA": ["2001:db8::1"],
        "MX": [Mx(10, "mx.example.org")],
        "NS": ["ns.example.org"],
        "TXT": ["v=spf1 ip4:192.0.2.1 -all exp=why.example.org"],
    },
    "why.example.org": {"TXT": ["not from there"]},
    "www.example.org": {"CNAME": ["example.org"]},
    "_smtp._tcp.example.org": {"SRV": [Srv(1, 2, 587, "mx.example.org")]},
    "_25._tcp.mx.example.org": {"TLSA": [Tlsa(3, 1, 1, b"\xab\xcd")]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["mx.example.org"]},
    "1.2.0.192.list.org": {"A": ["127.0.0.2"], "TXT": ["bad host"]},
    "2.0.0.127.list.org": {"A": ["127.0.0.2"]},
    "sel._domainkey.example.org": {"TXT": [str(record_for(ed_key(), flags=["s"]))]},
    "_dmarc.example.org": {"TXT": ["v=DMARC1;p=reject;rua=mailto:a@sub.example.org,mailto:b@other.net!1m,https://x"]},
    "example.org._report._dmarc.other.net": {"TXT": ["v=DMARC1"]},
}
RESOLVER = StaticResolver(ZONE, authentic=True)


@pytest.mark.parametrize(
    ("kind", "name", "lines"),
    [
        ("a", "example.org.", ["records (1, with dnssec):", "- 192.0.2.1"]),
        ("ips", "example.org", ["records (2, with dnssec):", "- 2001:db8::1", "- 192.0.2.1"]),
        ("mx", "example.org", ["mx records (1, with dnssec):", "- mx.example.org, preference 10"]),
        ("cname", "www.example.org", ["example.org (with dnssec)"]),
        ("ns", "example.org", ["ns records (1, with dnssec):", "- ns.example.org"]),
        ("txt", "why.example.org", ["txt records (1, with dnssec):", "- not from there"]),
        (
            "srv",
            "_smtp._tcp.example.org",
            ["srv records (1, with dnssec):", "- host mx.example.org, port 587, priority 1, weight 2"],
        ),
        (
            "tlsa",
            "_25._tcp.mx.example.org",
            [
                "tlsa records (1, with dnssec):",
                '- usage "DANE-EE" (3), selector "SPKI" (1), matchtype "SHA2-256" (1), '
                "certificate association data: abcd",
            ],
        ),
        ("ptr", "192.0.2.1", ["names (1, with dnssec):", "- mx.example.org"]),
    ],
)
async def test_dns_lookup(kind: str, name: str, lines: list[str]) -> None:
    assert await dns_tools.dns_lookup(RESOLVER, kind, name) == lines


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("a", "absent.org", r"no A records for absent.org \(with dnssec\)"),
        ("mb", "example.org", "unknown record type"),
        ("ptr", "example.org", "not an IP address"),
    ],
)
async def test_dns_lookup_that_fails(kind: str, name: str, text: str) -> None:
    with pytest.raises(CommandError, match=text):
        await dns_tools.dns_lookup(RESOLVER, kind, name)


async def test_dnsbl() -> None:
    assert await dns_tools.dnsbl_check(RESOLVER, "list.org", parse_ip("192.0.2.1")) == [
        "status: fail",
        'explanation: "bad host"',
    ]
    assert await dns_tools.dnsbl_check(RESOLVER, "list.org", parse_ip("192.0.2.2")) == ["status: pass"]
    assert await dns_tools.dnsbl_health(RESOLVER, "list.org") == ["healthy"]
    with pytest.raises(CommandError, match=r"unhealthy: .*does not list"):
        await dns_tools.dnsbl_health(RESOLVER, "other.org")


async def test_iprev() -> None:
    resolver = StaticResolver({**ZONE, "mx.example.org": {"A": ["192.0.2.1"]}}, authentic=True)
    assert await dns_tools.iprev_check(resolver, parse_ip("192.0.2.1")) == [
        "status: pass (with dnssec)",
        "name: mx.example.org",
        "names: mx.example.org",
    ]
    assert await dns_tools.iprev_check(RESOLVER, parse_ip("192.0.2.1")) == [
        "status: fail (with dnssec)",
        "names: mx.example.org",
        "error: no name leads back to the address",
    ]


async def test_spf() -> None:
    assert (await mailauth_tools.spf_lookup(RESOLVER, "example.org"))[1] == "(with dnssec)"
    assert await mailauth_tools.spf_check(RESOLVER, "example.org", parse_ip("192.0.2.1")) == [
        "status: pass (with dnssec)",
        "mechanism: +ip4:192.0.2.1",
    ]
    assert await mailauth_tools.spf_check(RESOLVER, "example.org", parse_ip("192.0.2.2")) == [
        "explanation: not from there",
        "status: fail (with dnssec)",
        "mechanism: -all",
    ]
    with pytest.raises(CommandError, match=r"no SPF record for why.example.org \(with dnssec\)"):
        await mailauth_tools.spf_lookup(RESOLVER, "why.example.org")


async def test_dkim_lookup() -> None:
    lines = await mailauth_tools.dkim_lookup(RESOLVER, "sel", "example.org")
    assert lines[0].startswith("TXT record: v=DKIM1;h=sha256;k=ed25519;t=s;p=")
    assert lines[1:] == [
        "dnssec-signed: yes",
        "Record:",
        "\tversion\tDKIM1",
        "\thashes\tsha256",
        "\tkey\ted25519",
        "\tnotes\t",
        "\tservices\t*",
        "\tflags\ts",
    ]
    assert await mailauth_tools.dkim_lookup(RESOLVER, "absent", "example.org") == [
        "error: no key record",
        "status: permerror",
    ]


async def test_dkim_verify() -> None:
    signed = await sign(MESSAGE, Selector("sel", ed_key()))
    lines = await mailauth_tools.dkim_verify(RESOLVER, b"DKIM-Signature: v=1\r\n" + signed)
    assert lines[0].startswith('status "permerror", err tag ')
    assert lines[1:3] == ["warning: missing DNS record", "warning: the signature could not be parsed"]
    assert lines[3] == 'status "pass", err none'
    assert lines[4].startswith('record "v=DKIM1;')
    assert lines[5].startswith("header DKIM-Signature: v=1; d=example.org; s=sel;")
    assert await mailauth_tools.dkim_verify(RESOLVER, MESSAGE) == ["no signatures"]


async def test_dmarc() -> None:
    domain = Domain("sub.example.org")
    lines = await mailauth_tools.dmarc_lookup(RESOLVER, domain)
    assert lines[0].startswith("dmarc record at domain example.org: v=DMARC1;p=reject")
    assert lines[1] == "(with dnssec)"
    assert await mailauth_tools.dmarc_check_report_addresses(RESOLVER, domain) == [
        "aggregate reporting mailto:a@sub.example.org: pass (same organizational domain)",
        "aggregate reporting mailto:b@other.net!1m: pass with dnssec "
        '(txt record example.org._report._dmarc.other.net: ["v=DMARC1"])',
    ]
    with pytest.raises(CommandError, match=r"no dmarc record \(with dnssec\)"):
        await mailauth_tools.dmarc_lookup(RESOLVER, Domain("absent.org"))


async def test_dmarc_verify() -> None:
    message = MESSAGE.replace(b"joe@football.example.com", b"joe@example.org")
    good = await mailauth_tools.dmarc_verify(RESOLVER, parse_ip("192.0.2.1"), "joe@example.org", "", message)
    assert good[0] == "spf result: example.org: pass (with dnssec)"
    assert good[1:4] == ["dmarc from: example.org", 'dmarc status: "pass"', "dmarc reject: false"]
    bad = await mailauth_tools.dmarc_verify(RESOLVER, parse_ip("192.0.2.9"), "", "", message)
    assert bad[:3] == ["dmarc from: example.org", 'dmarc status: "fail"', "dmarc reject: true"]
    with pytest.raises(CommandError, match="needs exactly one"):
        await mailauth_tools.dmarc_verify(RESOLVER, parse_ip("192.0.2.9"), "", "", b"Subject: x\r\n\r\n")


@pytest.mark.parametrize("kind", ["gened25519", "genrsa"])
def test_keys_and_their_records(kind: str, capsysbinary: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["dkim", kind]) == 0
    pem = capsysbinary.readouterr().out.decode()
    assert "Note: " in pem
    assert [block.kind for block in parse_pem(pem, "")] == ["PRIVATE KEY"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(pem))
    assert run(["dkim", "txt"]) == 0
    line = capsysbinary.readouterr().out.decode()
    assert line.startswith('<selector>._domainkey.<your.domain.> TXT "v=DKIM1;h=sha256;')
    strings = line.partition(" TXT ")[2].strip().split(" ")
    assert all(len(text) <= 102 for text in strings)
    record = parse_key_record("".join(text.strip('"') for text in strings))
    assert (record.key_type, record.is_strict) == ("ed25519" if "ed" in kind else "rsa", True)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["spf", "parse", "v=spf1 foo"], "spf record: unknown mechanism"),
        (["spf", "check", "example.org", "x"], "not an IP address"),
        (["dkim", "lookup", "a b", "example.org"], "bad selector"),
        (["dkim", "verify", "/absent/file"], "reading the message"),
        (["dnsbl", "check", "10.0.0.1", "192.0.2.1"], "is not a domain"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_bad_arguments(words: list[str], text: str) -> None:
    with pytest.raises(CommandError, match=text):
        run(words)


def test_good_spf_record_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["spf", "parse", "v=spf1 mx -all"]) == 0
    assert capsys.readouterr().out == ""


def test_message_files_with_other_line_ends(tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
    assert mailauth_tools.read_message(str(tmp_path / "message")) == MESSAGE


def test_every_command_has_help() -> None:
    tables: list[Callable[[], Any]] = [lambda: dns_tools.COMMANDS, lambda: mailauth_tools.COMMANDS]
    commands = [command for table in tables for command in table()]
    assert {command.words[0] for command in commands} == {"dns", "dnsbl", "iprev", "spf", "dkim", "dmarc"}
    assert all(command.help.strip() for command in commands)


@pytest.mark.parametrize(
    ("sender", "problem"),
    [("mox@localhost", ""), ("mox@other.example", "domain other.example not configured")],
    ids=["configured", "other"],
)
def test_dkim_sign(tmp_path: Path, capfdbinary: Any, sender: str, problem: str) -> None:
    folder = tmp_path / "mox"
    localserve.ensure(folder)
    (folder / "key.pem").write_bytes(render_pem("PRIVATE KEY", dkimkeys.generate("ed25519")))
    domains = (folder / "domains.conf").read_text()
    if "DKIM:" not in domains:
        section = (
            "DKIM:\n\t\t\tSelectors:\n\t\t\t\tsel:\n\t\t\t\t\tPrivateKeyFile: key.pem\n\t\t\tSign:\n\t\t\t\t- sel\n"
        )
        (folder / "domains.conf").write_text(domains.replace("\tlocalhost:\n", f"\tlocalhost:\n\t\t{section}", 1))
    message = tmp_path / "message"
    message.write_bytes(b"From: <" + sender.encode() + b">\r\nSubject: x\r\n\r\nbody\r\n")
    words = ["-config", str(folder / "mox.conf"), "dkim", "sign", str(message)]
    if problem:
        with pytest.raises(CommandError, match=problem):
            run(words)
        return
    assert run(words) == 0
    out = capfdbinary.readouterr().out
    assert out.startswith(b"DKIM-Signature: v=1; d=localhost;")
    assert out.endswith(message.read_bytes())
