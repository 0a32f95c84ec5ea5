"""Delivery to one host of a destination: which TLS it takes, the connection, the transactions.

RFC 7672 (DANE), RFC 8461 §4 (MTA-STS), RFC 8689 (REQUIRETLS, TLS-Required), RFC 7435 (opportunistic security),
RFC 8460 (what is recorded for reports).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from mox import log, metrics
from mox._rust import TlsRoots
from mox.dns.resolver import DnsTemporary, Resolver, Tlsa
from mox.message.dsn import Mta
from mox.net.conn import Connection
from mox.net.tls import ClientTls, TlsFailure, TlsInfo
from mox.outbound import gather, transactions
from mox.outbound.dial import Dialer, DialError, dial
from mox.outbound.gather import Addresses, Destination, GatherError, TlsaSet
from mox.outbound.measured import Measured, tls_label
from mox.outbound.mtasts import Policy
from mox.outbound.outcomes import Outcome
from mox.outbound.pool import Pool
from mox.outbound.queue import Queue
from mox.outbound.records import Message
from mox.outbound.tlsresult import (
    FailureDetails,
    FailureType,
    PolicyType,
    Recorder,
    certificate_failure,
    dns_reason,
    handshake_failure,
)
from mox.smtp.client import Options, SmtpClient, Timeouts, TlsMode
from mox.smtp.client_errors import Kind, SmtpClientError
from mox.smtp.client_session import Peer

REQUIRETLS_SECODE = "7.30"

_logger = log.get("queue")

# Remembers for the sender's account what a domain offers: (account, domain, has TLS, announces REQUIRETLS).
Remember = Callable[[str, str, bool, bool], Awaitable[None]]


class HostError(Exception):
    """No recipient got an answer of its own from this host. `is_tls`: plain text may be tried instead, unless
    TLS was `demanded` of the host."""

    def __init__(self, outcome: Outcome, is_tls: bool = False, demanded: bool = False) -> None:
        super().__init__(outcome.error)
        self.outcome, self.is_tls, self.demanded = outcome, is_tls, demanded

    @property
    def lacks_requiretls(self) -> bool:
        """The message requires TLS on its whole way and this host does not promise that."""
        return self.outcome.secode == REQUIRETLS_SECODE


@dataclass(frozen=True, slots=True)
class Tools:
    """What deliveries of a process share. `port` is 25 but in tests."""

    queue: Queue
    resolver: Resolver
    roots: TlsRoots
    remember: Remember
    pool: Pool
    port: int = gather.SMTP_PORT
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True, slots=True)
class Route:
    """How hosts are reached: the name for EHLO, the dialer, the address families, and a name for reuse."""

    hostname: str
    dialer: Dialer
    families: frozenset[int] = frozenset((4, 6))
    name: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """What TLS has to be like at a host, found out before connecting. `records` None: no DANE."""

    mode: TlsMode
    needs_pkix: bool
    records: tuple[Tlsa, ...] | None
    names: tuple[str, ...]

    @property
    def server_name(self) -> str:
        """For SNI."""
        return self.names[0]


class HostDelivery:
    """One attempt at one host."""

    def __init__(
        self,
        tools: Tools,
        route: Route,
        destination: Destination,
        host: str,
        policy: Policy | None,
        domain_result: Recorder,
        dialed: dict[str, list[str]],
    ) -> None:
        self._tools, self._route = tools, route
        self._destination, self._host, self._policy = destination, host, policy
        self._domain_result = domain_result
        self.host_result = Recorder(host)
        self._dialed = dialed
        self._has_judged = False
        self._succeeded = False
        self._peer = Peer()

    async def deliver(self, messages: Sequence[Message], skip_tls: bool = False) -> dict[int, Outcome]:
        """An outcome by id for each message. Raises HostError, OSError for an unreadable message."""
        with Measured(messages[0].attempts, self._route.name) as measured:
            try:
                found = await self._deliver(messages, skip_tls, measured)
            except HostError as err:
                measured.outcomes = [err.outcome]
                raise
            measured.outcomes = found.values()
        return found

    async def _deliver(self, messages: Sequence[Message], skip_tls: bool, measured: Measured) -> dict[int, Outcome]:
        first = messages[0]
        ignores_tls_errors = first.require_tls is False
        addresses = await self._addresses()
        demand = await self._demand(addresses, skip_tls, ignores_tls_errors)
        measured.tls_mode = tls_label(demand.mode, self._is_enforced, demand.records is not None)
        if first.require_tls and not (demand.records or self._is_enforced):
            metrics.queue_requiretls_unsupported.labels("nopolicy").inc()
            raise _no_verification()
        key = (self._route.name, self._host, self._tools.port, demand, ignores_tls_errors)
        client, remote = await self._session(key, addresses, demand, ignores_tls_errors)
        await self._remember(first, client)
        return await self._send(key, client, remote, messages, addresses)

    @property
    def _is_enforced(self) -> bool:
        return self._policy is not None and self._policy.mode == "enforce"

    async def _addresses(self) -> Addresses:
        try:
            return await gather.gather_addresses(self._tools.resolver, self._host, self._dialed, self._route.families)
        except GatherError as err:
            if err.dns is not None and err.dns.is_dnssec_failure:
                detail = self._detail(FailureType.VALIDATION_FAILURE, dns_reason(err.dns))
                self.host_result.set_policy(PolicyType.TLSA, self._host)
                self._count(0, 1, detail)
            raise HostError(Outcome(False, error=f"{err}, transient")) from err

    def _can_have_dane(self, addresses: Addresses) -> bool:
        """RFC 7672 §2.2.1: nothing on the way to the host's name may be forged."""
        destination = self._destination
        return (
            addresses.authentic
            and destination.authentic
            and (not destination.has_mx or destination.expanded_authentic)
            and gather.literal_ip(destination.next_hop) is None
        )

    async def _demand(self, addresses: Addresses, skip_tls: bool, ignores_tls_errors: bool) -> Demand:
        """What TLS must be like; what is found out goes into the results."""
        plain = Demand(
            mode=TlsMode.REQUIRED if self._is_enforced else TlsMode.OPPORTUNISTIC,
            needs_pkix=self._is_enforced,
            records=None,
            names=(self._host,),
        )
        if skip_tls:
            return replace(plain, mode=TlsMode.SKIP)
        if not self._can_have_dane(addresses):
            self.host_result.set_policy(PolicyType.NONE, self._host)
            return plain
        expanded_authentic = self._destination.expanded_authentic and addresses.expanded_authentic
        try:
            found = await gather.gather_tlsa(self._tools.resolver, self._host, addresses, expanded_authentic)
        except GatherError as err:
            self._record_tlsa_error(err.dns)
            if not ignores_tls_errors:
                raise HostError(Outcome(False, error=f"{err}, transient"), demanded=True) from err
            metrics.queue_tlsrequiredno_ignored.labels("badtlsa").inc()
            return plain
        if not found.required:
            self.host_result.set_policy(PolicyType.NONE, found.base_domain)
            return plain
        return self._dane(plain, found, addresses)

    def _record_tlsa_error(self, err: DnsTemporary | None) -> None:
        metrics.queue_gathertlsa_errors.inc()
        is_dnssec = err is not None and err.is_dnssec_failure
        kind = FailureType.DNSSEC_INVALID if is_dnssec else FailureType.TLSA_INVALID
        self.host_result.set_policy(PolicyType.TLSA, self._host)
        detail = self._detail(kind, dns_reason(err, "extended-dns-error"))
        self._domain_result.add(0, int(is_dnssec))
        self.host_result.add(0, int(is_dnssec), detail)

    def _dane(self, plain: Demand, found: TlsaSet, addresses: Addresses) -> Demand:
        """STARTTLS is required by the mere presence of TLSA records. RFC 7672 §2.2"""
        metrics.queue_dane_required.inc()
        names = gather.certificate_names(self._destination, self._host, addresses, found.base_domain)
        strings = sorted(str(record) for record in found.records)
        self.host_result.set_policy(PolicyType.TLSA, found.base_domain, strings)
        if not found.records:
            metrics.queue_dane_unverified.inc()
            detail = self._detail(FailureType.TLSA_INVALID, "all-unusable-records+ignored")
            self.host_result.add(0, 0, detail)
            return replace(plain, mode=TlsMode.REQUIRED, names=names)
        return replace(plain, mode=TlsMode.REQUIRED, records=found.records, names=names)

    async def _session(
        self, key: object, addresses: Addresses, demand: Demand, ignores_tls_errors: bool
    ) -> tuple[SmtpClient, Mta]:
        pooled = await self._tools.pool.take(key)
        if pooled is not None:
            return pooled, self._remote(pooled.conn)
        try:
            conn, _ = await dial(self._route.dialer, self._host, addresses.ips, self._tools.port, self._dialed)
        except DialError as err:
            raise HostError(Outcome(False, error=f"{err}, transient")) from err
        return await self._open(conn, demand, ignores_tls_errors), self._remote(conn)

    def _remote(self, conn: Connection) -> Mta:
        return Mta(self._host, conn.remote[0])

    async def _open(self, conn: Connection, demand: Demand, ignores_tls_errors: bool) -> SmtpClient:
        """A session. The certificate is judged after the handshake: so all that is wrong with it gets reported."""

        def verify(info: TlsInfo) -> None:
            self._judge(conn, info, demand, ignores_tls_errors)

        tls = ClientTls(
            roots=self._tools.roots,
            tlsa=None if demand.records is None else [_tuple(r) for r in demand.records],
            dane_names=demand.names[1:],
            pkix_name=self._host,
        )
        options = Options(
            self._route.hostname, demand.mode, demand.server_name, tls, verify, timeouts=self._tools.timeouts
        )
        client = SmtpClient(conn, options)
        self._peer = client.peer
        try:
            await client.start()
        except SmtpClientError as err:
            is_tls = self._record_failure(conn, err)
            manner = transactions.Manner(self._remote(conn))
            raise HostError(transactions.failure_outcome(err, manner), is_tls, demand.mode is TlsMode.REQUIRED) from err
        if demand.mode is TlsMode.OPPORTUNISTIC and conn.tls is None:
            detail = self._detail(FailureType.STARTTLS_NOT_SUPPORTED, "", conn)
            self._count(0, 0, detail)
        return client

    def _judge(self, conn: Connection, info: TlsInfo, demand: Demand, ignores_errors: bool) -> None:
        """Record what verification says, and refuse where policy demands it. Raises SmtpClientError."""
        problems = []
        if demand.records is not None:
            metrics.dane_verifications.inc()
        if info.dane_error is not None:
            metrics.dane_failures.inc()
            self.host_result.add(0, 0, self._detail(FailureType.VALIDATION_FAILURE, "dane-no-match", conn))
            problems.append(f"dane verification: {info.dane_error[1]}")
        if info.pkix_error is not None:
            self._domain_result.add(0, 0, self._detail(*certificate_failure(info.pkix_error[0]), conn))
            if demand.needs_pkix:
                problems.append(f"certificate verification: {info.pkix_error[1]}")
        if not problems or ignores_errors:
            if problems:
                metrics.smtpclient_tlsrequiredno_ignored.labels("daneverification").inc()
            self._succeeded = True
            self._count(1, 0)
            return
        self._has_judged = True
        self._count(0, 1)
        raise SmtpClientError(Kind.TLS, command="starttls", detail="; ".join(problems))

    def _record_failure(self, conn: Connection, err: SmtpClientError) -> bool:
        """Count a failed session if TLS is why; True in that case."""
        if err.kind is not Kind.TLS:
            return False
        if self._has_judged:
            return True
        if err.code:
            reason = f"smtp-starttls-reply-code-{err.code}"
            self._count(0, 1, self._detail(FailureType.STARTTLS_NOT_SUPPORTED, reason, conn))
            return True
        # With TLS 1.3 a server refuses a name or certificate only after our side of the handshake is complete.
        late = -1 if self._succeeded else 0
        failure = err.__cause__ if isinstance(err.__cause__, TlsFailure) else None
        kind, reason = handshake_failure(failure, isinstance(err.__cause__, TimeoutError))
        self._count(late, 1, self._detail(kind, reason, conn))
        return True

    def _count(self, success: int, failure: int, *details: FailureDetails) -> None:
        self._domain_result.add(success, failure, *details)
        self.host_result.add(success, failure, *details)

    def _detail(self, kind: FailureType, reason: str, conn: Connection | None = None) -> FailureDetails:
        return FailureDetails(
            result_type=str(kind),
            sending_mta_ip=conn.local[0] if conn is not None else "",
            receiving_mx_hostname=self._host,
            receiving_mx_helo=self._peer.greeting_name,
            receiving_ip=conn.remote[0] if conn is not None else "",
            failed_session_count=1,
            failure_reason_code=reason,
        )

    async def _remember(self, message: Message, client: SmtpClient) -> None:
        """For the signs of security in mail programs. It is best effort: `remember` logs its failures."""
        if message.account:
            has_tls = client.conn.tls is not None
            await self._tools.remember(
                message.account, message.recipient_domain, has_tls, client.peer.extensions.requiretls
            )

    async def _send(
        self, key: object, client: SmtpClient, remote: Mta, messages: Sequence[Message], addresses: Addresses
    ) -> dict[int, Outcome]:
        manner = transactions.Manner(remote)
        try:
            outcomes = await transactions.send(self._tools.queue, client, messages, manner)
        except SmtpClientError as err:
            outcome = transactions.failure_outcome(err, manner)
            if err.kind is Kind.REQUIRETLS:
                metrics.queue_requiretls_unsupported.labels("norequiretls").inc()
                outcome = replace(outcome, secode=REQUIRETLS_SECODE)
            raise HostError(self._adjust(messages[0], outcome, addresses)) from err
        finally:
            await self._tools.pool.give(key, client)
        return {message.id: self._adjust(message, outcomes[message.id], addresses) for message in messages}

    @staticmethod
    def _adjust(message: Message, outcome: Outcome, addresses: Addresses) -> Outcome:
        """A refusal by policy at the first attempt may be for our address: try the other family before giving up."""
        by_policy = outcome.permanent and outcome.secode.startswith("7.")
        if by_policy and message.attempts == 1 and addresses.is_dual_stack:
            return replace(outcome, permanent=False)
        return outcome


def _no_verification() -> HostError:
    text = "missing required tls verification mechanism"
    return HostError(Outcome(False, code=554, secode=REQUIRETLS_SECODE, error=f"{text}, transient"))


def _tuple(record: Tlsa) -> tuple[int, int, int, bytes]:
    return record.usage, record.selector, record.matching_type, record.data
