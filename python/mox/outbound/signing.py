"""DKIM signatures for mail of our own domains: keys of the configuration, applied by `mox.mailauth.dkim`."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mox.config import durations
from mox.config.domain import Selector as SelectorOptions
from mox.config.live import Config
from mox.config.tables import DomainEntry
from mox.mailauth.canon import BytesBody, MalformedHeader
from mox.mailauth.dkim import Selector, SignError, sign
from mox.mailauth.dkimkey import PrivateKey

# How old the knowledge of a key file may be.
CHECK_INTERVAL_S = 5.0


class SigningError(Exception):
    """The message cannot be signed; the text is for the administrator."""


class Signer:
    """Signs for the domains of a configuration. Keys are read once, and again when their files change."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._keys: dict[Path, tuple[int, PrivateKey]] = {}
        # By domain: the entry they are of, when they were made, and what it signs with.
        self._selectors: dict[str, tuple[DomainEntry, float, list[Selector]]] = {}

    def signing_domain(self, domain: str) -> DomainEntry | None:
        """The configured domain itself or the nearest above it; None for a disabled one and for strangers."""
        while domain:
            entry = self._config.domain(domain)
            if entry is not None:
                return None if entry.options.Disabled else entry
            domain = domain.partition(".")[2]
        return None

    async def sign(self, domain: DomainEntry, content: bytes, localpart: str | None = None) -> bytes:
        """DKIM-Signature fields for a message, to be put before it; b"" when the domain does not sign.

        `localpart` is for the identity. Raises SigningError.
        """
        if not domain.options.DKIM.Sign:
            return b""
        header, separator, body = content.partition(b"\r\n\r\n")
        try:
            selectors = await self.selectors(domain)
            return await sign(header + separator, BytesBody(body), domain.name, selectors, localpart)
        except (SignError, MalformedHeader) as err:
            raise SigningError(f"signing for {domain.name}: {err}") from err

    async def selectors(self, domain: DomainEntry) -> list[Selector]:
        """What the domain signs with. Raises SigningError."""
        known, now = self._selectors.get(domain.name.ascii), time.monotonic()
        if known is not None and known[0] is domain and now - known[1] < CHECK_INTERVAL_S:
            return known[2]
        options = domain.options.DKIM
        made = [await self._selector(name, options.Selectors[name]) for name in options.Sign]
        self._selectors[domain.name.ascii] = domain, now, made
        return made

    async def _selector(self, name: str, options: SelectorOptions) -> Selector:
        canon = options.Canonicalization
        lifetime = durations.parse(options.Expiration) if options.Expiration else timedelta()
        return Selector(
            name,
            await asyncio.to_thread(self._key, self._config.path.parent / options.PrivateKeyFile),
            options.hash,
            "relaxed" if canon.HeaderRelaxed else "simple",
            "relaxed" if canon.BodyRelaxed else "simple",
            options.headers,
            not options.DontSealHeaders,
            int(lifetime.total_seconds()) or None,
        )

    def _key(self, path: Path) -> PrivateKey:
        """The key of a PEM file. Raises SigningError."""
        try:
            changed = path.stat().st_mtime_ns
            known = self._keys.get(path)
            if known is not None and known[0] == changed:
                return known[1]
            key = load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError) as err:
            raise SigningError(f"DKIM key {path}: {err}") from err
        if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
            raise SigningError(f"DKIM key {path}: neither RSA nor Ed25519")
        self._keys[path] = changed, key
        return key
