"""MTA-STS: records, policies, fetching, the cache and its refresh. RFC 8461."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from mox.dns.static import StaticResolver
from mox.outbound import mtasts
from mox.outbound.mtasts import HttpsFetcher, Policy, PolicyFetch, Record, StsError, parse_policy, parse_record
from mox.outbound.mtastscache import BACKOFF_MS, PolicyCache, StsTemporary
from mox.outbound.records import now_ms
from mox.outbound.tlsresult import Recorder

TEXT = "version: STSv1\nmode: enforce\nmx: mx.x.example\nmx: *.x.example\nmax_age: 86400\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=STSv1; id=1", Record("1")),
        ("v=STSv1;id=20190429T010101;", Record("20190429T010101")),
        ("v=STSv1 ; id=1 ; a-b.c=x", Record("1", (("a-b.c", "x"),))),
        ("v=STSv1; id=1; id=2", Record("1")),
        ("v=STSv2; id=1", None),
        ("v=STSv10; id=1", None),
        ("something else", None),
    ],
)
def test_records(text: str, expected: Record | None) -> None:
    assert parse_record(text) == expected


@pytest.mark.parametrize(
    "text",
    ["v=STSv1", "v=STSv1;", f"v=STSv1; id={'x' * 33}", "v=STSv1; id=test-123", "v=STSv1; id=1; e=", "v=STSv1; id=1;;"],
    ids=["nothing", "no id", "long id", "bad id", "empty extension", "two semicolons"],
)
def test_bad_records(text: str) -> None:
    with pytest.raises(mtasts.RecordSyntax):
        parse_record(text)


def test_policies() -> None:
    assert parse_policy(TEXT) == Policy("enforce", 86400, ["mx.x.example", "*.x.example"])
    assert parse_policy(TEXT.replace("\n", "\r\n").rstrip() + " \t") == parse_policy(TEXT)
    assert parse_policy("version: STSv1\nmode: none\nmax_age: 0") == Policy("none", 0)
    assert parse_policy(TEXT + "mode: none\nextension: some words\n").mode == "enforce"


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.replace("STSv1", "STSv2"),
        TEXT.replace("enforce", "perhaps"),
        TEXT.replace("86400", "99999999999"),
        TEXT.replace("86400", "-1"),
        TEXT.replace("86400", "4294967296"),
        TEXT.replace("mx: ", "mxx: "),
        TEXT.replace("mx.x.example", "bücher.example"),
        TEXT.replace("mx.x.example", "a_.*.example"),
        TEXT + "\n",
        TEXT + "nonsense\n",
        TEXT.replace("version: STSv1\n", ""),
    ],
)
def test_bad_policies(text: str) -> None:
    with pytest.raises(mtasts.PolicySyntax):
        parse_policy(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mx.x.example", True),
        ("a.x.example", True),
        ("a.b.x.example", False),
        ("x.example", False),
        ("y.example", False),
    ],
)
def test_matching(host: str, expected: bool) -> None:
    assert parse_policy(TEXT).matches(host) is expected


FETCHES = [
    pytest.param(httpx.Response(301, headers={"Location": "https://x.example/"}), PolicyFetch, id="redirect"),
    pytest.param(httpx.Response(404), mtasts.NoPolicy, id="404"),
    pytest.param(httpx.Response(500), PolicyFetch, id="500"),
    pytest.param(httpx.Response(200, content=b"x" * 65537), mtasts.PolicySyntax, id="too large"),
    pytest.param(httpx.Response(200, content=b"\xff"), mtasts.PolicySyntax, id="not UTF-8"),
]


@pytest.mark.parametrize(("response", "error"), FETCHES)
async def test_fetching(response: httpx.Response, error: type[StsError]) -> None:
    fetcher = HttpsFetcher(transport=httpx.MockTransport(lambda _request: response))
    with pytest.raises(error):
        await fetcher.fetch("x.example")


async def test_wrong_certificate_is_told_apart() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("tls") from ssl.SSLCertVerificationError("bad")

    with pytest.raises(PolicyFetch) as failure:
        await HttpsFetcher(transport=httpx.MockTransport(refuse)).fetch("x.example")
    assert failure.value.certificate


class Web:
    """Serves policies, or errors; counts."""

    def __init__(self) -> None:
        self.answer: str | StsError = TEXT
        self.fetched = 0

    async def fetch(self, _domain: str) -> str:
        self.fetched += 1
        if isinstance(self.answer, StsError):
            raise self.answer
        return self.answer


@asynccontextmanager
async def cache(folder: Path, record: str = "v=STSv1; id=1") -> AsyncIterator[tuple[PolicyCache, Web]]:
    dns = StaticResolver()
    if record:
        dns.add("_mta-sts.x.example", "TXT", [record])
    web = Web()
    opened = PolicyCache(folder, dns, web.fetch)
    try:
        yield opened, web
    finally:
        await opened.close()


def reasons(recorder: Recorder) -> list[str]:
    return [detail.failure_reason_code for detail in recorder.details]


async def test_policy_is_kept_and_checked_by_its_record(tmp_path: Path) -> None:
    async with cache(tmp_path) as (policies, web):
        for _ in range(3):
            recorder = Recorder("x.example")
            policy = await policies.get("x.example", recorder)
            assert policy == parse_policy(TEXT)
            assert recorder.policy.policy_type == "sts" and recorder.policy.policy_string[0] == "version: STSv1"
            assert recorder.details == []
        assert web.fetched == 1


async def test_new_id_with_a_failing_fetch_keeps_the_policy(tmp_path: Path) -> None:
    async with cache(tmp_path) as (policies, web):
        await policies.get("x.example", Recorder("x.example"))
        policies._resolver = StaticResolver({"_mta-sts.x.example": {"TXT": ["v=STSv1; id=2"]}})
        web.answer = PolicyFetch("down")
        recorder = Recorder("x.example")
        assert await policies.get("x.example", recorder) == parse_policy(TEXT)
        assert reasons(recorder) == ["cannot-fetch-policy+fallback-to-cached-policy"]
        web.answer = TEXT.replace("enforce", "testing")
        changed = await policies.get("x.example", Recorder("x.example"))
        assert changed is not None and changed.mode == "testing"


async def test_vanished_record_keeps_the_policy(tmp_path: Path) -> None:
    async with cache(tmp_path) as (policies, _):
        await policies.get("x.example", Recorder("x.example"))
        policies._resolver = StaticResolver()
        recorder = Recorder("x.example")
        assert await policies.get("x.example", recorder) == parse_policy(TEXT)
        assert reasons(recorder) == ["no-mta-sts-dns-txt-record+fallback-to-cached-policy"]


async def test_failed_fetch_is_not_repeated_at_once(tmp_path: Path) -> None:
    async with cache(tmp_path) as (policies, web):
        web.answer = PolicyFetch("down")
        recorder = Recorder("x.example")
        assert await policies.get("x.example", recorder) is None
        assert reasons(recorder) == ["cannot-fetch-policy"]
        recorder = Recorder("x.example")
        assert await policies.get("x.example", recorder) is None
        assert reasons(recorder) == ["back-off-after-recent-fetch-error"]
        assert web.fetched == 1
        (record,) = await policies.list_all()
        assert record.backoff and 0 < record.valid_until_ms - now_ms() <= BACKOFF_MS


async def test_domains_without_mta_sts(tmp_path: Path) -> None:
    async with cache(tmp_path, "") as (policies, web):
        recorder = Recorder("x.example")
        assert await policies.get("x.example", recorder) is None
        assert recorder.policy.policy_type == "no-policy-found" and web.fetched == 0
        assert await policies.list_all() == []


async def test_dns_failure_postpones(tmp_path: Path) -> None:
    async with cache(tmp_path) as (policies, _):
        policies._resolver = StaticResolver(fail=[("TXT", "_mta-sts.x.example")])
        with pytest.raises(StsTemporary):
            await policies.get("x.example", Recorder("x.example"))


async def test_refresh(tmp_path: Path) -> None:
    """Unused policies go, old ones are renewed with their text, fresh ones are left alone."""
    async with cache(tmp_path) as (policies, web):
        await policies.get("x.example", Recorder("x.example"))
        (before,) = await policies.list_all()
        await policies.refresh(spread_s=0)
        assert await policies.list_all() == [before]
        age = "UPDATE policies SET updated_ms = updated_ms - 50000000"
        await policies._engine.write(lambda tx: tx.run(age))
        await policies.refresh(spread_s=0)
        (renewed,) = await policies.list_all()
        assert renewed.updated_ms >= before.updated_ms and web.fetched == 1
        policies._resolver = StaticResolver({"_mta-sts.x.example": {"TXT": ["v=STSv1; id=2"]}})
        web.answer = TEXT.replace("enforce", "testing")
        await policies._engine.write(lambda tx: tx.run(age))
        await policies.refresh(spread_s=0)
        (changed,) = await policies.list_all()
        assert (changed.record_id, changed.policy.mode, changed.policy_text) == ("2", "testing", web.answer)
        assert changed.used_ms == before.used_ms
        await policies._engine.write(lambda tx: tx.run("UPDATE policies SET used_ms = used_ms - 15638400000"))
        await policies.refresh(spread_s=0)
        assert await policies.list_all() == []
