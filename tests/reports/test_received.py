"""Reports as others send them, from public collections and hostile ones."""

import base64
import gzip
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mox.reports import dmarcreport, tlsreport
from mox.reports.received import ReceivedReports
from mox.reports.unpack import MAX_REPORT_BYTES, ReportError, gunzip, unzip
from tests.conftest import DATA
from tests.local_config import new_config

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not here")

TLS_MAILS = sorted(DATA.glob("reports-*/tlsrpt/*.eml")) + sorted(DATA.glob("reports-*/smtp_tls/*.eml"))
TLS_JSON = sorted(DATA.glob("reports-*/smtp_tls/*.json"))
DMARC_MAILS = sorted(DATA.glob("reports-*/dmarc-feedback/*.eml"))
DMARC_XML = sorted(DATA.glob("reports-*/dmarc-feedback/*.xml")) + sorted(DATA.glob("reports-*/aggregate/*.xml"))


@needs_data
@pytest.mark.parametrize("path", TLS_MAILS, ids=lambda p: p.name)
def test_tls_mails(path: Path) -> None:
    # The collections were kept with LF alone.
    report = tlsreport.parse_message(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert report.report_id and report.policies and report.date_range.start_datetime.tzinfo is not None


@needs_data
@pytest.mark.parametrize("path", TLS_JSON, ids=lambda p: p.name)
def test_tls_documents(path: Path) -> None:
    report = tlsreport.parse_json(path.read_bytes())
    assert report.organization_name and report.policies[0].policy.policy_type in ("sts", "tlsa", "no-policy-found")


@needs_data
@pytest.mark.parametrize("path", DMARC_MAILS, ids=lambda p: p.name)
def test_dmarc_mails(path: Path) -> None:
    feedback = dmarcreport.parse_message(path.read_bytes())
    assert feedback.policy.domain and feedback.rows and feedback.metadata.end > feedback.metadata.begin


@needs_data
@pytest.mark.parametrize("path", DMARC_XML, ids=lambda p: p.name)
def test_dmarc_documents(path: Path) -> None:
    if path.name == "invalid_xml.xml":
        with pytest.raises(ReportError):
            dmarcreport.parse_xml(path.read_bytes())
        return
    feedback = dmarcreport.parse_xml(path.read_bytes())
    assert dmarcreport.parse_xml(dmarcreport.render_xml(feedback)).rows == feedback.rows


POLICY = (
    '{"policy": {"policy-type": "sts", "policy-domain": "%s", "mx-host": "mx.x"}, '
    '"summary": {"total-successful-session-count": 1, "total-failure-session-count": 0}, "failure-details": null}'
)


def tls_json(*domains: str, when: str = "2026-01-01T00:00:00Z") -> bytes:
    policies = ", ".join(POLICY % domain for domain in domains)
    return (
        f'{{"organization-name": "o", "date-range": {{"start-datetime": "{when}", "end-datetime": "{when}"}}, '
        f'"contact-info": "c", "report-id": "i", "policies": [{policies}]}} trailing'
    ).encode()


@pytest.mark.holds("outbound-320279")
def test_microsoft_times_have_no_zone() -> None:
    report = tlsreport.parse_json(tls_json("x.example", when="2026-01-01T00:00:00"))
    assert report.date_range.start_datetime == datetime(2026, 1, 1, tzinfo=UTC)
    assert report.policies[0].policy.mx_host == ["mx.x"]


@pytest.mark.holds("outbound-320279")
async def test_known_domains_are_kept(tmp_path: Path) -> None:
    config = new_config(tmp_path / "c")
    received = ReceivedReports(config, tmp_path)
    try:
        report = tlsreport.parse_json(tls_json("localhost", "other.example"))
        assert await received.store_tls(report, "from.example", "a@from.example") == 1
        (kept,) = await received.list_tls(0, 1 << 50)
        assert (kept.domain, kept.report) == ("localhost", report)
        with pytest.raises(ReportError, match="unknown"):
            await received.store_tls(tlsreport.parse_json(tls_json("other.example")), "x", "y")
    finally:
        await received.close()


XML = b"""<?xml version="1.0"?><feedback xmlns="urn:x">
<report_metadata><org_name>google.com</org_name><email>e@g</email>
<report_id>1</report_id><date_range><begin>1</begin><end>2</end></date_range></report_metadata>
<policy_published><domain>x.example</domain><p>none</p></policy_published></feedback>"""


def zipped(*files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, data in enumerate(files):
            archive.writestr(f"{number}.xml", data)
    return buffer.getvalue()


@pytest.mark.holds("outbound-320279")
@pytest.mark.parametrize("kind", ["application/zip", "application/octet-stream", "application/gzip", "text/xml", ""])
def test_dmarc_report_in_any_part(kind: str) -> None:
    """Also where a part says nothing of its type, or something general."""
    data = gzip.compress(XML) if kind == "application/gzip" else XML if kind in ("text/xml", "") else zipped(XML)
    field = f"Content-Type: {kind}\r\n" if kind else ""
    body = base64.encodebytes(data).replace(b"\n", b"\r\n")
    message = f"Subject: x\r\n{field}Content-Transfer-Encoding: base64\r\n\r\n".encode() + body
    if kind == "":
        message = b"Subject: x\r\nContent-Type: application/xml\r\n\r\n" + XML.replace(b"\n", b"\r\n")
    feedback = dmarcreport.parse_message(message)
    assert (feedback.metadata.org_name, feedback.policy.domain) == ("google.com", "x.example")


def test_bombs() -> None:
    zeros = bytes(MAX_REPORT_BYTES + 1)
    with pytest.raises(ReportError, match="too large"):
        gunzip(gzip.compress(zeros))
    with pytest.raises(ReportError, match="too large"):
        unzip(zipped(zeros))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<x/>",
        b"<feedback/>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><feedback/>',
        XML.replace(b"<begin>1", b"<begin>soon"),
        XML[:-5],
    ],
)
def test_bad_dmarc_documents(data: bytes) -> None:
    with pytest.raises(ReportError):
        dmarcreport.parse_xml(data)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"{", b"\xff", b"[" * 100_000, tls_json("x", when="soon")])
def test_bad_tls_documents(data: bytes) -> None:
    with pytest.raises(ReportError):
        tlsreport.parse_json(data)


def test_zip_with_two_files() -> None:
    with pytest.raises(ReportError, match="2 files"):
        unzip(zipped(b"a", b"b"))
