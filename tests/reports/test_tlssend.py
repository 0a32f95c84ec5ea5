"""TLS results and the reports that are made of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mox.outbound.direct import TlsResults
from mox.outbound.records import now_ms
from mox.outbound.tlsresult import FailureDetails, PolicyResult, PolicyType, ResultPolicy, Summary
from mox.reports import suppressed, tlsresults
from mox.reports.tlsreport import parse_json, parse_message
from mox.reports.tlsresults import add_all, day_of, open_results, results_to_add
from mox.reports.tlsrptrecord import Record, TlsRptError, parse_record
from mox.reports.tlssend import TlsReportSender
from mox.store.engine import Engine
from tests.reports.sending import Sending, sending

NOW = datetime(2026, 5, 2, 0, 5, tzinfo=UTC)
DAY = "20260501"
FAILURE = FailureDetails("validation-failure", receiving_mx_hostname="mx.r.example", failed_session_count=1)


def result(kind: PolicyType, domain: str, good: int = 1, bad: int = 0) -> PolicyResult:
    details = [FAILURE] if bad else []
    return PolicyResult(ResultPolicy(str(kind), policy_domain=domain), Summary(good, bad), details)


def attempt(bad: int = 1, **facts: bool) -> TlsResults:
    host = result(PolicyType.TLSA, "mx.r.example", 1, bad)
    own = result(PolicyType.STS, "r.example", 1, bad)
    return TlsResults("r.example", own, (host,), facts.get("is_tls_report", False), facts.get("is_dmarc_report", False))


@asynccontextmanager
async def bench(folder: Path, all_success: bool = False) -> AsyncIterator[tuple[Sending, Engine, TlsReportSender]]:
    async with sending(folder) as base:
        engine = open_results(folder)
        sender = TlsReportSender(engine, base.dns, base.mailer, all_success, base.sleep)
        try:
            yield base, engine, sender
        finally:
            await engine.close()


async def record(engine: Engine, *results: TlsResults, day: str = DAY) -> None:
    for found in results:
        rows = results_to_add(found)
        await engine.write(lambda tx, r=rows: add_all(tx, day, r))  # type: ignore[misc]


def publish(base: Sending, *domains: str, uri: str = "mailto:tls@{}") -> None:
    for domain in domains:
        base.dns.add(f"_smtp._tls.{domain}", "TXT", ["v=TLSRPTv1; rua=" + uri.format(domain)])


async def left(engine: Engine) -> list[tuple[str, str]]:
    return [(r.policy_domain, r.day) for r in await engine.read(tlsresults.list_all)]


@pytest.mark.holds("outbound-689296")
async def test_results_of_a_day_in_one_report(tmp_path: Path) -> None:
    async with bench(tmp_path) as (base, engine, sender):
        await record(engine, attempt(), attempt(), attempt(0))
        publish(base, "r.example", "mx.r.example")
        await sender.send_day(NOW)
        own, host = await base.messages()
        assert await left(engine) == []
        report = parse_json(await base.attachment(own))
        assert {p.policy.policy_type: p.summary for p in report.policies} == {
            "sts": Summary(3, 2),
            "tlsa": Summary(3, 2),
        }
        assert report.policies[0].failure_details[0].failed_session_count == 2
        assert report.report_id == "20260501.r.example@mox.example"
        assert (report.date_range.start_datetime, report.date_range.end_datetime) == (
            datetime(2026, 5, 1, tzinfo=UTC),
            datetime(2026, 5, 1, 23, 59, 59, tzinfo=UTC),
        )
        policy = parse_json(await base.attachment(host)).policies[0].policy
        assert (policy.policy_domain, policy.mx_host) == ("r.example", ["mx.r.example"])
        assert (own.max_attempts, own.is_tls_report, own.require_tls, own.sender_domain) == (
            5,
            True,
            False,
            "mox.example",
        )
        mail = await base.mail(own)
        assert mail["TLS-Required"] == "No" and mail["TLS-Report-Domain"] == "r.example"
        assert "TLS-Report-Submitter" in mail["DKIM-Signature"]
        subject = "Report Domain: r.example Submitter: mox.example Report-ID: <20260501.r.example@mox.example>"
        assert " ".join(mail["Subject"].split()) == subject
        assert parse_message(await base.queue.content(own)) == report


@pytest.mark.holds("outbound-689296")
async def test_host_report_is_skipped_for_who_has_read_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as (base, engine, sender):
        await record(engine, attempt())
        publish(base, "r.example", "mx.r.example", uri="mailto:tls@same.example")
        await sender.send_day(NOW)
        assert len(await base.messages()) == 1 and await left(engine) == []


@pytest.mark.holds("outbound-689296")
@pytest.mark.parametrize(("all_success", "count"), [(False, 0), (True, 2)])
async def test_success_alone(tmp_path: Path, all_success: bool, count: int) -> None:
    async with bench(tmp_path, all_success) as (base, engine, sender):
        await record(engine, attempt(0))
        publish(base, "r.example", "mx.r.example")
        await sender.send_day(NOW)
        assert len(await base.messages()) == count and await left(engine) == []


@pytest.mark.holds("outbound-689296")
@pytest.mark.parametrize(("until", "count"), [(now_ms() + 10**9, 0), (1, 1)], ids=["suppressed", "expired"])
async def test_suppressed_addresses(tmp_path: Path, until: int, count: int) -> None:
    async with bench(tmp_path) as (base, engine, sender):
        await record(engine, attempt())
        publish(base, "r.example")
        await engine.write(lambda tx: suppressed.add(tx, "tls@r.example", until, "x"))
        await sender.send_day(NOW)
        assert len(await base.messages()) == count and await left(engine) == []


@pytest.mark.parametrize("facts", [{"is_tls_report": True}, {"is_dmarc_report": True, "bad": 0}])
async def test_reports_are_not_reported_on(tmp_path: Path, facts: dict[str, bool]) -> None:
    async with bench(tmp_path, True) as (base, engine, sender):
        await record(engine, attempt(**facts))  # type: ignore[arg-type]
        publish(base, "r.example", "mx.r.example")
        await sender.send_day(NOW)
        assert await base.messages() == [] and await left(engine) == []


@pytest.mark.parametrize(
    ("records", "kept"),
    [([], False), (["v=TLSRPTv1; nonsense"], False), (["v=TLSRPTv1; rua=https://x.example/"], False), (None, True)],
    ids=["no record", "bad record", "no mail address", "dns failure"],
)
async def test_domains_without_address(tmp_path: Path, records: list[str] | None, kept: bool) -> None:
    """Only what a later run may find out is kept."""
    async with bench(tmp_path) as (base, engine, _):
        dns = type(base.dns)(fail=[("TXT", "_smtp._tls.r.example")] if records is None else [])
        if records:
            dns.add("_smtp._tls.r.example", "TXT", records)
        sender = TlsReportSender(engine, dns, base.mailer, False, base.sleep)
        await record(engine, TlsResults("r.example", result(PolicyType.STS, "r.example", 0, 1), (), False, False))
        await sender.send_day(NOW)
        assert await base.messages() == [] and bool(await left(engine)) is kept


async def test_each_day_by_itself_and_nothing_too_old(tmp_path: Path) -> None:
    async with bench(tmp_path) as (base, engine, sender):
        for days in range(7):
            await record(engine, attempt(), day=day_of(NOW - timedelta(days=days)))
        publish(base, "r.example")
        await sender.send_day(NOW)
        ids = {parse_json(await base.attachment(m)).report_id.split(".")[0] for m in await base.messages()}
        assert ids == {"20260501", "20260430", "20260429"}
        # Today's results are not complete yet.
        assert {day for _, day in await left(engine)} == {"20260502"}
        assert all(0 < pause <= 300 for pause in base.pauses)


async def test_one_process_takes_a_run(tmp_path: Path) -> None:
    async with bench(tmp_path) as (base, engine, sender):
        await sender.send_day(NOW)
        await record(engine, attempt())
        publish(base, "r.example")
        await sender.send_day(NOW)
        assert await base.messages() == []


def test_domain_that_is_its_own_host() -> None:
    own = result(PolicyType.NONE, "r.example")
    host = result(PolicyType.TLSA, "r.example")
    rows = results_to_add(TlsResults("r.example", own, (host,), False, False))
    assert [(r.policy_domain, r.is_host) for r in rows] == [("r.example", True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=TLSRPTv1; rua=mailto:a@x", Record(("mailto:a@x",))),
        ("v=TLSRPTv1;rua=mailto:a@x , https://y/z;", Record(("mailto:a@x", "https://y/z"))),
        ("v=TLSRPTv1 ; rua=mailto:a@x; rua=mailto:b@x; ext=1", Record(("mailto:a@x", "mailto:b@x"), (("ext", "1"),))),
        ("v=TLSRPTv2; rua=mailto:a@x", None),
        ("v=spf1 -all", None),
    ],
)
def test_records(text: str, expected: Record | None) -> None:
    assert parse_record(text) == expected


@pytest.mark.parametrize(
    "text", ["v=TLSRPTv1;", "v=TLSRPTv1; rua=", "v=TLSRPTv1; rua=a@x", "v=TLSRPTv1; ;", "v=TLSRPTv1; x; rua=mailto:a@b"]
)
def test_bad_records(text: str) -> None:
    with pytest.raises(TlsRptError):
        parse_record(text)
