"""Checking a whole configuration, and building its tables."""

import unicodedata
from pathlib import Path

import msgspec

from mox.config.account import Account
from mox.config.addresses import AddressError, parse_localpart, render_localpart
from mox.config.addressing import build_tables
from mox.config.check_accounts import check_accounts
from mox.config.check_domains import check_domains
from mox.config.check_web import check_webserver
from mox.config.model import Dynamic, Static
from mox.config.problems import Problems
from mox.config.routing import compile_routes
from mox.config.tables import Tables
from mox.config.values import check_domain, check_nfc, check_unique


class ConfigError(Exception):
    """The configuration cannot be used; the text has one problem a line."""


def check_dynamic(static: Static, dynamic: Dynamic, folder: Path) -> tuple[Tables, list[str]]:
    """The tables and the warnings of domains.conf in `folder`; mox.conf was checked. Raises ConfigError."""
    problems = Problems()
    for where, target in (("Postmaster", static.Postmaster), ("HostTLSRPT", static.HostTLSRPT)):
        if target is None:
            continue
        if target.Account not in dynamic.Accounts:
            problems.add(f"{where}.Account", f"there is no account {target.Account!r} in domains.conf")
        check_nfc(f"{where}.Mailbox", target.Mailbox, problems)
    tables = build_tables(static, dynamic, problems)
    tables.global_routes = compile_routes("Routes", dynamic.Routes, static.Transports, problems)
    check_domains(static, dynamic, folder, tables, problems)
    check_accounts(static, dynamic, tables, problems)
    check_webserver(static, dynamic, tables, problems)
    for zone in dynamic.MonitorDNSBLs:
        check_domain("MonitorDNSBLs", zone, problems)
    check_unique("MonitorDNSBLs", dynamic.MonitorDNSBLs, problems)
    if problems.texts:
        raise ConfigError("\n".join(problems.texts))
    return tables, problems.warnings


def complete_addresses(dynamic: Dynamic) -> Dynamic:
    """Old files name destinations by localpart alone: with the account's domain they are addresses."""
    accounts = {name: _completed(account) for name, account in dynamic.Accounts.items()}
    if all(accounts[name] is account for name, account in dynamic.Accounts.items()):
        return dynamic
    return msgspec.structs.replace(dynamic, Accounts=accounts)


def _completed(account: Account) -> Account:
    keys = {key: _address_key(key, account.Domain) for key in account.Destinations}
    if all(key == full for key, full in keys.items()) or len(set(keys.values())) != len(keys):
        return account
    return msgspec.structs.replace(
        account, Destinations={keys[key]: destination for key, destination in account.Destinations.items()}
    )


def _address_key(key: str, domain: str) -> str:
    try:
        localpart = parse_localpart(key)
    except AddressError:
        return key
    return f"{render_localpart(unicodedata.normalize('NFC', localpart))}@{domain}"
