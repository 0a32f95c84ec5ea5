"""DKIM selectors of a domain: adding, removing, choosing which sign."""

import asyncio
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from mox.admin import dkimkeys
from mox.admin.addresses import domain_entry
from mox.admin.context import Admin, RequestError, logger, need_domain
from mox.admin.domains import put_keys_aside, save_domain
from mox.config import durations
from mox.config.model import CanonicalizationSection, DKIMSection, Domain, Selector


@dataclass(frozen=True, slots=True)
class NewSelector:
    """A selector to add. `algorithm`: rsa or ed25519; `hash`: sha256 or sha1; `headers` empty for the default."""

    algorithm: str
    hash: str = "sha256"
    header_relaxed: bool = True
    body_relaxed: bool = True
    seal: bool = True
    headers: Sequence[str] = ()
    lifetime: timedelta = timedelta()


async def add_selector(admin: Admin, text: str, name: str, new: NewSelector) -> None:
    """Make a key and a selector that does not sign yet. Raises RequestError, ConfigError, OSError."""
    selector = need_domain(name)
    if new.hash not in ("sha256", "sha1"):
        raise RequestError(f"unknown hash {new.hash!r}")
    if new.algorithm not in ("rsa", "ed25519"):
        raise RequestError(f"unknown algorithm {new.algorithm!r}; use rsa or ed25519")
    entry = domain_entry(admin.config, text)
    _refuse_present(entry.options, selector.name)
    kind: dkimkeys.Kind = "rsa" if new.algorithm == "rsa" else "ed25519"
    folder, now = admin.config.path.parent, datetime.datetime.now().astimezone()
    file = await asyncio.to_thread(dkimkeys.create, folder, entry.name, selector, kind, now)
    options = Selector(
        Hash=new.hash,
        Canonicalization=CanonicalizationSection(HeaderRelaxed=new.header_relaxed, BodyRelaxed=new.body_relaxed),
        Headers=list(new.headers),
        DontSealHeaders=not new.seal,
        Expiration=durations.render(new.lifetime) if new.lifetime else "",
        PrivateKeyFile=file,
    )

    def add(domain: Domain) -> Domain:
        _refuse_present(domain, selector.name)
        selectors = {**domain.DKIM.Selectors, selector.name: options}
        return msgspec.structs.replace(domain, DKIM=msgspec.structs.replace(domain.DKIM, Selectors=selectors))

    try:
        await save_domain(admin, text, add)
    except BaseException:
        dkimkeys.remove(folder, [file])
        raise
    logger.info("dkim selector added", domain=entry.name.name, selector=selector.name)


def _refuse_present(domain: Domain, selector: str) -> None:
    if selector in domain.DKIM.Selectors:
        raise RequestError(f"selector {selector!r} is present already")


async def remove_selector(admin: Admin, text: str, name: str) -> None:
    """Remove a selector; its key is put aside. Raises RequestError, ConfigError, OSError."""
    entry = domain_entry(admin.config, text)
    selector = need_domain(name).name

    def remove(domain: Domain) -> Domain:
        if selector not in domain.DKIM.Selectors:
            raise RequestError(f"no such selector {selector!r}")
        left = {key: options for key, options in domain.DKIM.Selectors.items() if key != selector}
        sign = [key for key in domain.DKIM.Sign if key != selector]
        return msgspec.structs.replace(domain, DKIM=DKIMSection(Selectors=left, Sign=sign))

    files = [options.PrivateKeyFile for key, options in entry.options.DKIM.Selectors.items() if key == selector]
    await save_domain(admin, text, remove)
    await put_keys_aside(admin, files, admin.config.dynamic)
    logger.info("dkim selector removed", domain=entry.name.name, selector=selector)


async def save_selectors(admin: Admin, text: str, selectors: Mapping[str, Selector], sign: Sequence[str]) -> None:
    """Change options of the selectors, all of which must be given, and which of them sign; keys stay.

    Raises RequestError, ConfigError, OSError.
    """

    def save(domain: Domain) -> Domain:
        present = domain.DKIM.Selectors
        if set(selectors) != set(present):
            raise RequestError("the selectors are not those of the domain; add and remove them on their own")
        unknown = [name for name in sign if name not in present]
        if unknown:
            raise RequestError(f"no such selector {unknown[0]!r}")
        changed = {name: _kept(present[name], options) for name, options in selectors.items()}
        return msgspec.structs.replace(domain, DKIM=DKIMSection(Selectors=changed, Sign=list(sign)))

    await save_domain(admin, text, save)


def _kept(old: Selector, new: Selector) -> Selector:
    headers = old.Headers if tuple(new.Headers) == old.headers else new.Headers
    return msgspec.structs.replace(new, PrivateKeyFile=old.PrivateKeyFile, Headers=headers)
