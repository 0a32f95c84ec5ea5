"""Sending DMARC aggregate reports: each hour to the domains whose interval ends. RFC 7489 §7.1, §7.2."""

import asyncio
import gzip
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from mox import log
from mox.dns.names import DomainError, parse_domain
from mox.dns.psl import organizational_domain
from mox.dns.resolver import DnsTemporary, Resolver
from mox.mailauth import dmarc
from mox.mailauth.dmarc import DmarcStatus
from mox.mailauth.dmarcrecord import ReportUri
from mox.message.compose import base64_part, format_date, multipart, text_part
from mox.reports import evaluations, suppressed
from mox.reports.dmarcreport import Feedback, Metadata, Row, render_xml
from mox.reports.evaluations import Kept
from mox.reports.outgoing import Letter, ReportMailer, Sleep, mailto_address, spacing_s, take_run
from mox.store.engine import Engine, Tx

SPREAD_S = 45 * 60.0
_START_S = (30.0, 89.0)

_logger = log.get("dmarcsend")


@dataclass(slots=True)
class Recipients:
    """To whom a report goes, with the largest size each wants, and what went wrong in finding out."""

    limits: dict[str, int | None] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, uri: ReportUri) -> None:
        """Add the address of a URI; others than mailto are passed over."""
        address = mailto_address(uri.uri)
        if address is not None:
            self.limits[address] = uri.max_bytes


class DmarcReportSender:
    """Sends reports; several processes may have one."""

    def __init__(self, engine: Engine, resolver: Resolver, mailer: ReportMailer, sleep: Sleep = asyncio.sleep) -> None:
        self._engine, self._resolver, self._mailer, self._sleep = engine, resolver, mailer, sleep

    async def run(self) -> None:
        """Send at each whole hour, for ever."""
        while True:
            now = datetime.now(UTC)
            end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
            await asyncio.sleep((end - now).total_seconds() + random.uniform(*_START_S))
            await self.send_hour(end)

    async def send_hour(self, end: datetime) -> None:
        """All reports due at the hour `end`, if no other process does it."""

        def begin(tx: Tx) -> list[tuple[str, bool]]:
            if not take_run(tx, f"dmarc {end:%Y%m%d%H}"):
                return []
            evaluations.remove_old(tx, end)
            return evaluations.due_domains(tx, end)

        due = await self._engine.write(begin)
        pause_s = spacing_s(SPREAD_S, len(due))
        for number, (domain, is_wanted) in enumerate(due):
            if number and is_wanted:
                await self._sleep(pause_s)
            try:
                if is_wanted:
                    await self.send_one(domain, end)
            except DnsTemporary as err:
                _logger.info("dmarc report is put off", domain=domain, err=str(err))
                continue
            await self._engine.write(lambda tx, name=domain: evaluations.remove(tx, name, end))  # type: ignore[misc]

    async def send_one(self, domain: str, end: datetime) -> None:
        """The report to a domain. Raises DnsTemporary: to be tried again."""
        kept = await self._engine.read(lambda tx: evaluations.of_domain(tx, domain, end))
        if all(k.optional for k in kept):
            return
        name = parse_domain(domain, lax=True).ascii
        discovery = await dmarc.discover(self._resolver, name)
        if discovery.status is DmarcStatus.TEMPERROR:
            raise DnsTemporary(discovery.problem)
        if discovery.record is None:
            return
        recipients = await self._recipients(name, discovery.record.aggregate_uris)
        if not recipients.limits:
            return
        feedback = compose_feedback(kept, end, recipients.errors, self._mailer.hostname)
        await self._send(name, feedback, recipients)

    async def _recipients(self, domain: str, uris: Sequence[ReportUri]) -> Recipients:
        """Addresses; those of other organizations only with their consent. RFC 7489 §7.1"""
        recipients = Recipients()
        organization = organizational_domain(domain)
        for uri in uris:
            address = mailto_address(uri.uri)
            if address is None:
                continue
            try:
                external = parse_domain(address.rpartition("@")[2]).ascii
            except DomainError:
                continue
            if organizational_domain(external) == organization:
                recipients.add(uri)
                continue
            consent = await dmarc.lookup_consent(self._resolver, organization, external)
            if not consent.accepts:
                recipients.errors.append(f"{external} does not accept reports about {organization}")
                continue
            self._add_external(recipients, uri, external, [u for r in consent.records for u in r.aggregate_uris])
        return recipients

    @staticmethod
    def _add_external(recipients: Recipients, uri: ReportUri, external: str, others: Sequence[ReportUri]) -> None:
        """The consenting domain may name other addresses, at the same host."""
        valid = []
        for other in others:
            address = mailto_address(other.uri)
            if address is not None and address.rpartition("@")[2] == external:
                valid.append(other)
            else:
                recipients.errors.append(f"replacement address {other.uri} has a different host")
        for chosen in valid or [uri]:
            recipients.add(chosen)

    async def _send(self, domain: str, feedback: Feedback, recipients: Recipients) -> None:
        hostname = self._mailer.hostname
        signer = self._mailer.signing_domain()
        letter, size = compose(domain, feedback, hostname)
        allowed = await self._engine.read(
            lambda tx: [a for a in recipients.limits if not suppressed.is_suppressed(tx, a)]
        )
        fitting = [a for a in allowed if (limit := recipients.limits[a]) is None or size <= limit]
        sender = f"postmaster@{hostname}"
        if fitting and await self._mailer.send(letter, sender, fitting, signer):
            return
        if allowed:
            await self._mailer.send(compose_error(domain, feedback, size, allowed, hostname), sender, allowed, signer)


def compose_feedback(kept: Sequence[Kept], end: datetime, errors: Sequence[str], hostname: str) -> Feedback:
    """The report on evaluations: equal ones counted together, in order."""
    hours = min(k.interval_hours for k in kept)
    begin = end - timedelta(hours=hours)
    while begin.timestamp() * 1000 > kept[0].evaluated_ms:
        begin -= timedelta(hours=hours)
    counts: dict[bytes, int] = {}
    for k in kept:
        key = msgspec.json.encode(k.evaluation.row)
        counts[key] = counts.get(key, 0) + 1
    rows = [msgspec.structs.replace(msgspec.json.decode(key, type=Row), count=counts[key]) for key in sorted(counts)]
    # The number of our evaluations is nobody's business.
    obscured = hashlib.sha256(f"{hostname}:{kept[0].id}:{kept[0].evaluated_ms}".encode()).hexdigest()[:16]
    metadata = Metadata(
        org_name=hostname,
        email=f"postmaster@{hostname}",
        report_id=f"{end:%Y%m%d.%H}.{obscured}",
        begin=int(begin.timestamp()),
        end=int(end.timestamp()) - 1,
        errors=list(errors),
    )
    return Feedback(metadata, kept[-1].evaluation.policy, rows)


def compose(domain: str, feedback: Feedback, hostname: str) -> tuple[Letter, int]:
    """The message, and its size as limits of addresses mean it."""
    metadata = feedback.metadata
    name = f"{hostname}!{domain}!{metadata.begin}!{metadata.end + 1}.xml.gz"
    attachment = base64_part(
        gzip.compress(render_xml(feedback)),
        f'application/gzip; name="{name}"',
        (("Content-Disposition", f'attachment; filename="{name}"'),),
    )
    begin, end = (datetime.fromtimestamp(at, UTC) for at in (metadata.begin, metadata.end + 1))
    text = (
        f"Attached is an aggregate DMARC report with evaluations of your domain's policy.\n\n"
        f"Reporting organization: {hostname}\nPolicy domain: {domain}\nReport ID: {metadata.report_id}\n"
        f"Period: {begin:%Y-%m-%d %H:%M} - {end:%Y-%m-%d %H:%M} UTC\n"
    )
    content = multipart("mixed", [text_part(text), attachment])
    subject = f"Report Domain: {domain} Submitter: {hostname} Report-ID: <{metadata.report_id}>"
    return Letter(subject, (), content, is_tls=False), len(content.body)


def compose_error(domain: str, feedback: Feedback, size: int, addresses: Sequence[str], hostname: str) -> Letter:
    """That there is a report which nobody could be sent. RFC 7489 §7.2.2"""
    text = (
        f"Report-Date: {format_date(datetime.now(UTC))}\nReport-Domain: {domain}\n"
        f"Report-ID: {feedback.metadata.report_id}\nReport-Size: {size}\nSubmitter: {hostname}\n"
        f"Submitting-URI: {','.join(f'mailto:{a}' for a in addresses)}\n"
    )
    subject = f"DMARC aggregate reporting error report for {domain}"
    return Letter(subject, (), text_part(text), is_tls=False)
