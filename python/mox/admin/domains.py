"""Adding, removing and changing domains."""

import asyncio
import datetime
from collections.abc import Callable

import msgspec

from mox.admin import dkimkeys
from mox.admin.accounts import refuse_folder
from mox.admin.addresses import domain_entry
from mox.admin.context import Admin, RequestError, logger, need_address, need_domain
from mox.admin.edits import edit_domain
from mox.config.addresses import AddressError, parse_localpart, render_localpart
from mox.config.defaults import new_account, new_domain, selector_names
from mox.config.model import Destination, Domain, Dynamic, MTASTSSection, ReportAddress
from mox.config.tables import DomainEntry
from mox.dns import names
from mox.store import tlskeys


async def add_domain(
    admin: Admin, text: str, account: str, localpart: str = "", *, is_disabled: bool = False
) -> names.Domain:
    """Add a domain with new DKIM keys. An account that does not exist is made, with address `localpart` at the domain;
    an existing one takes no localpart. Raises RequestError, ConfigError, OSError."""
    domain = need_domain(text)
    dynamic = admin.config.dynamic
    if domain.name in dynamic.Domains:
        raise RequestError(f"domain {domain.name!r} is present already")
    if not account:
        raise RequestError("the name of the account is empty")
    if account in dynamic.Accounts and localpart:
        raise RequestError(f"account {account!r} exists; leave out the localpart, or name a new account")
    if account not in dynamic.Accounts:
        if not localpart:
            raise RequestError(f"account {account!r} does not exist; give a localpart to make it, or name another")
        refuse_folder(admin, account)
    address = _first_address(domain, localpart)
    now = datetime.datetime.now().astimezone()
    folder = admin.config.path.parent
    files: dict[str, str] = {}
    try:
        for name in selector_names(now):
            selector = names.parse_domain(name)
            files[name] = await asyncio.to_thread(dkimkeys.create, folder, domain, selector, "rsa", now)
        await admin.change(_addition(admin, domain, account, address, files, now, is_disabled))
    except BaseException:
        dkimkeys.remove(folder, files.values())
        raise
    logger.info("domain added", domain=domain.name, account=account)
    return domain


def _first_address(domain: names.Domain, localpart: str) -> str:
    if not localpart:
        return f"postmaster@{domain.name}"
    try:
        return f"{render_localpart(parse_localpart(localpart))}@{domain.name}"
    except AddressError as err:
        raise RequestError(str(err)) from err


def _addition(
    admin: Admin,
    domain: names.Domain,
    account: str,
    address: str,
    files: dict[str, str],
    now: datetime.datetime,
    is_disabled: bool,
) -> Callable[[Dynamic], Dynamic]:
    static = admin.config.static
    has_mtasts = any(listener.MTASTSHTTPS.Enabled for listener in static.Listeners.values())
    host = names.parse_domain(static.Hostname)
    options = new_domain(domain, account, host, files, now, is_disabled=is_disabled, has_mtasts=has_mtasts)

    def change(dynamic: Dynamic) -> Dynamic:
        if domain.name in dynamic.Domains:
            raise RequestError(f"domain {domain.name!r} is present already")
        accounts = dict(dynamic.Accounts)
        existing = accounts.get(account)
        if existing is None:
            accounts[account] = new_account(need_address(address))
        elif account != static.Postmaster.Account:
            # The postmaster account gets this mail anyway.
            destinations = {**existing.Destinations, address: Destination()}
            accounts[account] = msgspec.structs.replace(existing, Destinations=destinations)
        domains = {**dynamic.Domains, domain.name: options}
        return msgspec.structs.replace(dynamic, Domains=domains, Accounts=accounts)

    return change


async def remove_domain(admin: Admin, text: str) -> None:
    """Remove a domain that no account has an address at. Its DKIM keys are put aside, its accounts stay.

    Raises RequestError, ConfigError, OSError.
    """
    entry = domain_entry(admin.config, text)
    name = entry.name.name
    for key in await admin.store.read_auth(tlskeys.list_keys):
        if key.login_address.rpartition("@")[2] == name:
            raise RequestError(
                f"TLS public key {key.fingerprint} has login address {key.login_address} at the domain; remove it first"
            )

    def remove(dynamic: Dynamic) -> Dynamic:
        if name not in dynamic.Domains:
            raise RequestError(f"no such domain {name!r}")
        domains = {key: options for key, options in dynamic.Domains.items() if key != name}
        return msgspec.structs.replace(dynamic, Domains=domains)

    files = [selector.PrivateKeyFile for selector in entry.options.DKIM.Selectors.values()]
    left = await admin.change(remove)
    await put_keys_aside(admin, files, left)
    logger.info("domain removed", domain=name)


async def put_keys_aside(admin: Admin, files: list[str], left: Dynamic) -> None:
    """Move key files that are not used any more to `old/`; failures are only logged, since the change is made."""
    for failure in await asyncio.to_thread(dkimkeys.retire, admin.config.path.parent, files, left):
        logger.error("key file of a removed selector stays", err=failure)


async def save_domain(admin: Admin, text: str, edit: Callable[[Domain], Domain]) -> None:
    """Any change of one domain. Raises RequestError, ConfigError, OSError."""
    entry = domain_entry(admin.config, text)
    await admin.change(edit_domain(entry.name.name, edit))
    logger.info("domain changed", domain=entry.name.name)


async def disable_domain(admin: Admin, text: str, is_disabled: bool) -> None:
    """Refuse mail for and from a domain, or accept it again. Raises RequestError, ConfigError, OSError."""
    await save_domain(admin, text, lambda domain: msgspec.structs.replace(domain, Disabled=is_disabled))


async def save_localparts(admin: Admin, text: str, separators: list[str], is_case_sensitive: bool) -> None:
    """Set how localparts of a domain are read. Raises RequestError, ConfigError, OSError."""
    entry = domain_entry(admin.config, text)
    for reserved in entry.report_localparts:
        for separator in separators:
            if separator in reserved and not any(old in reserved for old in entry.separators):
                raise RequestError(f"report address {reserved!r} holds the separator {separator!r}; change it first")
    single = separators[0] if len(separators) == 1 else ""

    def edit(domain: Domain) -> Domain:
        return msgspec.structs.replace(
            domain,
            LocalpartCatchallSeparator=single,
            LocalpartCatchallSeparators=[] if single else separators,
            LocalpartCaseSensitive=is_case_sensitive,
        )

    await save_domain(admin, text, edit)


async def save_dmarc_address(admin: Admin, text: str, target: ReportAddress | None) -> None:
    """Set where DMARC reports go; None for nowhere. Raises RequestError, ConfigError, OSError."""
    entry = domain_entry(admin.config, text)
    _check_report_localpart(entry, entry.options.DMARC, target)
    await save_domain(admin, text, lambda domain: msgspec.structs.replace(domain, DMARC=target))


async def save_tlsrpt_address(admin: Admin, text: str, target: ReportAddress | None) -> None:
    """Set where TLS reports go; None for nowhere. Raises RequestError, ConfigError, OSError."""
    entry = domain_entry(admin.config, text)
    _check_report_localpart(entry, entry.options.TLSRPT, target)
    await save_domain(admin, text, lambda domain: msgspec.structs.replace(domain, TLSRPT=target))


def _check_report_localpart(entry: DomainEntry, old: ReportAddress | None, new: ReportAddress | None) -> None:
    if new is None or (old is not None and old.Localpart == new.Localpart):
        return
    for separator in entry.separators:
        if separator in new.Localpart:
            raise RequestError(f"localpart {new.Localpart!r} holds {separator!r}, a catchall separator of the domain")


async def save_mtasts(admin: Admin, text: str, policy: MTASTSSection | None) -> None:
    """Set the MTA-STS policy; None for none. Raises RequestError, ConfigError, OSError."""
    await save_domain(admin, text, lambda domain: msgspec.structs.replace(domain, MTASTS=policy))
