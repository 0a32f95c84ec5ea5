"""Private keys that configuration files name: for DKIM, and for certificates of the host."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from mox.config import durations
from mox.config.domain import DKIMSection, Selector
from mox.config.pem import PemError, read_pem
from mox.config.problems import Problems
from mox.config.values import check_canonical_domain
from mox.dns.names import Domain

MIN_DKIM_RSA_BITS = 1024
HOST_RSA_BITS = 2048

DkimKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
HostKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A selector that is ready to sign with."""

    selector: Domain
    key: DkimKey
    hash: str
    header_relaxed: bool
    body_relaxed: bool
    headers: tuple[str, ...]
    seal_headers: bool
    expiration: timedelta | None

    @property
    def algorithm(self) -> str:
        """For people: rsa-2048, ed25519."""
        return f"rsa-{self.key.key_size}" if isinstance(self.key, rsa.RSAPrivateKey) else "ed25519"


def load_selectors(where: str, dkim: DKIMSection, folder: Path, problems: Problems) -> dict[str, SigningKey]:
    """The selectors of a domain by name. Key files are relative to `folder`."""
    keys = {}
    for name, selector in dkim.Selectors.items():
        key = _load_selector(f"{where}.Selectors.{name}", name, selector, folder, problems)
        if key is not None:
            keys[name] = key
    for name in dkim.Sign:
        if name not in dkim.Selectors:
            problems.add(f"{where}.Sign", f"there is no selector {name!r}")
    return keys


def _load_selector(where: str, name: str, selector: Selector, folder: Path, problems: Problems) -> SigningKey | None:
    domain = check_canonical_domain(where, name, problems)
    expiration = _expiration(where, selector.Expiration, problems)
    if selector.hash not in ("sha256", "sha1"):
        problems.add(f"{where}.Hash", f"unknown hash {selector.Hash!r}; use sha256")
    elif selector.hash == "sha1":
        problems.warn(f"{where}.Hash", "sha1 is not safe any more, and receivers ignore it; use sha256")
    _check_headers(where, selector, problems)
    try:
        key = load_dkim_key(folder / selector.PrivateKeyFile)
    except (OSError, PemError) as err:
        problems.add(f"{where}.PrivateKeyFile", str(err))
        return None
    if isinstance(key, ed25519.Ed25519PrivateKey) and selector.hash != "sha256":
        problems.add(f"{where}.Hash", "ed25519 keys need sha256")
    if domain is None:
        return None
    canonical = selector.Canonicalization
    return SigningKey(
        domain,
        key,
        selector.hash,
        canonical.HeaderRelaxed,
        canonical.BodyRelaxed,
        selector.headers,
        not selector.DontSealHeaders,
        expiration,
    )


def _expiration(where: str, text: str, problems: Problems) -> timedelta | None:
    if not text:
        return None
    try:
        return timedelta(seconds=int(durations.parse(text).total_seconds()))
    except durations.DurationError as err:
        problems.add(f"{where}.Expiration", str(err))
        return None


def _check_headers(where: str, selector: Selector, problems: Problems) -> None:
    names = [name.lower() for name in selector.Headers]
    if names and "from" not in names:
        problems.add(f"{where}.Headers", "From must be among the signed headers")
    for name in sorted({"dkim-signature", "received", "return-path"}.intersection(names)):
        problems.warn(f"{where}.Headers", f"{name} changes on the way and should not be signed")


def load_dkim_key(path: Path) -> DkimKey:
    """A key in PKCS#8 form. Raises OSError, PemError."""
    key = _load(path, ("PRIVATE KEY",))
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < MIN_DKIM_RSA_BITS:
            raise PemError(f"{path}: RSA key has {key.key_size} bits; it needs at least {MIN_DKIM_RSA_BITS}")
        return key
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    raise PemError(f"{path}: only RSA and ed25519 keys can sign")


def load_host_key(path: Path) -> HostKey | None:
    """A key for certificates of the host; None for a key of a kind that is not used. Raises OSError, PemError."""
    key = _load(path, ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"))
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size == HOST_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    return None


def _load(path: Path, kinds: tuple[str, ...]) -> object:
    block = next((b for b in read_pem(path) if b.kind in kinds), None)
    if block is None:
        raise PemError(f"{path}: no PEM block of type {' or '.join(kinds)}")
    try:
        return load_der_private_key(block.data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:
        raise PemError(f"{path}: not a private key that can be used: {err}") from err
