"""Direct delivery: to the hosts that a recipient domain names, in their order, until one takes or refuses it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mox import log, metrics
from mox.message.addresses import ascii_domain
from mox.outbound import gather
from mox.outbound.claims import Claim
from mox.outbound.gather import Destination, GatherError
from mox.outbound.host import HostDelivery, HostError, Route, Tools
from mox.outbound.mtasts import Policy
from mox.outbound.mtastscache import PolicyCache, StsTemporary
from mox.outbound.outcomes import Outcome
from mox.outbound.tlsresult import FailureDetails, FailureType, PolicyResult, PolicyType, Recorder, dns_reason

# All hosts of a destination together; with the time-outs of RFC 5321 §4.5.3.2 a slow server could take hours.
DELIVERY_TIMEOUT_S = 1800.0

_logger = log.get("queue")


@dataclass(frozen=True, slots=True)
class TlsResults:
    """What one attempt found out about TLS: of the recipient domain, and of its hosts."""

    domain: str
    of_domain: PolicyResult | None
    of_hosts: tuple[PolicyResult, ...]
    is_tls_report: bool
    is_dmarc_report: bool


RecordTls = Callable[[TlsResults], Awaitable[None]]


class DirectDelivery:
    """Delivers claims directly. `record` is called once for each attempt that may have met TLS."""

    def __init__(self, tools: Tools, policies: PolicyCache, record: RecordTls) -> None:
        self._tools, self._policies, self._record = tools, policies, record

    async def deliver(self, claim: Claim, route: Route) -> Sequence[Outcome]:
        """An outcome for each message of the claim."""
        attempt = _Attempt(self._tools, self._policies, route, claim)
        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT_S):
                found = await attempt.run()
        except TimeoutError:
            found = attempt.all_failed(Outcome(False, error="delivery takes too long, transient"))
        results = attempt.results()
        if results is not None:
            await self._record(results)
        return [replace(found[message.id], dialed_ips=attempt.dialed) for message in claim.messages]


class _Attempt:
    """One attempt at one claim."""

    def __init__(self, tools: Tools, policies: PolicyCache, route: Route, claim: Claim) -> None:
        self._tools, self._policies, self._route, self._messages = tools, policies, route, claim.messages
        self._first = claim.messages[0]
        self._domain = ascii_domain(claim.domain)
        self._domain_result = Recorder(self._domain)
        self._host_results: list[Recorder] = []
        self.dialed: dict[str, list[str]] = dict(self._first.dialed_ips)

    async def run(self) -> Mapping[int, Outcome]:
        """Outcomes by id."""
        try:
            destination = await gather.gather_destination(self._tools.resolver, self._domain)
        except GatherError as err:
            return self._gather_failed(err)
        metrics.queue_destinations.inc()
        if destination.authentic:
            metrics.queue_destinations_authentic.inc()
        try:
            policy = await self._policy()
        except StsTemporary as err:
            return self.all_failed(Outcome(False, error=f"{err}, transient"))
        return await self._hosts(destination, policy)

    def all_failed(self, outcome: Outcome) -> dict[int, Outcome]:
        """The same for every recipient."""
        return {message.id: outcome for message in self._messages}

    def results(self) -> TlsResults | None:
        """For reports; None for address literals, which have no domain to report to."""
        if self._domain.startswith("["):
            return None
        return TlsResults(
            self._domain,
            self._domain_result.result(),
            tuple(result for r in self._host_results if (result := r.result()) is not None),
            self._first.is_tls_report,
            self._first.is_dmarc_report,
        )

    def _gather_failed(self, err: GatherError) -> Mapping[int, Outcome]:
        if err.dns is not None and err.dns.is_dnssec_failure:
            self._domain_result.set_policy(PolicyType.NONE, self._domain)
            detail = FailureDetails(
                str(FailureType.VALIDATION_FAILURE), failed_session_count=1, failure_reason_code=dns_reason(err.dns)
            )
            self._domain_result.add(0, 1, detail)
        word = "permanent" if err.permanent else "transient"
        return self.all_failed(Outcome(False, err.permanent, error=f"{err}, {word}"))

    async def _policy(self) -> Policy | None:
        """The MTA-STS policy of the domain that mail is for, never of an alias's target. RFC 8461 §8.4"""
        if self._domain.startswith("["):
            return None
        try:
            return await self._policies.get(self._domain, self._domain_result)
        except StsTemporary:
            self._domain_result.add(0, 1)
            if self._first.require_tls is not False:
                raise
            metrics.queue_tlsrequiredno_ignored.labels("mtastspolicy").inc()
            return None

    async def _hosts(self, destination: Destination, policy: Policy | None) -> Mapping[int, Outcome]:
        last = Outcome(False, error="no hosts to deliver to, transient")
        lacking = 0
        for host in destination.hosts:
            if not self._may_use(host, policy):
                patterns = ", ".join(policy.mx) if policy else ""
                text = f"mx host {host} does not match enforced mta-sts policy with hosts {patterns}, transient"
                last = Outcome(False, error=text)
                continue
            try:
                return await self._host(destination, host, policy)
            except HostError as err:
                last = err.outcome
                lacking += err.lacks_requiretls
            except OSError as err:
                return self.all_failed(Outcome(False, error=f"reading message: {err}, transient"))
            if last.permanent and self._is_final_for_message(last):
                break
        if lacking and lacking == len(destination.hosts):
            text = "destination servers do not support requiretls, permanent"
            last = Outcome(False, True, 554, "7.30", text)
        return self.all_failed(last)

    @staticmethod
    def _is_final_for_message(outcome: Outcome) -> bool:
        """A server's own refusal ends the attempt; what our side knows of its abilities does not hold for others."""
        return outcome.code != 0

    def _may_use(self, host: str, policy: Policy | None) -> bool:
        """By MTA-STS; testing mode only reports. RFC 8461 §4.1, §5"""
        if policy is None or policy.mode == "none" or policy.matches(host):
            return True
        is_enforced = policy.mode == "enforce"
        ignores = self._first.require_tls is False
        detail = FailureDetails(
            str(FailureType.VALIDATION_FAILURE),
            receiving_mx_hostname=host,
            failed_session_count=1,
            failure_reason_code="mtasts-policy-mx-mismatch",
        )
        self._domain_result.add(0, int(is_enforced and not ignores), detail)
        if is_enforced and ignores:
            metrics.queue_tlsrequiredno_ignored.labels("mtastsmx").inc()
        return not is_enforced or ignores

    async def _host(self, destination: Destination, host: str, policy: Policy | None) -> Mapping[int, Outcome]:
        delivery = self._delivery(destination, host, policy, self._domain_result)
        self._host_results.append(delivery.host_result)
        try:
            return await delivery.deliver(self._messages)
        except HostError as err:
            if not err.is_tls or not self._may_fall_back(err):
                raise
        metrics.queue_plaintext_fallback.inc()
        if self._first.require_tls is False:
            metrics.queue_tlsrequiredno_ignored.labels("badtls").inc()
        # Results of this second try would count the same failure again.
        plain = self._delivery(destination, host, policy, Recorder(self._domain))
        return await plain.deliver(self._messages, skip_tls=True)

    def _delivery(self, destination: Destination, host: str, policy: Policy | None, result: Recorder) -> HostDelivery:
        return HostDelivery(self._tools, self._route, destination, host, policy, result, self.dialed)

    def _may_fall_back(self, err: HostError) -> bool:
        """Plain text is better than nothing where nobody asked for TLS. RFC 7435"""
        if self._first.require_tls is False:
            return True
        return not (err.demanded or self._first.require_tls or self._first.is_dmarc_report)
