"""A message as it came in, and what can be found out about its sender without looking at any account.

`examine` runs all checks at once, each with a time limit. Their results are facts; nothing is decided here.
"""

import asyncio
from collections.abc import Callable

from msgspec import Struct, field

from mox._rust import ParsedMessage, StagedMessage, header_values
from mox.dns.names import DomainError, parse_domain, parse_ip
from mox.dns.resolver import Resolver
from mox.mailauth.arc import ArcResult, ArcStatus
from mox.mailauth.check import Authentication, FromValidation, MessageFacts, authenticate
from mox.mailauth.dkim import DkimResult, Policy
from mox.mailauth.dmarc import DmarcResult, DmarcStatus
from mox.mailauth.iprev import IprevResult, IprevStatus
from mox.mailauth.spf import SpfIdentity, SpfResult, SpfStatus
from mox.smtp.address import Path, to_unicode
from mox.store.types import Validation, networks


def _validation(status: SpfStatus | None) -> Validation:
    return Validation.UNKNOWN if status is None else Validation[status.name]


# Bytes of a message that is parsed on the loop.
SMALL = 64 * 1024


def _no_trace(_recipient: str, _reverse_name: str) -> bytes:
    return b""


class Peer:
    """What was found out about the client of a connection: asked once, not for each message."""

    __slots__ = ("_iprev",)

    def __init__(self) -> None:
        self._iprev: IprevResult | None = None

    @property
    def iprev(self) -> IprevResult | None:
        """None before the first message, and after a failure that may be over by now."""
        return self._iprev

    @iprev.setter
    def iprev(self, found: IprevResult) -> None:
        self._iprev = None if found.status is IprevStatus.TEMPERROR else found


class Envelope(Struct, frozen=True):
    """What the transaction said, and over what it came. `hello` is a domain in A-labels or an address literal.

    `received` makes the Received field, given the recipient and the name that the client's address has. `is_local`: one
    of our users sent it, whose identity was checked when it was submitted. `spf` is the result if it is known already.
    """

    sender: Path
    recipients: tuple[Path, ...]
    remote_ip: str
    hello: str = ""
    hostname: str = "localhost"
    utf8: bool = False
    has_tls: bool = False
    tls_version: int = 1
    require_tls: bool | None = None
    received: Callable[[str, str], bytes] = _no_trace
    is_local: bool = False
    spf: SpfResult | None = None
    peer: Peer = field(default_factory=Peer)

    @property
    def hello_domain(self) -> str:
        """Empty for an address literal."""
        return "" if self.hello.startswith("[") else self.hello


class Author(Struct, frozen=True):
    """The address in the From field; domain in A-labels."""

    localpart: str
    domain: str

    @property
    def unicode_domain(self) -> str:
        """For records and people."""
        return to_unicode(self.domain)


class Incoming(Struct, frozen=True):
    """A message with all that is known of its sender."""

    envelope: Envelope
    content: bytes
    parsed: ParsedMessage
    size: int
    author: Author | None
    facts: MessageFacts
    found: Authentication

    @property
    def header(self) -> bytes:
        """The header section with its empty line."""
        return self.content[: self.parsed.header_size]

    @property
    def iprev(self) -> IprevResult:
        """The name of the client's address."""
        return self.found.iprev

    @property
    def spf(self) -> SpfResult:
        """For MAIL FROM, or EHLO when that is empty."""
        return self.found.spf

    @property
    def dkim(self) -> tuple[DkimResult, ...]:
        """For each signature."""
        return self.found.dkim

    @property
    def dmarc(self) -> DmarcResult:
        """For the author's domain."""
        return self.found.dmarc

    @property
    def dkim_domains(self) -> tuple[str, ...]:
        """Domains (Unicode) whose signatures passed, each once."""
        return self.found.dkim_domains

    @property
    def sealer(self) -> str:
        """The domain (Unicode) of the host that sealed the message as it is now; empty without an unbroken chain of
        ARC seals. A seal says no less of who passed the message on than a DKIM signature does (RFC 8617 §7.2)."""
        arc = self.found.arc
        return to_unicode(arc.sets[-1].domain) if arc.status is ArcStatus.PASS and arc.sets else ""

    @property
    def mail_from_validation(self) -> Validation:
        """UNKNOWN when the name in EHLO was checked instead."""
        return _validation(self.found.mail_from_status)

    @property
    def ehlo_validation(self) -> Validation:
        """UNKNOWN when MAIL FROM was checked."""
        return _validation(self.found.helo_status)

    @property
    def from_validation(self) -> Validation:
        """How well the author's domain is verified."""
        return Validation[self.found.from_validation.name]

    @property
    def from_validated(self) -> bool:
        """The author's domain vouches for the message."""
        return self.found.is_from_validated

    @property
    def networks(self) -> tuple[str, str, str]:
        """The address of the client and the networks around it."""
        return networks(self.envelope.remote_ip)

    @property
    def received_count(self) -> int:
        """How many hosts the message has passed."""
        return len(header_values(self.header, "Received"))


async def examine(
    resolver: Resolver, envelope: Envelope, staged: StagedMessage, policy: Policy | None = None
) -> Incoming:
    """Parse and check a message; `policy` is that of DKIM. Raises OSError when the staged content cannot be read."""
    parsed, content = await _read(staged)
    author = find_author(parsed, content[: parsed.header_size])
    sender = envelope.sender
    facts = MessageFacts(
        parse_ip(envelope.remote_ip),
        content[: parsed.header_size],
        staged,
        sender.localpart,
        "" if sender.is_literal else sender.domain,
        envelope.hello_domain,
        "" if envelope.hello_domain else envelope.remote_ip,
        author.domain if author else "",
        envelope.hostname,
        envelope.spf,
        iprev=envelope.peer.iprev,
    )
    if envelope.is_local:
        found = _of_our_user(facts)
    else:
        found = await authenticate(resolver, facts, policy)
        envelope.peer.iprev = found.iprev
    return Incoming(envelope, content, parsed, staged.size, author, facts, found)


async def _read(staged: StagedMessage) -> tuple[ParsedMessage, bytes]:
    """Parsing a small message takes less time than handing it to a thread and back."""
    if staged.size <= SMALL:
        return staged.parse(b""), staged.content()
    return await asyncio.to_thread(lambda: (staged.parse(b""), staged.content()))


def find_author(parsed: ParsedMessage, header: bytes) -> Author | None:
    """The author, if there is exactly one From field with one usable address.

    Several From fields are a trick: a signature covers the last, a reader looks at the first.
    """
    if len(header_values(header, "From")) != 1 or len(parsed.from_) != 1:
        return None
    _, localpart, domain = parsed.from_[0]
    try:
        return Author(localpart, parse_domain(domain).ascii)
    except DomainError:
        return None


def _of_our_user(facts: MessageFacts) -> Authentication:
    """Submission made sure of the sender; asking DNS about ourselves would tell nothing more."""
    sender = facts.mail_from_domain
    validation = FromValidation.NONE
    if facts.from_domain and sender:
        validation = FromValidation.STRICT if facts.from_domain == sender else FromValidation.RELAXED
    status = DmarcStatus.NONE if validation is FromValidation.NONE else DmarcStatus.PASS
    return Authentication(
        IprevResult(IprevStatus.PASS, facts.receiver),
        SpfResult(SpfStatus.PASS, SpfIdentity.MAILFROM, sender) if sender else SpfResult(SpfStatus.NONE),
        (),
        DmarcResult(status, aligned_spf_pass=status is DmarcStatus.PASS),
        ArcResult(ArcStatus.NONE),
        validation,
        "not checked for a message of our own",
    )
