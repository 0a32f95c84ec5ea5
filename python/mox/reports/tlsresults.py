"""The store of TLS results that are to be reported: recording them, and what a run of reports reads and removes.

RFC 8460. A day is that of UTC, as `yyyymmdd`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from mox.dns.names import parse_domain
from mox.outbound.direct import TlsResults
from mox.outbound.records import now_ms
from mox.outbound.tlsresult import PolicyResult, PolicyType, merge
from mox.store.engine import Engine, Tx

KEEP = timedelta(hours=48)

_COLUMNS = (
    "id, policy_domain, day, recipient_domain, is_host, send_report, sent_to_recipient_domain, sent_to_policy_domain, "
    "reporting_addresses, results"
)


@dataclass(frozen=True, slots=True)
class TlsResult:
    """What happened on one day under the policy of a domain, on the way to a recipient domain. `is_host`: the policy is
    that of an MX host (DANE)."""

    id: int
    policy_domain: str
    day: str
    recipient_domain: str
    is_host: bool
    send_report: bool
    sent_to_recipient_domain: bool
    sent_to_policy_domain: bool
    reporting_addresses: list[str]
    results: list[PolicyResult]

    @property
    def has_failure(self) -> bool:
        """Something went wrong."""
        return any(r.summary.total_failure_session_count or r.failure_details for r in self.results)


def day_of(when: datetime) -> str:
    """The UTC day."""
    return when.astimezone(UTC).strftime("%Y%m%d")


def open_results(data_dir: Path) -> Engine:
    """The database of a data directory."""
    return Engine(data_dir / "tlsrptresult.db", "mox.reports.tlsresult_migrations")


class TlsRecorder:
    """Records what deliveries meet; one for a process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def record(self, results: TlsResults) -> None:
        """Add the results of one attempt. Raises apsw.Error."""
        rows = results_to_add(results)
        if rows:
            day = day_of(datetime.now(UTC))
            await self._engine.write(lambda tx: add_all(tx, day, rows))


@dataclass(frozen=True, slots=True)
class NewResult:
    """A result to be added."""

    policy_domain: str
    recipient_domain: str
    is_host: bool
    send_report: bool
    result: PolicyResult


def results_to_add(results: TlsResults) -> list[NewResult]:
    """What is recorded of an attempt.

    TLS reports are not reported on, or two servers would do so for ever; DMARC reports only when something failed.
    """
    found = [*((True, r) for r in results.of_hosts), *([(False, results.of_domain)] if results.of_domain else [])]
    has_failure = any(r.summary.total_failure_session_count for _, r in found)
    send = not results.is_tls_report and (not results.is_dmarc_report or has_failure)
    recipient = _unicode(results.domain)
    has_tlsa = any(
        r.policy.policy_type == PolicyType.TLSA and r.policy.policy_domain == results.domain for _, r in found
    )
    rows = []
    for is_host, result in found:
        # A domain without MX is its own host: what DANE says of it says everything.
        if not is_host and has_tlsa and result.policy.policy_type == PolicyType.NONE:
            continue
        rows.append(NewResult(_unicode(result.policy.policy_domain), recipient, is_host, send, result))
    return rows


def add_all(tx: Tx, day: str, rows: Sequence[NewResult]) -> None:
    """Merge the results of an attempt into those of the day."""
    for row in rows:
        add(tx, day, row)


def _unicode(domain: str) -> str:
    return parse_domain(domain, lax=True).name


def add(tx: Tx, day: str, new: NewResult) -> None:
    """Merge a result into those of the day."""
    now = now_ms()
    row = tx.one(
        "SELECT id, results FROM results WHERE policy_domain = ? AND day = ? AND recipient_domain = ?",
        new.policy_domain,
        day,
        new.recipient_domain,
    )
    if row is None:
        tx.run(
            "INSERT INTO results (policy_domain, day, recipient_domain, created_ms, updated_ms, is_host, send_report, "
            "results) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            new.policy_domain,
            day,
            new.recipient_domain,
            now,
            now,
            int(new.is_host),
            int(new.send_report),
            _encode([new.result]),
        )
        return
    merged = merge(_decode(row[1]), [new.result])
    tx.run(
        "UPDATE results SET updated_ms = ?, is_host = ?, send_report = max(send_report, ?), results = ? WHERE id = ?",
        now,
        int(new.is_host),
        int(new.send_report),
        _encode(merged),
        row[0],
    )


def _encode(results: Sequence[PolicyResult]) -> str:
    return msgspec.json.encode(results).decode()


def _decode(text: str) -> list[PolicyResult]:
    return msgspec.json.decode(text, type=list[PolicyResult])


def _row(row: tuple[object, ...]) -> TlsResult:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    flags = ("is_host", "send_report", "sent_to_recipient_domain", "sent_to_policy_domain")
    converted = {
        **values,
        **{name: bool(values[name]) for name in flags},
        "reporting_addresses": msgspec.json.decode(str(values["reporting_addresses"]), type=list[str]),
        "results": _decode(str(values["results"])),
    }
    return TlsResult(**converted)  # type: ignore[arg-type]


def remove_old(tx: Tx, now: datetime) -> None:
    """Forget what is too old to be reported."""
    tx.run("DELETE FROM results WHERE day < ?", day_of(now - KEEP - timedelta(hours=12)))


def due(tx: Tx, day: str) -> list[tuple[str, str, bool]]:
    """(policy domain, day, is for a recipient domain) of everything up to a day, recipient domains first."""
    rows = tx.run("SELECT DISTINCT policy_domain, day FROM results WHERE day <= ? ORDER BY day, policy_domain", day)
    found = []
    for policy_domain, of_day in rows:
        own = tx.one(
            "SELECT 1 FROM results WHERE policy_domain = ? AND day = ? AND recipient_domain = policy_domain",
            policy_domain,
            of_day,
        )
        found.append((policy_domain, of_day, own is not None))
    return sorted(found, key=lambda item: not item[2])


def by_policy_domain(tx: Tx, domain: str, day: str) -> list[TlsResult]:
    """Results under the policy of a domain."""
    rows = tx.run(f"SELECT {_COLUMNS} FROM results WHERE policy_domain = ? AND day = ? ORDER BY id", domain, day)
    return [_row(row) for row in rows]


def by_recipient_domain(tx: Tx, domain: str, day: str) -> list[TlsResult]:
    """Results on the way to a recipient domain: its own policy's and its hosts'."""
    rows = tx.run(f"SELECT {_COLUMNS} FROM results WHERE recipient_domain = ? AND day = ? ORDER BY id", domain, day)
    return [_row(row) for row in rows]


def list_all(tx: Tx) -> list[TlsResult]:
    """Everything, for administrators."""
    return [_row(row) for row in tx.run(f"SELECT {_COLUMNS} FROM results ORDER BY day, policy_domain, id")]


def remove(tx: Tx, policy_domain: str, day: str) -> None:
    """The results are reported, or nobody wants to know."""
    tx.run("DELETE FROM results WHERE policy_domain = ? AND day = ?", policy_domain, day)


def mark_sent(tx: Tx, ids: Sequence[int], to_recipient_domain: bool, addresses: Sequence[str]) -> None:
    """Remember that a report with these results is on its way, before it is."""
    column = "sent_to_recipient_domain" if to_recipient_domain else "sent_to_policy_domain"
    for result_id in ids:
        tx.run(f"UPDATE results SET {column} = 1 WHERE id = ?", result_id)
        if to_recipient_domain:
            tx.run(
                "UPDATE results SET reporting_addresses = ? WHERE id = ?",
                msgspec.json.encode(addresses).decode(),
                result_id,
            )


def unmark_sent(tx: Tx, ids: Sequence[int], to_recipient_domain: bool) -> None:
    """The report could not be queued: try again at the next run."""
    column = "sent_to_recipient_domain" if to_recipient_domain else "sent_to_policy_domain"
    tx.many(f"UPDATE results SET {column} = 0 WHERE id = ?", [(result_id,) for result_id in ids])
