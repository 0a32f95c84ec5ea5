"""Which host a request is for, and which hosts a handler answers (spec/web-tls.md sections 3 and 4)."""

import ipaddress
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import lru_cache

from mox.dns.names import DomainError, parse_domain


@dataclass(frozen=True, slots=True)
class Host:
    """An IP address or a domain in ASCII form; both empty for a Host header that is neither."""

    domain: str = ""
    ip: str = ""


# True when a handler answers the host.
HostMatch = Callable[[Host], bool]


@lru_cache(4096)
def to_ascii(name: str) -> str:
    """A domain in lower-case A-labels, without final dot; "" for what is no domain name. RFC 5891 §4, UTS 46."""
    try:
        return parse_domain(name.removesuffix("."), lax=True).ascii
    except DomainError:
        return ""


@lru_cache(4096)
def parse_host(value: str) -> Host:
    """The host of a Host header or `:authority`, without port. RFC 9110 §7.2."""
    name = value
    if value.startswith("["):
        name = value[1:].partition("]")[0]
    elif value.count(":") == 1:
        name = value.partition(":")[0]
    try:
        return Host(ip=str(ipaddress.ip_address(name)))
    except ValueError:
        return Host(domain=to_ascii(name))


def local_names(hostname: str) -> HostMatch:
    """Hosts of the admin pages: any address, the listener's name, localhost."""
    own = to_ascii(hostname)
    return lambda host: bool(host.ip) or (host.domain in (own, "localhost") and bool(host.domain))


def account_names(hostname: str, client_settings: Callable[[], Container[str]]) -> HostMatch:
    """Hosts of account, webmail and webapi: as `local_names`, and the client settings domains of now."""
    is_local = local_names(hostname)
    return lambda host: is_local(host) or (bool(host.domain) and host.domain in client_settings())
