"""Transports of mox.conf, and the routes of domains.conf that lead to them."""

from typing import Annotated

from msgspec import Struct

# In the order in which they are tried when a transport names none. PLAIN must be asked for.
DEFAULT_MECHANISMS = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "CRAM-MD5")
MECHANISMS = (*DEFAULT_MECHANISMS, "PLAIN")
DEFAULT_FAIL_CODE = 554
DEFAULT_FAIL_MESSAGE = "transport fails every attempt, as configured"


class SMTPAuth(Struct, frozen=True, kw_only=True):
    """Credentials for a relay."""

    Username: str
    Password: str
    Mechanisms: Annotated[
        list[str],
        "Mechanisms to try, in this order, out of SCRAM-SHA-256-PLUS, SCRAM-SHA-256, SCRAM-SHA-1-PLUS, SCRAM-SHA-1, "
        "CRAM-MD5 and PLAIN. Default: these without PLAIN.",
    ] = []

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What is tried."""
        return tuple(self.Mechanisms) or DEFAULT_MECHANISMS


class TransportSMTP(Struct, frozen=True, kw_only=True):
    """A server that takes all mail."""

    Host: Annotated[str, "Name to connect to; its certificate must be for this name."]
    Port: Annotated[int, "Default 25 for SMTP, 587 for Submission, 465 for Submissions."] = 0
    STARTTLSInsecureSkipVerify: Annotated[bool, "Accept any certificate after STARTTLS."] = False
    NoSTARTTLS: Annotated[bool, "Do not use TLS at all."] = False
    Auth: Annotated[SMTPAuth | None, "Credentials, if the server wants a log-in."] = None


class TransportSocks(Struct, frozen=True, kw_only=True):
    """Direct delivery through a SOCKS5 proxy."""

    Address: Annotated[str, "Host and port of the proxy, such as 127.0.0.1:1080."]
    RemoteIPs: Annotated[
        list[str],
        "Addresses from which mail reaches other servers. Used in checks of DNS and suggested records.",
    ]
    RemoteHostname: Annotated[str, "Name for these addresses, used in the greeting of other servers."]
    Username: Annotated[str, "For a proxy that wants a log-in (RFC 1929). Not known to mox itself."] = ""
    Password: Annotated[str, "The password for it."] = ""


class TransportDirect(Struct, frozen=True, kw_only=True):
    """Direct delivery over one address family."""

    DisableIPv4: Annotated[bool, "Connect only over IPv6."] = False
    DisableIPv6: Annotated[bool, "Connect only over IPv4."] = False


class TransportFail(Struct, frozen=True, kw_only=True):
    """No delivery."""

    SMTPCode: Annotated[int, "Code of the failure: 4xx for a temporary one, 5xx for a permanent one. Default 554."] = 0
    SMTPMessage: Annotated[str, "Text of the failure, at most 256 printable ASCII characters."] = ""

    @property
    def code(self) -> int:
        """What is in force."""
        return self.SMTPCode or DEFAULT_FAIL_CODE

    @property
    def message(self) -> str:
        """What is in force."""
        return self.SMTPMessage or DEFAULT_FAIL_MESSAGE


class Transport(Struct, frozen=True, kw_only=True):
    """One way to deliver outgoing mail. At most one of the methods."""

    Submissions: Annotated[TransportSMTP | None, "Hand over to a server with TLS from the start."] = None
    Submission: Annotated[TransportSMTP | None, "Hand over to a server with STARTTLS."] = None
    SMTP: Annotated[TransportSMTP | None, "Hand over to a relay on the port of SMTP."] = None
    Socks: Annotated[TransportSocks | None, "Deliver directly, through a SOCKS5 proxy."] = None
    Direct: Annotated[TransportDirect | None, "Deliver directly, over one address family only."] = None
    Fail: Annotated[TransportFail | None, "Fail every attempt, for destinations that must not be mailed."] = None

    @property
    def relay(self) -> tuple[TransportSMTP, int, bool] | None:
        """The server of the SMTP methods, with the port in force and whether TLS starts at once."""
        if self.Submissions is not None:
            return self.Submissions, self.Submissions.Port or 465, True
        if self.Submission is not None:
            return self.Submission, self.Submission.Port or 587, False
        if self.SMTP is not None:
            return self.SMTP, self.SMTP.Port or 25, False
        return None


class Route(Struct, frozen=True, kw_only=True):
    """Which mail leaves by which transport."""

    FromDomain: Annotated[
        list[str],
        "Domains of the sender: example.org for exactly this one, .example.org with its subdomains. Empty for any.",
    ] = []
    ToDomain: Annotated[list[str], "Domains of the recipient, likewise."] = []
    MinimumAttempts: Annotated[int, "Matches only when at least this many attempts were made."] = 0
    Transport: Annotated[str, "Name of a transport in mox.conf."]
