"""A message as it came in, and what can be found out about its sender without looking at any account.

`examine` runs all checks at once, each with a time limit. Their results are facts; nothing is decided here.
"""

import asyncio
import ipaddress
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mox import log, metrics
from mox._rust import ParsedMessage, StagedMessage, header_values
from mox.dns.names import DomainError, parse_domain
from mox.dns.resolver import Resolver
from mox.mailauth import dkim, dmarc, iprev, spf
from mox.mailauth.canon import BytesBody, MalformedHeader
from mox.mailauth.dkim import DkimResult, DkimStatus
from mox.mailauth.dmarc import Discovery, DmarcResult, DmarcStatus
from mox.mailauth.iprev import IprevResult, IprevStatus
from mox.mailauth.psl import organizational_domain
from mox.mailauth.spf import SpfFacts, SpfIdentity, SpfResult, SpfStatus
from mox.smtp.address import Path, to_unicode
from mox.store.types import Validation, networks

CHECK_TIMEOUT_S = 60.0

T = TypeVar("T")
_logger = log.get("inbound")

_SPF_VALIDATION = {
    SpfStatus.PASS: Validation.PASS,
    SpfStatus.NEUTRAL: Validation.NEUTRAL,
    SpfStatus.TEMPERROR: Validation.TEMPERROR,
    SpfStatus.PERMERROR: Validation.PERMERROR,
    SpfStatus.FAIL: Validation.FAIL,
    SpfStatus.SOFTFAIL: Validation.SOFTFAIL,
    SpfStatus.NONE: Validation.NONE,
}


def _no_trace(_recipient: str, _reverse_name: str) -> bytes:
    return b""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the transaction said, and over what it came. `hello` is a domain in A-labels or an address literal.

    `received` makes the Received field, given the recipient and the name that the client's address has. `is_local`: one
    of our users sent it, whose identity was checked when it was submitted.
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

    @property
    def hello_domain(self) -> str:
        """Empty for an address literal."""
        return "" if self.hello.startswith("[") else self.hello


@dataclass(frozen=True, slots=True)
class Author:
    """The address in the From field; domain in A-labels."""

    localpart: str
    domain: str

    @property
    def unicode_domain(self) -> str:
        """For records and people."""
        return to_unicode(self.domain)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message with all that is known of its sender."""

    envelope: Envelope
    content: bytes
    parsed: ParsedMessage
    size: int
    author: Author | None
    iprev: IprevResult
    spf: SpfResult
    dkim: tuple[DkimResult, ...]
    dkim_problem: str
    dmarc: DmarcResult
    from_validation: Validation
    names: tuple[str, ...] = field(default_factory=tuple)

    @property
    def header(self) -> bytes:
        """The header section with its empty line."""
        return self.content[: self.parsed.header_size]

    @property
    def dkim_domains(self) -> tuple[str, ...]:
        """Domains (Unicode) whose signatures passed, each once."""
        passed = (r.signature.domain.name for r in self.dkim if r.signature and r.status is DkimStatus.PASS)
        return tuple(dict.fromkeys(passed))

    @property
    def mail_from_validation(self) -> Validation:
        """UNKNOWN when the name in EHLO was checked instead."""
        return _SPF_VALIDATION[self.spf.status] if self.spf.identity is SpfIdentity.MAILFROM else Validation.UNKNOWN

    @property
    def ehlo_validation(self) -> Validation:
        """UNKNOWN when MAIL FROM was checked."""
        return _SPF_VALIDATION[self.spf.status] if self.spf.identity is SpfIdentity.HELO else Validation.UNKNOWN

    @property
    def from_validated(self) -> bool:
        """The author's domain vouches for the message."""
        return self.from_validation in (Validation.STRICT, Validation.DMARC, Validation.RELAXED)

    @property
    def networks(self) -> tuple[str, str, str]:
        """The address of the client and the networks around it."""
        return networks(self.envelope.remote_ip)

    @property
    def received_count(self) -> int:
        """How many hosts the message has passed."""
        return len(header_values(self.header, "Received"))


async def examine(resolver: Resolver, envelope: Envelope, staged: StagedMessage) -> Incoming:
    """Parse and check a message. Raises OSError when the staged content cannot be read."""
    parsed, content = await asyncio.to_thread(lambda: (staged.parse(b""), staged.content()))
    author = find_author(parsed, content[: parsed.header_size])
    if envelope.is_local:
        return _of_our_user(envelope, content, parsed, staged.size, author)
    address = ipaddress.ip_address(envelope.remote_ip)
    spf_facts = SpfFacts(
        address,
        envelope.sender.localpart,
        "" if envelope.sender.is_literal else envelope.sender.domain,
        envelope.hello_domain,
        envelope.hostname,
    )
    found_iprev, found_spf, (signatures, problem), discovery = await asyncio.gather(
        _limited("iprev", iprev.verify(resolver, address), IprevResult(IprevStatus.TEMPERROR, problem="time-out")),
        _limited("spf", spf.verify(resolver, spf_facts), SpfResult(SpfStatus.TEMPERROR, problem="time-out")),
        _limited("dkim", _check_signatures(resolver, content, parsed.header_size), ([], "time-out")),
        _limited("dmarc", _discover(resolver, author), Discovery("", status=DmarcStatus.TEMPERROR, problem="time-out")),
    )
    verdict = DmarcResult(DmarcStatus.NONE)
    if author is not None and discovery is not None:
        verdict = dmarc.evaluate(discovery, author.domain, signatures, found_spf, random.uniform(0, 100))
    return Incoming(
        envelope,
        content,
        parsed,
        staged.size,
        author,
        found_iprev,
        found_spf,
        tuple(signatures),
        problem,
        verdict,
        alignment(author, signatures, found_spf, verdict),
    )


async def _limited(name: str, check: Awaitable[T], otherwise: T) -> T:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check
    except TimeoutError:
        _logger.info("check took too long", check=name)
        return otherwise
    except Exception:  # a bug in one check must not lose the message
        metrics.panics.labels(f"{name}verify").inc()
        _logger.exception("check failed", check=name)
        return otherwise


async def _check_signatures(resolver: Resolver, content: bytes, header_size: int) -> tuple[list[DkimResult], str]:
    header = content[:header_size]
    if b"dkim-signature" not in header.lower():
        return [], "no dkim signatures"
    try:
        return await dkim.verify(resolver, header, BytesBody(content[header_size:])), ""
    except MalformedHeader as err:
        return [], str(err)


async def _discover(resolver: Resolver, author: Author | None) -> Discovery | None:
    return None if author is None else await dmarc.discover(resolver, author.domain)


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


def alignment(
    author: Author | None, signatures: list[DkimResult], found_spf: SpfResult, verdict: DmarcResult
) -> Validation:
    """How well the author's domain is verified."""
    if author is None:
        return Validation.NONE
    passed = {r.signature.domain.ascii for r in signatures if r.signature and r.status is DkimStatus.PASS}
    if found_spf.status is SpfStatus.PASS and found_spf.domain:
        passed.add(found_spf.domain.lower())
    if author.domain in passed:
        return Validation.STRICT
    organization = organizational_domain(author.domain)
    if any(organizational_domain(domain) == organization for domain in passed):
        return Validation.DMARC if verdict.status is DmarcStatus.PASS else Validation.RELAXED
    return Validation.NONE


def _of_our_user(
    envelope: Envelope, content: bytes, parsed: ParsedMessage, size: int, author: Author | None
) -> Incoming:
    """Submission made sure of the sender; asking DNS about ourselves would tell nothing more."""
    sender = envelope.sender.domain
    found_spf = SpfResult(SpfStatus.PASS, SpfIdentity.MAILFROM, sender) if sender else SpfResult(SpfStatus.NONE)
    validation = Validation.NONE
    if author is not None and sender:
        validation = Validation.STRICT if author.domain == sender else Validation.RELAXED
    status = DmarcStatus.PASS if validation is not Validation.NONE else DmarcStatus.NONE
    return Incoming(
        envelope,
        content,
        parsed,
        size,
        author,
        IprevResult(IprevStatus.PASS, envelope.hostname),
        found_spf,
        (),
        "not checked for a message of our own",
        DmarcResult(status, aligned_spf_pass=status is DmarcStatus.PASS),
        validation,
    )
