"""All checks of an incoming message at once: facts in, one immutable result out.

What the result means for the message is decided elsewhere; how it is written into the header is in `results`. DNS lists
are not asked here: they are only asked about senders that nothing else speaks for (`dnsbl.first_listing`).
"""

import asyncio
import enum
import random
import time
from collections.abc import Coroutine
from typing import Any, cast

from msgspec import Struct

from mox import log, metrics
from mox._rust import split_fields
from mox.dns.names import IPAddress
from mox.dns.resolver import Resolver
from mox.mailauth import arc, dkim, dmarc, iprev, spf
from mox.mailauth.arc import ArcResult, ArcStatus
from mox.mailauth.canon import Body, MalformedHeader
from mox.mailauth.dkim import DkimResult, DkimStatus, Policy
from mox.mailauth.dmarc import Discovery, DmarcResult, DmarcStatus
from mox.mailauth.dmarcrecord import Alignment
from mox.mailauth.iprev import IprevResult, IprevStatus
from mox.mailauth.spf import SpfFacts, SpfIdentity, SpfResult, SpfStatus

TIMEOUT_S = 60.0
_LATE = "no answer in time"
_logger = log.get("mailauth")


class FromValidation(enum.StrEnum):
    """How well the From domain is proven: by equal domains, by DMARC, by the same organization, or not."""

    STRICT = "strict"
    DMARC = "dmarc"
    RELAXED = "relaxed"
    NONE = "none"


class MessageFacts(Struct, frozen=True):
    """What is known of a message. Domains are ASCII in lower case, localparts decoded.

    `mail_from_domain` is empty for the null path. `helo` is empty when the client gave an address literal, which is
    then in `helo_literal` without brackets. `from_domain` is that of the only address of the only From field, empty
    when there is none. `header` ends with the empty line. `iprev` and `spf` are results that are known already.
    """

    remote_ip: IPAddress
    header: bytes
    body: Body
    mail_from_localpart: str = ""
    mail_from_domain: str = ""
    helo: str = ""
    helo_literal: str = ""
    from_domain: str = ""
    receiver: str = "unknown"
    spf: SpfResult | None = None
    iprev: IprevResult | None = None

    @property
    def spf_facts(self) -> SpfFacts:
        """What SPF is interested in."""
        return SpfFacts(self.remote_ip, self.mail_from_localpart, self.mail_from_domain, self.helo, self.receiver)


class Authentication(Struct, frozen=True):
    """Everything that was found out. `dkim_problem` says why no signature could be looked at."""

    iprev: IprevResult
    spf: SpfResult
    dkim: tuple[DkimResult, ...]
    dmarc: DmarcResult
    arc: ArcResult
    from_validation: FromValidation
    dkim_problem: str = ""

    @property
    def dkim_domains(self) -> tuple[str, ...]:
        """Distinct domains (Unicode form) with a passing signature, in the order of the signatures."""
        passing = (r.signature.domain.name for r in self.dkim if r.signature and r.status is DkimStatus.PASS)
        return tuple(dict.fromkeys(passing))

    @property
    def is_from_validated(self) -> bool:
        """Whether the From domain is proven."""
        return self.from_validation is not FromValidation.NONE

    @property
    def mail_from_status(self) -> SpfStatus | None:
        """The result for MAIL FROM, None when that was not checked."""
        return self.spf.status if self.spf.identity is SpfIdentity.MAILFROM else None

    @property
    def helo_status(self) -> SpfStatus | None:
        """The result for EHLO, None when that was not checked."""
        return self.spf.status if self.spf.identity is SpfIdentity.HELO else None


async def authenticate(
    resolver: Resolver,
    facts: MessageFacts,
    policy: Policy | None = None,
    timeout_s: float = TIMEOUT_S,
    sample: float | None = None,
    now: float | None = None,
) -> Authentication:
    """Run all checks in parallel; one that takes longer than `timeout_s` counts as a temporary failure.

    `policy` is that of DKIM; `sample` in [0, 100) stands for DMARC's random choice; `now` in Unix seconds. Raises
    nothing for what the message or DNS says.
    """
    started = time.monotonic()
    header, is_malformed = facts.header.lower(), _is_malformed(facts.header)
    late_spf = SpfResult(SpfStatus.TEMPERROR, *_spf_identity(facts.spf_facts), problem=_LATE)
    late_discovery = Discovery(facts.from_domain, status=DmarcStatus.TEMPERROR, problem=_LATE)
    late_dkim = ((DkimResult(DkimStatus.TEMPERROR, problem=_LATE),), "")
    # What a message does not have needs no task.
    found: dict[str, Any] = {"iprev": facts.iprev, "spf": facts.spf}
    found |= {"dkim": ((), ""), "dmarc": None, "arc": ArcResult(ArcStatus.NONE)}
    work: list[_Work] = []
    if facts.iprev is None:
        late_iprev = IprevResult(IprevStatus.TEMPERROR, problem=_LATE)
        work.append(("iprev", _iprev(resolver, facts.remote_ip), late_iprev))
    if facts.spf is None:
        work.append(("spf", _verify_spf(resolver, facts.spf_facts), late_spf))
    if is_malformed or b"dkim-signature" in header:
        work.append(("dkim", _dkim(resolver, facts, policy, now), late_dkim))
    if facts.from_domain:
        work.append(("dmarc", dmarc.discover(resolver.tagged("dmarc"), facts.from_domain), late_discovery))
    if is_malformed or b"arc-" in header:
        work.append(("arc", _arc(resolver, facts), ArcResult(ArcStatus.FAIL, problem=_LATE)))
    results = await _together(timeout_s, *work)
    found.update((name, result) for (name, _, _), result in zip(work, results, strict=True))
    spf_result, discovery = found["spf"], found["dmarc"]
    signatures, dkim_problem = found["dkim"]
    sample = random.uniform(0, 100) if sample is None else sample
    if discovery is None:
        verdict = DmarcResult(DmarcStatus.NONE)
    else:
        verdict = dmarc.evaluate(discovery, facts.from_domain, signatures, spf_result, sample)
        labels = verdict.status, str(verdict.rejects).lower(), str(verdict.applies).lower()
        metrics.labelled(metrics.dmarc_verifications, *labels).observe(time.monotonic() - started)
    validation = _validate_from(facts.from_domain, signatures, spf_result, verdict)
    return Authentication(found["iprev"], spf_result, signatures, verdict, found["arc"], validation, dkim_problem)


# A check: its name, what runs, and the result when it is late.
_Work = tuple[str, Coroutine[Any, Any, Any], object]


def _is_malformed(header: bytes) -> bool:
    """The checks say how."""
    try:
        split_fields(header)
    except ValueError:
        return True
    return False


async def _together(timeout_s: float, *work: _Work) -> list[Any]:
    """Results of named coroutines that run at once; the third of each is the result of one that is late.

    A bug in one check must not lose the message: it is counted, logged, and the check counts as late.
    """
    if not work:
        return []
    tasks = [asyncio.create_task(coroutine) for _, coroutine, _ in work]
    try:
        await asyncio.wait(tasks, timeout=timeout_s)
        return [_outcome(task, name, late) for task, (name, _, late) in zip(tasks, work, strict=True)]
    finally:
        pending = [task for task in tasks if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)


def _outcome(task: asyncio.Task[Any], name: str, late: object) -> Any:
    if not task.done():
        return late
    failure = task.exception()
    if failure is None:
        return task.result()
    metrics.panics.labels(f"{name}verify").inc()
    _logger.error("check failed", check=name, exc_info=failure)
    return late


async def check_spf(resolver: Resolver, facts: SpfFacts, timeout_s: float = TIMEOUT_S) -> SpfResult:
    """SPF alone, for decisions before the message is there; give the result to `authenticate` in `MessageFacts.spf`."""
    late = SpfResult(SpfStatus.TEMPERROR, *_spf_identity(facts), problem=_LATE)
    (result,) = await _together(timeout_s, ("spf", _verify_spf(resolver, facts), late))
    return cast(SpfResult, result)


async def check_iprev(resolver: Resolver, ip: IPAddress, timeout_s: float = TIMEOUT_S) -> IprevResult:
    """The name of the client alone, for the Received field."""
    late = IprevResult(IprevStatus.TEMPERROR, problem=_LATE)
    (result,) = await _together(timeout_s, ("iprev", _iprev(resolver, ip), late))
    return cast(IprevResult, result)


def _spf_identity(facts: SpfFacts) -> tuple[SpfIdentity, str]:
    if facts.mail_from_domain:
        return SpfIdentity.MAILFROM, facts.mail_from_domain
    return (SpfIdentity.HELO, facts.helo) if facts.helo else (SpfIdentity.UNKNOWN, "")


async def _iprev(resolver: Resolver, ip: IPAddress) -> IprevResult:
    started = time.monotonic()
    result = await iprev.verify(resolver.tagged("iprev"), ip)
    metrics.labelled(metrics.iprev_lookups, result.status).observe(time.monotonic() - started)
    return result


async def _verify_spf(resolver: Resolver, facts: SpfFacts) -> SpfResult:
    started = time.monotonic()
    result = await spf.verify(resolver.tagged("spf"), facts)
    metrics.labelled(metrics.spf_verifications, result.status).observe(time.monotonic() - started)
    return result


async def _dkim(
    resolver: Resolver, facts: MessageFacts, policy: Policy | None, now: float | None
) -> tuple[tuple[DkimResult, ...], str]:
    started = time.monotonic()
    try:
        results = await dkim.verify(resolver.tagged("dkim"), facts.header, facts.body, policy, now)
    except MalformedHeader as err:
        return (), f"malformed header: {err}"
    for result in results:
        algorithm = result.signature.algorithm if result.signature and result.record else "unknown"
        metrics.labelled(metrics.dkim_verifications, algorithm, result.status).observe(time.monotonic() - started)
    return tuple(results), ""


async def _arc(resolver: Resolver, facts: MessageFacts) -> ArcResult:
    try:
        return await arc.verify(resolver.tagged("arc"), facts.header, facts.body)
    except MalformedHeader as err:
        return ArcResult(ArcStatus.NONE, problem=f"malformed header: {err}")


def _validate_from(
    from_domain: str, signatures: tuple[DkimResult, ...], spf_result: SpfResult, verdict: DmarcResult
) -> FromValidation:
    proven = [r.signature.domain.ascii for r in signatures if r.signature and r.status is DkimStatus.PASS]
    if spf_result.status is SpfStatus.PASS:
        proven.append(spf_result.domain)
    if not from_domain:
        return FromValidation.NONE
    if from_domain in proven:
        return FromValidation.STRICT
    if not any(dmarc.is_aligned(from_domain, domain, Alignment.RELAXED) for domain in proven):
        return FromValidation.NONE
    return FromValidation.DMARC if verdict.status is DmarcStatus.PASS else FromValidation.RELAXED
