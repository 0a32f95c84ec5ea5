"""The configuration in force."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from mox.config import sconf
from mox.config.account import Account
from mox.config.addressing import Problems, build_tables
from mox.config.model import Dynamic, Static
from mox.config.tables import DomainDisabled, DomainEntry, Found, LookupFailed, Tables
from mox.log import LEVELS
from mox.net.tls import ServerTls

T = TypeVar("T", bound=msgspec.Struct)


class ConfigError(Exception):
    """The configuration cannot be used; the text has one problem a line."""


class Config:
    """Both files, checked, with look-ups. `dynamic` and the tables are replaced together, never changed."""

    def __init__(self, path: Path, static: Static, dynamic: Dynamic) -> None:
        """Raises ConfigError."""
        self.path = path
        self.static = static
        self.data_dir = (path.parent / static.DataDir).resolve()
        # localserve takes mail for every address and delivers it to this account.
        self.everything_to = "mox" if static.Hostname == "localhost" else ""
        self._state = dynamic, check(static, dynamic)

    @classmethod
    def load(cls, path: Path) -> "Config":
        """Read mox.conf at `path` and domains.conf beside it. Raises ConfigError."""
        static = read_file(Static, path)
        return cls(path, static, read_file(Dynamic, path.with_name("domains.conf")))

    @property
    def dynamic(self) -> Dynamic:
        """domains.conf as it is in force; a snapshot that nobody changes."""
        return self._state[0]

    @property
    def tables(self) -> Tables:
        """The look-up tables of `dynamic`."""
        return self._state[1]

    def lookup(
        self,
        localpart: str,
        domain: str,
        *,
        allow_postmaster: bool = False,
        allow_alias: bool = False,
        check_disabled: bool = False,
    ) -> Found:
        """Where an address leads; `localpart` is decoded, `domain` in either form. Raises DomainNotFound,
        DomainDisabled (only with `check_disabled`), AddressNotFound."""
        return self.tables.lookup(
            localpart,
            domain,
            allow_postmaster=allow_postmaster,
            allow_alias=allow_alias,
            check_disabled=check_disabled,
        )

    def lookup_address(self, localpart: str, domain: str) -> Found | None:
        """The account of an address, for log-ins: no postmaster, no aliases; None when there is none."""
        try:
            return self.lookup(localpart, domain)
        except LookupFailed:
            return None

    def may_use_from(self, account: str, localpart: str, domain: str) -> bool:
        """Whether the account may send mail with this address: its own, or that of an alias that allows its members.

        Raises DomainDisabled.
        """
        try:
            found = self.lookup(localpart, domain, allow_alias=True, check_disabled=True)
        except DomainDisabled:
            raise
        except LookupFailed:
            return False
        if found.alias is None:
            return found.account == account
        subscriptions = self.tables.subscriptions.get(account, ())
        return found.alias.AllowMsgFrom and any(s.alias == found.canonical for s in subscriptions)

    def account(self, name: str) -> Account:
        """Raises KeyError."""
        return self.dynamic.Accounts[name]

    def domain(self, name: str) -> DomainEntry | None:
        """A domain by its name in either form: its parsed name, its options, and what follows from them."""
        return self.tables.domain(name)

    def hostname(self, listener: str) -> str:
        """The name in greetings."""
        return self.static.Listeners[listener].Hostname or self.static.Hostname

    def server_tls(self, listener: str, alpn: Sequence[bytes] = ()) -> ServerTls | None:
        """Certificates of a listener, with the protocols to choose from by ALPN. Raises ConfigError for files that
        cannot be read."""
        tls = self.static.Listeners[listener].TLS
        if tls is None or not tls.KeyCerts:
            return None
        folder = self.path.parent
        try:
            keys = [((folder / k.CertFile).read_bytes(), (folder / k.KeyFile).read_bytes()) for k in tls.KeyCerts]
        except OSError as err:
            raise ConfigError(f"TLS of listener {listener}: {err}") from err
        return ServerTls(keys, alpn)


def read_file(kind: type[T], path: Path) -> T:
    """A configuration file. Raises ConfigError."""
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"reading {path}: {err}; name the configuration with --config or in $MOXCONF") from err
    try:
        return sconf.parse(kind, text, str(path))
    except sconf.SconfError as err:
        raise ConfigError(str(err)) from err


def check(static: Static, dynamic: Dynamic) -> Tables:
    """The tables of a configuration without problems. Raises ConfigError with all problems."""
    problems = Problems()
    _check_static(static, problems)
    if static.Postmaster.Account not in dynamic.Accounts:
        problems.add("Postmaster.Account", f"there is no account {static.Postmaster.Account!r}")
    tables = build_tables(static, dynamic, problems)
    if problems.texts:
        raise ConfigError("\n".join(problems.texts))
    return tables


def _check_static(static: Static, problems: Problems) -> None:
    if static.LogLevel not in LEVELS:
        problems.add("LogLevel", f"unknown level {static.LogLevel!r}; known are {', '.join(LEVELS)}")
    for name, listener in static.Listeners.items():
        needs = [option for option in ("Submissions", "IMAPS") if getattr(listener, option).Enabled]
        if needs and not (listener.TLS and listener.TLS.KeyCerts):
            problems.add(f"Listeners.{name}", f"{needs[0]} needs TLS.KeyCerts")
