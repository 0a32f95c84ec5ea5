"""Aliases: addresses that stand for several others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from mox.admin.addresses import domain_entry
from mox.admin.context import Admin, RequestError, logger, need_address
from mox.admin.edits import edit_domain
from mox.config.addresses import AddressError, parse_localpart
from mox.config.model import Alias, Domain
from mox.config.tables import DomainEntry


@dataclass(frozen=True, slots=True)
class AliasOptions:
    """What is to change; None stays as it is."""

    post_public: bool | None = None
    list_members: bool | None = None
    allow_msg_from: bool | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an alias is in the configuration: its domain and its key there, which may be written in another case."""

    domain: str
    key: str
    address: str


def _locate(admin: Admin, text: str) -> tuple[_Place, bool]:
    """The place of an alias by its address, and whether it is there. Raises RequestError."""
    address = need_address(text)
    entry = domain_entry(admin.config, address.domain.ascii)
    wanted = entry.canonical_localpart(address.localpart)
    for key in entry.options.Aliases:
        if _canonical(entry, key) == wanted:
            return _Place(entry.name.name, key, str(address)), True
    return _Place(entry.name.name, str(address).rpartition("@")[0], str(address)), False


def _canonical(entry: DomainEntry, key: str) -> str:
    try:
        return entry.canonical_localpart(parse_localpart(key))
    except AddressError:
        return key


def find_alias(admin: Admin, text: str) -> Alias:
    """Raises RequestError."""
    place, is_there = _locate(admin, text)
    if not is_there:
        raise RequestError(f"no such alias {place.address!r}")
    return admin.config.dynamic.Domains[place.domain].Aliases[place.key]


def list_aliases(admin: Admin, domain: str) -> list[str]:
    """Addresses of the aliases of a domain, sorted. Raises RequestError."""
    entry = domain_entry(admin.config, domain)
    return sorted(f"{key}@{entry.name.name}" for key in entry.options.Aliases)


async def add_alias(admin: Admin, text: str, alias: Alias) -> None:
    """Raises RequestError, ConfigError (members that are no addresses), OSError."""
    place, is_there = _locate(admin, text)
    if is_there:
        raise RequestError(f"alias {place.address!r} is present already")
    if not alias.Addresses:
        raise RequestError("an alias needs at least one member")

    def add(domain: Domain) -> Domain:
        return msgspec.structs.replace(domain, Aliases={**domain.Aliases, place.key: alias})

    await admin.change(edit_domain(place.domain, add))
    logger.info("alias added", alias=place.address)


async def _edit(admin: Admin, text: str, edit: Callable[[Alias], Alias | None]) -> None:
    """Change an alias, or remove it when `edit` gives None."""
    place, is_there = _locate(admin, text)
    if not is_there:
        raise RequestError(f"no such alias {place.address!r}")

    def change(domain: Domain) -> Domain:
        if place.key not in domain.Aliases:
            raise RequestError(f"no such alias {place.address!r}")
        edited = edit(domain.Aliases[place.key])
        others = {key: alias for key, alias in domain.Aliases.items() if key != place.key}
        aliases = others if edited is None else {**others, place.key: edited}
        return msgspec.structs.replace(domain, Aliases=aliases)

    await admin.change(edit_domain(place.domain, change))


async def update_alias(admin: Admin, text: str, options: AliasOptions) -> None:
    """Raises RequestError, ConfigError, OSError."""

    def update(alias: Alias) -> Alias:
        return msgspec.structs.replace(
            alias,
            PostPublic=alias.PostPublic if options.post_public is None else options.post_public,
            ListMembers=alias.ListMembers if options.list_members is None else options.list_members,
            AllowMsgFrom=alias.AllowMsgFrom if options.allow_msg_from is None else options.allow_msg_from,
        )

    await _edit(admin, text, update)
    logger.info("alias updated", alias=text)


async def remove_alias(admin: Admin, text: str) -> None:
    """Raises RequestError, ConfigError, OSError."""
    await _edit(admin, text, lambda _alias: None)
    logger.info("alias removed", alias=text)


async def add_members(admin: Admin, text: str, members: Sequence[str]) -> None:
    """Raises RequestError, ConfigError, OSError."""
    if not members:
        raise RequestError("at least one address is needed")
    await _edit(admin, text, lambda a: msgspec.structs.replace(a, Addresses=[*a.Addresses, *members]))
    logger.info("alias members added", alias=text, members=len(members))


async def remove_members(admin: Admin, text: str, members: Sequence[str]) -> None:
    """Raises RequestError, ConfigError, OSError."""
    if not members:
        raise RequestError("at least one address is needed")

    def remove(alias: Alias) -> Alias:
        unknown = [member for member in members if member not in alias.Addresses]
        if unknown:
            raise RequestError(f"address not found: {', '.join(unknown)}")
        left = [member for member in alias.Addresses if member not in members]
        if not left:
            raise RequestError("an alias needs at least one member; remove the alias instead")
        return msgspec.structs.replace(alias, Addresses=left)

    await _edit(admin, text, remove)
    logger.info("alias members removed", alias=text, members=len(members))
