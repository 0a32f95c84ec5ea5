"""Whether a sender's domain could take our answer (RFC 7505 §4.2, RFC 5321 §5.1)."""

import asyncio

from mox.dns.resolver import DnsNotFound, DnsTemporary, Resolver
from mox.smtp.reply import Reply

TIMEOUT_S = 60.0
MAX_HOSTS = 20

NULL_MX = Reply(550, "5.7.27", "domain of the sender does not receive mail")
NO_ANSWER = Reply(451, "4.4.0", "domain of the sender cannot be looked up now")


async def can_receive(resolver: Resolver, domain: str) -> Reply | None:
    """Why mail from a domain (A-labels) is refused: it takes none itself. None when one host has an address."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _can_receive(resolver, domain)
    except TimeoutError:
        return NO_ANSWER


async def _can_receive(resolver: Resolver, domain: str) -> Reply | None:
    try:
        answer = await resolver.mx(domain)
        hosts = [record.host for record in sorted(answer.records, key=lambda mx: mx.preference)]
    except DnsNotFound:
        hosts = [domain]
    except DnsTemporary:
        return NO_ANSWER
    if hosts == ["."]:
        return NULL_MX
    is_temporary = False
    for host in hosts[:MAX_HOSTS]:
        try:
            await resolver.ips(host)
        except DnsNotFound:
            continue
        except DnsTemporary:
            is_temporary = True
            continue
        return None
    return NO_ANSWER if is_temporary else NULL_MX


async def exists(resolver: Resolver, name: str) -> bool:
    """The name has an address, or DNS does not say for sure that it has none."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await resolver.ips(name)
    except DnsNotFound:
        return False
    except (DnsTemporary, TimeoutError):
        return True
    return True
