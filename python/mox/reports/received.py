"""Reports of other servers about our domains: judging what arrives, keeping it, finding it again.

RFC 8460 §3 (a TLS report must be signed), RFC 7489 §7.2 (DMARC). Whether the mail is accepted is decided in `inbound`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from mox import log, metrics
from mox.config.live import Config
from mox.config.tables import Reports
from mox.dns.names import DomainError, parse_domain
from mox.dns.psl import organizational_domain
from mox.inbound.hooks import ExaminedReport
from mox.inbound.incoming import Incoming
from mox.mailauth.dkim import DkimResult, DkimStatus
from mox.mailauth.dmarc import DmarcStatus
from mox.mailauth.spf import SpfStatus
from mox.outbound.tlsresult import FailureType
from mox.reports import dmarcreport, tlsreport
from mox.reports.dmarcreport import Feedback
from mox.reports.tlsreport import TlsReport
from mox.reports.unpack import ReportError
from mox.store.engine import Engine, Tx

_DKIM_RESULTS = frozenset(DkimStatus)
_SPF_RESULTS = frozenset(SpfStatus)
_FAILURE_TYPES = frozenset(FailureType)

R = TypeVar("R")
_logger = log.get("reports")


@dataclass(frozen=True, slots=True)
class Kept(Generic[R]):
    """A stored report about a domain (Unicode), and the domain of who sent it."""

    id: int
    domain: str
    from_domain: str
    report: R


class ReceivedReports:
    """Takes reports; one for a process."""

    def __init__(self, config: Config, data_dir: Path) -> None:
        self._config = config
        self._tls = Engine(data_dir / "tlsrpt.db", "mox.reports.tlsrpt_migrations")
        self._dmarc = Engine(data_dir / "dmarcrpt.db", "mox.reports.dmarcrpt_migrations")

    async def examine(self, kind: Reports, incoming: Incoming) -> ExaminedReport:
        """Parse and judge a message to an address for reports."""
        if kind & Reports.DMARC:
            report, problem = self._examine_dmarc(incoming)
            return ExaminedReport(Reports.DMARC, report, problem)
        tls, problem = self._examine_tls(incoming)
        return ExaminedReport(kind, tls, problem)

    def _examine_dmarc(self, incoming: Incoming) -> tuple[Feedback | None, str]:
        if incoming.dmarc.status is not DmarcStatus.PASS:
            return None, "no DMARC pass"
        try:
            feedback = dmarcreport.parse_message(incoming.content)
        except ReportError as err:
            _logger.info("dmarc report", err=str(err))
            return None, "could not parse report"
        try:
            domain = parse_domain(feedback.policy.domain).ascii
        except DomainError:
            return None, "could not parse domain in published policy"
        if self._config.domain(domain) is None:
            return None, "published policy domain unrecognized"
        if dmarcreport.ends_in_future(feedback, datetime.now(UTC)):
            return None, "report has end date in the future"
        return feedback, ""

    def _examine_tls(self, incoming: Incoming) -> tuple[TlsReport | None, str]:
        author = incoming.author.domain if incoming.author is not None else ""
        if not author or not any(may_report(result, author) for result in incoming.dkim):
            return None, "no acceptable DKIM signature"
        try:
            report = tlsreport.parse_message(incoming.content)
        except ReportError as err:
            _logger.info("tls report", err=str(err))
            return None, "could not parse TLS report"
        if not self.known_domains(report):
            return None, "report for unknown domain"
        return report, ""

    def known_domains(self, report: TlsReport) -> list[tuple[str, bool]]:
        """(domain in Unicode, is the host's name) for each policy that is about us."""
        known: dict[str, bool] = {}
        for result in report.policies:
            try:
                domain = parse_domain(result.policy.policy_domain.rstrip("."), lax=True)
            except DomainError:
                continue
            is_host = domain.ascii == self._config.static.Hostname.lower()
            if is_host or self._config.domain(domain.ascii) is not None:
                known[domain.name] = is_host
        return list(known.items())

    async def store(self, examined: ExaminedReport, incoming: Incoming) -> None:
        """Keep a good report."""
        author = incoming.author.unicode_domain if incoming.author is not None else ""
        match examined.report:
            case Feedback() as feedback:
                await self.store_dmarc(feedback, author)
            case TlsReport() as report:
                await self.store_tls(report, author, str(incoming.envelope.sender))

    async def store_dmarc(self, feedback: Feedback, from_domain: str) -> int:
        """Keep a DMARC report; its id."""
        domain = parse_domain(feedback.policy.domain).name
        for row in feedback.rows:
            metrics.dmarc_evaluated.labels(domain, row.disposition, row.dkim, row.spf).inc(row.count)
            for dkim in row.dkim_auth:
                metrics.dmarc_dkim_results.labels(_known(dkim.result, _DKIM_RESULTS)).inc(row.count)
            for spf in row.spf_auth:
                metrics.dmarc_spf_results.labels(_known(spf.result, _SPF_RESULTS)).inc(row.count)

        def insert(tx: Tx) -> int:
            row = tx.one(
                "INSERT INTO reports (domain, from_domain, begin_ms, end_ms, report) VALUES (?, ?, ?, ?, ?) "
                "RETURNING id",
                domain,
                from_domain,
                feedback.metadata.begin * 1000,
                feedback.metadata.end * 1000,
                msgspec.json.encode(feedback).decode(),
            )
            assert row is not None
            return int(row[0])

        return await self._dmarc.write(insert)

    async def store_tls(self, report: TlsReport, from_domain: str, mail_from: str) -> int:
        """Keep a TLS report for each of our domains that it is about; how many. Raises ReportError for none."""
        known = self.known_domains(report)
        if not known:
            raise ReportError("report for unknown domain")
        text = msgspec.json.encode(report).decode()
        begin, end = (_ms(when) for when in (report.date_range.start_datetime, report.date_range.end_datetime))

        def insert(tx: Tx) -> None:
            tx.many(
                "INSERT INTO reports (domain, from_domain, mail_from, is_host, begin_ms, end_ms, report) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(domain, from_domain, mail_from, int(is_host), begin, end, text) for domain, is_host in known],
            )

        await self._tls.write(insert)
        _count_sessions(report)
        return len(known)

    async def list_dmarc(self, start_ms: int, end_ms: int, domain: str = "") -> list[Kept[Feedback]]:
        """Reports about a domain (or all) that begin or end within a period."""
        rows = await self._dmarc.read(lambda tx: _select(tx, start_ms, end_ms, domain))
        return [Kept(i, name, sender, msgspec.json.decode(text, type=Feedback)) for i, name, sender, text in rows]

    async def list_tls(self, start_ms: int, end_ms: int, domain: str = "") -> list[Kept[TlsReport]]:
        """As `list_dmarc`."""
        rows = await self._tls.read(lambda tx: _select(tx, start_ms, end_ms, domain))
        return [Kept(i, name, sender, msgspec.json.decode(text, type=TlsReport)) for i, name, sender, text in rows]

    async def close(self) -> None:
        """Close the databases."""
        await self._tls.close()
        await self._dmarc.close()


def _known(result: str, known: frozenset[str]) -> str:
    """A label: whoever sends reports must not be able to make new ones."""
    return result if result in known else "other"


def _count_sessions(report: TlsReport) -> None:
    """Sessions by how they went."""
    for policy in report.policies:
        metrics.tls_sessions.labels("success").inc(policy.summary.total_successful_session_count)
        for detail in policy.failure_details:
            kind = _known(detail.result_type, _FAILURE_TYPES)
            metrics.tls_sessions.labels(kind).inc(max(0, detail.failed_session_count))


def _select(tx: Tx, start_ms: int, end_ms: int, domain: str) -> list[tuple[int, str, str, str]]:
    """All that overlap the period, also those that are longer than it."""
    rows = tx.run(
        "SELECT id, domain, from_domain, report FROM reports WHERE begin_ms < ? AND end_ms > ? "
        "AND (? = '' OR domain = ?) ORDER BY begin_ms, id",
        end_ms,
        start_ms,
        domain,
        domain,
    )
    return [(int(i), str(name), str(sender), str(text)) for i, name, sender, text in rows]


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def may_report(result: DkimResult, author: str) -> bool:
    """A signature that vouches for a TLS report: of the author's domain, or above it in the same organization, over
    the whole body, with a key that may be used for it. RFC 8460 §3"""
    signature, record = result.signature, result.record
    if result.status is not DkimStatus.PASS or signature is None or record is None:
        return False
    domain = signature.domain.ascii
    is_related = domain == author or (
        author.endswith("." + domain) and organizational_domain(domain) == organizational_domain(author)
    )
    allowed = "*" in record.services or "tlsrpt" in record.services
    return is_related and signature.length is None and allowed
