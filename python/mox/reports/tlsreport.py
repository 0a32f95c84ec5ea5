"""TLS reports as documents: parsing what others send, in mail and alone. RFC 8460 §4, §5."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from mox.outbound.tlsresult import PolicyResult
from mox.reports.unpack import ReportError, leaves, unpack

# The last is from drafts of the RFC.
_TYPES = ("application/tlsrpt+json", "application/tlsrpt+gzip", "application/tlsrpt")


class DateRange(msgspec.Struct, frozen=True, rename="kebab"):
    """When the sessions were."""

    start_datetime: datetime
    end_datetime: datetime


class TlsReport(msgspec.Struct, frozen=True, rename="kebab"):
    """A report."""

    organization_name: str
    date_range: DateRange
    contact_info: str
    report_id: str
    policies: list[PolicyResult]


def parse_json(data: bytes) -> TlsReport:
    """Raises ReportError. Tolerates data behind the report, times without zone (Microsoft), single strings for lists,
    and null."""
    try:
        document, _ = json.JSONDecoder().raw_decode(data.decode("utf-8-sig").lstrip())
        return msgspec.convert(_tidy(document, ""), TlsReport, strict=False)
    except (UnicodeDecodeError, ValueError, RecursionError) as err:
        raise ReportError(f"tls report: {err}") from err


_LISTS = frozenset(("policy-string", "mx-host", "mx-host-pattern", "failure-details", "policies"))
_TIMES = frozenset(("start-datetime", "end-datetime"))


def _tidy(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _tidy(item, key) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_tidy(item, "") for item in value if item is not None]
    if name in _LISTS and isinstance(value, str):
        return [value]
    if name in _TIMES and isinstance(value, str):
        parsed = datetime.fromisoformat(value)
        return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
    return value


def parse_message(content: bytes) -> TlsReport:
    """The report in a message: its only part, or a part of a multipart/report. Raises ReportError."""
    for leaf in leaves(content):
        if leaf.media_type in _TYPES and leaf.parent in ("", "multipart/report"):
            return parse_json(unpack(leaf.data))
    raise ReportError("no tls report in message")
