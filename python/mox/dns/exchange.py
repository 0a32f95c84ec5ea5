"""One question to name servers and what its answer says; without cache.

UDP with EDNS0, TCP when truncated, the next server on failure. Replies that do not match the question, come from
another address, or cannot be parsed are ignored until the time is over, so that a forged packet cannot stop a look-up
(RFC 5452 §9.1). Only records of the asked name and its aliases count, whatever else a reply holds.
"""

import contextlib
import ipaddress
import itertools
from dataclasses import dataclass

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rdtypes.IN.SRV
import dns.rdtypes.nsbase

from mox.dns.resolvconf import NameServer, Settings
from mox.dns.resolver import DnsTemporary, Kind, Mx, Srv, Tlsa

_PAYLOAD = 1232
_MAX_CHASES = 8
_backend = dns.asyncbackend.get_backend("asyncio")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a name server said: no records means not found. `ttl_s` also for that, RFC 2308 §5."""

    records: tuple[object, ...]
    authentic: bool
    ttl_s: float


async def ask(settings: Settings, name: str, kind: Kind, turn: int) -> Reply:
    """Ask until a server answers; `name` is valid and in lower case. `turn` picks the first server when rotating.

    Raises DnsTemporary.
    """
    question = _to_name(name)
    authentic, ttl_s = True, float("inf")
    for _ in range(_MAX_CHASES):
        response = await _ask_servers(settings, question, kind, turn)
        authentic = authentic and settings.believes_ad and bool(response.flags & dns.flags.AD)
        try:
            chain = response.resolve_chaining()
        except dns.exception.DNSException as err:
            raise DnsTemporary(f"{kind.value} of {name}: answer makes no sense: {err or type(err).__name__}") from err
        ttl_s = min(ttl_s, chain.minimum_ttl)
        if chain.answer is not None:
            return Reply(tuple(_convert(kind, rdata) for rdata in chain.answer), authentic, ttl_s)
        if not chain.cnames or response.rcode() == dns.rcode.NXDOMAIN or _is_proven_absent(response):
            return Reply((), authentic, ttl_s)
        # A forwarder that does not follow aliases: do it for it.
        question = chain.canonical_name
    raise DnsTemporary(f"{kind.value} of {name}: too many aliases")


def _is_proven_absent(response: dns.message.Message) -> bool:
    """The reply has the SOA that comes with "no data", so the alias' target was looked at. RFC 2308 §2.2."""
    return any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority)


async def _ask_servers(settings: Settings, question: dns.name.Name, kind: Kind, turn: int) -> dns.message.QueryMessage:
    if not settings.servers:
        raise DnsTemporary("no name server configured")
    first = turn % len(settings.servers) if settings.rotate else 0
    order = settings.servers[first:] + settings.servers[:first]
    last = DnsTemporary("not asked")
    for server in itertools.chain.from_iterable(itertools.repeat(order, settings.attempts)):
        try:
            response = await _ask_server(settings, server, question, kind)
        except (dns.exception.Timeout, TimeoutError):
            last = DnsTemporary(f"{kind.value} of {question}: no answer from {server.address} in time")
        except (dns.exception.DNSException, OSError, EOFError) as err:
            last = DnsTemporary(f"{kind.value} of {question}: {_explain(server, err)}")
        else:
            if response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return response
            last = _failure(server, question, kind, response)
            if last.is_dnssec_failure:
                break
    raise last


async def _ask_server(
    settings: Settings, server: NameServer, question: dns.name.Name, kind: Kind
) -> dns.message.QueryMessage:
    query = dns.message.make_query(question, kind.value, use_edns=0, payload=_PAYLOAD)
    query.flags |= dns.flags.AD
    response = await _transmit(settings, server, query)
    if response.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP):
        # Knows no EDNS. RFC 6891 §6.2.2.
        query = dns.message.make_query(question, kind.value)
        response = await _transmit(settings, server, query)
    return response


async def _transmit(settings: Settings, server: NameServer, query: dns.message.Message) -> dns.message.QueryMessage:
    timeout_s = settings.timeout_s
    response: dns.message.Message | None = None
    if not settings.use_tcp:
        with contextlib.suppress(dns.message.Truncated):
            response = await dns.asyncquery.udp(
                query,
                server.address,
                timeout_s,
                server.port,
                ignore_unexpected=True,
                ignore_errors=True,
                raise_on_truncation=True,
                backend=_backend,
            )
    if response is None:
        response = await dns.asyncquery.tcp(query, server.address, timeout_s, server.port, backend=_backend)
    if not isinstance(response, dns.message.QueryMessage):
        raise dns.query.BadResponse
    return response


def _explain(server: NameServer, err: Exception) -> str:
    if isinstance(err, ConnectionRefusedError) and server.is_loopback:
        return f"no name server at {server.address}; run a DNSSEC-validating resolver there, or configure another"
    return f"asking {server.address}: {err or type(err).__name__}"


def _failure(server: NameServer, question: dns.name.Name, kind: Kind, response: dns.message.Message) -> DnsTemporary:
    text = f"{kind.value} of {question}: {server.address} says {dns.rcode.to_text(response.rcode())}"
    extended = response.extended_errors()
    if not extended:
        return DnsTemporary(text)
    code = int(extended[0].code)
    name = extended[0].code.name if hasattr(extended[0].code, "name") else "other"
    code_text = " ".join(filter(None, [name.lower().replace("_", " "), extended[0].text or ""]))
    return DnsTemporary(f"{text} ({code_text})", code, code_text)


def _to_name(name: str) -> dns.name.Name:
    return dns.name.Name((*(label.encode() for label in name.split(".")), b""))


def _from_name(name: dns.name.Name) -> str:
    """Lower case without final dot, "." for the root. Dots and odd octets inside labels are escaped by `to_text`."""
    return name.to_text(omit_final_dot=True).lower() if len(name.labels) > 1 else "."


def _convert(kind: Kind, rdata: dns.rdata.Rdata) -> object:
    match rdata:
        case dns.rdtypes.ANY.TXT.TXT():
            return b"".join(rdata.strings).decode("utf-8", "surrogateescape")
        case dns.rdtypes.ANY.MX.MX():
            return Mx(rdata.preference, _from_name(rdata.exchange))
        case dns.rdtypes.IN.SRV.SRV():
            return Srv(rdata.priority, rdata.weight, rdata.port, _from_name(rdata.target))
        case dns.rdtypes.ANY.TLSA.TLSA():
            return Tlsa(rdata.usage, rdata.selector, rdata.mtype, rdata.cert)
        case dns.rdtypes.IN.A.A():
            return ipaddress.IPv4Address(rdata.address)
        case dns.rdtypes.IN.AAAA.AAAA():
            return ipaddress.IPv6Address(rdata.address)
        case dns.rdtypes.nsbase.NSBase():
            return _from_name(rdata.target)
    raise DnsTemporary(f"answer holds a malformed {kind.value} record")
