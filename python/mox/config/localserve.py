"""The configuration that `mox localserve` makes for itself."""

import datetime
import ipaddress
import os
import shutil
from pathlib import Path

import bcrypt
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from mox.config import sconf_write
from mox.config.addresses import parse_address
from mox.config.defaults import SIGNATURE_LIFETIME, new_account
from mox.config.files import create_file
from mox.config.live import Config
from mox.config.model import (
    CASection,
    DKIMSection,
    Domain,
    Dynamic,
    GlobalTLS,
    IMAPService,
    IMAPSService,
    KeyCert,
    LimitsSection,
    Listener,
    ListenerTLS,
    PlainService,
    PostmasterTarget,
    Selector,
    SMTPService,
    Static,
    SubjectPassSection,
    SubmissionService,
    SubmissionsService,
    WebService,
)
from mox.config.sconf_write import Mode

DKIM_FILE = "dkim.localserve.privatekey.pkcs8.pem"
_NO_LIMIT = [1_000_000] * 3
# So that webhooks and deliveries can be looked at afterwards.
_KEEP = datetime.timedelta(hours=72)


def ensure(directory: Path, ip: str | None = None) -> Config:
    """Make `directory` with everything in it if it does not exist, and load it. Raises ConfigError, OSError; a
    directory that could not be completed is removed again."""
    if directory.exists():
        return Config.load(directory / "mox.conf")
    directory.mkdir(parents=True, mode=0o770)
    try:
        _write(directory, ip)
        return Config.load(directory / "mox.conf")
    except BaseException:
        shutil.rmtree(directory)
        raise


def _write(directory: Path, ip: str | None) -> None:
    certificate, key = self_signed("localhost")
    signing = ed25519.Ed25519PrivateKey.generate()
    files = {
        "localhost.crt": certificate,
        "localhost.key": key,
        "adminpasswd": bcrypt.hashpw(b"moxadmin", bcrypt.gensalt()),
        "receivedid.key": os.urandom(24),
        DKIM_FILE: signing.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        "domains.conf": sconf_write.dump(example_dynamic(), Mode.DOCUMENTED).encode(),
        "mox.conf": sconf_write.dump(example_static([ip] if ip else ["127.0.0.1", "::1"]), Mode.DOCUMENTED).encode(),
    }
    for name, data in files.items():
        create_file(directory / name, data)


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
        TLS=GlobalTLS(CA=CASection(AdditionalToSystem=True, CertFiles=["localhost.crt"])),
        AdminPasswordFile="adminpasswd",
        Limits=limits,
    )


def example_dynamic() -> Dynamic:
    """domains.conf of localserve."""
    account = msgspec.structs.replace(
        new_account(parse_address("mox@localhost")),
        KeepRetiredMessagePeriod=_KEEP,
        KeepRetiredWebhookPeriod=_KEEP,
        NoFirstTimeSenderDelay=True,
        SubjectPass=SubjectPassSection(Period=datetime.timedelta()),
        NoCustomPassword=False,
    )
    selector = Selector(Expiration=SIGNATURE_LIFETIME, PrivateKeyFile=DKIM_FILE)
    dkim = DKIMSection(Selectors={"localserve": selector}, Sign=["localserve"])
    domain = Domain(LocalpartCatchallSeparator="+", DKIM=dkim)
    return Dynamic(Domains={"localhost": domain}, Accounts={"mox": account})


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
