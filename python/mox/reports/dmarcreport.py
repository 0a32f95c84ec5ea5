"""DMARC aggregate reports as documents: XML read and written, and found in mail. RFC 7489 appendix C."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import msgspec

from mox.reports.unpack import Leaf, ReportError, leaves, unpack

_TYPES = frozenset(
    (
        "application/zip",
        "application/x-zip-compressed",
        "application/gzip",
        "application/x-gzip",
        "text/xml",
        "application/xml",
        "application/octet-stream",
        "/",
    )
)
MAX_RECORDS = 100_000


class Metadata(msgspec.Struct, frozen=True):
    """Who reports on what time, in seconds since 1970."""

    org_name: str
    email: str
    report_id: str
    begin: int
    end: int
    extra_contact_info: str = ""
    errors: list[str] = []


class PolicyPublished(msgspec.Struct, frozen=True):
    """The record that was found."""

    domain: str
    adkim: str = ""
    aspf: str = ""
    policy: str = ""
    subdomain_policy: str = ""
    percentage: int = 100
    reporting_options: str = ""


class Reason(msgspec.Struct, frozen=True):
    """Why the policy was not followed."""

    type: str
    comment: str = ""


class DkimAuth(msgspec.Struct, frozen=True):
    """A signature."""

    domain: str
    selector: str = ""
    result: str = ""
    human_result: str = ""


class SpfAuth(msgspec.Struct, frozen=True):
    """An SPF check."""

    domain: str
    scope: str = ""
    result: str = ""


class Row(msgspec.Struct, frozen=True):
    """Messages that have everything in common."""

    source_ip: str
    count: int
    disposition: str = ""
    dkim: str = ""
    spf: str = ""
    reasons: list[Reason] = []
    envelope_to: str = ""
    envelope_from: str = ""
    header_from: str = ""
    dkim_auth: list[DkimAuth] = []
    spf_auth: list[SpfAuth] = []


class Feedback(msgspec.Struct, frozen=True):
    """A report."""

    metadata: Metadata
    policy: PolicyPublished
    rows: list[Row]
    version: str = "1.0"


def parse_xml(data: bytes) -> Feedback:
    """Raises ReportError."""
    # Entities have no place here, and are how XML bombs are made.
    if b"<!DOCTYPE" in data[:4096] or b"<!ENTITY" in data[:4096]:
        raise ReportError("dmarc report with a document type")
    try:
        root = ElementTree.fromstring(data.strip())
    except (ElementTree.ParseError, ValueError) as err:
        raise ReportError(f"dmarc report: {err}") from err
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "feedback":
        raise ReportError(f"dmarc report: root element is {root.tag}")
    records = root.findall("record")
    if len(records) > MAX_RECORDS:
        raise ReportError("dmarc report with too many records")
    metadata, policy = root.find("report_metadata"), root.find("policy_published")
    if metadata is None or policy is None:
        raise ReportError("dmarc report without metadata or policy")
    return Feedback(_metadata(metadata), _policy(policy), [_row(r) for r in records], _text(root, "version") or "1.0")


def _text(element: ElementTree.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(element: ElementTree.Element, path: str, default: int | None = None) -> int:
    text = _text(element, path)
    if not text and default is not None:
        return default
    try:
        return int(text)
    except ValueError as err:
        raise ReportError(f"dmarc report: {path} is no number") from err


def _metadata(element: ElementTree.Element) -> Metadata:
    return Metadata(
        org_name=_text(element, "org_name"),
        email=_text(element, "email"),
        report_id=_text(element, "report_id"),
        begin=_number(element, "date_range/begin"),
        end=_number(element, "date_range/end"),
        extra_contact_info=_text(element, "extra_contact_info"),
        errors=[(e.text or "").strip() for e in element.findall("error")],
    )


def _policy(element: ElementTree.Element) -> PolicyPublished:
    return PolicyPublished(
        domain=_text(element, "domain").lower(),
        adkim=_text(element, "adkim"),
        aspf=_text(element, "aspf"),
        policy=_text(element, "p"),
        subdomain_policy=_text(element, "sp"),
        percentage=_number(element, "pct", 100),
        reporting_options=_text(element, "fo"),
    )


def _row(element: ElementTree.Element) -> Row:
    reasons = element.findall("row/policy_evaluated/reason")
    return Row(
        source_ip=_text(element, "row/source_ip"),
        count=_number(element, "row/count", 0),
        disposition=_text(element, "row/policy_evaluated/disposition"),
        dkim=_text(element, "row/policy_evaluated/dkim"),
        spf=_text(element, "row/policy_evaluated/spf"),
        reasons=[Reason(_text(r, "type"), _text(r, "comment")) for r in reasons],
        envelope_to=_text(element, "identifiers/envelope_to"),
        envelope_from=_text(element, "identifiers/envelope_from"),
        header_from=_text(element, "identifiers/header_from"),
        dkim_auth=[
            DkimAuth(_text(d, "domain"), _text(d, "selector"), _text(d, "result"), _text(d, "human_result"))
            for d in element.findall("auth_results/dkim")
        ],
        spf_auth=[
            SpfAuth(_text(s, "domain"), _text(s, "scope"), _text(s, "result"))
            for s in element.findall("auth_results/spf")
        ],
    )


def render_xml(feedback: Feedback) -> bytes:
    """The document, indented with tabs."""
    root = ElementTree.Element("feedback")
    _add(root, "version", feedback.version)
    metadata = ElementTree.SubElement(root, "report_metadata")
    _add(metadata, "org_name", feedback.metadata.org_name)
    _add(metadata, "email", feedback.metadata.email)
    _add(metadata, "report_id", feedback.metadata.report_id)
    dates = ElementTree.SubElement(metadata, "date_range")
    _add(dates, "begin", str(feedback.metadata.begin))
    _add(dates, "end", str(feedback.metadata.end))
    for error in feedback.metadata.errors:
        _add(metadata, "error", error)
    policy = ElementTree.SubElement(root, "policy_published")
    published = feedback.policy
    for name, value in (
        ("domain", published.domain),
        ("adkim", published.adkim),
        ("aspf", published.aspf),
        ("p", published.policy),
        ("sp", published.subdomain_policy),
        ("pct", str(published.percentage)),
        ("fo", published.reporting_options),
    ):
        _add(policy, name, value)
    for row in feedback.rows:
        _add_row(ElementTree.SubElement(root, "record"), row)
    ElementTree.indent(root, "\t")
    text: str = ElementTree.tostring(root, "unicode")
    return f'<?xml version="1.0" encoding="UTF-8" ?>\n{text}\n'.encode()


def _add_row(record: ElementTree.Element, row: Row) -> None:
    element = ElementTree.SubElement(record, "row")
    _add(element, "source_ip", row.source_ip)
    _add(element, "count", str(row.count))
    evaluated = ElementTree.SubElement(element, "policy_evaluated")
    for name, value in (("disposition", row.disposition), ("dkim", row.dkim), ("spf", row.spf)):
        _add(evaluated, name, value)
    for reason in row.reasons:
        found = ElementTree.SubElement(evaluated, "reason")
        _add(found, "type", reason.type)
        _add(found, "comment", reason.comment)
    identifiers = ElementTree.SubElement(record, "identifiers")
    for name, value in (
        ("envelope_to", row.envelope_to),
        ("envelope_from", row.envelope_from),
        ("header_from", row.header_from),
    ):
        _add(identifiers, name, value)
    results = ElementTree.SubElement(record, "auth_results")
    for dkim in row.dkim_auth:
        found = ElementTree.SubElement(results, "dkim")
        _add(found, "domain", dkim.domain)
        _add(found, "selector", dkim.selector)
        _add(found, "result", dkim.result)
        _add(found, "human_result", dkim.human_result)
    for spf in row.spf_auth:
        found = ElementTree.SubElement(results, "spf")
        for name, value in (("domain", spf.domain), ("scope", spf.scope), ("result", spf.result)):
            _add(found, name, value)


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    if text:
        ElementTree.SubElement(parent, name).text = text


def parse_message(content: bytes) -> Feedback:
    """The report in a message, in whatever part it is. Raises ReportError."""
    problem: ReportError | None = None
    for leaf in leaves(content):
        if leaf.media_type not in _TYPES or not _looks_like_report(leaf):
            continue
        try:
            return parse_xml(unpack(leaf.data))
        except ReportError as err:
            problem = err
    raise problem or ReportError("no dmarc report in message")


def _looks_like_report(leaf: Leaf) -> bool:
    start = leaf.data.lstrip()[:1000]
    return (
        start.startswith((b"\x1f\x8b", b"PK\x03\x04", b"<?xml", b"<feedback", b"\xef\xbb\xbf<"))
        or b"<feedback" in start
    )


def ends_in_future(feedback: Feedback, now: datetime) -> bool:
    """The report covers time that did not pass; a minute is for clocks that differ."""
    return feedback.metadata.end > now.astimezone(UTC).timestamp() + 60
