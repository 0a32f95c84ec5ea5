"""DNS for localserve: what the loopback interface and the configured domains would publish, and nothing else. So mail
can be tested without a network, and checks of our own domains pass."""

import ipaddress

from mox import log
from mox.config.live import Config
from mox.config.tables import DomainEntry
from mox.dns.resolver import Mx
from mox.dns.static import StaticResolver
from mox.mailauth.dkim import Policy
from mox.mailauth.dkimkey import record_for
from mox.mailauth.spf import SpfFacts, SpfIdentity, SpfResult, SpfStatus
from mox.outbound.signing import Signer, SigningError

_SPF = "v=spf1 ip4:127.0.0.0/8 ip6:::1 -all"
_LOOPBACK = ("127.0.0.1", "::1")

_logger = log.get("dns")


def local_resolver(config: Config) -> StaticResolver:
    """A resolver without DKIM keys, which `add_keys` reads."""
    resolver = StaticResolver({config.static.Hostname: {"A": ["127.0.0.1"], "AAAA": ["::1"]}})
    for address in _LOOPBACK:
        resolver.add_ptr(ipaddress.ip_address(address), config.static.Hostname)
    for entry in _domains(config):
        resolver.add(entry.name.ascii, "TXT", [_SPF])
        resolver.add(entry.name.ascii, "MX", [Mx(10, config.static.Hostname)])
    return resolver


def _domains(config: Config) -> list[DomainEntry]:
    return list({entry.name.ascii: entry for entry in config.tables.domains.values()}.values())


def dkim_policy(config: Config) -> Policy | None:
    """localserve believes signatures of its domains, such as localhost, which no other server would."""
    if not config.everything_to:
        return None
    return Policy(domains=frozenset(entry.name.ascii for entry in _domains(config)))


def known_spf(config: Config, facts: SpfFacts) -> SpfResult | None:
    """What `_SPF` says for our domains that are no names for SPF, such as localhost; None for all others."""
    domain = facts.mail_from_domain
    if not config.everything_to or "." in domain or config.domain(domain) is None or not facts.remote_ip.is_loopback:
        return None
    return SpfResult(SpfStatus.PASS, SpfIdentity.MAILFROM, domain, "localserve")


async def add_keys(config: Config, resolver: StaticResolver) -> None:
    """Publish the keys that the domains sign with."""
    signer = Signer(config)
    for entry in _domains(config):
        try:
            selectors = await signer.selectors(entry)
        except SigningError as err:
            _logger.error("no DKIM record", domain=entry.name.ascii, err=str(err))
            continue
        for selector in selectors:
            name = f"{selector.name}._domainkey.{entry.name.ascii}"
            resolver.add(name, "TXT", [str(record_for(selector.key))])
