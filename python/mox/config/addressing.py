"""Building the address tables from the configuration, with every problem that shows on the way."""

from dataclasses import replace

from mox.config.account import Account, Destination
from mox.config.addresses import AddressError, parse_address, parse_localpart, render_localpart
from mox.config.domain import Alias, ReportAddress
from mox.config.model import Dynamic, Static
from mox.config.problems import Problems
from mox.config.rules import compile_ruleset
from mox.config.tables import (
    DomainEntry,
    Found,
    Reports,
    Subscription,
    Tables,
    account_address,
    canonical_address,
    domain_entries,
    postmaster_hosts,
)
from mox.dns import names


def build_tables(static: Static, dynamic: Dynamic, problems: Problems) -> Tables:
    """The tables; they are complete only if no problem was added."""
    tables = Tables(domains=domain_entries(dynamic), postmaster_hosts=postmaster_hosts(static))
    target = static.Postmaster
    if target.Account in dynamic.Accounts:
        tables.postmaster = Found(target.Account, Destination(Mailbox=target.Mailbox), "postmaster")
    _host_reports(static, dynamic, tables)
    for name, account in dynamic.Accounts.items():
        _add_account(tables, name, account, problems)
    _add_report_addresses(tables, dynamic, problems)
    _mark_reports_only(tables)
    for key, domain in dynamic.Domains.items():
        for localpart, alias in domain.Aliases.items():
            _add_alias(tables, key, localpart, alias, problems)
    return tables


def _host_reports(static: Static, dynamic: Dynamic, tables: Tables) -> None:
    target = static.HostTLSRPT
    if target is None or target.Account not in dynamic.Accounts:
        return
    try:
        localpart, host = parse_localpart(target.Localpart), names.parse_domain(static.Hostname)
    except (AddressError, names.DomainError):
        return
    address = f"{localpart}@{host.name}"
    destination = Destination(Mailbox=target.Mailbox)
    tables.host_reports = (
        f"{localpart}@{host.ascii}",
        Found(target.Account, destination, address, localpart=localpart, reports=Reports.HOST_TLS),
    )


def _add_account(tables: Tables, name: str, account: Account, problems: Problems) -> None:
    where = f"Accounts.{name}.Destinations"
    for key, destination in account.Destinations.items():
        try:
            localpart, domain = account_address(key, account.Domain)
            entry = tables.domain(names.parse_domain(domain).ascii)
        except (AddressError, names.DomainError) as err:
            problems.add(where, f"{key!r}: {err}")
            continue
        if entry is None:
            problems.add(where, f"the domain of {key!r} is not in Domains")
        else:
            _add_destination(tables, name, where, key, localpart, entry, destination, problems)


def _add_destination(
    tables: Tables,
    name: str,
    where: str,
    key: str,
    localpart: str,
    entry: DomainEntry,
    destination: Destination,
    problems: Problems,
) -> None:
    separator = next((s for s in entry.separators if s and s in localpart), None)
    if separator is not None:
        problems.add(where, f"{key!r} holds {separator!r}, a catchall separator of its domain")
        return
    is_catchall = key.startswith("@")
    canonical = f"@{entry.name.name}" if is_catchall else canonical_address(entry, localpart)
    other = tables.destinations.get(canonical)
    if other is not None:
        problems.add(where, f"{key!r} belongs to account {other.account!r} already, as {canonical!r}")
        return
    rulesets = tuple(
        compile_ruleset(f"{where}.{key}.Rulesets.{number}", ruleset, problems)
        for number, ruleset in enumerate(destination.Rulesets)
    )
    tables.destinations[canonical] = Found(
        name, destination, canonical, is_catchall=is_catchall, localpart=localpart, rulesets=rulesets
    )


def _add_report_addresses(tables: Tables, dynamic: Dynamic, problems: Problems) -> None:
    for key, domain in dynamic.Domains.items():
        for option, target, kind in (
            ("DMARC", domain.DMARC, Reports.DMARC),
            ("TLSRPT", domain.TLSRPT, Reports.TLS),
        ):
            if target is not None:
                _add_report_address(
                    tables, dynamic, f"Domains.{key}.{option}", target, target.Domain or key, kind, problems
                )


def _add_report_address(
    tables: Tables,
    dynamic: Dynamic,
    where: str,
    target: ReportAddress,
    domain: str,
    kind: Reports,
    problems: Problems,
) -> None:
    if target.Account not in dynamic.Accounts:
        problems.add(where, f"Account: there is no account {target.Account!r}")
        return
    try:
        localpart = parse_localpart(target.Localpart)
        entry = tables.domain(names.parse_domain(domain).ascii)
    except (AddressError, names.DomainError) as err:
        problems.add(where, str(err))
        return
    if not localpart.isascii():
        problems.add(where, f"Localpart: {localpart!r} is not ASCII, which many senders of reports need")
    if entry is None:
        problems.add(where, f"Domain: {domain!r} is not in Domains")
        return
    localpart = localpart if entry.options.LocalpartCaseSensitive else localpart.lower()
    canonical = f"{render_localpart(localpart)}@{entry.name.name}"
    found = tables.destinations.get(canonical)
    if found is not None and found.reports and found.account == target.Account:
        # One address for both kinds of reports: its mailbox is that of the first.
        tables.destinations[canonical] = replace(found, reports=found.reports | kind)
        return
    destination = Destination(Mailbox=target.Mailbox)
    tables.destinations[canonical] = Found(target.Account, destination, canonical, localpart=localpart, reports=kind)


def _mark_reports_only(tables: Tables) -> None:
    """A domain without any address of its own takes no mail: it only stands in reports of other domains."""
    used = {found.canonical.rpartition("@")[2] for found in tables.destinations.values()}
    for key, entry in list(tables.domains.items()):
        if entry.name.name not in used:
            tables.domains[key] = replace(entry, is_reports_only=True)


def _add_alias(tables: Tables, domain: str, key: str, alias: Alias, problems: Problems) -> None:
    where = f"Domains.{domain}.Aliases.{key}"
    entry = tables.domain(domain)
    if entry is None:
        return
    try:
        localpart = parse_localpart(key)
    except AddressError as err:
        problems.add(where, str(err))
        return
    if any(separator and separator in localpart for separator in entry.separators):
        problems.add(where, "the localpart holds a catchall separator of the domain")
        return
    canonical = canonical_address(entry, localpart)
    if canonical in tables.aliases:
        problems.add(where, f"there is an alias {canonical!r} already")
        return
    if canonical in tables.destinations:
        problems.add(
            where, f"{canonical!r} is an address of account {tables.destinations[canonical].account!r} already"
        )
        return
    tables.aliases[canonical] = Found("", Destination(), canonical, alias=alias, localpart=localpart)
    _add_members(tables, where, canonical, alias, problems)


def _add_members(tables: Tables, where: str, canonical: str, alias: Alias, problems: Problems) -> None:
    if not alias.Addresses:
        problems.add(where, "Addresses: an alias needs at least one member")
    members = tuple(alias.Addresses) if alias.ListMembers else ()
    seen: set[str] = set()
    for text in alias.Addresses:
        try:
            member = str(parse_address(text))
        except AddressError as err:
            problems.add(where, f"Addresses: {err}")
            continue
        found = tables.destinations.get(member)
        if found is None or found.is_catchall:
            problems.add(where, f"Addresses: {text!r} is not an address of an account")
        elif member in seen:
            problems.add(where, f"Addresses: {text!r} is there twice")
        else:
            seen.add(member)
            subscription = Subscription(canonical, member, alias, members)
            tables.subscriptions[found.account] = (*tables.subscriptions.get(found.account, ()), subscription)
