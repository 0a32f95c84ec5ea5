"""Which transport a message takes: routes of the account, of the sender's domain, and global ones, in this order."""

from collections.abc import Sequence

from mox.config.model import Dynamic, Route
from mox.dns.names import is_same_or_below
from mox.message.addresses import ascii_domain
from mox.outbound.records import Message


def choose(dynamic: Dynamic, message: Message) -> str:
    """The name of the transport of the first route that matches; empty for direct delivery. `message.attempts` are
    those already made. A route that names no transport means direct delivery too, and ends the search."""
    account = dynamic.Accounts.get(message.account)
    domain = dynamic.Domains.get(message.sender_domain) or dynamic.Domains.get(ascii_domain(message.sender_domain))
    lists = (account.Routes if account else [], domain.Routes if domain else [], dynamic.Routes)
    from_domain, to_domain = _name(message.sender_domain), _name(message.recipient_domain)
    for route in (route for routes in lists for route in routes):
        if matches(route, message.attempts, from_domain, to_domain):
            return route.Transport
    return ""


def matches(route: Route, attempts: int, from_domain: str, to_domain: str) -> bool:
    """All conditions of a route hold; domains are in ASCII, empty for address literals and the null sender."""
    return (
        attempts >= route.MinimumAttempts
        and _matches_any(route.FromDomain, from_domain)
        and _matches_any(route.ToDomain, to_domain)
    )


def _matches_any(patterns: Sequence[str], domain: str) -> bool:
    return not patterns or any(_matches_one(pattern, domain) for pattern in patterns)


def _matches_one(pattern: str, domain: str) -> bool:
    """`.example.org` is the domain and everything below it; `.` alone only what has no domain."""
    if pattern == ".":
        return domain == ""
    wanted = ascii_domain(pattern.removeprefix("."))
    return is_same_or_below(domain, wanted) if pattern.startswith(".") else domain == wanted


def _name(domain: str) -> str:
    return "" if domain.startswith("[") else ascii_domain(domain)
