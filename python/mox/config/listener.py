"""The part of mox.conf about listeners: addresses, TLS, and the services on them."""

from datetime import timedelta
from typing import Annotated

from msgspec import Struct

DEFAULT_MAX_MESSAGE_SIZE = 100 << 20
DEFAULT_FIRST_TIME_SENDER_DELAY = timedelta(seconds=15)


class KeyCert(Struct, frozen=True, kw_only=True):
    """A certificate chain and its key."""

    CertFile: Annotated[str, "PEM file with the certificate, followed by the intermediate certificates."]
    KeyFile: Annotated[str, "PEM file with the private key: PKCS#8, PKCS#1 or EC."]


class ListenerTLS(Struct, frozen=True, kw_only=True):
    """TLS of a listener."""

    ACME: Annotated[
        str, "Name of a provider in ACME above, from which certificates are requested. Excludes KeyCerts."
    ] = ""
    KeyCerts: Annotated[
        list[KeyCert],
        "Keys and certificates, chosen by the name that a client asks for; the first pair is the default. Paths are "
        "relative to the directory of this file. Excludes ACME.",
    ] = []
    MinVersion: Annotated[
        str, "Lowest version of TLS: TLSv1.2, the default, or TLSv1.3. TLSv1.0 and TLSv1.1 are understood as TLSv1.2."
    ] = ""
    HostPrivateKeyFiles: Annotated[
        list[str],
        "Private keys in PEM files that certificates for the host name are requested with through ACME. Because they "
        "stay the same when certificates are renewed, TLSA records for DANE can be published for them. RSA with 2048 "
        "bits and ECDSA with P-256 are used, at best one of each; `mox config ensureacmehostprivatekeys` makes them.",
    ] = []
    ClientAuthDisabled: Annotated[
        bool,
        "Do not ask clients for a certificate. For mail programs that handle the question badly; log-ins with a "
        "certificate are then not possible.",
    ] = False


class SMTPService(Struct, frozen=True, kw_only=True):
    """Incoming mail of other servers."""

    Enabled: bool
    Port: Annotated[int, "Default 25."] = 0
    NoSTARTTLS: Annotated[bool, "Do not offer STARTTLS."] = False
    RequireSTARTTLS: Annotated[
        bool, "Refuse mail over connections without TLS. Mail to the addresses for TLS reports is still accepted."
    ] = False
    NoRequireTLS: Annotated[
        bool,
        "Do not announce REQUIRETLS (RFC 8689), with which a sender asks that a message is only passed on over "
        "verified TLS.",
    ] = False
    DNSBLs: Annotated[
        list[str],
        "Zones of DNS block lists, consulted for mail of senders whose reputation decides nothing. Mail of an address "
        "on any of the lists is rejected. The own addresses are watched in the same lists, if this is listener public.",
    ] = []
    FirstTimeSenderDelay: Annotated[
        timedelta | None,
        "How long a message of a sender that was never seen before is delayed before it is accepted. Default 15s; 0s "
        "for no delay.",
    ] = None
    TLSSessionTicketsDisabled: Annotated[
        bool | None,
        "Whether TLS session tickets are left out. They are by default, because some large senders fail when they "
        "resume a session.",
    ] = None

    @property
    def first_time_sender_delay(self) -> timedelta:
        """What is in force."""
        return DEFAULT_FIRST_TIME_SENDER_DELAY if self.FirstTimeSenderDelay is None else self.FirstTimeSenderDelay

    @property
    def has_session_tickets(self) -> bool:
        """Whether TLS sessions can be resumed."""
        return self.TLSSessionTicketsDisabled is False


class SubmissionService(Struct, frozen=True, kw_only=True):
    """Mail of users, on a connection that starts without TLS."""

    Enabled: bool
    Port: Annotated[int, "Default 587."] = 0
    NoRequireSTARTTLS: Annotated[
        bool, "Allow log-ins without TLS, with which passwords can be read on the way. Only for tests."
    ] = False


class SubmissionsService(Struct, frozen=True, kw_only=True):
    """Mail of users over TLS."""

    Enabled: bool
    Port: Annotated[int, "Default 465."] = 0
    EnabledOnHTTPS: Annotated[
        bool,
        "Also serve on port 443, for clients that ask for protocol `smtp` by ALPN. For networks that let only web "
        "traffic through.",
    ] = False


class IMAPService(Struct, frozen=True, kw_only=True):
    """Mailboxes, on a connection that starts without TLS."""

    Enabled: bool
    Port: Annotated[int, "Default 143."] = 0
    NoRequireSTARTTLS: Annotated[
        bool, "Allow log-ins without TLS, with which passwords can be read on the way. Only for tests."
    ] = False


class IMAPSService(Struct, frozen=True, kw_only=True):
    """Mailboxes over TLS."""

    Enabled: bool
    Port: Annotated[int, "Default 993."] = 0
    EnabledOnHTTPS: Annotated[
        bool,
        "Also serve on port 443, for clients that ask for protocol `imap` by ALPN. For networks that let only web "
        "traffic through.",
    ] = False


class WebService(Struct, frozen=True, kw_only=True):
    """An interface for people or programs over HTTP."""

    Enabled: bool
    Port: Annotated[int, "Default 80 for services that end in HTTP, 443 for those in HTTPS."] = 0
    Path: Annotated[
        str,
        "Path under which the service is found, with a slash at both ends. Default: / for account, and /admin/, "
        "/webmail/ and /webapi/ for the others.",
    ] = ""
    Forwarded: Annotated[
        bool,
        "Requests come through a reverse proxy: the address of the client, for limits and logs, and whether it uses "
        "TLS are taken from the X-Forwarded headers.",
    ] = False


class PlainService(Struct, frozen=True, kw_only=True):
    """A service with nothing to set but its port."""

    Enabled: bool
    Port: Annotated[int, "Default 8010 for metrics, 8011 for profiles."] = 0


class PolicyService(Struct, frozen=True, kw_only=True):
    """Small public documents over HTTPS: settings for mail programs, the MTA-STS policy."""

    Enabled: bool
    Port: Annotated[int, "Default 443."] = 0
    NonTLS: Annotated[bool, "Speak plain HTTP, for a reverse proxy that does TLS."] = False
    Forwarded: Annotated[bool, "As in the web services."] = False


class WebserverService(Struct, frozen=True, kw_only=True):
    """The web server that WebHandlers and WebDomainRedirects in domains.conf configure."""

    Enabled: bool
    Port: Annotated[int, "Default 80 for WebserverHTTP, 443 for WebserverHTTPS."] = 0
    RateLimitDisabled: Annotated[
        bool, "Do not limit requests by client address. For a server behind a reverse proxy that limits."
    ] = False


_NO_WEB = WebService(Enabled=False)
_NO_POLICY = PolicyService(Enabled=False)
_NO_PLAIN = PlainService(Enabled=False)
_NO_WEBSERVER = WebserverService(Enabled=False)


class Listener(Struct, frozen=True, kw_only=True):
    """Services on a set of addresses."""

    IPs: Annotated[
        list[str],
        "Addresses to listen on; 0.0.0.0 and :: for all of a family. Name the public addresses if they do not change: "
        "outgoing mail then uses them too, and DNS can be checked against them.",
    ]
    NATIPs: Annotated[
        list[str],
        "If IPs are internal: the public addresses whose traffic arrives at them. Used for checks of DNS and "
        "suggested records.",
    ] = []
    IPsNATed: Annotated[
        bool, "Deprecated, use NATIPs. IPs are not public; checks of DNS that need public addresses are left out."
    ] = False
    Hostname: Annotated[str, "Name of this listener, in greetings and certificates. Default: the global Hostname."] = ""
    TLS: Annotated[ListenerTLS | None, "Certificates for STARTTLS, TLS and HTTPS."] = None
    SMTPMaxMessageSize: Annotated[int, "Largest message in bytes, incoming and submitted. Default 100 MiB."] = 0
    SMTP: Annotated[SMTPService, "Incoming mail of other servers."] = SMTPService(Enabled=False)
    Submission: Annotated[
        SubmissionService, "Mail of users, with STARTTLS. Prefer Submissions, which has TLS from the start."
    ] = SubmissionService(Enabled=False)
    Submissions: Annotated[SubmissionsService, "Mail of users, with TLS from the start."] = SubmissionsService(
        Enabled=False
    )
    IMAP: Annotated[IMAPService, "Mailboxes, with STARTTLS. Prefer IMAPS, which has TLS from the start."] = IMAPService(
        Enabled=False
    )
    IMAPS: Annotated[IMAPSService, "Mailboxes, with TLS from the start."] = IMAPSService(Enabled=False)
    AccountHTTP: Annotated[
        WebService, "Pages where users change their settings and password, import and export. At / by default."
    ] = _NO_WEB
    AccountHTTPS: Annotated[WebService, "The same over HTTPS."] = _NO_WEB
    AdminHTTP: Annotated[
        WebService,
        "Pages for the administrator, at /admin/ by default. Do not offer them publicly; reach them through ssh or a "
        "private network.",
    ] = _NO_WEB
    AdminHTTPS: Annotated[WebService, "The same over HTTPS. Do not offer it publicly if you can avoid it."] = _NO_WEB
    WebmailHTTP: Annotated[WebService, "Mail in the browser, at /webmail/ by default."] = _NO_WEB
    WebmailHTTPS: Annotated[WebService, "The same over HTTPS."] = _NO_WEB
    WebAPIHTTP: Annotated[WebService, "The interface for programs that send mail, at /webapi/ by default."] = _NO_WEB
    WebAPIHTTPS: Annotated[WebService, "The same over HTTPS."] = _NO_WEB
    MetricsHTTP: Annotated[PlainService, "Numbers for Prometheus at /metrics. Do not offer them publicly."] = _NO_PLAIN
    PprofHTTP: Annotated[
        PlainService, "Profiles of the running program at /debug/pprof/. Do not offer them publicly."
    ] = _NO_PLAIN
    AutoconfigHTTPS: Annotated[
        PolicyService,
        "Settings for mail programs that look for them: Thunderbird, programs of Microsoft and Apple. Name "
        "autoconfig.<domain> must lead here.",
    ] = _NO_POLICY
    MTASTSHTTPS: Annotated[
        PolicyService,
        "The MTA-STS policies of the domains, which tell other servers to use verified TLS. Name mta-sts.<domain> must "
        "lead here.",
    ] = _NO_POLICY
    WebserverHTTP: Annotated[
        WebserverService, "The handlers and redirects of domains.conf, before the services above."
    ] = _NO_WEBSERVER
    WebserverHTTPS: Annotated[WebserverService, "The same over HTTPS."] = _NO_WEBSERVER

    @property
    def max_message_size(self) -> int:
        """In bytes."""
        return self.SMTPMaxMessageSize or DEFAULT_MAX_MESSAGE_SIZE
