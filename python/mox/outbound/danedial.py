"""Connecting with TLS that DANE verifies, for people who test a set-up: to any port, or as the queue does to MX hosts.

RFC 7671 (DANE for TLS), RFC 7672 (for SMTP). `tell` gets a line about each step.
"""

from collections.abc import Callable, Collection, Sequence

from mox._rust import TlsRoots
from mox.dns.names import IPAddress
from mox.dns.resolver import Resolver, Tlsa
from mox.net.conn import Connection, connect
from mox.net.tls import ClientTls, TlsFailure
from mox.outbound import gather
from mox.outbound.gather import SMTP_PORT, Addresses, Destination, GatherError
from mox.smtp.client import Options, SmtpClient, TlsMode
from mox.smtp.client_errors import SmtpClientError

DIAL_S = 30.0
# Of the many hosts that a domain may have.
MX_DIAL_S = 5.0

Tell = Callable[[str], None]


class DaneError(Exception):
    """No connection that DANE vouches for; the text says why."""


async def dial(
    resolver: Resolver, host: str, port: int, usages: Collection[int], roots: TlsRoots | None = None
) -> tuple[Connection, Tlsa]:
    """TLS from the start; the connection and the record that verified it. Raises DaneError, OSError, TimeoutError."""
    addresses = await _addresses(resolver, host)
    if not addresses.authentic:
        raise DaneError(f"dns records of {host} are not dnssec-signed")
    base = host
    records: tuple[Tlsa, ...] = ()
    if addresses.expanded_authentic and addresses.expanded_host != host:
        base = addresses.expanded_host
        records = await _records(resolver, base, port)
    if not records:
        base, records = host, await _records(resolver, host, port)
    if not records:
        raise DaneError(f"no tlsa records for port {port} of {host}")
    allowed = [record for record in records if record.usage in usages]
    if not allowed:
        raise DaneError(f"no tlsa record of {base} has an allowed usage")
    tls = ClientTls(roots=roots, tlsa=[_tuple(r) for r in allowed], require_dane=True, dane_names=(host,))
    conn = await _connect(addresses, port, DIAL_S)
    try:
        await conn.start_tls_client(tls, base)
    except TlsFailure as err:
        conn.abort()
        raise DaneError(f"tls with {host}: {err.text}") from err
    return conn, _verified(conn, allowed)


async def dial_mx(
    resolver: Resolver,
    domain: str,
    only_host: str,
    hostname: str,
    tell: Tell,
    roots: TlsRoots | None = None,
    port: int = SMTP_PORT,
) -> Connection:
    """The first MX host of a domain that takes a session with verified TLS. With `only_host` just that one, and the
    domain is taken to be secure. Raises DaneError."""
    if only_host:
        destination = Destination((only_host,), True, domain, domain, True, True)
    else:
        destination = await _destination(resolver, domain, tell)
    for host in destination.hosts:
        tell(f"trying {host}")
        try:
            return await _dial_host(resolver, destination, host, hostname, tell, roots, port)
        except (DaneError, SmtpClientError, OSError, TimeoutError) as err:
            tell(f"{host}: {err or type(err).__name__}")
    raise DaneError("no remaining destinations")


async def _destination(resolver: Resolver, domain: str, tell: Tell) -> Destination:
    try:
        destination = await gather.gather_destination(resolver, domain)
    except GatherError as err:
        raise DaneError(str(err)) from err
    if destination.expanded_next_hop != domain:
        tell(f"{domain} is an alias of {destination.expanded_next_hop}")
    if not destination.authentic or not destination.expanded_authentic:
        raise DaneError(f"dns records of {domain} are not dnssec-signed")
    tell(f"hosts of {domain}: {', '.join(destination.hosts)}{'' if destination.has_mx else ' (no mx records)'}")
    return destination


async def _dial_host(
    resolver: Resolver,
    destination: Destination,
    host: str,
    hostname: str,
    tell: Tell,
    roots: TlsRoots | None,
    port: int,
) -> Connection:
    addresses = await _addresses(resolver, host)
    tell(f"addresses of {host}: {', '.join(map(str, addresses.ips))}")
    if not addresses.authentic:
        raise DaneError(f"dns records of {host} are not dnssec-signed")
    expanded_authentic = destination.expanded_authentic and addresses.expanded_authentic
    try:
        found = await gather.gather_tlsa(resolver, host, addresses, expanded_authentic)
    except GatherError as err:
        raise DaneError(str(err)) from err
    if not found.required:
        raise DaneError(f"no tlsa records for {host}")
    names = gather.certificate_names(destination, host, addresses, found.base_domain)
    tell(f"tlsa records at {found.base_domain}: {'; '.join(map(str, found.records)) or 'none that can be used'}")
    tls = ClientTls(
        roots=roots,
        tlsa=[_tuple(r) for r in found.records] or None,
        require_dane=bool(found.records),
        dane_names=names[1:],
    )
    conn = await _connect(addresses, port, MX_DIAL_S)
    await SmtpClient.open(conn, Options(hostname, TlsMode.REQUIRED, names[0], tls))
    tell(f"connected, verified with {_verified(conn, found.records)}" if found.records else "connected, not verified")
    return conn


async def _addresses(resolver: Resolver, host: str) -> Addresses:
    try:
        return await gather.gather_addresses(resolver, host, {})
    except GatherError as err:
        raise DaneError(str(err)) from err


async def _records(resolver: Resolver, host: str, port: int) -> tuple[Tlsa, ...]:
    try:
        return await gather.lookup_tlsa(resolver, host, port)
    except GatherError as err:
        raise DaneError(str(err)) from err


async def _connect(addresses: Addresses, port: int, timeout_s: float) -> Connection:
    """To the first address that answers. Raises OSError, TimeoutError."""
    problem: Exception | None = None
    for ip in addresses.ips:
        try:
            return await _connect_one(ip, port, timeout_s)
        except (OSError, TimeoutError) as err:
            problem = err
    assert problem is not None
    raise problem


async def _connect_one(ip: IPAddress, port: int, timeout_s: float) -> Connection:
    return await connect(str(ip), port, timeout_s)


def _verified(conn: Connection, records: Sequence[Tlsa]) -> Tlsa:
    """The record that fits the certificate of a verified connection."""
    assert conn.tls is not None and conn.tls.dane_record is not None
    return records[conn.tls.dane_record]


def _tuple(record: Tlsa) -> tuple[int, int, int, bytes]:
    return record.usage, record.selector, record.matching_type, record.data
