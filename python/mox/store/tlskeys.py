"""Public keys of TLS client certificates that may log in, in auth.db. The key counts, not what the certificate says."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from mox.store.engine import Tx
from mox.store.errors import BadCertificate, NoSuchKey

MIN_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class TlsPublicKey:
    """A key that logs in as `login_address` (canonical)."""

    fingerprint: str
    created_ms: int
    type: str
    name: str
    no_imap_preauth: bool
    cert_der: bytes
    account_name: str
    login_address: str


def parse_certificate(der: bytes) -> tuple[str, str, str]:
    """(fingerprint, type, name) of a certificate. Raises BadCertificate."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, UnsupportedAlgorithm) as err:
        raise BadCertificate(f"parsing certificate: {err}") from err
    fingerprint = base64.urlsafe_b64encode(hashlib.sha256(info).digest()).rstrip(b"=").decode()
    name = str(names[0].value) if names else f"serial {certificate.serial_number:x}"
    return fingerprint, _key_type(key), name


def _key_type(key: object) -> str:
    match key:
        case rsa.RSAPublicKey() if key.key_size < MIN_RSA_BITS:
            raise BadCertificate(f"RSA key has {key.key_size} bits; it must have at least {MIN_RSA_BITS}")
        case rsa.RSAPublicKey():
            return f"rsa-{key.key_size}"
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return "ecdsa-p256"
        case ed25519.Ed25519PublicKey():
            return "ed25519"
        case _:
            raise BadCertificate("the key must be RSA, ECDSA on P-256, or Ed25519")


_COLUMNS = "fingerprint, created_ms, type, name, no_imap_preauth, cert_der, account_name, login_address"


def _key(row: tuple[Any, ...]) -> TlsPublicKey:
    values = (*row[:4], bool(row[4]), *row[5:])
    return TlsPublicKey(*values)


def add(tx: Tx, key: TlsPublicKey) -> None:
    """Raises BadCertificate when the key is known already, of whatever account."""
    if find(tx, key.fingerprint) is not None:
        raise BadCertificate("a certificate with this public key exists")
    tx.run(
        f"INSERT INTO tls_public_key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        key.fingerprint,
        key.created_ms,
        key.type,
        key.name,
        key.no_imap_preauth,
        key.cert_der,
        key.account_name,
        key.login_address,
    )


def find(tx: Tx, fingerprint: str) -> TlsPublicKey | None:
    """By fingerprint."""
    row = tx.one(f"SELECT {_COLUMNS} FROM tls_public_key WHERE fingerprint = ?", fingerprint)
    return None if row is None else _key(row)


def list_keys(tx: Tx, account_name: str | None = None) -> list[TlsPublicKey]:
    """Of one account or all, oldest first."""
    rows = tx.run(
        f"SELECT {_COLUMNS} FROM tls_public_key WHERE ?1 IS NULL OR account_name = ?1 ORDER BY created_ms, fingerprint",
        account_name,
    )
    return [_key(row) for row in rows]


def update(tx: Tx, account_name: str, fingerprint: str, name: str, login_address: str, no_imap_preauth: bool) -> None:
    """Change what can be changed. Raises NoSuchKey, also for a key of another account."""
    _must_have(tx, account_name, fingerprint)
    tx.run(
        "UPDATE tls_public_key SET name = ?, login_address = ?, no_imap_preauth = ? WHERE fingerprint = ?",
        name,
        login_address,
        no_imap_preauth,
        fingerprint,
    )


def remove(tx: Tx, account_name: str, fingerprint: str) -> None:
    """Raises NoSuchKey, also for a key of another account."""
    _must_have(tx, account_name, fingerprint)
    tx.run("DELETE FROM tls_public_key WHERE fingerprint = ?", fingerprint)


def _must_have(tx: Tx, account_name: str, fingerprint: str) -> None:
    key = find(tx, fingerprint)
    if key is None or key.account_name != account_name:
        raise NoSuchKey("no such TLS public key")


def remove_account(tx: Tx, account_name: str) -> None:
    """The account is gone."""
    tx.run("DELETE FROM tls_public_key WHERE account_name = ?", account_name)
