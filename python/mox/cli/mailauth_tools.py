"""spf …, dkim … and dmarc …: the checks of the server by hand, and keys and signatures for DKIM."""

import asyncio
import datetime
import sys
from functools import partial
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from mox._rust import parse_message
from mox.admin import dkimkeys
from mox.cli.command import Command, CommandError, Invocation
from mox.cli.config_domains import domain_argument
from mox.cli.dns_tools import Lines, dnssec, ip_argument, lookup_failed, print_lines
from mox.config.pem import PemError, parse_pem, render_pem
from mox.dns import psl
from mox.dns.names import Domain, DomainError, IPAddress, parse_domain
from mox.dns.resolver import DnsNotFound, DnsTemporary, Resolver
from mox.mailauth import dkim, dmarc, spf
from mox.mailauth.canon import BytesBody, MalformedHeader
from mox.mailauth.dkim import DkimResult, Policy, Verdict
from mox.mailauth.dkimkey import KeyRecord, record_for
from mox.mailauth.dkimsignature import render_signature
from mox.mailauth.dmarc import DmarcStatus
from mox.mailauth.spf import SpfFacts, SpfResult, SpfStatus
from mox.mailauth.spfrecord import SpfSyntaxError, parse_record
from mox.mailauth.taglist import TagError, parse_selector
from mox.outbound.signing import Signer, SigningError

# Zone files hold at most 255 octets a string; shorter ones are easier to read.
_STRING = 100


def read_message(path: str) -> bytes:
    """A message file, or standard input for "-", with CRLF at the ends of lines. Raises CommandError."""
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as err:
        raise CommandError(f"reading the message: {err}") from err
    return data if b"\r\n" in data else data.replace(b"\n", b"\r\n")


def split(message: bytes) -> tuple[bytes, BytesBody]:
    """Header with its empty line, and body."""
    header, _, body = message.partition(b"\r\n\r\n")
    return header + b"\r\n\r\n", BytesBody(body)


def author(message: bytes) -> tuple[str, Domain]:
    """Localpart and domain of the only address in From. Raises CommandError."""
    addresses = parse_message(message).from_
    if len(addresses) != 1:
        raise CommandError(f"the message has {len(addresses)} From addresses; it needs exactly one")
    try:
        return addresses[0][1], parse_domain(addresses[0][2])
    except DomainError as err:
        raise CommandError(f"domain of the From address: {err}") from err


async def spf_lookup(resolver: Resolver, domain: str) -> Lines:
    """The record of a domain. Raises CommandError."""
    try:
        text, _, authentic = await spf.lookup(resolver, domain)
    except (DnsNotFound, DnsTemporary) as err:
        raise lookup_failed(err) from err
    except SpfSyntaxError as err:
        raise CommandError(f"SPF record of {domain}: {err}") from err
    return [text, f"({dnssec(authentic)})"]


async def spf_check(resolver: Resolver, domain: str, ip: IPAddress) -> Lines:
    """What a message from an address with `user@domain` gets."""
    result = await spf.verify(resolver, SpfFacts(ip, "user", domain, domain))
    lines = [
        ("error", result.problem),
        ("explanation", result.explanation),
        ("status", f"{result.status} ({dnssec(result.authentic)})"),
        ("mechanism", result.mechanism),
    ]
    return [f"{name}: {value}" for name, value in lines if value]


async def dkim_lookup(resolver: Resolver, selector: str, domain: str) -> Lines:
    """The key record of a selector and what is in it."""
    try:
        record, authentic = await dkim.lookup(resolver, selector, domain)
    except Verdict as err:
        return [f"error: {err}", f"status: {err.status}"]
    answer = await resolver.txt(f"{selector}._domainkey.{domain}")
    lines = [f"TXT record: {text}" for text in answer.records]
    lines += [f"dnssec-signed: {'yes' if authentic else 'no'}", "Record:"]
    return lines + [f"\t{name}\t{value}" for name, value in _record_fields(record)]


def _record_fields(record: KeyRecord) -> list[tuple[str, str]]:
    size = f", {record.rsa_bits} bits" if record.rsa_bits else ""
    return [
        ("version", "DKIM1"),
        ("hashes", ", ".join(record.hashes)),
        ("key", f"{record.key_type}{size}" if record.public_key else f"{record.key_type}, revoked"),
        ("notes", record.notes),
        ("services", ", ".join(record.services)),
        ("flags", ", ".join(record.flags)),
    ]


async def dkim_verify(resolver: Resolver, message: bytes) -> Lines:
    """The verdict on each signature. Raises CommandError."""
    try:
        results = await dkim.verify(resolver, *split(message), Policy(ignores_test_mode=True))
    except MalformedHeader as err:
        raise CommandError(f"header of the message: {err}") from err
    lines: Lines = [] if results else ["no signatures"]
    for result in results:
        lines += _dkim_result(result)
    return lines


def _dkim_result(result: DkimResult) -> Lines:
    lines = [f'status "{result.status}", err {result.problem or "none"}']
    lines.append(f'record "{result.record}"' if result.record else "warning: missing DNS record")
    if result.signature is None:
        return [*lines, "warning: the signature could not be parsed"]
    return [*lines, "header " + render_signature(result.signature).decode("utf-8", "replace").rstrip("\r\n")]


async def dmarc_lookup(resolver: Resolver, domain: Domain) -> Lines:
    """The record that applies to a From domain. Raises CommandError."""
    found = await dmarc.discover(resolver, domain.ascii)
    if found.record is None:
        problem = found.problem or "no dmarc record"
        raise CommandError(f"dmarc record of {domain}: {problem} ({dnssec(found.authentic)})")
    return [f"dmarc record at domain {found.domain}: {found.text}", f"({dnssec(found.authentic)})"]


async def dmarc_verify(resolver: Resolver, ip: IPAddress, mail_from: str, helo: str, message: bytes) -> Lines:
    """What DMARC makes of a message, with SPF and DKIM. Raises CommandError."""
    _, domain = author(message)
    localpart, _, sender = mail_from.rpartition("@")
    facts = SpfFacts(ip, localpart, domain_argument(sender).ascii if sender else "", helo)
    lines: Lines = []
    spf_result = SpfResult(SpfStatus.NONE)
    if sender or helo:
        spf_result = await spf.verify(resolver, facts)
        lines.append(f"spf result: {spf_result.domain}: {spf_result.status} ({dnssec(spf_result.authentic)})")
    try:
        signatures = await dkim.verify(resolver, *split(message))
    except MalformedHeader as err:
        raise CommandError(f"header of the message: {err}") from err
    lines += [f'dkim result: "{result.status}" (err {result.problem or "none"})' for result in signatures]
    discovery = await dmarc.discover(resolver, domain.ascii)
    verdict = dmarc.evaluate(discovery, domain.ascii, signatures, spf_result, 0)
    lines += [
        f"dmarc from: {domain}",
        f'dmarc status: "{verdict.status}"',
        f"dmarc reject: {str(verdict.rejects).lower()}",
    ]
    if verdict.record is not None:
        lines.append(f"dmarc record: {verdict.record}")
    elif verdict.status is not DmarcStatus.NONE:
        lines.append(f"error: {verdict.problem}")
    return lines


async def dmarc_check_report_addresses(resolver: Resolver, domain: Domain) -> Lines:
    """Whether those that a domain wants reports to be sent to accept them. Raises CommandError."""
    found = await dmarc.discover(resolver, domain.ascii)
    if found.record is None:
        raise CommandError(f"dmarc record of {domain}: {found.problem or 'none'}")
    lines: Lines = []
    for kind, uris in (("aggregate", found.record.aggregate_uris), ("failure", found.record.failure_uris)):
        for uri in uris:
            if uri.uri.lower().startswith("mailto:"):
                verdict = await _consent(resolver, found.domain, uri.uri.rpartition("@")[2])
                lines.append(f"{kind} reporting {uri}: {verdict}")
    return lines


async def _consent(resolver: Resolver, domain: str, destination: str) -> str:
    try:
        external = parse_domain(destination).ascii
    except DomainError as err:
        return f"fail ({err})"
    if psl.organizational_domain(domain) == psl.organizational_domain(external):
        return "pass (same organizational domain)"
    name = f"{domain}._report._dmarc.{external}"
    try:
        consent = await dmarc.lookup_consent(resolver, domain, external)
    except DnsTemporary as err:
        return f"fail (txt record {name}: {err})"
    verdict = "pass" if consent.accepts else "fail"
    texts = ", ".join(f'"{text}"' for text in consent.texts)
    return f"{verdict} {dnssec(consent.authentic)} (txt record {name}: [{texts}])"


def dkim_txt(pem: str) -> str:
    """The DNS record for a private key. Raises CommandError."""
    try:
        blocks = parse_pem(pem, "standard input")
        key = load_der_private_key(blocks[0].data, None) if blocks else None
    except (PemError, ValueError, TypeError) as err:
        raise CommandError(f"private key: {err}") from err
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise CommandError("standard input holds no RSA or ed25519 private key in PKCS#8 form")
    text = str(record_for(key, flags=["s"]))
    strings = " ".join(f'"{text[at : at + _STRING]}"' for at in range(0, len(text), _STRING))
    return f"<selector>._domainkey.<your.domain.> TXT {strings}"


async def dkim_sign(invocation: Invocation, message: bytes) -> bytes:
    """The message behind its signatures, made with the keys of the configuration. Raises CommandError."""
    localpart, domain = author(message)
    config = invocation.load_config()
    entry = config.domain(domain.ascii)
    if entry is None:
        raise CommandError(f"domain {domain} not configured")
    if not entry.options.DKIM.Sign:
        raise CommandError(f"no DKIM configured for domain {domain}")
    try:
        return await Signer(config).sign(entry, message, localpart) + message
    except SigningError as err:
        raise CommandError(str(err)) from err


def _spf_lookup(invocation: Invocation) -> None:
    print_lines(partial(spf_lookup, domain=domain_argument(invocation.argument(0)).ascii))


def _spf_parse(invocation: Invocation) -> None:
    try:
        parse_record(invocation.argument(0))
    except SpfSyntaxError as err:
        raise CommandError(f"spf record: {err}") from err


def _spf_check(invocation: Invocation) -> None:
    domain, ip = domain_argument(invocation.argument(0)).ascii, ip_argument(invocation.argument(1))
    print_lines(partial(spf_check, domain=domain, ip=ip))


def _dkim_lookup(invocation: Invocation) -> None:
    try:
        selector = parse_selector(invocation.argument(0))
    except TagError as err:
        raise CommandError(str(err)) from err
    print_lines(partial(dkim_lookup, selector=selector, domain=domain_argument(invocation.argument(1)).ascii))


def _dkim_verify(invocation: Invocation) -> None:
    print_lines(partial(dkim_verify, message=read_message(invocation.argument(0))))


def _dkim_sign(invocation: Invocation) -> None:
    signed = asyncio.run(dkim_sign(invocation, read_message(invocation.argument(0))))
    sys.stdout.buffer.write(signed)


def _dkim_txt(_invocation: Invocation) -> None:
    print(dkim_txt(sys.stdin.read()))


def _generate(kind: Literal["rsa", "ed25519"], _invocation: Invocation) -> None:
    note = dkimkeys.note(kind, "", datetime.datetime.now().astimezone())
    sys.stdout.buffer.write(render_pem("PRIVATE KEY", dkimkeys.generate(kind), note))


def _dmarc_lookup(invocation: Invocation) -> None:
    print_lines(partial(dmarc_lookup, domain=domain_argument(invocation.argument(0))))


def _dmarc_verify(invocation: Invocation) -> None:
    ip, mail_from, helo = ip_argument(invocation.argument(0)), invocation.argument(1), invocation.argument(2)
    name = domain_argument(helo).ascii if helo else ""
    print_lines(partial(dmarc_verify, ip=ip, mail_from=mail_from, helo=name, message=read_message("-")))


def _dmarc_check_report_addresses(invocation: Invocation) -> None:
    print_lines(partial(dmarc_check_report_addresses, domain=domain_argument(invocation.argument(0))))


_KEY_HELP = """Print a new {kind} private key for DKIM, in PKCS#8 form.

Each call makes another key. Store it with tight permissions, name it in the selector of a domain in domains.conf, and
publish what "mox dkim txt" says of it.
"""

COMMANDS = [
    Command(
        ("dkim", "gened25519"),
        partial(_generate, "ed25519"),
        _KEY_HELP.format(kind="ed25519"),
        ">$selector._domainkey.$domain.ed25519.privatekey.pkcs8.pem",
        0,
        0,
    ),
    Command(
        ("dkim", "genrsa"),
        partial(_generate, "rsa"),
        _KEY_HELP.format(kind="2048 bit RSA"),
        ">$selector._domainkey.$domain.rsa2048.privatekey.pkcs8.pem",
        0,
        0,
    ),
    Command(
        ("dkim", "lookup"),
        _dkim_lookup,
        "Look up and explain the DKIM key record of a selector.\n",
        "$selector $domain",
        2,
        2,
    ),
    Command(
        ("dkim", "txt"),
        _dkim_txt,
        """Print the DNS record to publish for a DKIM private key, which is read from standard input.

Example: mox dkim txt <selector._domainkey.example.org.rsa2048.privatekey.pkcs8.pem
""",
        "<$selector._domainkey.$domain.key.pkcs8.pem",
        0,
        0,
    ),
    Command(
        ("dkim", "verify"),
        _dkim_verify,
        """Verify the DKIM signatures of a message.

Also signatures of domains that say they only test DKIM are judged. "-" reads the message from standard input.
""",
        "$messagefile",
        1,
        1,
    ),
    Command(
        ("dkim", "sign"),
        _dkim_sign,
        """Sign a message for the domain of its From address, with the keys of the configuration, and print it.

"-" reads the message from standard input.
""",
        "$messagefile",
        1,
        1,
    ),
    Command(
        ("dmarc", "lookup"),
        _dmarc_lookup,
        "Look up the DMARC record of a domain, or of its organizational domain.\n",
        "$domain",
        1,
        1,
    ),
    Command(
        ("dmarc", "verify"),
        _dmarc_verify,
        """Check a message from standard input with SPF, DKIM and DMARC as if it came from an address.

The MAIL FROM address and the HELO domain may be empty strings; SPF needs one of them.

Example: mox dmarc verify 192.0.2.1 user@example.org mail.example.org <message.eml
""",
        "$remoteip $mailfromaddress $helodomain < messagefile",
        3,
        3,
    ),
    Command(
        ("dmarc", "checkreportaddrs"),
        _dmarc_check_report_addresses,
        """Check whether the report addresses in a DMARC record accept reports about the domain.

An address in another organization must be allowed by a DNS record there (RFC 7489 section 7.1).
""",
        "$domain",
        1,
        1,
    ),
    Command(
        ("spf", "check"),
        _spf_check,
        """Check whether an address may send mail for a domain, and say which part of the SPF record decides.

Example: mox spf check example.org 192.0.2.1
""",
        "$domain $ip",
        2,
        2,
    ),
    Command(("spf", "lookup"), _spf_lookup, "Look up the SPF record of a domain.\n", "$domain", 1, 1),
    Command(
        ("spf", "parse"),
        _spf_parse,
        """Check the syntax of an SPF record; says nothing when it is good.

Example: mox spf parse "v=spf1 mx -all"
""",
        "$txtrecord",
        1,
        1,
    ),
]
