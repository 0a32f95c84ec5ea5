"""dns …, dnsbl … and iprev: look-ups as the server makes them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from mox.cli.command import Command, CommandError, Invocation
from mox.cli.config_domains import domain_argument
from mox.dns.names import DomainError, IPAddress, parse_domain, parse_ip
from mox.dns.resolver import Answer, DnsNotFound, DnsTemporary, Resolver, Tlsa
from mox.dns.system import SystemResolver
from mox.mailauth import dnsbl, iprev
from mox.mailauth.dnsbl import DnsblStatus

T = TypeVar("T")
Lines = list[str]

# RFC 7218 §2.
_USAGES = ("PKIX-TA", "PKIX-EE", "DANE-TA", "DANE-EE")
_SELECTORS = ("Cert", "SPKI")
_MATCHES = ("Full", "SHA2-256", "SHA2-512")


def print_lines(work: Callable[[Resolver], Awaitable[Lines]]) -> None:
    """Run `work` with the system's resolver and print what it says. Raises CommandError."""

    async def run() -> Lines:
        return await work(SystemResolver())

    for line in asyncio.run(run()):
        print(line)


def ip_argument(text: str) -> IPAddress:
    """Raises CommandError."""
    try:
        return parse_ip(text)
    except ValueError as err:
        raise CommandError(f"{text!r} is not an IP address") from err


def dnssec(authentic: bool) -> str:
    """As the tools print it."""
    return "with dnssec" if authentic else "without dnssec"


def lookup_failed(err: DnsNotFound | DnsTemporary) -> CommandError:
    """The error of a look-up with its DNSSEC status."""
    authentic = isinstance(err, DnsNotFound) and err.authentic
    return CommandError(f"{err} ({dnssec(authentic)})")


async def dns_lookup(resolver: Resolver, kind: str, name: str) -> Lines:
    """The records of a name, or of an address for "ptr". Raises CommandError."""
    lookups: dict[str, Callable[[str], Awaitable[Lines]]] = {
        "ptr": lambda text: _ptr(resolver, text),
        "mx": lambda text: _listed(resolver.mx(text), "mx records", lambda r: f"{r.host}, preference {r.preference}"),
        "cname": lambda text: _cname(resolver, text),
        "ips": lambda text: _listed(resolver.ips(text), "records", str),
        "a": lambda text: _listed(resolver.a(text), "records", str),
        "aaaa": lambda text: _listed(resolver.aaaa(text), "records", str),
        "ns": lambda text: _listed(resolver.ns(text), "ns records", str),
        "txt": lambda text: _listed(resolver.txt(text), "txt records", str),
        "srv": lambda text: _listed(
            resolver.srv(text),
            "srv records",
            lambda r: f"host {r.target}, port {r.port}, priority {r.priority}, weight {r.weight}",
        ),
        "tlsa": lambda text: _listed(resolver.tlsa(text), "tlsa records", _render_tlsa),
    }
    if kind not in lookups:
        raise CommandError(f"unknown record type {kind!r}; known are {', '.join(lookups)}")
    try:
        return await lookups[kind](_dns_name(name))
    except (DnsNotFound, DnsTemporary) as err:
        raise lookup_failed(err) from err


def _dns_name(text: str) -> str:
    """ASCII form of a name, or the text itself for names that are no host names."""
    text = text.removesuffix(".")
    try:
        return parse_domain(text).ascii
    except DomainError:
        return text


async def _listed(answer: Awaitable[Answer[T]], title: str, render: Callable[[T], str]) -> Lines:
    found = await answer
    return _list(title, found.records, found.authentic, render)


def _list(title: str, records: Iterable[T], authentic: bool, render: Callable[[T], str]) -> Lines:
    lines = [f"- {render(record)}" for record in records]
    return [f"{title} ({len(lines)}, {dnssec(authentic)}):", *lines]


async def _ptr(resolver: Resolver, text: str) -> Lines:
    found = await resolver.ptr(ip_argument(text))
    return _list("names", found.records, found.authentic, str)


async def _cname(resolver: Resolver, name: str) -> Lines:
    found = await resolver.cname(name)
    return [f"{found.records[0]} ({dnssec(found.authentic)})"]


def _render_tlsa(record: Tlsa) -> str:
    def named(names: Sequence[str], number: int) -> str:
        return f'"{names[number] if number < len(names) else "unknown"}" ({number})'

    return (
        f"usage {named(_USAGES, record.usage)}, selector {named(_SELECTORS, record.selector)}, "
        f"matchtype {named(_MATCHES, record.matching_type)}, certificate association data: {record.data.hex()}"
    )


async def dnsbl_check(resolver: Resolver, zone: str, ip: IPAddress) -> Lines:
    """Whether an address is listed."""
    result = await dnsbl.lookup(resolver, zone, ip)
    lines = [f"status: {result.status}"]
    if result.status is DnsblStatus.FAIL:
        lines.append(f'explanation: "{result.explanation}"')
    if result.problem:
        lines.append(f"error: {result.problem}")
    return lines


async def dnsbl_health(resolver: Resolver, zone: str) -> Lines:
    """Whether a list may be believed. Raises CommandError if not."""
    problem = await dnsbl.check_health(resolver, zone)
    if problem:
        raise CommandError(f"unhealthy: {problem}")
    return ["healthy"]


async def iprev_check(resolver: Resolver, ip: IPAddress) -> Lines:
    """The names of an address, and whether one leads back to it."""
    result = await iprev.verify(resolver, ip)
    lines = [
        ("status", f"{result.status} ({dnssec(result.authentic)})"),
        ("name", result.name),
        ("names", ", ".join(result.names)),
        ("error", result.problem),
    ]
    return [f"{name}: {value}" for name, value in lines if value]


def _lookup(invocation: Invocation) -> None:
    kind, name = invocation.arguments
    print_lines(lambda resolver: dns_lookup(resolver, kind, name))


def _dnsbl_check(invocation: Invocation) -> None:
    zone, ip = domain_argument(invocation.argument(0)).ascii, ip_argument(invocation.argument(1))
    print_lines(lambda resolver: dnsbl_check(resolver, zone, ip))


def _dnsbl_health(invocation: Invocation) -> None:
    zone = domain_argument(invocation.argument(0)).ascii
    print_lines(lambda resolver: dnsbl_health(resolver, zone))


def _iprev(invocation: Invocation) -> None:
    ip = ip_argument(invocation.argument(0))
    print_lines(lambda resolver: iprev_check(resolver, ip))


COMMANDS = [
    Command(
        ("dns", "lookup"),
        _lookup,
        """Look up DNS records, and say whether DNSSEC protects them.

The DNSSEC status comes from the name server: it counts only from one on this machine, or with "options trust-ad" in
/etc/resolv.conf. For ptr, the name is an IP address.

Examples:
	mox dns lookup mx example.org
	mox dns lookup tlsa _25._tcp.mail.example.org
""",
        "[ptr | mx | cname | ips | a | aaaa | ns | txt | srv | tlsa] $name",
        2,
        2,
    ),
    Command(
        ("dnsbl", "check"),
        _dnsbl_check,
        """Ask a DNS block list whether an address is on it.

Example: mox dnsbl check zen.spamhaus.org 192.0.2.1
""",
        "$zone $ip",
        2,
        2,
    ),
    Command(
        ("dnsbl", "checkhealth"),
        _dnsbl_health,
        """Check that a DNS block list works.

A working list has 127.0.0.2 on it and does not have 127.0.0.1 (RFC 5782). The server does not believe a list that fails
this check.

Example: mox dnsbl checkhealth zen.spamhaus.org
""",
        "$zone",
        1,
        1,
    ),
    Command(
        ("iprev",),
        _iprev,
        """Check whether an address has a name that leads back to the address (RFC 8601 section 3).

Example: mox iprev 192.0.2.1
""",
        "$ip",
        1,
        1,
    ),
]
