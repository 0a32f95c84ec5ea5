"""Log-ins with an address and a secret, for every protocol."""

import asyncio
import hashlib
import hmac
import os
import re
import time
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mox import log, metrics
from mox.config.live import Config
from mox.net.bus import Bus
from mox.net.limits import RateLimiter
from mox.net.tls import TlsInfo
from mox.sasl import server as mechanisms
from mox.sasl.crammd5 import CramSecrets
from mox.sasl.errors import Failure, SaslError
from mox.sasl.precis import opaque_string
from mox.sasl.scram import ScramSecrets, fake_secrets
from mox.store import attempts, passwords, tlskeys
from mox.store.attempts import Attempt
from mox.store.store import Store

CACHE_S = 900.0
MECHANISMS = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN")

_ESCAPE = re.compile(r"\\(.)")
_CREDENTIALS = (Failure.CREDENTIALS, Failure.CHANNEL_BINDING, Failure.NO_SECRETS)

_logger = log.get("login")

# Sends a challenge and returns the client's response.
Ask = Callable[[bytes], Awaitable[bytes]]


class LoginError(Exception):
    """Wrong credentials, or the account may not log in."""

    def __init__(self, text: str, failure: Failure = Failure.CREDENTIALS) -> None:
        super().__init__(text)
        self.failure = failure


class LoginDisabled(LoginError):
    """The password is right, but the account may not log in; the text is the configured one."""


class UnknownMechanismError(Exception):
    """The SASL mechanism is not supported here."""


@dataclass(frozen=True, slots=True)
class Client:
    """What else is kept of an attempt; empty where it is not known. `tls` is of the form of `attempts.Attempt`."""

    local_ip: str = ""
    tls: str = ""
    tls_public_key_fingerprint: str = ""
    user_agent: str = ""


NOTHING_KNOWN = Client()


def describe_tls(tls: TlsInfo | None) -> str:
    """A connection's TLS as attempts keep it; empty without."""
    if tls is None:
        return ""
    version, suite = tls.version.lower(), tls.cipher_suite.lower()
    resumed = str(tls.resumed).lower()
    return f"version={version} ciphersuite={suite} sni={tls.server_name} resumed={resumed} alpn={tls.alpn}"


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

    async def _record(
        self, user: str, ip: str, protocol: str, mechanism: str, result: str, client: Client, counts: bool = True
    ) -> None:
        """Keep an attempt: in metrics, in auth.db, and, if it `counts`, in the limits of failures."""
        metrics.authentications.labels(protocol, mechanism.lower(), result).inc()
        if counts:
            for limiter in self._limiters:
                if result == "ok":
                    limiter.reset(ip)
                else:
                    limiter.add(ip)
        if result != "ok":
            # One line of a form that does not change, for programs that block addresses.
            _logger.info(
                "failed authentication attempt",
                username=user,
                remote=ip,
                protocol=protocol,
                mechanism=mechanism.lower(),
                result=result,
            )
        attempt = Attempt(
            self._account_of(user) or attempts.UNKNOWN,
            user,
            ip,
            client.local_ip,
            client.tls,
            client.tls_public_key_fingerprint,
            protocol,
            client.user_agent,
            mechanism.lower(),
            result,
        )
        await self._store.attempts.add(attempt)

    async def aborted(self, ip: str, protocol: str, mechanism: str, client: Client) -> None:
        """The client ended an exchange."""
        await self._record("", ip, protocol, mechanism, "aborted", client)

    async def by_certificate(self, ip: str, protocol: str, client: Client) -> tuple[str, str] | None:
        """(account, address) that the TLS client key logs in as; None when it cannot, which is recorded."""
        key = await self._store.read_auth(lambda tx: tlskeys.find(tx, client.tls_public_key_fingerprint))
        address = key.login_address if key is not None else ""
        account = self._account_of(address)
        if key is None or account != key.account_name:
            result = "badcreds" if key is None else "error"
        elif self._config.account(account).LoginDisabled and not key.no_imap_preauth:
            result = "logindisabled"
        else:
            await self._record(address, ip, protocol, "tlsclientauth", "ok", client)
            return account, address
        await self._record(address, ip, protocol, "tlsclientauth", result, client)
        return None

    def _account_of(self, user: str) -> str | None:
        localpart, at, domain = unicodedata.normalize("NFC", user).rpartition("@")
        if len(localpart) > 1 and localpart.startswith('"') and localpart.endswith('"'):
            localpart = _ESCAPE.sub(r"\1", localpart[1:-1])
        found = self._config.lookup_address(localpart, domain) if at else None
        return found.account if found is not None else None

    def _check_enabled(self, account: str) -> None:
        disabled = self._config.account(account).LoginDisabled
        if disabled:
            raise LoginDisabled(f"login disabled for account: {disabled}")

    async def password(
        self,
        user: str,
        password: str,
        ip: str,
        protocol: str,
        mechanism: str = "login",
        *,
        client: Client = NOTHING_KNOWN,
    ) -> str:
        """The account's name. Raises LoginError."""
        account = self._account_of(user)
        ok = await self._password_matches(user, password)
        if account is None or not ok:
            result = "baduser" if account is None else "badpassword"
            await self._record(user, ip, protocol, mechanism, result, client)
            raise LoginError("login failed")
        return await self._admit(account, user, ip, protocol, mechanism, client)

    async def _admit(self, account: str, user: str, ip: str, protocol: str, mechanism: str, client: Client) -> str:
        """The credentials are good. Raises LoginDisabled."""
        try:
            self._check_enabled(account)
        except LoginDisabled:
            await self._record(user, ip, protocol, mechanism, "logindisabled", client, counts=False)
            raise
        await self._record(user, ip, protocol, mechanism, "ok", client)
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
        self,
        mechanism: str,
        initial: bytes | None,
        ask: Ask,
        binding: bytes | None,
        ip: str,
        protocol: str,
        *,
        has_tls: bool | None = None,
        certificate_user: str = "",
        client: Client = NOTHING_KNOWN,
    ) -> tuple[str, str]:
        """Run an exchange; (account, user name). `has_tls` is needed where there is no channel binding. Raises
        SaslError for a bad exchange, LoginError for bad credentials, UnknownMechanismError."""
        facts = mechanisms.Facts(
            self._config.static.Hostname, binding is not None if has_tls is None else has_tls, binding, certificate_user
        )
        try:
            exchange = mechanisms.start(mechanism, initial, facts)
        except KeyError as err:
            raise UnknownMechanismError("method not supported") from err
        who = [""]
        try:
            user = await self._run(exchange, ask, who)
            account = self._account_of(user)
            if account is None:
                raise LoginError("login failed")
        except (SaslError, LoginError) as err:
            counts = err.failure is not Failure.NO_SECRETS
            await self._record(who[-1], ip, protocol, mechanism, err.failure.result, client, counts)
            if isinstance(err, SaslError) and err.failure in _CREDENTIALS:
                raise LoginError("login failed", err.failure) from err
            raise
        return await self._admit(account, user, ip, protocol, mechanism, client), user

    async def _run(self, exchange: mechanisms.Exchange, ask: Ask, who: list[str]) -> str:
        """The address that logged in. Who wants to is added to `who` as soon as it is known."""
        answer: object = None
        try:
            while True:
                request = exchange.send(answer)
                if not isinstance(request, mechanisms.Challenge):
                    who.append(request.user)
                match request:
                    case mechanisms.Challenge(data):
                        answer = await ask(data)
                    case mechanisms.CheckPassword(user, password):
                        answer = await self._password_matches(user, password)
                    case mechanisms.GetScram(user, hash_name):
                        answer = await self._scram_secrets(user, hash_name)
                    case mechanisms.GetCram(user):
                        answer = await self._cram_secrets(user)
        except StopIteration as done:
            return str(done.value)

    async def _password_matches(self, user: str, password: str) -> bool:
        account = self._account_of(user)
        try:
            prepared = opaque_string(password)
        except ValueError:
            return False
        return account is not None and await self._matches(account, user, prepared)

    async def _scram_secrets(self, user: str, hash_name: str) -> ScramSecrets:
        account = self._account_of(user)
        if account is not None:
            opened = await self._store.open(account)
            secrets = await opened.read(lambda tx: passwords.scram_secrets(tx, hash_name))
            if secrets is not None:
                return secrets
        return fake_secrets(hash_name, user, self._fake_key)

    async def _cram_secrets(self, user: str) -> CramSecrets | None:
        account = self._account_of(user)
        if account is None:
            return None
        opened = await self._store.open(account)
        secrets, is_set = await opened.read(lambda tx: (passwords.cram_secrets(tx), passwords.bcrypt_hash(tx)))
        if secrets is None and is_set:
            raise SaslError("password must be set anew for CRAM-MD5", Failure.NO_SECRETS)
        return secrets


async def set_password(store: Store, account: str, password: str) -> None:
    """Replace an account's password; its sessions end."""
    secrets = await asyncio.to_thread(passwords.hashed, opaque_string(password))
    opened = await store.open(account)
    await opened.write(lambda tx: passwords.save(tx, secrets))
    store.credentials_changed(account)


async def has_password(store: Store, account: str) -> bool:
    """A password is set."""
    opened = await store.open(account)
    return await opened.read(passwords.bcrypt_hash) is not None
