"""Log-ins with an address and a secret, for every protocol."""

import asyncio
import hashlib
import hmac
import os
import time
import unicodedata
from collections.abc import Awaitable, Callable

from mox import metrics
from mox.config.live import Config
from mox.net.bus import Bus
from mox.net.limits import RateLimiter
from mox.sasl.scram import SaslError, ScramServer, fake_secrets, parse_plain
from mox.store import passwords
from mox.store.store import Store

CACHE_S = 900.0
MECHANISMS = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN")

# Sends a challenge and returns the client's response.
Ask = Callable[[bytes], Awaitable[bytes]]


class LoginError(Exception):
    """Wrong credentials, or the account may not log in."""


class LoginDisabled(LoginError):
    """The password is right, but the account may not log in; the text is the configured one."""


class UnknownMechanismError(Exception):
    """The SASL mechanism is not supported here."""


class Logins:
    """Checks credentials; one for all connections of a process."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._store = store
        self._fake_key = os.urandom(32)
        self._cache: dict[tuple[str, str], bytes] = {}
        self._cache_since = time.monotonic()
        limits = config.static.Limits
        self._limiters = [RateLimiter(60, limits.FailedLoginsPerMinute), RateLimiter(86400, limits.FailedLoginsPerDay)]

    def share(self, bus: Bus) -> None:
        """Count failures together with the other processes."""
        for number, limiter in enumerate(self._limiters):
            limiter.share(bus, f"login-failures-{number}")

    def may_try(self, ip: str) -> bool:
        """The address has not failed too often."""
        return all(limiter.is_open(ip) for limiter in self._limiters)

    def _record(self, ip: str, protocol: str, mechanism: str, ok: bool) -> None:
        metrics.authentications.labels(protocol, mechanism.lower(), "ok" if ok else "badcreds").inc()
        for limiter in self._limiters:
            if ok:
                limiter.reset(ip)
            else:
                limiter.add(ip)

    def _account_of(self, user: str) -> str | None:
        localpart, at, domain = unicodedata.normalize("NFC", user).rpartition("@")
        found = self._config.lookup_address(localpart, domain) if at else None
        return found.account if found is not None else None

    def _check_enabled(self, account: str) -> None:
        disabled = self._config.account(account).LoginDisabled
        if disabled:
            raise LoginDisabled(f"login disabled for account: {disabled}")

    async def password(self, user: str, password: str, ip: str, protocol: str, mechanism: str = "login") -> str:
        """The account's name. Raises LoginError."""
        account = self._account_of(user)
        ok = account is not None and await self._matches(account, user, password)
        self._record(ip, protocol, mechanism, ok)
        if account is None or not ok:
            raise LoginError("login failed")
        self._check_enabled(account)
        return account

    async def _matches(self, account: str, user: str, password: str) -> bool:
        if time.monotonic() - self._cache_since > CACHE_S:
            self._cache.clear()
            self._cache_since = time.monotonic()
        opened = await self._store.open(account)
        stored = await opened.read(passwords.bcrypt_hash)
        if stored is None:
            return False
        key, digest = (user, stored), hashlib.sha256(self._fake_key + password.encode()).digest()
        cached = self._cache.get(key)
        if cached is not None and hmac.compare_digest(cached, digest):
            return True
        ok = await asyncio.to_thread(passwords.matches, password, stored)
        if ok:
            self._cache[key] = digest
        return ok

    async def sasl(
        self, mechanism: str, initial: bytes | None, ask: Ask, binding: bytes | None, ip: str, protocol: str
    ) -> tuple[str, str]:
        """Run an exchange; (account, user name). Raises SaslError, LoginError, UnknownMechanismError."""
        if mechanism == "PLAIN":
            user, password = parse_plain(initial if initial is not None else await ask(b""))
            return await self.password(user, password, ip, protocol, mechanism), user
        name, _, variant = mechanism.partition("-SHA-")
        hash_name = {"1": "sha1", "256": "sha256"}.get(variant.removesuffix("-PLUS"))
        if name != "SCRAM" or hash_name is None:
            raise UnknownMechanismError("method not supported")
        server = ScramServer(hash_name, mechanism.endswith("-PLUS"), binding)
        return await self._scram(server, hash_name, initial, ask, ip, f"{protocol} {mechanism}")

    async def _scram(
        self, server: ScramServer, hash_name: str, initial: bytes | None, ask: Ask, ip: str, kind: str
    ) -> tuple[str, str]:
        protocol, _, mechanism = kind.partition(" ")
        user = server.client_first(initial if initial is not None else await ask(b"")).username
        account = self._account_of(user)
        secrets = None
        if account is not None:
            opened = await self._store.open(account)
            secrets = await opened.read(lambda tx: passwords.scram_secrets(tx, hash_name))
        response = await ask(server.server_first(secrets or fake_secrets(hash_name, user, self._fake_key)))
        try:
            final = server.client_final(response)
        except SaslError as err:
            self._record(ip, protocol, mechanism, False)
            await ask(f"e={err}".encode())
            raise LoginError("login failed") from err
        if account is None or secrets is None:
            raise LoginError("login failed")
        await ask(final)
        self._record(ip, protocol, mechanism, True)
        self._check_enabled(account)
        return account, user


async def set_password(store: Store, account: str, password: str) -> None:
    """Replace an account's password."""
    secrets = await asyncio.to_thread(passwords.hashed, unicodedata.normalize("NFC", password))
    opened = await store.open(account)
    await opened.write(lambda tx: passwords.save(tx, secrets))


async def has_password(store: Store, account: str) -> bool:
    """A password is set."""
    opened = await store.open(account)
    return await opened.read(passwords.bcrypt_hash) is not None
