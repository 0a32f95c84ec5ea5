"""config tlspubkey …: keys that log in with TLS client authentication."""

import base64
import hashlib
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mox.cli.command import Command, CommandError, Flag, Invocation


def _list(invocation: Invocation) -> None:
    print(invocation.call("tlspubkeylist", invocation.argument(0)), end="")


def _get(invocation: Invocation) -> None:
    from mox.config.pem import render_pem

    answer = b"".join(invocation.stream("tlspubkeyget", invocation.argument(0)))
    *values, certificate = answer.split(b"\n", 5)
    for label, value in zip(("type", "name", "account", "address", "no imap preauth"), values, strict=True):
        print(f"{label}: {value.decode()}")
    if certificate:
        print(f"certificate:\n\n{render_pem('CERTIFICATE', certificate).decode()}", end="")


def _add(invocation: Invocation) -> None:
    from mox.config.pem import PemError, parse_pem

    try:
        blocks = parse_pem(sys.stdin.buffer.read().decode(errors="replace"), "standard input")
    except PemError as err:
        raise CommandError(str(err)) from err
    if not blocks or blocks[0].kind != "CERTIFICATE":
        raise CommandError("the first PEM block on standard input must be a CERTIFICATE")
    address, name = invocation.argument(0), invocation.argument(1)
    no_preauth = "true" if invocation.switch("no-imap-preauth") else "false"
    for _ in invocation.stream("tlspubkeyadd", address, name, no_preauth, input=iter([blocks[0].data])):
        pass


def _remove(invocation: Invocation) -> None:
    invocation.call("tlspubkeyrm", invocation.argument(0))


def _generate(invocation: Invocation) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    from mox.config.files import create_file
    from mox.config.pem import render_pem

    key = ed25519.Ed25519PrivateKey.generate()
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(int(now.timestamp()))
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365 * 100))
        .sign(key, None)
    )
    private = render_pem("PRIVATE KEY", key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    public = render_pem("CERTIFICATE", certificate.public_bytes(Encoding.DER))
    stem = f"{invocation.argument(0)}.{now.astimezone():%Y%m%d%H%M}"
    for suffix, data in (
        ("ed25519privatekey.pkcs8.pem", private),
        ("certificate.pem", public),
        ("ed25519privatekey-certificate.pem", private + public),
    ):
        path = Path(f"{stem}.{suffix}")
        create_file(path, data, 0o600)
        print(f"wrote {path}", file=sys.stderr)
    seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    print(f"private key seed, as base64: {_base64url(seed)}", file=sys.stderr)
    print(f"fingerprint of the public key: {_base64url(hashlib.sha256(info).digest())}", file=sys.stderr)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


COMMANDS = [
    Command(
        ("config", "tlspubkey", "list"),
        _list,
        "List the TLS public keys that log in, of all accounts or of one.",
        "[$account]",
        0,
        1,
    ),
    Command(("config", "tlspubkey", "get"), _get, "Print a TLS public key with its certificate.", "$fingerprint", 1, 1),
    Command(
        ("config", "tlspubkey", "add"),
        _add,
        """Let the public key of a certificate log in as an address.

Only the key counts; names, dates and issuer of the certificate do not. Its name is by default the common name of the
certificate.

Example: mox config tlspubkey add mjl@example.org phone <certificate.pem
""",
        "[-no-imap-preauth] $address [$name] < cert.pem",
        1,
        2,
        (Flag("no-imap-preauth", "do not log in IMAP connections at once; for programs that do not know that", False),),
    ),
    Command(("config", "tlspubkey", "rm"), _remove, "Remove a TLS public key.", "$fingerprint", 1, 1),
    Command(
        ("config", "tlspubkey", "gen"),
        _generate,
        """Make an ed25519 key and a certificate for it, in files that start with the stem.

Example: mox config tlspubkey gen phone && mox config tlspubkey add mjl@example.org phone <phone.*.certificate.pem
""",
        "$stem",
        1,
        1,
    ),
]
