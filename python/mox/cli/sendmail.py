"""sendmail: hands a message on standard input to a submission server, for cron and its like.

Needs no mail server on the machine, no mox.conf and no data directory, only /etc/moxsubmit.conf. What cannot be handed
over is kept in a file.
"""

import asyncio
import base64
import binascii
import datetime
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mox.cli.command import Command, CommandError, Invocation
from mox.cli.sendmail_message import Outgoing, compose, parse_arguments
from mox.config import files
from mox.config.checking import ConfigError
from mox.config.model import SMTPAuth
from mox.config.pem import PemError, read_pem, render_pem
from mox.config.problems import Problems
from mox.config.submit import SubmitConfig, check_submit
from mox.config.transport import MECHANISMS
from mox.net.conn import Connection, connect
from mox.net.tls import ClientTls, TlsFailure
from mox.outbound.relay import choose_mechanism
from mox.sasl.client import ClientMechanism, External
from mox.smtp.address import AddressError, parse_address
from mox.smtp.client import Content, Options, SmtpClient, TlsMode
from mox.smtp.client_errors import SmtpClientError
from mox.smtp.client_session import ChooseMechanism, Envelope, Recipient

CONFIG = Path("/etc/moxsubmit.conf")
FAILURES = "moxsubmit.failures"
DIAL_TIMEOUT_S = 30.0
TIMEOUT_S = 180.0


def send(words: Sequence[str], raw: bytes, config_path: Path = CONFIG, home: Path | None = None) -> None:
    """Submit a message. Raises CommandError, after which a message that was complete is in a file below `home`."""
    config = _load(config_path)
    outgoing = compose(raw, parse_arguments(words), config.From, config.DefaultDestination, config.RequireTLS == "no")
    try:
        asyncio.run(_submit(config, outgoing))
    except (SmtpClientError, TlsFailure, OSError, TimeoutError) as err:
        kept = _keep(outgoing.content, home or Path.home())
        raise CommandError(f"submitting message: {err or type(err).__name__}; the message is kept in {kept}") from err


def _load(path: Path) -> SubmitConfig:
    try:
        config = files.parse_text(SubmitConfig, files.read_text(path), path)
    except ConfigError as err:
        raise CommandError(str(err)) from err
    problems = Problems()
    check_submit(config, problems)
    if problems.texts:
        raise CommandError("\n".join(f"{path}: {text}" for text in problems.texts))
    return config


def _keep(content: bytes, home: Path) -> Path:
    folder = home / FAILURES
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix="newmsg.", dir=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return Path(name)


async def _submit(config: SubmitConfig, outgoing: Outgoing) -> None:
    try:
        recipients = [Recipient(str(parse_address(text))) for text in outgoing.recipients]
        sender = str(parse_address(config.From))
    except AddressError as err:
        raise CommandError(f"addresses {config.From}, {', '.join(outgoing.recipients)}: {err}") from err
    mode = TlsMode.IMMEDIATE if config.TLS else TlsMode.REQUIRED if config.STARTTLS else TlsMode.SKIP
    tls = ClientTls(require_pkix=not config.TLSInsecureSkipVerify, identity=_identity(config))
    options = Options(config.LocalHostname, mode, config.Host, tls, choose_mechanism=lambda conn: _choose(config, conn))
    needs_utf8 = not outgoing.content.partition(b"\r\n\r\n")[0].isascii()
    envelope = Envelope(
        sender,
        recipients,
        len(outgoing.content),
        has_8bit=not outgoing.content.isascii(),
        needs_smtputf8=needs_utf8 or any(not recipient.address.isascii() for recipient in recipients),
        needs_requiretls=config.RequireTLS == "yes",
    )
    async with asyncio.timeout(TIMEOUT_S):
        conn = await connect(config.Host, config.Port, DIAL_TIMEOUT_S)
        async with await SmtpClient.open(conn, options) as client:
            await client.deliver(envelope, Content(outgoing.content))


def _choose(config: SubmitConfig, conn: Connection) -> ChooseMechanism:
    has_key = not config.Password
    if has_key and config.AuthMethod in ("", "EXTERNAL"):
        return _external
    methods = [config.AuthMethod] if config.AuthMethod else list(MECHANISMS)
    return choose_mechanism(SMTPAuth(Username=config.Username, Password=config.Password, Mechanisms=methods), conn)


def _external(announced: Sequence[str]) -> ClientMechanism | None:
    return External() if "EXTERNAL" in announced else None


def _identity(config: SubmitConfig) -> tuple[bytes, bytes] | None:
    """Certificate and key to log in with, in PEM. Raises CommandError."""
    try:
        if config.ClientAuthEd25519PrivateKey:
            return _minimal_identity(config.ClientAuthEd25519PrivateKey)
        if not config.ClientAuthCertPrivateKeyPEMFile:
            return None
        blocks = read_pem(Path(config.ClientAuthCertPrivateKeyPEMFile))
    except (OSError, PemError, ValueError) as err:
        raise CommandError(f"key for TLS client authentication: {err}") from err
    keys = [render_pem(b.kind, b.data) for b in blocks if b.kind == "PRIVATE KEY"]
    certificates = [render_pem(b.kind, b.data) for b in blocks if b.kind == "CERTIFICATE"]
    if len(keys) != 1 or not certificates or len(keys) + len(certificates) != len(blocks):
        raise CommandError(
            f"{config.ClientAuthCertPrivateKeyPEMFile} must hold one PRIVATE KEY, certificates, and nothing else"
        )
    return b"".join(certificates), keys[0]


def _minimal_identity(text: str) -> tuple[bytes, bytes]:
    try:
        seed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as err:
        raise ValueError("ClientAuthEd25519PrivateKey is not base64url") from err
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, None)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), private


def main(words: Sequence[str]) -> None:
    """Submit what is on standard input. Raises CommandError."""
    send(words, sys.stdin.buffer.read())


def _run(invocation: Invocation) -> None:
    main(invocation.arguments)


COMMANDS = [
    Command(
        ("sendmail",),
        _run,
        """Hand the message on standard input to a submission server, as /etc/moxsubmit.conf says.

For cron and other programs that call /usr/sbin/sendmail: link that name to this program, which then is nothing else.
Recipients that are no addresses, such as root, become DefaultDestination. The From header becomes the configured
address; with -t, recipients are taken from To, Cc and Bcc, and Bcc is removed. Other options of sendmail are accepted
and ignored. A message that cannot be handed over is kept in ~/moxsubmit.failures.

Example: mox config describe-sendmail >/etc/moxsubmit.conf
""",
        "[-Fname] [ignoredflags] [-t] [< messagefile]",
        most=None,
        takes_raw_words=True,
    ),
]
