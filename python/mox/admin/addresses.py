"""Adding and removing addresses of accounts."""

from collections.abc import Callable

import msgspec

from mox.admin.context import Admin, RequestError, logger, need_address, need_domain
from mox.admin.edits import edit_account
from mox.config.addresses import Address, AddressError, parse_address
from mox.config.live import Config
from mox.config.model import Account, Destination, Domain, Dynamic
from mox.config.tables import DomainEntry, canonical_address
from mox.outbound.listing import MESSAGES, Filter
from mox.store import tlskeys


def check_available(config: Config, address: Address) -> None:
    """Raises RequestError if the address cannot be given to anyone."""
    entry = config.domain(address.domain.ascii)
    if entry is None:
        raise RequestError(f"domain {address.domain.name!r} is not configured")
    for separator in entry.separators:
        if separator in address.localpart:
            raise RequestError(f"localpart holds {separator!r}, a catchall separator of the domain")
    canonical = canonical_address(entry, address.localpart)
    found = config.tables.destinations.get(canonical)
    if found is not None:
        raise RequestError(f"address {canonical} is present already, in account {found.account!r}")
    if canonical in config.tables.aliases:
        raise RequestError(f"address {canonical} is an alias")


async def add_address(admin: Admin, text: str, account: str) -> None:
    """Give an account one more address; `@domain` is its catch-all. Raises RequestError, ConfigError, OSError."""
    if account not in admin.config.dynamic.Accounts:
        raise RequestError(f"no such account {account!r}")
    if text.startswith("@"):
        domain = need_domain(text[1:])
        key = f"@{domain.name}"
        if admin.config.domain(domain.ascii) is None:
            raise RequestError(f"domain {domain.name!r} is not configured")
        if key in admin.config.tables.destinations:
            raise RequestError(f"domain {domain.name!r} has a catchall address already")
    else:
        address = need_address(text)
        check_available(admin.config, address)
        key = str(address)
    await admin.change(edit_account(account, lambda a: _with_destination(a, key)))
    logger.info("address added", address=key, account=account)


def _with_destination(account: Account, key: str) -> Account:
    return msgspec.structs.replace(account, Destinations={**account.Destinations, key: Destination()})


async def remove_address(admin: Admin, text: str) -> None:
    """Take an address, written as in the configuration, from its account. Raises RequestError, ConfigError, OSError."""
    key = text if text.startswith("@") else str(need_address(text))
    owner = next((name for name, a in admin.config.dynamic.Accounts.items() if key in a.Destinations), None)
    if owner is None:
        raise RequestError(f"address {key!r} is not an address of an account")
    await _refuse_keys(admin, owner, key)
    await _refuse_queued(admin, owner, key)
    await admin.change(_removal(owner, key))
    logger.info("address removed", address=key, account=owner)


async def _refuse_keys(admin: Admin, owner: str, key: str) -> None:
    for found in await admin.store.read_auth(lambda tx: tlskeys.list_keys(tx, owner)):
        if found.login_address == key:
            raise RequestError(f"TLS public key {found.fingerprint} has this login address; remove it first")


async def _refuse_queued(admin: Admin, owner: str, key: str) -> None:
    """Refuse while a message waits in the queue whose sender would not be an address of the account any more."""
    own = set(admin.config.account(owner).Destinations) - {key}
    for message in await admin.queue.read(lambda tx: MESSAGES.select(tx, Filter(account=owner))):
        sender = message.sender
        entry = admin.config.domain(sender.domain)
        if entry is None:
            continue
        canonical = canonical_address(entry, sender.localpart)
        covering = {canonical, f"@{entry.name.name}"}
        if key in covering and not covering & own:
            raise RequestError(f"message {message.id} of {canonical} is in the queue; deliver, fail or drop it first")


def _removal(owner: str, key: str) -> Callable[[Dynamic], Dynamic]:
    def change(dynamic: Dynamic) -> Dynamic:
        account = dynamic.Accounts.get(owner)
        if account is None or key not in account.Destinations:
            raise RequestError(f"address {key!r} is not an address of account {owner!r}")
        left = msgspec.structs.replace(
            account,
            Destinations={k: d for k, d in account.Destinations.items() if k != key},
            FromIDLoginAddresses=[a for a in account.FromIDLoginAddresses if not _is_covered(a, key)],
        )
        domains = {name: _without_member(name, domain, key) for name, domain in dynamic.Domains.items()}
        return msgspec.structs.replace(dynamic, Accounts={**dynamic.Accounts, owner: left}, Domains=domains)

    return change


def _is_covered(address: str, key: str) -> bool:
    """Whether `key`, an address or a catch-all, is what makes an address the account's."""
    try:
        parsed = parse_address(address)
    except AddressError:
        return False
    return str(parsed) == key or f"@{parsed.domain.name}" == key


def _without_member(name: str, domain: Domain, key: str) -> Domain:
    aliases = {}
    for localpart, alias in domain.Aliases.items():
        members = [member for member in alias.Addresses if member != key]
        if not members:
            raise RequestError(f"{key} is the last member of alias {localpart}@{name}; remove the alias first")
        aliases[localpart] = msgspec.structs.replace(alias, Addresses=members)
    return msgspec.structs.replace(domain, Aliases=aliases)


def domain_entry(config: Config, text: str) -> DomainEntry:
    """A configured domain. Raises RequestError."""
    entry = config.domain(need_domain(text).ascii)
    if entry is None:
        raise RequestError(f"no such domain {text!r}")
    return entry
