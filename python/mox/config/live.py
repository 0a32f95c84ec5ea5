"""The configuration in force: look-ups, following the file when it changes, and changing it.

Everything that comes from domains.conf is replaced as a whole, so readers in any thread see one state or the other.
mox.conf is read once.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mox import log
from mox._rust import TlsError, TlsKnownKeys, TlsTicketKeys
from mox.config import files, sconf_write
from mox.config.account import Account
from mox.config.check_static import check_static
from mox.config.checking import ConfigError, check_dynamic, complete_addresses
from mox.config.model import Dynamic, Static
from mox.config.problems import Problems
from mox.config.routing import CompiledRoute
from mox.config.sconf import SconfError
from mox.config.tables import DomainDisabled, DomainEntry, Found, LookupFailed, Tables
from mox.net.tls import ServerTls

__all__ = ["Config", "ConfigError"]

RELOAD_INTERVAL_S = 1.0

_logger = log.get("config")

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _State:
    """What was read from one version of domains.conf."""

    text: str
    stamp: _Stamp
    dynamic: Dynamic
    tables: Tables


class Config:
    """Both files, checked. Take `dynamic` and `tables` anew after every await; what they hold is never changed."""

    def __init__(self, path: Path, static: Static, state: _State) -> None:
        self.path = path
        self.static = static
        self.data_dir = (path.parent / static.DataDir).resolve()
        # localserve takes mail for every address and delivers it to this account.
        self.everything_to = "mox" if static.Hostname == "localhost" else ""
        self.reload_error = ""
        self._state = state
        self._broken: _Stamp | None = None
        self._lock = threading.Lock()
        self._on_change: list[Callable[[], None]] = []

    @classmethod
    def load(cls, path: Path) -> "Config":
        """Read mox.conf at `path` and domains.conf beside it. Raises ConfigError with every problem of both."""
        static = files.parse_text(Static, files.read_text(path), path)
        problems = Problems()
        check_static(static, path.parent, problems)
        if problems.texts:
            raise ConfigError("\n".join(problems.texts))
        state, warnings = _read(static, path.with_name("domains.conf"))
        for warning in (*problems.warnings, *warnings):
            _logger.warning("configuration", problem=warning)
        return cls(path, static, state)

    @property
    def dynamic_path(self) -> Path:
        """domains.conf"""
        return self.path.with_name("domains.conf")

    @property
    def dynamic(self) -> Dynamic:
        """domains.conf as it is in force; a snapshot that nobody changes."""
        return self._state.dynamic

    @property
    def tables(self) -> Tables:
        """The look-up tables of `dynamic`."""
        return self._state.tables

    # --- looking up ---

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
        tables = self.tables
        try:
            found = tables.lookup(localpart, domain, allow_postmaster=False, allow_alias=True, check_disabled=True)
        except DomainDisabled:
            raise
        except LookupFailed:
            return False
        if found.alias is None:
            return found.account == account
        subscriptions = tables.subscriptions.get(account, ())
        return found.alias.AllowMsgFrom and any(s.alias == found.canonical for s in subscriptions)

    def account(self, name: str) -> Account:
        """Raises KeyError."""
        return self.dynamic.Accounts[name]

    def domain(self, name: str) -> DomainEntry | None:
        """A domain by its name in either form: its parsed name, its options, and what follows from them."""
        return self.tables.domain(name)

    def route(self, account: str, from_domain: str, to_domain: str, attempts: int) -> CompiledRoute | None:
        """The route of a message, None for direct delivery; see `Tables.route`."""
        return self.tables.route(account, from_domain, to_domain, attempts)

    def hostname(self, listener: str) -> str:
        """The name in greetings."""
        return self.static.Listeners[listener].Hostname or self.static.Hostname

    def quota(self, account: str) -> int:
        """Bytes that all messages of an account may take; 0 for no limit. Raises KeyError."""
        own = self.account(account).QuotaMessageSize
        return max(own or self.static.QuotaMessageSize, 0)

    def server_tls(
        self,
        listener: str,
        alpn: Sequence[bytes] = (),
        tickets: TlsTicketKeys | None = None,
        client_keys: TlsKnownKeys | None = None,
    ) -> ServerTls | None:
        """Certificates of a listener, with the protocols to choose from by ALPN; with `client_keys`, clients are asked
        for a certificate unless the listener forbids it. Raises ConfigError for files that cannot be used."""
        tls = self.static.Listeners[listener].TLS
        if tls is None or not tls.KeyCerts:
            return None
        folder = self.path.parent
        try:
            keys = [((folder / k.CertFile).read_bytes(), (folder / k.KeyFile).read_bytes()) for k in tls.KeyCerts]
            asked = None if tls.ClientAuthDisabled else client_keys
            return ServerTls(keys, alpn, asked, tickets, tls13_only=tls.MinVersion == "TLSv1.3")
        except (OSError, TlsError) as err:
            named = ", ".join(f"{k.CertFile} with {k.KeyFile}" for k in tls.KeyCerts)
            raise ConfigError(f"TLS of listener {listener} ({named}): {err}") from err

    # --- following the file ---

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after each change, in the thread that read or made it."""
        self._on_change.append(callback)

    async def watch(self) -> None:
        """Follow domains.conf until cancelled: a change is in force within about a second."""
        while True:
            await asyncio.sleep(RELOAD_INTERVAL_S)
            await asyncio.to_thread(self.reload_if_changed)

    def reload_if_changed(self) -> None:
        """Read domains.conf if it is another file than before. A broken file is logged once, and the configuration
        stays as it is; `reload_error` holds the problems until the file is mended. Blocks."""
        with self._lock:
            try:
                self._follow()
            except ConfigError as err:
                self._note_broken(err)

    def _follow(self) -> None:
        stamp = _stamp(self.dynamic_path)
        if stamp == self._state.stamp:
            self._broken, self.reload_error = None, ""
            return
        if stamp == self._broken:
            return
        state, warnings = _read(self.static, self.dynamic_path)
        for warning in warnings:
            _logger.warning("configuration", problem=warning)
        _logger.info("domains config reloaded", path=str(self.dynamic_path))
        self._broken, self.reload_error = None, ""
        self._put_in_force(state)

    def _note_broken(self, err: ConfigError) -> None:
        self._broken, self.reload_error = _stamp(self.dynamic_path), str(err)
        for problem in self.reload_error.split("\n"):
            _logger.error("domains config is broken; keeping the one before", problem=problem)

    def _put_in_force(self, state: _State) -> None:
        self._state = state
        for callback in self._on_change:
            callback()

    # --- changing it ---

    def change(self, edit: Callable[[Dynamic], Dynamic]) -> Dynamic:
        """Write what `edit` makes of the configuration, and put it in force. Comments in the file stay.

        `edit` gets the newest version and returns another one; it may run while other processes wait. Raises
        ConfigError, after which nothing has changed: when the result is not a valid configuration, or when the file
        was edited by hand and is broken. Raises OSError when writing fails. Blocks.
        """
        with self._lock, files.exclusive(self.path):
            self._refuse_broken()
            old = self._state
            dynamic = edit(old.dynamic)
            tables, _warnings = check_dynamic(self.static, dynamic, self.path.parent)
            try:
                text = sconf_write.merge(old.text, old.dynamic, dynamic)
            except SconfError as err:
                raise ConfigError(str(err)) from err
            if files.parse_text(Dynamic, text, self.dynamic_path) != dynamic:
                raise ConfigError("the changed configuration reads back as another one; please report this")
            files.replace_file(self.dynamic_path, text.encode())
            self._put_in_force(_State(text, _stamp(self.dynamic_path), dynamic, tables))
            return dynamic

    def check(self, edit: Callable[[Dynamic], Dynamic]) -> None:
        """Whether `change` would accept an edit. Raises ConfigError. Blocks."""
        check_dynamic(self.static, edit(self.dynamic), self.path.parent)

    def _refuse_broken(self) -> None:
        self._broken = None
        try:
            self._follow()
        except ConfigError as err:
            self._note_broken(err)
            raise ConfigError(f"the file was edited and must be mended first:\n{err}") from err


def _stamp(path: Path) -> _Stamp:
    """What tells one version of a file from another."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0, 0
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _read(static: Static, path: Path) -> tuple[_State, list[str]]:
    stamp = _stamp(path)
    text = files.read_text(path)
    dynamic = complete_addresses(files.parse_text(Dynamic, text, path))
    tables, warnings = check_dynamic(static, dynamic, path.parent)
    return _State(text, stamp, dynamic, tables), warnings
