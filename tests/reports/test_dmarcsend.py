"""DMARC evaluations and the reports that are made of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mox.outbound.records import now_ms
from mox.reports import evaluations, suppressed
from mox.reports.dmarcreport import PolicyPublished, Row, parse_message, parse_xml
from mox.reports.dmarcsend import DmarcReportSender
from mox.reports.evaluations import Evaluation, interval_hours, open_evaluations
from mox.store.engine import Engine
from tests.reports.sending import Sending, sending

# Midnight after the evaluations, when every interval ends.
END = datetime.fromtimestamp((now_ms() // 86_400_000 + 1) * 86_400, UTC)
ROW = Row("10.0.0.1", 1, "none", "pass", "fail", header_from="s.example")
OTHER = Row("10.0.0.2", 1, "reject", "fail", "fail", header_from="s.example")


@asynccontextmanager
async def bench(folder: Path, rua: str) -> AsyncIterator[tuple[Sending, Engine, DmarcReportSender]]:
    async with sending(folder) as base:
        engine = open_evaluations(folder)
        if rua:
            base.dns.add("_dmarc.s.example", "TXT", [f"v=DMARC1; p=reject; rua={rua}"])
        try:
            yield base, engine, DmarcReportSender(engine, base.dns, base.mailer, base.sleep)
        finally:
            await engine.close()


async def evaluate(engine: Engine, rows: Sequence[Row], optional: bool = False, hours: int = 24) -> None:
    policy = PolicyPublished("s.example", "r", "r", "reject", "reject")
    for row in rows:
        evaluation = Evaluation(policy, [], row)
        await engine.write(lambda tx, e=evaluation: evaluations.insert(tx, "s.example", hours, optional, e))  # type: ignore[misc]


async def is_clean(engine: Engine) -> bool:
    return await engine.read(lambda tx: tx.one("SELECT 1 FROM evaluations")) is None


@pytest.mark.holds("outbound-0f5889")
async def test_report(tmp_path: Path) -> None:
    async with bench(tmp_path, "mailto:d@s.example") as (base, engine, sender):
        await evaluate(engine, [ROW, OTHER, ROW])
        await sender.send_hour(END)
        (message,) = await base.messages()
        feedback = parse_xml(await base.attachment(message))
        assert sorted((r.source_ip, r.count) for r in feedback.rows) == [("10.0.0.1", 2), ("10.0.0.2", 1)]
        assert feedback.policy.domain == "s.example" and feedback.metadata.org_name == "mail.mox.example"
        assert feedback.metadata.end == int(END.timestamp()) - 1
        assert feedback.metadata.begin == int(END.timestamp()) - 86_400
        assert (message.recipient_localpart, message.max_attempts, message.is_dmarc_report) == ("d", 5, True)
        assert (await base.mail(message))["DKIM-Signature"]
        assert parse_message(await base.queue.content(message)) == feedback
        assert await is_clean(engine)


@pytest.mark.holds("outbound-0f5889")
@pytest.mark.parametrize(
    "rua", ["mailto:d@s.example", "https://s.example/", ""], ids=["optional", "no mail", "no record"]
)
async def test_nothing_to_send(tmp_path: Path, rua: str) -> None:
    async with bench(tmp_path, rua) as (base, engine, sender):
        await evaluate(engine, [ROW], optional=rua.startswith("mailto"))
        await sender.send_hour(END)
        assert await base.messages() == [] and await is_clean(engine)


@pytest.mark.holds("outbound-0f5889")
@pytest.mark.parametrize(("until", "count"), [(now_ms() + 10**9, 0), (1, 1)], ids=["suppressed", "expired"])
async def test_suppressed_addresses(tmp_path: Path, until: int, count: int) -> None:
    async with bench(tmp_path, "mailto:d@s.example") as (base, engine, sender):
        await engine.write(lambda tx: suppressed.add(tx, "d@s.example", until, ""))
        await evaluate(engine, [ROW])
        await sender.send_hour(END)
        assert len(await base.messages()) == count and await is_clean(engine)


@pytest.mark.holds("outbound-0f5889")
async def test_limits_of_size(tmp_path: Path) -> None:
    async with bench(tmp_path, "mailto:small@s.example!10,mailto:big@s.example!10m") as (base, engine, sender):
        await evaluate(engine, [ROW])
        await sender.send_hour(END)
        assert [m.recipient_localpart for m in await base.messages()] == ["big"]


@pytest.mark.holds("outbound-0f5889")
async def test_all_too_large_gives_a_notice(tmp_path: Path) -> None:
    async with bench(tmp_path, "mailto:a@s.example!10,mailto:b@s.example!1k") as (base, engine, sender):
        await evaluate(engine, [Row(f"10.0.{n // 256}.{n % 256}", 1, header_from=f"h{n}") for n in range(300)])
        await sender.send_hour(END)
        found = await base.messages()
        assert {m.recipient_localpart for m in found} == {"a", "b"}
        mail = await base.mail(found[0])
        assert mail["Subject"] == "DMARC aggregate reporting error report for s.example"
        assert "Report-Size:" in str(mail.get_payload())


EXTERNAL = [
    pytest.param(None, [], id="no permission"),
    pytest.param("v=DMARC1", ["d@other.example"], id="permission"),
    pytest.param("v=DMARC1; rua=mailto:e@other.example", ["e@other.example"], id="replaced"),
    pytest.param("v=DMARC1; rua=mailto:e@third.example", ["d@other.example"], id="replaced by another host"),
    pytest.param("v=DMARC1; rua=mailto:e@other.example!10", [], id="replaced, too large"),
]


@pytest.mark.holds("outbound-0f5889")
@pytest.mark.parametrize(("consent", "expected"), EXTERNAL)
async def test_addresses_of_others(tmp_path: Path, consent: str | None, expected: list[str]) -> None:
    async with bench(tmp_path, "mailto:d@other.example") as (base, engine, sender):
        if consent is not None:
            base.dns.add("s.example._report._dmarc.other.example", "TXT", [consent])
        await evaluate(engine, [ROW])
        await sender.send_hour(END)
        found = [m for m in await base.messages() if not m.subject.startswith("DMARC aggregate reporting error")]
        assert [str(m.recipient) for m in found] == expected
        assert await is_clean(engine)


async def test_dns_failure_puts_off(tmp_path: Path) -> None:
    async with bench(tmp_path, "") as (base, engine, _):
        dns = type(base.dns)(fail=[("TXT", "_dmarc.s.example")])
        await evaluate(engine, [ROW])
        await DmarcReportSender(engine, dns, base.mailer, base.sleep).send_hour(END)
        assert await base.messages() == [] and not await is_clean(engine)


async def test_intervals(tmp_path: Path) -> None:
    async with bench(tmp_path, "mailto:d@s.example") as (base, engine, sender):
        await evaluate(engine, [ROW], hours=24)
        await sender.send_hour(END.replace(hour=5))
        assert await base.messages() == []


@pytest.mark.parametrize(
    ("seconds", "hours"), [(0, 1), (1, 1), (3600, 1), (3601, 2), (18000, 4), (86400, 24), (10**7, 24)]
)
def test_interval_of_a_record(seconds: int, hours: int) -> None:
    assert interval_hours(seconds) == hours
