"""The configuration in force."""

from dataclasses import dataclass
from pathlib import Path

from mox.config import sconf
from mox.config.model import Account, Destination, Dynamic, Static
from mox.log import LEVELS
from mox.net.tls import ServerTls


class ConfigError(Exception):
    """The configuration cannot be used; the text has one problem a line."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where an address leads."""

    account: str
    destination: Destination
    canonical: str


class Config:
    """Both files, checked."""

    def __init__(self, path: Path, static: Static, dynamic: Dynamic) -> None:
        self.path = path
        self.static = static
        self.dynamic = dynamic
        self.data_dir = (path.parent / static.DataDir).resolve()
        # localserve takes mail for every address and delivers it to this account.
        self.everything_to = "mox" if static.Hostname == "localhost" else ""
        self._addresses = self._index()

    @classmethod
    def load(cls, path: Path) -> "Config":
        """Read mox.conf at `path` and domains.conf beside it. Raises ConfigError, SconfError."""
        texts = []
        for file in (path, path.with_name("domains.conf")):
            try:
                texts.append(file.read_text())
            except (OSError, UnicodeDecodeError) as err:
                raise ConfigError(f"reading {file}: {err}; name the configuration with --config") from err
        static = sconf.parse(Static, texts[0], str(path))
        dynamic = sconf.parse(Dynamic, texts[1], str(path.with_name("domains.conf")))
        problems = _problems(static, dynamic)
        if problems:
            raise ConfigError("\n".join(problems))
        return cls(path, static, dynamic)

    def _index(self) -> dict[tuple[str, str], Found]:
        index = {}
        for name, account in self.dynamic.Accounts.items():
            for address, destination in account.Destinations.items():
                local, _, domain = address.rpartition("@")
                key = self._canonical(local, domain.lower())
                index[key, domain.lower()] = Found(name, destination, f"{key}@{domain.lower()}")
        return index

    def _canonical(self, localpart: str, domain: str) -> str:
        options = self.dynamic.Domains.get(domain)
        if options is None:
            return localpart.lower()
        if options.LocalpartCatchallSeparator:
            localpart = localpart.split(options.LocalpartCatchallSeparator, 1)[0]
        return localpart if options.LocalpartCaseSensitive else localpart.lower()

    def lookup_address(self, localpart: str, domain: str) -> Found | None:
        """The account of an address: exact, then the domain's catch-all."""
        domain = domain.lower()
        if domain not in self.dynamic.Domains:
            return None
        found = self._addresses.get((self._canonical(localpart, domain), domain))
        return found or self._addresses.get(("", domain))

    def account(self, name: str) -> Account:
        """Raises KeyError."""
        return self.dynamic.Accounts[name]

    def hostname(self, listener: str) -> str:
        """The name in greetings."""
        return self.static.Listeners[listener].Hostname or self.static.Hostname

    def server_tls(self, listener: str) -> ServerTls | None:
        """Certificates of a listener. Raises ConfigError for files that cannot be read."""
        tls = self.static.Listeners[listener].TLS
        if tls is None or not tls.KeyCerts:
            return None
        folder = self.path.parent
        try:
            keys = [((folder / k.CertFile).read_bytes(), (folder / k.KeyFile).read_bytes()) for k in tls.KeyCerts]
        except OSError as err:
            raise ConfigError(f"TLS of listener {listener}: {err}") from err
        return ServerTls(keys)


def _problems(static: Static, dynamic: Dynamic) -> list[str]:
    found = []
    if static.LogLevel not in LEVELS:
        found.append(f"LogLevel: unknown level {static.LogLevel!r}; known are {', '.join(LEVELS)}")
    if static.Postmaster.Account not in dynamic.Accounts:
        found.append(f"Postmaster.Account: there is no account {static.Postmaster.Account!r}")
    for name, listener in static.Listeners.items():
        needs = [o for o in ("Submissions", "IMAPS") if getattr(listener, o) and getattr(listener, o).Enabled]
        if needs and not (listener.TLS and listener.TLS.KeyCerts):
            found.append(f"Listeners.{name}: {needs[0]} needs TLS.KeyCerts")
    seen: dict[str, str] = {}
    for name, account in dynamic.Accounts.items():
        for address in account.Destinations:
            domain = address.rpartition("@")[2].lower()
            if domain not in dynamic.Domains:
                found.append(f"Accounts.{name}.Destinations: domain of {address!r} is not in Domains")
            if seen.setdefault(address.lower(), name) != name:
                found.append(
                    f"Accounts.{name}.Destinations: {address!r} belongs to account {seen[address.lower()]!r} too"
                )
    return found
