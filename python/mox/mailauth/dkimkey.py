"""DKIM key records in DNS: parsing, rendering, and the keys in them. RFC 6376 §3.6.1, RFC 8301 §3.2, RFC 8463 §3."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from mox.mailauth.taglist import TagError, decode_quoted_printable, parse_base64, parse_list, parse_tags

PublicKey = RSAPublicKey | Ed25519PublicKey
PrivateKey = RSAPrivateKey | Ed25519PrivateKey

MIN_RSA_BITS = 1024
# Verifying grows with the square of the size; nobody uses more.
MAX_RSA_BITS = 8192


class KeyRecordError(ValueError):
    """A malformed record. `is_dkim`: it is meant to be a DKIM key record."""

    def __init__(self, text: str, is_dkim: bool) -> None:
        super().__init__(text)
        self.is_dkim = is_dkim


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key record; empty `hashes` allow all, `public_key` None is a revoked key."""

    key_type: str = "rsa"
    hashes: tuple[str, ...] = ()
    public_key: PublicKey | None = field(default=None, compare=False)
    key_data: bytes = b""
    notes: str = ""
    services: tuple[str, ...] = ("*",)
    flags: tuple[str, ...] = ()
    has_version: bool = True

    @property
    def is_testing(self) -> bool:
        """The domain only tests DKIM: failures do not count."""
        return "y" in self.flags

    @property
    def is_strict(self) -> bool:
        """The identity must be in the signing domain itself, not below it."""
        return "s" in self.flags

    @property
    def rsa_bits(self) -> int:
        """Size of an RSA key, 0 for others."""
        return self.public_key.key_size if isinstance(self.public_key, RSAPublicKey) else 0

    def allows_service(self, service: str) -> bool:
        """Whether the key may sign for `service`, such as "email" or "tlsrpt"."""
        return "*" in self.services or service in self.services

    def __str__(self) -> str:
        parts = ["v=DKIM1"] if self.has_version else []
        if self.hashes:
            parts.append("h=" + ":".join(self.hashes))
        if self.key_type != "rsa":
            parts.append("k=" + self.key_type)
        if self.notes:
            parts.append("n=" + _quote_printable(self.notes))
        if self.services != ("*",):
            parts.append("s=" + ":".join(self.services))
        if self.flags:
            parts.append("t=" + ":".join(self.flags))
        return ";".join([*parts, "p=" + base64.b64encode(self.key_data).decode()])


@lru_cache(maxsize=4096)
def parse_key_record(text: str) -> KeyRecord:
    """Parse a TXT record. Raises KeyRecordError."""
    try:
        tags = parse_tags(text)
    except TagError as err:
        raise KeyRecordError(str(err), _looks_like_dkim(text)) from err
    if tags.get("v", "DKIM1") != "DKIM1":
        raise KeyRecordError("other version", False)
    if "v" in tags and next(iter(tags)) != "v":
        raise KeyRecordError("v= must come first", True)
    if "p" not in tags:
        raise KeyRecordError("no p=", True)
    key_type = tags.get("k", "rsa").lower()
    try:
        key_data = parse_base64(tags["p"])
    except TagError as err:
        raise KeyRecordError(str(err), True) from err
    return KeyRecord(
        key_type,
        tuple(name.lower() for name in parse_list(tags["h"])) if tags.get("h") else (),
        _load_key(key_type, key_data) if key_data else None,
        key_data,
        _parse_notes(tags.get("n", "")),
        tuple(name.lower() for name in parse_list(tags.get("s", "*"))),
        tuple(name.lower() for name in parse_list(tags["t"])) if tags.get("t") else (),
        "v" in tags,
    )


def record_for(key: PrivateKey, hashes: Sequence[str] = ("sha256",), flags: Sequence[str] = ()) -> KeyRecord:
    """The record to publish for a private key."""
    public = key.public_key()
    if isinstance(public, RSAPublicKey):
        data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return KeyRecord("rsa", tuple(hashes), public, data, flags=tuple(flags))
    data = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return KeyRecord("ed25519", tuple(hashes), public, data, flags=tuple(flags))


def _parse_notes(value: str) -> str:
    """Notes are for people; badly encoded ones must not cost a valid key."""
    try:
        return decode_quoted_printable(value)
    except TagError:
        return value


def _looks_like_dkim(text: str) -> bool:
    """Whether a record that cannot be parsed begins as a DKIM record does."""
    name, equals, value = text.partition(";")[0].partition("=")
    return bool(equals) and (value.strip() == "DKIM1" if name.strip() == "v" else name.strip() in set("hknpst"))


def _load_key(key_type: str, data: bytes) -> PublicKey:
    try:
        if key_type == "ed25519":
            return Ed25519PublicKey.from_public_bytes(data)
        if key_type != "rsa":
            raise KeyRecordError(f"unknown key type {key_type[:20]!r}", True)
        key = load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as err:
        if isinstance(err, KeyRecordError):
            raise
        raise KeyRecordError("no valid key in p=", True) from err
    if not isinstance(key, RSAPublicKey):
        raise KeyRecordError("key in p= is not of the type that k= says", True)
    return key


def _quote_printable(text: str) -> str:
    """dkim-quoted-printable without folding. RFC 6376 §2.11."""
    safe = range(0x21, 0x7F)
    return "".join(
        chr(octet) if octet in safe and chr(octet) not in ";=" else f"={octet:02X}" for octet in text.encode()
    )
