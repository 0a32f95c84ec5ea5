"""Certificates for tests: a CA, servers below it, clients' self-signed and minimal ones."""

import datetime
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Identity:
    """A certificate with its key; `issuers` are sent with it."""

    certificate: x509.Certificate
    key: Key
    issuers: tuple[x509.Certificate, ...] = ()

    @property
    def chain_pem(self) -> bytes:
        return b"".join(_pem(c) for c in (self.certificate, *self.issuers))

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def pair(self) -> tuple[bytes, bytes]:
        return self.chain_pem, self.key_pem

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def key_digest(self) -> bytes:
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self.spki)
        return digest.finalize()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def ecdsa() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def _build(subject: str, issuer: str, key: Key, signer: Key, days: tuple[int, int]) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    name = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)] if n else []) for n in (subject, issuer)]
    return (
        x509.CertificateBuilder()
        .subject_name(name[0])
        .issuer_name(name[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
    )


def _sign(builder: x509.CertificateBuilder, signer: Key) -> x509.Certificate:
    return builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())


class Ca:
    """A certificate authority."""

    def __init__(self, name: str = "test CA", parent: Self | None = None) -> None:
        self.name = name
        self.key = ecdsa()
        self._parents = (parent.certificate, *parent._parents) if parent is not None else ()
        signer, issuer = (parent.key, parent.name) if parent is not None else (self.key, name)
        builder = _build(name, issuer, self.key, signer, (-1, 90))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = _sign(builder, signer)

    @property
    def pem(self) -> bytes:
        return _pem(self.certificate)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def issue(self, *names: str, key: Key | None = None, days: tuple[int, int] = (-1, 30)) -> Identity:
        """A server's certificate; this CA is sent with it."""
        key = key or ecdsa()
        builder = _build(names[0], self.name, key, self.key, days)
        alt = x509.SubjectAlternativeName([x509.DNSName(n) for n in names])
        certificate = _sign(builder.add_extension(alt, critical=False), self.key)
        return Identity(certificate, key, (self.certificate, *self._parents))


def self_signed(name: str = "", key: Key | None = None, days: tuple[int, int] = (-1, 30)) -> Identity:
    """A certificate without extensions, as clients have them; without `name` also without subject."""
    key = key or ecdsa()
    return Identity(_sign(_build(name, name, key, key, days), key), key)
