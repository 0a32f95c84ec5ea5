"""Where mail for a domain goes: MX hosts, their addresses, TLSA records, and names that certificates may have.

RFC 5321 §5.1 (MX, implicit MX), RFC 7505 (null MX), RFC 7672 §2.2 and §3.1 (DANE: what must be authentic, which records
can be used, which names are accepted). Names are in ASCII without final dot. Of errors it tells whether trying again
can help.
"""

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mox.dns.names import DomainError, IPAddress, parse_domain
from mox.dns.resolver import DnsError, DnsNotFound, DnsTemporary, Resolver, Tlsa

MAX_DESTINATION_ALIASES = 15
MAX_HOST_ALIASES = 11
MAX_TLSA_ALIASES = 10
SMTP_PORT = 25


class GatherError(Exception):
    """Nothing can be delivered now, or ever. `dns` is the failed look-up behind it."""

    def __init__(self, text: str, permanent: bool = False, dns: DnsTemporary | None = None) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.dns = dns


@dataclass(frozen=True, slots=True)
class Destination:
    """Hosts in the order to try them. `next_hop` is the domain asked for, `expanded_next_hop` what its aliases lead to.

    The look-up of the domain itself was authentic by DNSSEC: `authentic`; so were all look-ups: `expanded_authentic`.
    """

    hosts: tuple[str, ...]
    has_mx: bool
    next_hop: str
    expanded_next_hop: str
    authentic: bool
    expanded_authentic: bool


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses of a host in the order to try them."""

    ips: tuple[IPAddress, ...]
    expanded_host: str
    authentic: bool
    expanded_authentic: bool

    @property
    def is_dual_stack(self) -> bool:
        """There are both families."""
        return len({ip.version for ip in self.ips}) == 2


@dataclass(frozen=True, slots=True)
class TlsaSet:
    """TLSA records of a host. DANE is `required` when there are any; `records` are those that can be used for SMTP."""

    required: bool
    records: tuple[Tlsa, ...] = ()
    base_domain: str = ""


def literal_ip(domain: str) -> IPAddress | None:
    """The address of an address literal (RFC 5321 §4.1.3), None for a domain."""
    if not domain.startswith("["):
        return None
    text = domain[1:-1]
    try:
        return ipaddress.ip_address(text[5:] if text.lower().startswith("ipv6:") else text)
    except ValueError as err:
        raise GatherError(f"bad address literal {domain}", permanent=True) from err


async def gather_destination(resolver: Resolver, domain: str) -> Destination:
    """The hosts of a recipient domain. Raises GatherError."""
    ip = literal_ip(domain)
    if ip is not None:
        return Destination((str(ip),), False, domain, domain, False, False)
    name, authentic, expanded = domain, True, True
    seen = {domain}
    first = True
    while True:
        try:
            alias = await resolver.cname(name)
        except DnsNotFound:
            break
        except DnsTemporary as err:
            raise GatherError(f"cname lookup for {name}: {err}", dns=err) from err
        if first:
            authentic = alias.authentic
        first = False
        expanded = expanded and alias.authentic
        name = _target(alias.records[0], seen, MAX_DESTINATION_ALIASES)
    return await _gather_mx(resolver, domain, name, authentic, expanded)


def _target(alias: str, seen: set[str], limit: int) -> str:
    """The next name of a chain of aliases. Raises GatherError."""
    try:
        name = parse_domain(alias, lax=True).ascii
    except DomainError as err:
        raise GatherError(f"cname target {alias!r}: {err}") from err
    if name in seen:
        raise GatherError(f"cname loop at {name}")
    if len(seen) > limit:
        raise GatherError(f"too many cname records, at {name}")
    seen.add(name)
    return name


async def _gather_mx(resolver: Resolver, domain: str, name: str, authentic: bool, expanded: bool) -> Destination:
    has_alias = name != domain
    try:
        answer = await resolver.mx(name)
    except DnsNotFound as err:
        # Also when no MX can be used: the domain itself is the host. RFC 5321 §5.1
        mx_authentic = err.authentic
        own = authentic if has_alias else mx_authentic
        return Destination((name,), False, domain, name, own, expanded and mx_authentic)
    except DnsTemporary as err:
        raise GatherError(f"mx lookup for {name}: {err}", dns=err) from err
    own = authentic if has_alias else answer.authentic
    hosts = tuple(record.host for record in answer.records)
    if hosts == (".",):
        raise GatherError(f"domain {domain} does not accept email as indicated with single dot for mx record", True)
    usable = tuple(host for host in hosts if host != ".")
    return Destination(usable, True, domain, name, own, expanded and answer.authentic)


async def gather_addresses(
    resolver: Resolver, host: str, dialed: Mapping[str, Sequence[str]], families: frozenset[int] = frozenset((4, 6))
) -> Addresses:
    """The addresses of a host, ordered by what was dialed before. `families` restricts them. Raises GatherError."""
    try:
        own = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return Addresses((own,), host, False, False)
    name, first, authentic, expanded = host, True, True, True
    seen = {host}
    # Aliases are not allowed for hosts of MX records (RFC 5321 §5.1), but there are many.
    while True:
        try:
            alias = await resolver.cname(name)
        except DnsNotFound:
            break
        except DnsTemporary as err:
            raise GatherError(f"cname lookup for {name}: {err}", dns=err) from err
        if first:
            authentic = alias.authentic
        first = False
        expanded = expanded and alias.authentic
        name = _target(alias.records[0], seen, MAX_HOST_ALIASES - 1)
    try:
        answer = await resolver.ips(name)
    except DnsError as err:
        raise GatherError(f"ip lookup for {name}: {err}", dns=err if isinstance(err, DnsTemporary) else None) from err
    ips = [ip for ip in answer.records if ip.version in families]
    if not ips:
        raise GatherError(f"no address of {name} of the family that the transport uses")
    return Addresses(
        order(ips, dialed.get(host, ())), name, authentic and answer.authentic, expanded and answer.authentic
    )


def order(ips: Sequence[IPAddress], dialed: Sequence[str]) -> tuple[IPAddress, ...]:
    """The other family than that dialed last goes first: we may be on a block list with one. Within the family of the
    last, the same address again if it was the only one: that is what greylisting waits for."""
    if not dialed:
        return tuple(ips)
    last = ipaddress.ip_address(dialed[-1])
    was_single = sum(ipaddress.ip_address(ip).version == last.version for ip in dialed) == 1
    return tuple(sorted(ips, key=lambda ip: (ip.version == last.version, not (was_single and ip == last))))


async def gather_tlsa(resolver: Resolver, host: str, addresses: Addresses, expanded_authentic: bool) -> TlsaSet:
    """TLSA records for delivery to a host. Raises GatherError when DANE may be in use but cannot be found out: to go on
    without would let an attacker take it away. RFC 7672 §2.1.2, §2.2.2"""
    if expanded_authentic and addresses.expanded_host != host:
        found = await lookup_tlsa(resolver, addresses.expanded_host)
        if found:
            return TlsaSet(True, usable(found), addresses.expanded_host)
    found = await lookup_tlsa(resolver, host)
    return TlsaSet(bool(found), usable(found), host)


async def lookup_tlsa(resolver: Resolver, host: str, port: int = SMTP_PORT) -> tuple[Tlsa, ...]:
    """The authentic TLSA records of a port, of all kinds. Raises GatherError."""
    name = f"_{port}._tcp.{host}"
    try:
        for _ in range(MAX_TLSA_ALIASES + 1):
            try:
                alias = await resolver.cname(name)
            except DnsNotFound as err:
                if not err.authentic:
                    return ()
                break
            if not alias.authentic:
                return ()
            name = alias.records[0]
        else:
            raise GatherError(f"too many cname records for tlsa of {host}")
        answer = await resolver.tlsa(name)
    except DnsNotFound:
        return ()
    except DnsTemporary as err:
        raise GatherError(f"tlsa lookup for {name}: {err}", dns=err) from err
    return tuple(answer.records) if answer.authentic else ()


def usable(records: Sequence[Tlsa]) -> tuple[Tlsa, ...]:
    """Those that mean something for SMTP: usage DANE-TA or DANE-EE, known selector and match. RFC 7672 §3.1"""
    return tuple(r for r in records if r.usage in (2, 3) and r.selector in (0, 1) and _has_good_data(r))


def _has_good_data(record: Tlsa) -> bool:
    match record.matching_type:
        case 1:
            return len(record.data) == hashlib.sha256().digest_size
        case 2:
            return len(record.data) == hashlib.sha512().digest_size
        case 0:
            try:
                if record.selector == 0:
                    x509.load_der_x509_certificate(record.data)
                else:
                    load_der_public_key(record.data)
            except ValueError:
                return False
            return True
        case _:
            return False


def certificate_names(destination: Destination, host: str, addresses: Addresses, base_domain: str) -> tuple[str, ...]:
    """Names that a certificate may have by DANE-TA; the first is for SNI. RFC 7672 §3.2.2, §3.2.3"""
    expanded_base = addresses.expanded_host if addresses.expanded_authentic else ""
    bases = [name for name in (base_domain, host) if name]
    if not destination.has_mx:
        names = [expanded_base, host] if expanded_base and expanded_base != host else [host]
    elif destination.authentic:
        names = [expanded_base, *bases, destination.next_hop, destination.expanded_next_hop]
    else:
        names = [destination.next_hop]
    return tuple(dict.fromkeys(name for name in names if name))
