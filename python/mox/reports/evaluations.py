"""DMARC evaluations of incoming messages, kept until they are reported. RFC 7489 §7.2."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from mox.dns.psl import organizational_domain
from mox.inbound.hooks import EvaluatedDmarc
from mox.outbound.records import now_ms
from mox.reports.dmarcreport import DkimAuth, PolicyPublished, Reason, Row, SpfAuth
from mox.smtp.address import to_unicode
from mox.store.engine import Engine, Tx

KEEP = timedelta(hours=48)
INTERVALS = (24, 12, 8, 6, 4, 3, 2, 1)


class Evaluation(msgspec.Struct, frozen=True):
    """One message. `row.count` is 1."""

    policy: PolicyPublished
    addresses: list[str]
    row: Row


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored evaluation."""

    id: int
    policy_domain: str
    evaluated_ms: int
    optional: bool
    interval_hours: int
    evaluation: Evaluation


def open_evaluations(data_dir: Path) -> Engine:
    """The database of a data directory."""
    return Engine(data_dir / "dmarceval.db", "mox.reports.dmarceval_migrations")


def interval_hours(seconds: int) -> int:
    """The largest interval of ours that is not above what a domain asks for."""
    hours = -(-seconds // 3600)
    return next((interval for interval in INTERVALS if interval <= hours), 1)


class EvaluationStore:
    """Keeps evaluations; one for a process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, evaluated: EvaluatedDmarc) -> None:
        """Keep one."""
        discovery = evaluated.incoming.dmarc.discovery
        if discovery is None or discovery.record is None:
            return
        domain, hours = to_unicode(discovery.domain), interval_hours(discovery.record.interval_s)
        evaluation = evaluation_of(evaluated)
        await self._engine.write(lambda tx: insert(tx, domain, hours, evaluated.is_optional, evaluation))


def evaluation_of(evaluated: EvaluatedDmarc) -> Evaluation:
    """What a report tells of a message."""
    incoming, dmarc = evaluated.incoming, evaluated.incoming.dmarc
    assert dmarc.discovery is not None and dmarc.discovery.record is not None
    record = dmarc.discovery.record
    author = incoming.author.domain if incoming.author is not None else ""
    subdomain = record.subdomain_policy if record.subdomain_policy is not None else record.policy
    policy = PolicyPublished(
        domain=dmarc.discovery.domain,
        adkim=str(record.dkim_alignment),
        aspf=str(record.spf_alignment),
        policy=str(record.policy),
        subdomain_policy=str(subdomain),
        percentage=record.percentage,
        reporting_options=":".join(record.failure_options),
    )
    signatures = [(r.signature, r) for r in incoming.dkim if r.signature is not None]
    related = [
        DkimAuth(signature.domain.ascii, signature.selector, str(result.status))
        for signature, result in signatures
        if organizational_domain(signature.domain.ascii) == organizational_domain(author)
    ]
    spf = incoming.spf
    row = Row(
        source_ip=incoming.envelope.remote_ip,
        count=1,
        disposition="reject" if evaluated.is_rejected else "none",
        dkim="pass" if dmarc.aligned_dkim_pass else "fail",
        spf="pass" if dmarc.aligned_spf_pass else "fail",
        reasons=[Reason(kind) for kind in evaluated.overrides],
        envelope_to=evaluated.recipient.domain,
        envelope_from=incoming.envelope.sender.domain,
        header_from=author,
        dkim_auth=related,
        spf_auth=[SpfAuth(spf.domain, str(spf.identity.value), str(spf.status))] if spf.domain else [],
    )
    return Evaluation(policy, [str(uri) for uri in record.aggregate_uris], row)


def insert(tx: Tx, domain: str, hours: int, optional: bool, evaluation: Evaluation) -> None:
    """Add an evaluation."""
    tx.run(
        "INSERT INTO evaluations (policy_domain, evaluated_ms, optional, interval_hours, data) VALUES (?, ?, ?, ?, ?)",
        domain,
        now_ms(),
        int(optional),
        hours,
        msgspec.json.encode(evaluation).decode(),
    )


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def remove_old(tx: Tx, now: datetime) -> None:
    """Forget what is too old to be reported."""
    tx.run("DELETE FROM evaluations WHERE evaluated_ms < ?", _ms(now - KEEP))


def due_domains(tx: Tx, end: datetime) -> list[tuple[str, bool]]:
    """(domain, has more than optional evaluations) of those whose interval ends at the hour `end`."""
    hour = end.astimezone(UTC).hour or 24
    rows = tx.run(
        "SELECT policy_domain, interval_hours, min(optional) FROM evaluations WHERE evaluated_ms < ? "
        "GROUP BY policy_domain, interval_hours",
        _ms(end),
    )
    found: dict[str, bool] = {}
    for domain, hours, _ in rows:
        if hour % hours == 0:
            found[domain] = found.get(domain, False)
    for domain, _, optional in rows:
        if domain in found:
            found[domain] = found[domain] or not optional
    return sorted(found.items())


def of_domain(tx: Tx, domain: str, end: datetime) -> list[Kept]:
    """All evaluations of a domain before `end`."""
    rows: list[tuple[Any, ...]] = tx.run(
        "SELECT id, policy_domain, evaluated_ms, optional, interval_hours, data FROM evaluations "
        "WHERE policy_domain = ? AND evaluated_ms < ? ORDER BY evaluated_ms, id",
        domain,
        _ms(end),
    )
    decode = msgspec.json.decode
    return [Kept(i, d, ms, bool(o), hours, decode(data, type=Evaluation)) for i, d, ms, o, hours, data in rows]


def remove(tx: Tx, domain: str, end: datetime) -> None:
    """They are reported, or nobody wants to know."""
    tx.run("DELETE FROM evaluations WHERE policy_domain = ? AND evaluated_ms < ?", domain, _ms(end))
