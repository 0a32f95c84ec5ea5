"""What mox.conf (`Static`) and domains.conf (`Dynamic`) hold. Names, order and meaning are mox's.

The parts are defined in the modules of this package; this is the place to import all of them from.
"""

from datetime import timedelta
from typing import Annotated

from msgspec import Struct, field

from mox.config.account import (
    Account,
    Destination,
    IncomingWebhookSection,
    OutgoingWebhookSection,
    Ruleset,
    SubjectPassSection,
)
from mox.config.domain import (
    Alias,
    CanonicalizationSection,
    DKIMSection,
    Domain,
    MTASTSSection,
    ReportAddress,
    Selector,
)
from mox.config.junkfilter import JunkFilterParams, JunkFilterSection, JunkFlagsSection
from mox.config.listener import (
    IMAPService,
    IMAPSService,
    KeyCert,
    Listener,
    ListenerTLS,
    PlainService,
    PolicyService,
    SMTPService,
    SubmissionService,
    SubmissionsService,
    WebserverService,
    WebService,
)
from mox.config.transport import (
    Route,
    SMTPAuth,
    Transport,
    TransportDirect,
    TransportFail,
    TransportSMTP,
    TransportSocks,
)
from mox.config.webserver import WebForwardSection, WebHandler, WebInternalSection, WebRedirectSection, WebStaticSection

__all__ = [
    "ACMEProvider",
    "Account",
    "AccountBindingSection",
    "Alias",
    "CASection",
    "CanonicalizationSection",
    "DKIMSection",
    "Destination",
    "Domain",
    "Dynamic",
    "GlobalTLS",
    "HostTLSRPTSection",
    "IMAPSService",
    "IMAPService",
    "IncomingWebhookSection",
    "InitialMailboxesSection",
    "JunkFilterParams",
    "JunkFilterSection",
    "JunkFlagsSection",
    "KeyCert",
    "LimitsSection",
    "Listener",
    "ListenerTLS",
    "MTASTSSection",
    "OutgoingWebhookSection",
    "PlainService",
    "PolicyService",
    "PostmasterTarget",
    "ReportAddress",
    "Route",
    "Ruleset",
    "SMTPAuth",
    "SMTPService",
    "Selector",
    "SpecialUseMailboxes",
    "Static",
    "SubjectPassSection",
    "SubmissionService",
    "SubmissionsService",
    "Transport",
    "TransportDirect",
    "TransportFail",
    "TransportSMTP",
    "TransportSocks",
    "WebForwardSection",
    "WebHandler",
    "WebInternalSection",
    "WebRedirectSection",
    "WebService",
    "WebStaticSection",
    "WebserverService",
]

LETSENCRYPT_DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory"
DEFAULT_ACME_PORT = 443


class CASection(Struct, frozen=True, kw_only=True):
    """Certificate authorities that outgoing connections trust."""

    AdditionalToSystem: Annotated[bool, "Trust those of the system too."] = False
    CertFiles: Annotated[list[str], "PEM files with certificates of authorities."] = []


class GlobalTLS(Struct, frozen=True, kw_only=True):
    """TLS of outgoing connections."""

    CA: Annotated[CASection | None, "Authorities to trust. Default: those of the system."] = None


class AccountBindingSection(Struct, frozen=True, kw_only=True):
    """Credentials of an account that exists at the provider already (RFC 8555 §7.3.4)."""

    KeyID: Annotated[str, "Key identifier from the provider."]
    KeyFile: Annotated[str, "File with the key from the provider, in base64url."]


class ACMEProvider(Struct, frozen=True, kw_only=True):
    """A provider of certificates."""

    DirectoryURL: Annotated[str, f"Address of the provider's directory, such as {LETSENCRYPT_DIRECTORY}."]
    RenewBefore: Annotated[
        timedelta, "How long before its end a certificate is renewed. Default: 30 days, or a third of its life."
    ] = timedelta()
    ContactEmail: Annotated[str, "Address that the provider writes to about problems."]
    Port: Annotated[
        int,
        "Port where the provider's TLS connections arrive. Default 443, which is where providers connect to: for "
        "another port, forward connections without ending their TLS.",
    ] = 0
    IssuerDomainName: Annotated[
        str, "Name of the provider in CAA records that are suggested. Default: letsencrypt.org for Let's Encrypt."
    ] = ""
    ExternalAccountBinding: Annotated[
        AccountBindingSection | None, "Credentials, for providers that want an account made elsewhere."
    ] = None

    @property
    def port(self) -> int:
        """What is in force."""
        return self.Port or DEFAULT_ACME_PORT

    @property
    def issuer(self) -> str:
        """For CAA records; empty when unknown."""
        if not self.IssuerDomainName and self.DirectoryURL == LETSENCRYPT_DIRECTORY:
            return "letsencrypt.org"
        return self.IssuerDomainName


class PostmasterTarget(Struct, frozen=True, kw_only=True):
    """Where mail for postmaster goes."""

    Account: str
    Mailbox: Annotated[str, "Such as Postmaster."]


class HostTLSRPTSection(Struct, frozen=True, kw_only=True):
    """Where reports of others arrive on TLS with this host."""

    Account: Annotated[str, "Account that gets the reports. Usually the postmaster's."]
    Mailbox: Annotated[str, "Mailbox that gets the reports. TLSRPT is a good name."]
    Localpart: Annotated[str, "Left part of the address at the host name. tlsreports is a good name. ASCII only."]


class SpecialUseMailboxes(Struct, frozen=True, kw_only=True):
    """Names of mailboxes that mail programs know the purpose of."""

    Sent: str = ""
    Archive: str = ""
    Trash: str = ""
    Draft: str = ""
    Junk: str = ""


class InitialMailboxesSection(Struct, frozen=True, kw_only=True):
    """Mailboxes of a new account."""

    SpecialUse: Annotated[SpecialUseMailboxes, "Names for mailboxes with a purpose."] = SpecialUseMailboxes()
    Regular: Annotated[list[str], "Names of further mailboxes."] = []


class LimitsSection(Struct, frozen=True, kw_only=True):
    """Limits for clients. Lists of three numbers are for one address, its /26 (IPv6 /48), and its /21 (IPv6 /32)."""

    SMTPConnectionsPerMinute: Annotated[list[int], "New connections to SMTP and submission."] = field(
        default_factory=lambda: [300, 900, 2700]
    )
    SMTPConnections: Annotated[list[int], "Open connections to SMTP and submission."] = field(
        default_factory=lambda: [30, 90, 270]
    )
    IMAPConnectionsPerMinute: Annotated[list[int], "New connections to IMAP."] = field(
        default_factory=lambda: [300, 900, 2700]
    )
    IMAPConnections: Annotated[list[int], "Open connections to IMAP."] = field(default_factory=lambda: [30, 90, 270])
    HTTPRequestsPerMinute: Annotated[list[int], "Requests to all HTTP and HTTPS ports within a minute."] = field(
        default_factory=lambda: [1000, 3000, 9000]
    )
    HTTPRequestsPerHour: Annotated[list[int], "Requests to all HTTP and HTTPS ports within an hour."] = field(
        default_factory=lambda: [5000, 15000, 45000]
    )
    FailedLoginsPerMinute: Annotated[list[int], "Failed log-ins within a minute, over all protocols."] = field(
        default_factory=lambda: [10, 30, 90]
    )
    FailedLoginsPerDay: Annotated[list[int], "Failed log-ins within a day, over all protocols."] = field(
        default_factory=lambda: [50, 150, 450]
    )
    DeliveriesPerMinute: Annotated[list[int], "Messages of other servers to one account within a minute."] = field(
        default_factory=lambda: [500, 1500, 4500]
    )
    DeliveriesPerDay: Annotated[list[int], "Messages of other servers to one account within 24 hours."] = field(
        default_factory=lambda: [10_000, 30_000, 90_000]
    )
    DeliveredBytesPerMinute: Annotated[list[int], "Bytes of such messages within a minute."] = field(
        default_factory=lambda: [1000 << 20, 3000 << 20, 9000 << 20]
    )
    DeliveredBytesPerDay: Annotated[list[int], "Bytes of such messages within 24 hours."] = field(
        default_factory=lambda: [3000 << 20, 9000 << 20, 27000 << 20]
    )
    MaxRecipients: Annotated[int, "Recipients of one SMTP transaction."] = 1000


class Static(Struct, frozen=True, kw_only=True):
    """mox.conf: read at start, never while running."""

    DataDir: Annotated[
        str,
        "NOTE: lines are `Key: value`, indented by one tab a level. A line that starts with # is a comment; there are "
        "no comments at the end of a line. Values are taken as they are, without quotes.\n\n"
        "Directory where everything is stored: accounts, queue, reports, certificates. If it is relative, then to the "
        "directory of this file.",
    ]
    LogLevel: Annotated[
        str,
        "What is logged: error, warn, info, debug, trace, traceauth or tracedata. The last three show what is spoken "
        "with clients and servers: trace without log-ins and messages, traceauth with log-ins, tracedata with both.",
    ]
    PackageLogLevels: Annotated[
        dict[str, str], "Levels for parts of the program that differ from the general one, such as queue or imap."
    ] = {}
    User: Annotated[str, "User, or numeric id of a user, to become after the ports are open. Default mox."] = ""
    NoFixPermissions: Annotated[bool, "Do not mend owner and mode of configuration and data at start."] = False
    Hostname: Annotated[
        str, "Full name of this machine, such as mail.example.org. Used in MX records, greetings and message ids."
    ]
    CheckUpdates: Annotated[bool, "Look for a new version once a day, by a DNS query, and tell the postmaster."] = False
    Pedantic: Annotated[bool, "Be strict with what others send. For tests; real mail gets lost."] = False
    TLS: Annotated[GlobalTLS, "TLS of outgoing connections, to mail servers and over HTTPS."] = GlobalTLS()
    ACME: Annotated[
        dict[str, ACMEProvider],
        "Providers of certificates by a name of your choice, such as letsencrypt, for listeners.",
    ] = {}
    AdminPasswordFile: Annotated[
        str,
        "File with the bcrypt hash of the password for the admin pages, written by `mox setadminpassword`. Without it, "
        "nobody can log in there.",
    ] = ""
    Listeners: Annotated[
        dict[str, Listener],
        "Groups of addresses and the services on them. Name `public` is the one that others reach: its addresses and "
        "names are what DNS records are suggested for.",
    ]
    Postmaster: Annotated[
        PostmasterTarget, "Where mail for postmaster at the host name goes, and at domains that do not have their own."
    ]
    HostTLSRPT: Annotated[HostTLSRPTSection | None, "Where reports on TLS with this host go; they come with DANE."] = (
        None
    )
    InitialMailboxes: Annotated[
        InitialMailboxesSection,
        "Mailboxes of new accounts, beside Inbox. Default: Sent, Archive, Trash, Drafts and Junk with their purposes.",
    ] = InitialMailboxesSection()
    DefaultMailboxes: Annotated[list[str], "Deprecated, use InitialMailboxes."] = []
    Transports: Annotated[
        dict[str, Transport],
        "Ways to deliver outgoing mail, for routes. Without a route, mail goes out directly.",
    ] = {}
    NoOutgoingDMARCReports: Annotated[bool, "Do not send DMARC reports to domains that ask for them."] = False
    NoOutgoingTLSReports: Annotated[bool, "Do not send TLS reports to domains that ask for them."] = False
    OutgoingTLSReportsForAllSuccess: Annotated[bool, "Send TLS reports also when nothing failed."] = False
    QuotaMessageSize: Annotated[
        int, "Bytes that all messages of an account may take. 0 for no limit. Accounts can have another limit."
    ] = 0
    Limits: Annotated[
        LimitsSection,
        "Limits for clients, which mox has fixed. Only in this program: leave it out to read the file with mox. Lists "
        "of three numbers are for one address, its /26 (IPv6 /48), and its /21 (IPv6 /32).",
    ] = LimitsSection()


class Dynamic(Struct, frozen=True, kw_only=True):
    """domains.conf: read again whenever it changes."""

    Domains: Annotated[
        dict[str, Domain],
        "NOTE: this file is read again when it changes. It is also changed by the admin and account pages and by `mox "
        "config` commands, which keep your comments.\n\n"
        "Domains that mail is accepted for, by name. Names with other than ASCII letters are written in Unicode.",
    ]
    Accounts: Annotated[
        dict[str, Account], "Accounts by name. The name is that of their directory in the data directory, no address."
    ]
    WebDomainRedirects: Annotated[
        dict[str, str], "Redirect every request for a domain to another one, always to https and with the same path."
    ] = {}
    WebHandlers: Annotated[list[WebHandler], "Handlers for web requests; the first that matches is used."] = []
    Routes: Annotated[list[Route], "Routes for all outgoing mail, after those of account and domain."] = []
    MonitorDNSBLs: Annotated[
        list[str], "Zones of DNS block lists to watch for the own addresses, without using them for incoming mail."
    ] = []
