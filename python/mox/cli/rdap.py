"""rdap domainage: how long a domain has been registered. RFC 9082, RFC 9083, RFC 9224 for finding the server."""

import asyncio
import datetime
import json
from typing import Any

import httpx

from mox.cli.command import Command, CommandError, Invocation
from mox.cli.config_domains import domain_argument
from mox.dns.names import Domain, is_same_or_below

BOOTSTRAP = "https://data.iana.org/rdap/dns.json"
_TIMEOUT_S = 30.0
_MAX_BYTES = 4 << 20
_MAX_MESSAGE_BYTES = 100_000
_SHOWN_CHARS = 200
_REGISTRATIONS = frozenset({"registration", "reregistration", "reinstantiation"})


async def registered_at(
    domain: Domain, now: datetime.datetime, transport: httpx.AsyncBaseTransport | None = None
) -> datetime.datetime:
    """When a domain was registered, the last time. Raises CommandError. `transport` replaces the network in tests."""
    headers = {"Accept": "application/rdap+json"}
    async with httpx.AsyncClient(
        transport=transport, headers=headers, timeout=_TIMEOUT_S, follow_redirects=True
    ) as client:
        bases = find_servers(await _get(client, BOOTSTRAP, "finding the rdap server"), domain.ascii)
        failure = CommandError(f"rdap is not available for the top-level domain of {domain}")
        for base in bases:
            try:
                answer = await _get(client, f"{base.rstrip('/')}/domain/{domain.ascii}", f"asking about {domain}")
            except CommandError as err:
                failure = err
                continue
            return last_registration(answer, now)
        raise failure


def find_servers(bootstrap: Any, name: str) -> list[str]:
    """URLs of the servers for the longest suffix of a name, https first. Raises CommandError. RFC 9224 §4"""
    try:
        fitting = [
            (len(suffix), urls)
            for suffixes, urls in bootstrap["services"]
            for suffix in suffixes
            if is_same_or_below(name, suffix.lower())
        ]
        _, urls = max(fitting, key=lambda found: found[0], default=(0, []))
        return sorted((str(url) for url in urls), key=lambda url: not url.startswith("https:"))
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise CommandError(f"list of rdap servers at {BOOTSTRAP} is malformed") from err


def last_registration(answer: Any, now: datetime.datetime) -> datetime.datetime:
    """The most recent registration that is not in the future. Raises CommandError. RFC 9083 §4.5"""
    events = answer.get("events") if isinstance(answer, dict) else None
    dates = []
    for event in events if isinstance(events, list) else []:
        try:
            if event["eventAction"] in _REGISTRATIONS:
                dates.append(datetime.datetime.fromisoformat(event["eventDate"]))
        except (KeyError, TypeError, ValueError):
            continue
    known = [date if date.tzinfo else date.replace(tzinfo=datetime.UTC) for date in dates]
    past = [date for date in known if date <= now]
    if not past:
        raise CommandError("registration date not found")
    return max(past)


async def _get(client: httpx.AsyncClient, url: str, what: str) -> Any:
    try:
        async with client.stream("GET", url) as response:
            body = b""
            limit = _MAX_BYTES if response.status_code == 200 else _MAX_MESSAGE_BYTES
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > limit:
                    break
    except httpx.HTTPError as err:
        raise CommandError(f"{what}: {err or type(err).__name__}") from err
    if response.status_code == 404:
        raise CommandError("domain not found")
    if response.status_code != 200:
        text = body[:_MAX_MESSAGE_BYTES].decode(errors="replace")[:_SHOWN_CHARS].strip()
        raise CommandError(f"{what}: status {response.status_code}: {text}")
    try:
        return json.loads(body)
    except ValueError as err:
        raise CommandError(f"{what}: the answer is no JSON") from err


def age_text(age: datetime.timedelta) -> str:
    """In years of 365 days, and days."""
    years, days = divmod(age.days, 365)
    parts = [f"{years} year{'' if years == 1 else 's'}"] if years else []
    return ", ".join([*parts, f"{days} day{'' if days == 1 else 's'}"])


def _domain_age(invocation: Invocation) -> None:
    now = datetime.datetime.now(datetime.UTC)
    print(age_text(now - asyncio.run(registered_at(domain_argument(invocation.argument(0)), now))))


COMMANDS = [
    Command(
        ("rdap", "domainage"),
        _domain_age,
        """Look up how long a domain has been registered, with RDAP, the successor of whois.

Mail from domains that are only days old is often spam.

Example: mox rdap domainage example.org
""",
        "$domain",
        1,
        1,
    )
]
