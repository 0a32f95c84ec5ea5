"""Domains of domains.conf: DKIM keys, policies, report addresses, aliases."""

from datetime import timedelta
from typing import Annotated

from msgspec import Struct

from mox.config.transport import Route

DEFAULT_SIGNED_HEADERS = (
    "From",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "References",
    "In-Reply-To",
    "Subject",
    "Date",
    "Message-Id",
    "Content-Type",
)
MTASTS_MODES = ("enforce", "testing", "none")


class CanonicalizationSection(Struct, frozen=True, kw_only=True):
    """What may change on the way without breaking a signature."""

    HeaderRelaxed: Annotated[bool, "White space and case of header fields may change."]
    BodyRelaxed: Annotated[bool, "White space in the body may change."]


class Selector(Struct, frozen=True, kw_only=True):
    """A key for signing."""

    Hash: Annotated[str, "sha256, the default, or sha1, which nobody should use."] = ""
    Canonicalization: Annotated[
        CanonicalizationSection, "How strictly a message must arrive unchanged. Default: strictly, in header and body."
    ] = CanonicalizationSection(HeaderRelaxed=False, BodyRelaxed=False)
    Headers: Annotated[
        list[str],
        "Header fields that are signed; From must be among them. Default: From, To, Cc, Bcc, Reply-To, References, "
        "In-Reply-To, Subject, Date, Message-Id, Content-Type.",
    ] = []
    DontSealHeaders: Annotated[
        bool,
        "Do not protect against further fields of the same names. By default each field is signed once more than it is "
        "present, so that nobody can add one.",
    ] = False
    Expiration: Annotated[
        str, "How long a signature is good, such as 72h. Empty for no end. It should cover the time a message may take."
    ] = ""
    PrivateKeyFile: Annotated[
        str, "PEM file with the private key in PKCS#8 form, ed25519 or RSA, relative to the directory of this file."
    ]

    @property
    def headers(self) -> tuple[str, ...]:
        """What is signed."""
        return tuple(self.Headers) or DEFAULT_SIGNED_HEADERS

    @property
    def hash(self) -> str:
        """The name of the hash."""
        return self.Hash or "sha256"


class DKIMSection(Struct, frozen=True, kw_only=True):
    """Signatures on outgoing mail."""

    Selectors: Annotated[
        dict[str, Selector],
        "Keys by selector; the public half of each belongs into a TXT record at <selector>._domainkey.<domain>.",
    ]
    Sign: Annotated[list[str], "Selectors that outgoing messages are signed with."] = []


class ReportAddress(Struct, frozen=True, kw_only=True):
    """Where reports about a domain arrive."""

    Localpart: Annotated[
        str, "Left part of the address, without separator: dmarcreports or tlsreports are good names. ASCII only."
    ]
    Domain: Annotated[
        str, "Another domain of this server to receive reports at, instead of the domain itself; it must be in Domains."
    ] = ""
    Account: Annotated[str, "Account that gets the reports."]
    Mailbox: Annotated[str, "Mailbox that gets the reports, such as DMARC or TLSRPT."]


class MTASTSSection(Struct, frozen=True, kw_only=True):
    """The policy by which others use verified TLS for the domain."""

    PolicyID: Annotated[
        str, "Changes whenever the policy changes, and stands in the TXT record _mta-sts.<domain>. A date is good."
    ]
    Mode: Annotated[
        str,
        "enforce: others deliver only over verified TLS. testing: they deliver anyway and report failures. none: they "
        "forget the policy. Before removing a policy, publish none for as long as MaxAge.",
    ]
    MaxAge: Annotated[timedelta, "How long others may keep the policy. Several weeks protect best."]
    MX: Annotated[
        list[str], "Names that mail for the domain may be delivered to; *.example.org for one label. Default: Hostname."
    ] = []


class Alias(Struct, frozen=True, kw_only=True):
    """One address for several members."""

    Addresses: Annotated[list[str], "Addresses of the members, all of accounts on this server."]
    PostPublic: Annotated[
        bool, "Anyone may write to the alias. Otherwise only members may, as verified authors in the From header."
    ] = False
    ListMembers: Annotated[bool, "Members see the addresses of the others."] = False
    AllowMsgFrom: Annotated[bool, "Members may send mail with the alias as address in the From header."] = False


class Domain(Struct, frozen=True, kw_only=True):
    """A domain that mail is accepted for."""

    Disabled: Annotated[
        bool,
        "Mail for and from the domain is refused for the time being, and no certificates are requested for its names. "
        "Accounts can still log in.",
    ] = False
    Description: Annotated[str, "Free text."] = ""
    ClientSettingsDomain: Annotated[
        str,
        "Name for mail programs to connect to, instead of the host name, such as mail.<domain>. A domain can then move "
        "to another server without a change in mail programs.",
    ] = ""
    LocalpartCatchallSeparator: Annotated[
        str, "Text in a localpart from which on it is ignored: with +, mail for user+anything reaches user."
    ] = ""
    LocalpartCatchallSeparators: Annotated[
        list[str], "Several such texts. Unique addresses that are generated use the first. Excludes the single one."
    ] = []
    LocalpartCaseSensitive: Annotated[bool, "User and user are different addresses."] = False
    DKIM: Annotated[DKIMSection, "Signatures on outgoing mail."] = DKIMSection(Selectors={})
    DMARC: Annotated[
        ReportAddress | None, "Address for reports of others on who sends mail in the name of the domain."
    ] = None
    MTASTS: Annotated[MTASTSSection | None, "Policy that asks others for verified TLS."] = None
    TLSRPT: Annotated[ReportAddress | None, "Address for reports of others on TLS when they deliver here."] = None
    Routes: Annotated[list[Route], "Routes for mail from this domain, after those of the account."] = []
    Aliases: Annotated[dict[str, Alias], "Addresses that stand for several others, by localpart."] = {}

    @property
    def separators(self) -> tuple[str, ...]:
        """The catchall separators in force."""
        if self.LocalpartCatchallSeparator:
            return (self.LocalpartCatchallSeparator,)
        return tuple(self.LocalpartCatchallSeparators)
