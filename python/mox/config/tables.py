"""Look-up tables made of the configuration files: addresses, aliases, domains. Never changed, only replaced.

How an address leads to an account: its domain decides on case and separators, then come report addresses, account
addresses, aliases, the catch-all address of the domain, and the postmaster.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from enum import Flag, auto

from msgspec import Struct

from mox._rust import Regexp
from mox.config.account import Destination
from mox.config.addresses import AddressError, parse_address, parse_localpart, render_localpart
from mox.config.domain import Alias, Domain, ReportAddress
from mox.config.keys import SigningKey
from mox.config.model import Dynamic, Static
from mox.config.routing import CompiledRoute
from mox.config.rules import CompiledRuleset, JunkMailboxes
from mox.config.webserver import WebHandler
from mox.dns import names


class Reports(Flag):
    """Which reports of other servers an address takes."""

    NONE = 0
    DMARC = auto()
    TLS = auto()
    HOST_TLS = auto()


class LookupFailed(LookupError):
    """An address leads nowhere. The text is for logs and tools."""


class DomainNotFound(LookupFailed):
    """The domain is not configured, or only for reports: it belongs to somebody else."""


class DomainDisabled(LookupFailed):
    """The domain is configured, but must not be used for now."""


class AddressNotFound(LookupFailed):
    """The domain is ours, the address is not."""


class Found(Struct, frozen=True):
    """Where an address leads: to the destination of an account, or to an alias.

    `canonical` is the address under which it is stored, with the domain in Unicode; `@domain` for a catch-all.
    `localpart` is as written in the configuration.
    """

    account: str
    destination: Destination
    canonical: str
    alias: Alias | None = None
    is_catchall: bool = False
    localpart: str = ""
    reports: Reports = Reports.NONE
    rulesets: tuple[CompiledRuleset, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """An account's place in an alias. `members` is empty unless members may see each other."""

    alias: str
    address: str
    options: Alias
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DomainEntry:
    """A configured domain with what follows from the rest of the configuration."""

    name: names.Domain
    options: Domain
    separators: tuple[str, ...]
    report_localparts: tuple[str, ...]
    is_reports_only: bool = False

    def canonical_localpart(self, localpart: str) -> str:
        """Lower case unless the domain tells apart, and without what follows a separator."""
        if not self.options.LocalpartCaseSensitive:
            localpart = localpart.lower()
        for reserved in self.report_localparts:
            rest = localpart.removeprefix(reserved)
            if localpart.startswith(reserved) and (not rest or rest.startswith(self.separators or ("\0",))):
                return reserved
        for separator in self.separators:
            localpart = localpart.partition(separator)[0]
        return localpart


def _report_localpart(target: ReportAddress, case_sensitive: bool) -> str:
    localpart = parse_localpart(target.Localpart)
    return localpart if case_sensitive else localpart.lower()


@dataclass(frozen=True, slots=True)
class CompiledWebHandler:
    """A web handler. `original_path` is the expression of a redirect that changes the path."""

    handler: WebHandler
    log_name: str
    domain: names.Domain
    path: Regexp
    original_path: Regexp | None


@dataclass(slots=True)
class Tables:
    """Everything that is looked up.

    Keys of `destinations` and `aliases` are canonical addresses, of `selectors` domain names in Unicode, of
    `domain_routes`, `web_redirects` and `client_settings_domains` domain names in ASCII, of the rest account names.
    """

    domains: dict[str, DomainEntry] = field(default_factory=dict)
    destinations: dict[str, Found] = field(default_factory=dict)
    aliases: dict[str, Found] = field(default_factory=dict)
    subscriptions: dict[str, tuple[Subscription, ...]] = field(default_factory=dict)
    selectors: dict[str, dict[str, SigningKey]] = field(default_factory=dict)
    account_routes: dict[str, tuple[CompiledRoute, ...]] = field(default_factory=dict)
    domain_routes: dict[str, tuple[CompiledRoute, ...]] = field(default_factory=dict)
    global_routes: tuple[CompiledRoute, ...] = ()
    junk_mailboxes: dict[str, JunkMailboxes] = field(default_factory=dict)
    web_redirects: dict[str, names.Domain] = field(default_factory=dict)
    web_handlers: tuple[CompiledWebHandler, ...] = ()
    client_settings_domains: dict[str, str] = field(default_factory=dict)
    postmaster: Found | None = None
    postmaster_hosts: frozenset[str] = frozenset()
    host_reports: tuple[str, Found] | None = None

    def domain(self, name: str) -> DomainEntry | None:
        """A domain by its name in either form and any case."""
        entry = self.domains.get(name) or self.domains.get(name.lower())
        if entry is not None or name.isascii():
            return entry
        try:
            return self.domains.get(names.parse_domain(name).ascii)
        except names.DomainError:
            return None

    def route(self, account: str, from_domain: str, to_domain: str, attempts: int) -> CompiledRoute | None:
        """The route of a message: the first that matches of the account, the sender's domain, and everybody.

        Domains are in ASCII; `attempts` were made before. None for direct delivery.
        """
        routes = (*self.account_routes.get(account, ()), *self.domain_routes.get(from_domain, ()), *self.global_routes)
        return next((route for route in routes if route.matches(from_domain, to_domain, attempts)), None)

    def lookup(
        self, localpart: str, domain: str, *, allow_postmaster: bool, allow_alias: bool, check_disabled: bool
    ) -> Found:
        """Where an address leads. `localpart` is decoded. Raises LookupFailed."""
        is_postmaster = localpart.lower() == "postmaster"
        localpart = "postmaster" if is_postmaster else localpart
        if is_postmaster and (not domain or domain.lower() in self.postmaster_hosts):
            return self._postmaster(allow_postmaster)
        if self.host_reports is not None and self.host_reports[0] == f"{localpart}@{domain.lower()}":
            return self.host_reports[1]
        entry = self.domain(domain)
        if entry is None or entry.is_reports_only:
            raise DomainNotFound(f"domain {domain!r} is not configured")
        if entry.options.Disabled and check_disabled:
            raise DomainDisabled(f"domain {domain!r} is disabled")
        return self._in_domain(entry, localpart, is_postmaster and allow_postmaster, allow_alias)

    def _in_domain(self, entry: DomainEntry, localpart: str, allow_postmaster: bool, allow_alias: bool) -> Found:
        canonical = canonical_address(entry, localpart)
        if found := self.destinations.get(canonical):
            return found
        if alias := self.aliases.get(canonical):
            if allow_alias:
                return alias
            raise AddressNotFound(f"address {canonical!r} is an alias")
        if found := self.destinations.get(f"@{entry.name.name}"):
            return found
        if allow_postmaster:
            return self._postmaster(True)
        raise AddressNotFound(f"there is no address {canonical!r}")

    def _postmaster(self, is_allowed: bool) -> Found:
        if self.postmaster is None or not is_allowed:
            raise AddressNotFound("the postmaster address cannot be used here")
        return self.postmaster


def canonical_address(entry: DomainEntry, localpart: str) -> str:
    """The key of an address in the tables, and in stored data."""
    return f"{render_localpart(entry.canonical_localpart(localpart))}@{entry.name.name}"


def domain_entries(dynamic: Dynamic) -> dict[str, DomainEntry]:
    """The domains by both forms of their names. Domains with names that do not parse are left out."""
    parsed: dict[str, names.Domain] = {}
    for key in dynamic.Domains:
        with suppress(names.DomainError):
            parsed[key] = names.parse_domain(key)
    reserved: dict[str, list[str]] = {key: [] for key in parsed}
    for key, options in dynamic.Domains.items():
        for target in (options.DMARC, options.TLSRPT):
            home = (target.Domain or key) if target is not None else ""
            if target is not None and home in reserved:
                with suppress(AddressError):
                    reserved[home].append(_report_localpart(target, dynamic.Domains[home].LocalpartCaseSensitive))
    entries = {}
    for key, name in parsed.items():
        options = dynamic.Domains[key]
        entry = DomainEntry(name, options, options.separators, tuple(reserved[key]))
        entries[name.ascii] = entries[name.name] = entry
    return entries


def account_address(key: str, account_domain: str) -> tuple[str, str]:
    """Localpart and domain of a key in Destinations; the localpart of a catch-all is empty.

    A key that is only a localpart, as old files have it, is completed with the account's domain. Raises AddressError.
    """
    if key.startswith("@"):
        return "", key[1:]
    try:
        return parse_localpart(key), account_domain
    except AddressError:
        address = parse_address(key)
        return address.localpart, address.domain.ascii


def postmaster_hosts(static: Static) -> frozenset[str]:
    """Host names, in both forms, at which postmaster is that of mox.conf."""
    hosts = [static.Hostname, *(o.Hostname for o in static.Listeners.values() if o.SMTP.Enabled and o.Hostname)]
    found: set[str] = set()
    for host in hosts:
        try:
            name = names.parse_domain(host)
        except names.DomainError:
            continue
        found |= {name.ascii, name.name}
    return frozenset(found)
