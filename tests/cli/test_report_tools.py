"""mtasts lookup, tlsrpt …, dmarc parsereportmsg."""

import json
from pathlib import Path

import pytest

from mox.cli import report_tools
from mox.cli.command import CommandError
from mox.cli.main import run
from mox.dns.static import StaticResolver
from mox.outbound.mtasts import NoPolicy
from tests.conftest import DATA

RESOLVER = StaticResolver(
    {
        "_mta-sts.example.org": {"TXT": ["v=STSv1; id=1"]},
        "_smtp._tls.example.org": {"TXT": ["other", "v=TLSRPTv1; rua=mailto:a@example.org"]},
        "_smtp._tls.other.org": {"TXT": ["other"]},
    }
)
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmax_age: 86400\r\n"


async def fetch(domain: str) -> str:
    return POLICY


async def fetch_nothing(domain: str) -> str:
    raise NoPolicy("no policy served: status 404")


async def test_mtasts() -> None:
    record = "DNS TXT record _mta-sts.example.org: v=STSv1; id=1"
    assert await report_tools.mtasts_lookup(RESOLVER, "example.org", fetch) == [record, "", *POLICY.splitlines()]
    assert await report_tools.mtasts_lookup(RESOLVER, "example.org", fetch_nothing) == [
        record,
        "error: no policy served: status 404",
    ]
    assert await report_tools.mtasts_lookup(RESOLVER, "absent.org", fetch) == ["error: no mta-sts dns record"]


async def test_tlsrpt_lookup() -> None:
    assert await report_tools.tlsrpt_lookup(RESOLVER, "example.org") == ["v=TLSRPTv1; rua=mailto:a@example.org"]
    for domain, text in (("other.org", "no TLSRPT record"), ("absent.org", "without dnssec")):
        with pytest.raises(CommandError, match=text):
            await report_tools.tlsrpt_lookup(RESOLVER, domain)


def published(name: str) -> Path:
    path = DATA / "reports-mail-auth" / name
    if not path.exists():
        pytest.skip("shared/data is not here")
    return path


def test_dmarc_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dmarc", "parsereportmsg", str(published("dmarc-feedback/100.eml"))]) == 0
    out = capsys.readouterr().out
    expected = json.loads(published("dmarc-feedback/100.json").read_text())
    assert f"report id: {expected['report_metadata']['report_id']}" in out
    assert out.count("record: header from ") == len(expected["record"])
    assert "\tdkim: domain " in out
    assert "\tspf: domain " in out


def test_tls_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tlsrpt", "parsereportmsg", str(published("tlsrpt/rpt01.eml"))]) == 0
    out = capsys.readouterr().out
    assert '\n\t"date-range": {\n\t\t"start-datetime"' in out
    assert json.loads(out)["organization-name"] == "Company-X"


@pytest.mark.parametrize("words", [["dmarc", "parsereportmsg"], ["tlsrpt", "parsereportmsg"]], ids=["dmarc", "tlsrpt"])
def test_message_without_a_report(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "message").write_bytes(b"From: a@b.org\r\n\r\nhello\r\n")
    with pytest.raises(CommandError, match="message: "):
        run([*words, str(tmp_path / "message")])
