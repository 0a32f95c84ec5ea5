"""Sending TLS reports: each day for the last one, to recipient domains and to the domains of MX hosts. RFC 8460."""

import asyncio
import gzip
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from mox import log
from mox.config.tables import DomainEntry
from mox.dns.names import parse_domain
from mox.dns.resolver import Resolver
from mox.message.addresses import ascii_address
from mox.message.compose import Part, base64_part, multipart, text_part
from mox.outbound.tlsresult import PolicyResult, merge
from mox.reports import suppressed, tlsresults
from mox.reports.outgoing import Letter, ReportMailer, Sleep, mailto_address, spacing_s, take_run
from mox.reports.tlsreport import DateRange, TlsReport
from mox.reports.tlsresults import TlsResult, day_of
from mox.reports.tlsrptrecord import TlsRptError, lookup_record
from mox.store.engine import Engine, Tx

SPREAD_S = 4 * 3600.0
_START_S = (240.0, 359.0)

_logger = log.get("tlsrptsend")


class TlsReportSender:
    """Sends reports; several processes may have one."""

    def __init__(
        self, engine: Engine, resolver: Resolver, mailer: ReportMailer, all_success: bool, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._engine, self._resolver, self._mailer = engine, resolver, mailer
        self._all_success, self._sleep = all_success, sleep

    async def run(self) -> None:
        """Send now what is left of former days, and then every day after midnight UTC, for ever."""
        while True:
            now = datetime.now(UTC)
            await self.send_day(now)
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            wait_s = (midnight - now).total_seconds() + random.uniform(*_START_S)
            await asyncio.sleep(wait_s)

    async def send_day(self, now: datetime) -> None:
        """All reports about the days before `now`, if no other process does it."""
        day = day_of(now - timedelta(days=1))

        def begin(tx: Tx) -> list[tuple[str, str, bool]]:
            if not take_run(tx, f"tls {day}"):
                return []
            tlsresults.remove_old(tx, now)
            return tlsresults.due(tx, day)

        due = await self._engine.write(begin)
        for is_recipient in (True, False):
            keys = [(domain, of_day) for domain, of_day, is_own in due if is_own is is_recipient]
            pause_s = spacing_s(SPREAD_S, len(keys))
            for number, (domain, of_day) in enumerate(keys):
                if number:
                    await self._sleep(pause_s)
                await self._send_logged(domain, of_day, is_recipient)

    async def _send_logged(self, domain: str, day: str, is_recipient: bool) -> None:
        try:
            keep = await self.send_one(domain, day, is_recipient)
        except TlsRptError as err:
            _logger.info("tls report", domain=domain, day=day, err=str(err))
            keep = err.is_temporary
        if not keep:
            await self._engine.write(lambda tx: tlsresults.remove(tx, domain, day))

    async def send_one(self, domain: str, day: str, is_recipient: bool) -> bool:
        """One report; True when the results are still wanted, because it could not be queued. Raises TlsRptError."""
        select = tlsresults.by_recipient_domain if is_recipient else tlsresults.by_policy_domain
        rows = await self._engine.read(lambda tx: select(tx, domain, day))
        signer = self._mailer.signing_domain()
        if signer is None or not any(row.send_report for row in rows):
            return False
        record = await lookup_record(self._resolver, parse_domain(domain, lax=True).ascii)
        addresses = sorted({a for uri in record.uris if (a := mailto_address(uri)) is not None})
        wanted = [row for row in rows if _is_wanted(row, domain, is_recipient, addresses)]
        has_failure = any(row.has_failure for row in wanted)
        if not addresses or not wanted or not (has_failure or self._all_success):
            return False
        ids = [row.id for row in wanted]
        left = await self._engine.read(lambda tx: [a for a in addresses if not suppressed.is_suppressed(tx, a)])
        if not left:
            return False
        # Before it is queued: a crash must not send the same report again and again.
        await self._engine.write(lambda tx: tlsresults.mark_sent(tx, ids, is_recipient, addresses))
        policies = merge([], [result for row in wanted for result in _policies(row, is_recipient)])
        letter = compose(domain, day, policies, signer)
        sender = f"postmaster@{signer.name.ascii}"
        if await self._mailer.send(letter, sender, left, signer):
            return False
        await self._engine.write(lambda tx: tlsresults.unmark_sent(tx, ids, is_recipient))
        return True


def _is_wanted(row: TlsResult, domain: str, is_recipient: bool, addresses: Sequence[str]) -> bool:
    if is_recipient:
        return not (row.policy_domain == domain and row.sent_to_recipient_domain)
    # Who gets the recipient domain's report too has read it there.
    return not row.sent_to_policy_domain and row.reporting_addresses != list(addresses)


def _policies(row: TlsResult, is_recipient: bool) -> list[PolicyResult]:
    """For an MX host's domain the report is about the recipient domain, with the host named."""
    if is_recipient:
        return row.results
    recipient = parse_domain(row.recipient_domain, lax=True).ascii
    host = parse_domain(row.policy_domain, lax=True).ascii
    replace = msgspec.structs.replace
    return [
        replace(result, policy=replace(result.policy, policy_domain=recipient, mx_host=[host]))
        for result in row.results
    ]


def compose(domain: str, day: str, policies: list[PolicyResult], signer: DomainEntry) -> Letter:
    """The message about a day."""
    begin = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
    end = begin + timedelta(days=1, seconds=-1)
    ascii_name, submitter = parse_domain(domain, lax=True).ascii, signer.name.ascii
    report_id = f"{day}.{ascii_name}@{submitter}"
    report = TlsReport(
        organization_name=submitter,
        date_range=DateRange(begin, end),
        contact_info=f"postmaster@{submitter}",
        report_id=report_id,
        policies=policies,
    )
    document = msgspec.json.format(msgspec.json.encode(report), indent=2)
    name = f"{submitter}!{ascii_name}!{int(begin.timestamp())}!{int(end.timestamp())}.json.gz"
    attachment = base64_part(
        gzip.compress(document),
        f'application/tlsrpt+gzip; name="{name}"',
        (("Content-Disposition", f'attachment; filename="{name}"'),),
    )
    parts = [_summary(ascii_name, submitter, begin, end, policies), attachment]
    return Letter(
        subject=f"Report Domain: {ascii_name} Submitter: {submitter} Report-ID: <{report_id}>",
        fields=(
            ("TLS-Report-Domain", ascii_name),
            ("TLS-Report-Submitter", submitter),
            ("TLS-Required", "No"),
        ),
        content=multipart("report", parts, '; report-type="tlsrpt"'),
        is_tls=True,
    )


def _summary(domain: str, submitter: str, begin: datetime, end: datetime, policies: Sequence[PolicyResult]) -> Part:
    good = sum(p.summary.total_successful_session_count for p in policies)
    bad = sum(p.summary.total_failure_session_count for p in policies)
    text = (
        "Attached is a TLS report about deliveries to your domain. Please contact "
        f"{ascii_address(f'postmaster@{submitter}')} with questions.\n\n"
        f"Policy domain: {domain}\nSubmitter: {submitter}\nPeriod: {begin:%Y-%m-%d %H:%M} - {end:%Y-%m-%d %H:%M} UTC\n"
        f"Sessions: {good} successful, {bad} failed\n"
    )
    return text_part(text)
