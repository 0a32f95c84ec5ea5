"""DMARC: does the From domain vouch for the message, and what does it ask for otherwise? RFC 7489.

`discover` finds the record, `evaluate` decides from it and the results of DKIM and SPF, without any I/O, so that both
can run when their inputs are there. Failures of DNS only excuse a message when they concern a domain that is aligned:
else a forger could add a signature of a broken zone of his own and escape every policy.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

from mox.dns.psl import organizational_domain
from mox.dns.resolver import DnsNotFound, DnsTemporary, Resolver
from mox.mailauth.dkim import DkimResult, DkimStatus
from mox.mailauth.dmarcrecord import (
    Alignment,
    DmarcPolicy,
    DmarcRecord,
    DmarcSyntaxError,
    is_dmarc,
    parse_consent_record,
    parse_record,
)
from mox.mailauth.spf import SpfResult, SpfStatus


class DmarcStatus(enum.StrEnum):
    """RFC 7489 §11.2."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Discovery(Struct, frozen=True):
    """The record for a From domain: found at `domain`, or None; `status` is "none" unless looking for it failed."""

    domain: str
    record: DmarcRecord | None = None
    text: str = ""
    authentic: bool = False
    status: DmarcStatus = DmarcStatus.NONE
    problem: str = ""


class DmarcResult(Struct, frozen=True):
    """The verdict.

    `rejects`: the domain asks not to accept the message (quarantine counts as well). `applies`: it is among the
    percentage of messages to which the policy is to be applied. `policy` is what was asked for, also when it passes.
    """

    status: DmarcStatus
    rejects: bool = False
    applies: bool = False
    policy: DmarcPolicy = DmarcPolicy.NONE
    aligned_spf_pass: bool = False
    aligned_dkim_pass: bool = False
    discovery: Discovery | None = None
    problem: str = ""

    @property
    def record(self) -> DmarcRecord | None:
        """The record that applies."""
        return self.discovery.record if self.discovery else None

    @property
    def authentic(self) -> bool:
        """Whether the record is, by DNSSEC."""
        return self.discovery is not None and self.discovery.authentic


async def discover(resolver: Resolver, from_domain: str) -> Discovery:
    """Look at the From domain (ASCII, lower case) and then its organizational domain. RFC 7489 §6.6.3."""
    found = await _lookup(resolver, from_domain)
    organization = organizational_domain(from_domain)
    if found.record is not None or found.status is not DmarcStatus.NONE or organization == from_domain:
        return found
    above = await _lookup(resolver, organization)
    if above.record is None and above.status is DmarcStatus.NONE:
        return Discovery(from_domain, authentic=found.authentic and above.authentic, problem=found.problem)
    return above


async def _lookup(resolver: Resolver, domain: str) -> Discovery:
    try:
        answer = await resolver.txt(f"_dmarc.{domain}")
    except DnsNotFound as err:
        return Discovery(domain, authentic=err.authentic)
    except DnsTemporary as err:
        return Discovery(domain, status=DmarcStatus.TEMPERROR, problem=str(err))
    texts = [text for text in answer.records if is_dmarc(text)]
    if not texts:
        return Discovery(domain, authentic=answer.authentic)
    if len(texts) > 1:
        return Discovery(domain, authentic=answer.authentic, problem="more than one DMARC record")
    try:
        return Discovery(domain, parse_record(texts[0]), texts[0], answer.authentic)
    except DmarcSyntaxError as err:
        return Discovery(domain, None, texts[0], answer.authentic, DmarcStatus.PERMERROR, str(err))


def evaluate(
    discovery: Discovery, from_domain: str, dkim: Sequence[DkimResult], spf: SpfResult, sample: float
) -> DmarcResult:
    """Decide. `sample` in [0, 100) is random, and compared with the record's percentage. RFC 7489 §6.6.2, §6.6.4."""
    record = discovery.record
    if record is None:
        return DmarcResult(discovery.status, discovery=discovery, problem=discovery.problem)
    policy = record.policy
    if discovery.domain != from_domain and record.subdomain_policy is not None:
        policy = record.subdomain_policy
    spf_aligned = is_aligned(from_domain, spf.domain, record.spf_alignment)
    aligned = [r for r in dkim if r.signature and is_aligned(from_domain, _domain(r), record.dkim_alignment)]
    spf_pass = spf_aligned and spf.status is SpfStatus.PASS
    dkim_pass = any(result.status is DkimStatus.PASS for result in aligned)
    unknown = (spf_aligned and spf.status is SpfStatus.TEMPERROR) or any(
        result.status is DkimStatus.TEMPERROR for result in aligned
    )
    if spf_pass or dkim_pass:
        status = DmarcStatus.PASS
    else:
        status = DmarcStatus.TEMPERROR if unknown else DmarcStatus.FAIL
    return DmarcResult(
        status,
        status is DmarcStatus.FAIL and policy is not DmarcPolicy.NONE,
        sample < record.percentage,
        policy,
        spf_pass,
        dkim_pass,
        discovery,
    )


def is_aligned(from_domain: str, domain: str, mode: Alignment) -> bool:
    """Whether `domain` may vouch for `from_domain`; both ASCII and lower case. RFC 7489 §3.1."""
    if not domain:
        return False
    if mode is Alignment.STRICT or domain == from_domain:
        return domain == from_domain
    return organizational_domain(domain) == organizational_domain(from_domain)


def _domain(result: DkimResult) -> str:
    return result.signature.domain.ascii if result.signature else ""


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether a domain accepts DMARC reports about another one, and the records by which it says so."""

    accepts: bool
    records: tuple[DmarcRecord, ...] = ()
    texts: tuple[str, ...] = ()
    authentic: bool = False


async def lookup_consent(resolver: Resolver, domain: str, external: str) -> Consent:
    """Whether `external` accepts reports about `domain`. Raises DnsTemporary: ask again later. RFC 7489 §7.1."""
    try:
        answer = await resolver.txt(f"{domain}._report._dmarc.{external}")
    except DnsNotFound as err:
        return Consent(False, authentic=err.authentic)
    records, texts = [], []
    for text in answer.records:
        try:
            records.append(parse_consent_record(text))
        except DmarcSyntaxError:
            continue
        texts.append(text)
    return Consent(bool(records), tuple(records), tuple(texts), answer.authentic)
