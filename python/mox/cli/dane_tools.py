"""dane makerecord: the TLSA record for a certificate or key. RFC 6698, names of RFC 7218."""

import hashlib
import sys
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from mox.cli.command import Command, CommandError, Invocation
from mox.cli.dane_dial import USAGES
from mox.config.pem import PemBlock, PemError, read_pem
from mox.dns.resolver import Tlsa

_SELECTORS = {"cert": 0, "spki": 1}
_MATCHES = {"full": 0, "sha2-256": 1, "sha2-512": 2}
_PRIVATE = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")


def make_record(usage: str, selector: str, match: str, blocks: list[PemBlock]) -> Tlsa:
    """The record for the first usable block; notes about others go to standard error. Raises CommandError."""
    usage_number = _number("usage", usage, USAGES, most=255)
    if usage_number > 3:
        print(f"warning: usage {usage_number} is not known", file=sys.stderr)
    selector_number = _number("selector", selector, _SELECTORS)
    match_number = _number("matchtype", match, _MATCHES)
    for block in blocks:
        try:
            data = _selected(block, selector_number)
        except (ValueError, TypeError, UnsupportedAlgorithm) as err:
            raise CommandError(f"{block.kind}: {err}") from err
        if data is not None:
            return Tlsa(usage_number, selector_number, match_number, _matched(data, match_number))
        print(f"skipping PEM block {block.kind}: it has no {selector}", file=sys.stderr)
    raise CommandError("no usable PEM block in the file")


def _matched(data: bytes, kind: int) -> bytes:
    match kind:
        case 0:
            return data
        case 1:
            return hashlib.sha256(data).digest()
        case _:
            return hashlib.sha512(data).digest()


def _number(what: str, text: str, names: dict[str, int], most: int | None = None) -> int:
    known = names.get(text.lower())
    if known is not None:
        return known
    largest = max(names.values()) if most is None else most
    if text.isascii() and text.isdigit() and int(text[:4]) <= largest:
        return int(text)
    raise CommandError(f"unknown {what} {text!r}; known are {', '.join(f'{name} ({n})' for name, n in names.items())}")


def _selected(block: PemBlock, selector: int) -> bytes | None:
    """What the record is about, None when this kind of block does not have it."""
    if block.kind == "CERTIFICATE":
        certificate = x509.load_der_x509_certificate(block.data)
        return block.data if selector == _SELECTORS["cert"] else _spki(certificate.public_key())
    if selector != _SELECTORS["spki"]:
        return None
    if block.kind in ("PUBLIC KEY", "RSA PUBLIC KEY"):
        return _spki(load_der_public_key(block.data))
    if block.kind in _PRIVATE:
        return _spki(load_der_private_key(block.data, None).public_key())
    return None


def _spki(key: object) -> bytes:
    data: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return data


def _make_record(invocation: Invocation) -> None:
    usage, selector, match, path = invocation.arguments
    try:
        blocks = read_pem(Path(path))
    except (OSError, PemError) as err:
        raise CommandError(str(err)) from err
    print(make_record(usage, selector, match, blocks))


COMMANDS = [
    Command(
        ("dane", "makerecord"),
        _make_record,
        """Print the TLSA record for a certificate or key.

For mail, the usual record, "dane-ee spki sha2-256", is for the key of the host, which stays when certificates change.
Usages: pkix-ta (0), pkix-ee (1), dane-ta (2), dane-ee (3). Selectors: cert (0), spki (1). Match types: full (0),
sha2-256 (1), sha2-512 (2).

Example: mox dane makerecord dane-ee spki sha2-256 mail.example.org.ecdsap256.privatekey.pkcs8.pem
""",
        "$usage $selector $matchtype [certificate.pem | publickey.pem | privatekey.pem]",
        4,
        4,
    )
]
