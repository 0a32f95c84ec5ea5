"""What mox.conf (Static) and domains.conf (Dynamic) hold. Names are mox's."""

from typing import Annotated

from msgspec import Struct, field


class Service(Struct):
    """A service of a listener."""

    Enabled: bool = False
    Port: Annotated[int, "Port to listen on; 0 is the standard port of the service."] = 0


class Smtp(Service):
    """SMTP for incoming mail."""

    NoSTARTTLS: Annotated[bool, "Do not offer STARTTLS."] = False
    RequireSTARTTLS: Annotated[bool, "Refuse mail over plain connections."] = False


class Authenticated(Service):
    """Submission and IMAP on a port that starts without TLS."""

    NoRequireSTARTTLS: Annotated[bool, "Allow passwords over plain connections. Only for tests."] = False


class Web(Service):
    """An HTTP service."""

    Path: Annotated[str, "Path under which the service is reached."] = ""


class KeyCert(Struct):
    """A certificate chain and its key, in PEM files."""

    CertFile: str
    KeyFile: str


class ListenerTLS(Struct):
    """TLS of a listener."""

    KeyCerts: Annotated[list[KeyCert], "Files relative to the directory of mox.conf."] = field(default_factory=list)


class Listener(Struct):
    """Services on a set of addresses."""

    IPs: Annotated[list[str], "Addresses to listen on."]
    Hostname: Annotated[str, "Name in greetings; if empty, the global Hostname."] = ""
    TLS: ListenerTLS | None = None
    SMTPMaxMessageSize: Annotated[int, "Largest message in bytes; 0 is 100 MiB."] = 0
    SMTP: Smtp | None = None
    Submission: Authenticated | None = None
    Submissions: Service | None = None
    IMAP: Authenticated | None = None
    IMAPS: Service | None = None
    AccountHTTP: Web | None = None
    AccountHTTPS: Web | None = None
    AdminHTTP: Web | None = None
    AdminHTTPS: Web | None = None
    WebmailHTTP: Web | None = None
    WebmailHTTPS: Web | None = None
    WebAPIHTTP: Web | None = None
    WebAPIHTTPS: Web | None = None
    MetricsHTTP: Service | None = None
    WebserverHTTP: Service | None = None
    WebserverHTTPS: Service | None = None

    @property
    def max_message_size(self) -> int:
        """In bytes."""
        return self.SMTPMaxMessageSize or 100 << 20


class LimitsSection(Struct):
    """Limits of mox's own, which other programs do not let you change. Lists of three numbers are for one address, its
    /26 (IPv6 /48) and its /21 (/32)."""

    SMTPConnectionsPerMinute: list[int] = field(default_factory=lambda: [300, 900, 2700])
    SMTPConnections: list[int] = field(default_factory=lambda: [30, 90, 270])
    IMAPConnectionsPerMinute: list[int] = field(default_factory=lambda: [300, 900, 2700])
    IMAPConnections: list[int] = field(default_factory=lambda: [30, 90, 270])
    FailedLoginsPerMinute: list[int] = field(default_factory=lambda: [10, 30, 90])
    FailedLoginsPerDay: list[int] = field(default_factory=lambda: [50, 150, 450])
    MaxRecipients: Annotated[int, "Recipients of one SMTP transaction."] = 1000


class PostmasterTarget(Struct):
    """Where mail for postmaster goes."""

    Account: str
    Mailbox: str


class Static(Struct):
    """mox.conf"""

    DataDir: Annotated[str, "Directory for everything that is stored, relative to this file."]
    LogLevel: Annotated[str, "error, warn, info, debug, trace, traceauth or tracedata."]
    Hostname: Annotated[str, "Full name of this machine."]
    Listeners: Annotated[dict[str, Listener], "What is served where, by a name of your choice."]
    Postmaster: PostmasterTarget
    PackageLogLevels: Annotated[dict[str, str], "Levels that differ for a package."] = field(default_factory=dict)
    User: Annotated[str, "User to run as after the ports are open."] = "mox"
    AdminPasswordFile: Annotated[str, "File with the bcrypt hash of the admin password."] = ""
    Limits: Annotated[LimitsSection, "Limits for clients; the defaults are mox's."] = field(
        default_factory=LimitsSection
    )


class Destination(Struct):
    """Where mail for an address goes."""

    Mailbox: Annotated[str, "Mailbox to deliver to; if empty, Inbox."] = ""
    FullName: Annotated[str, "Name in From headers."] = ""


class Account(Struct):
    """A user of the system."""

    Domain: str
    Destinations: Annotated[dict[str, Destination], "Addresses of the account; @domain takes all others of a domain."]
    Description: str = ""
    FullName: str = ""
    QuotaMessageSize: Annotated[int, "Largest size of all messages in bytes; 0 is no limit."] = 0
    LoginDisabled: Annotated[str, "If not empty, log-ins are refused with this text."] = ""


class Domain(Struct):
    """A domain that mail is accepted for."""

    Description: str = ""
    LocalpartCatchallSeparator: Annotated[str, "user+anything@domain is user@domain with separator +."] = ""
    LocalpartCaseSensitive: bool = False


class Dynamic(Struct):
    """domains.conf"""

    Domains: Annotated[dict[str, Domain], "Domains by name."] = field(default_factory=dict)
    Accounts: Annotated[dict[str, Account], "Accounts by name."] = field(default_factory=dict)
