"""The configuration that `mox localserve` makes for itself."""

import datetime
import ipaddress
import os
from pathlib import Path

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mox.config import sconf_write
from mox.config.junkfilter import JunkFilterParams, JunkFilterSection, JunkFlagsSection
from mox.config.live import Config
from mox.config.model import (
    Account,
    Destination,
    Domain,
    Dynamic,
    IMAPService,
    IMAPSService,
    KeyCert,
    LimitsSection,
    Listener,
    ListenerTLS,
    PlainService,
    PostmasterTarget,
    SMTPService,
    Static,
    SubmissionService,
    SubmissionsService,
    WebService,
)

_NO_LIMIT = [1_000_000] * 3
# So that webhooks and deliveries can be looked at afterwards.
_KEEP = datetime.timedelta(hours=72)


def ensure(directory: Path, ip: str | None = None) -> Config:
    """Make `directory` with everything in it if it does not exist, and load it. Raises ConfigError, OSError."""
    if not directory.exists():
        directory.mkdir(parents=True, mode=0o770)
        _write(directory, ip)
    return Config.load(directory / "mox.conf")


def _write(directory: Path, ip: str | None) -> None:
    certificate, key = self_signed("localhost")
    files = {
        "localhost.crt": certificate,
        "localhost.key": key,
        "adminpasswd": bcrypt.hashpw(b"moxadmin", bcrypt.gensalt()),
        "receivedid.key": os.urandom(24),
        "domains.conf": sconf_write.dump(example_dynamic()).encode(),
        "mox.conf": sconf_write.dump(example_static([ip] if ip else ["127.0.0.1", "::1"])).encode(),
    }
    for name, data in files.items():
        descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o660)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


def example_static(ips: list[str]) -> Static:
    """mox.conf of localserve on these addresses."""
    listener = Listener(
        IPs=ips,
        TLS=ListenerTLS(KeyCerts=[KeyCert(CertFile="localhost.crt", KeyFile="localhost.key")]),
        SMTP=SMTPService(Enabled=True, Port=1025),
        Submission=SubmissionService(Enabled=True, Port=1587, NoRequireSTARTTLS=True),
        Submissions=SubmissionsService(Enabled=True, Port=1465),
        IMAP=IMAPService(Enabled=True, Port=1143, NoRequireSTARTTLS=True),
        IMAPS=IMAPSService(Enabled=True, Port=1993),
        AccountHTTP=WebService(Enabled=True, Port=1080, Path="/account/"),
        AccountHTTPS=WebService(Enabled=True, Port=1443, Path="/account/"),
        WebAPIHTTP=WebService(Enabled=True, Port=1080, Path="/webapi/"),
        WebAPIHTTPS=WebService(Enabled=True, Port=1443, Path="/webapi/"),
        MetricsHTTP=PlainService(Enabled=True, Port=1081),
    )
    limits = LimitsSection(
        SMTPConnectionsPerMinute=_NO_LIMIT,
        SMTPConnections=[1000, 3000, 9000],
        IMAPConnectionsPerMinute=_NO_LIMIT,
        IMAPConnections=[1000, 3000, 9000],
        DeliveriesPerMinute=_NO_LIMIT,
        DeliveriesPerDay=[10_000_000] * 3,
        HTTPRequestsPerMinute=_NO_LIMIT,
        HTTPRequestsPerHour=_NO_LIMIT,
    )
    return Static(
        DataDir=".",
        LogLevel="info",
        Hostname="localhost",
        Listeners={"local": listener},
        Postmaster=PostmasterTarget(Account="mox", Mailbox="Inbox"),
        User=str(os.getuid()),
        AdminPasswordFile="adminpasswd",
        Limits=limits,
    )


def example_dynamic() -> Dynamic:
    """domains.conf of localserve."""
    account = Account(
        Domain="localhost",
        Destinations={"mox@localhost": Destination()},
        KeepRetiredMessagePeriod=_KEEP,
        KeepRetiredWebhookPeriod=_KEEP,
        NoFirstTimeSenderDelay=True,
        RejectsMailbox="Rejects",
        AutomaticJunkFlags=JunkFlagsSection(
            Enabled=True,
            JunkMailboxRegexp="^(junk|spam)",
            NeutralMailboxRegexp="^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)",
        ),
        JunkFilter=JunkFilterSection(
            Threshold=0.95,
            Params=JunkFilterParams(Onegrams=True, MaxPower=0.01, TopWords=10, IgnoreWords=0.1, RareWords=2),
        ),
    )
    return Dynamic(Domains={"localhost": Domain(LocalpartCatchallSeparator="+")}, Accounts={"mox": account})


def self_signed(name: str) -> tuple[bytes, bytes]:
    """(certificate, key) PEM for `name` and the loopback addresses, valid for four years."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=4 * 365))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM), pem
