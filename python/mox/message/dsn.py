"""Delivery status notifications: composing and parsing (RFC 3461 §6, RFC 3462, RFC 3464, RFC 6533).

A `Dsn` is what both directions share. Who gets one, and why, is decided elsewhere (`outbound/dsn.py`, `inbound`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import NamedTuple

from mox._rust import ParsedMessage, decode_part, header_values, parse_message, part_info
from mox.message.addresses import ascii_address, ascii_domain, unescape_address
from mox.message.compose import (
    Header,
    NamedAddress,
    Part,
    base64_part,
    format_date,
    message,
    multipart,
    now,
    text_part,
)

_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_COMMENT = re.compile(r"\([^()]*\)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_RETURNED_TYPES = {"RFC822-HEADERS": "TEXT", "GLOBAL-HEADERS": "MESSAGE", "RFC822": "MESSAGE", "GLOBAL": "MESSAGE"}
# Fields of RFC 3464 §2.2 and §2.3 are short; a report with more than this is not parsed.
MAX_STATUS_BYTES = 1 << 20


class DsnError(Exception):
    """Not a delivery status notification that can be used; the text says why."""


class Action(Enum):
    """RFC 3464 §2.3.3"""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


_DEFAULT_STATUS = {Action.FAILED: "5.0.0", Action.DELAYED: "4.0.0"}


class Mta(NamedTuple):
    """Name of an MTA, and its IP address where it is known."""

    name: str
    ip: str = ""


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """What became of one recipient. `original_recipient` is `type;address` as in ORCPT (decoded); `diagnostic` the
    lines that the remote server answered; `comment` our own words."""

    final_recipient: str
    action: Action
    status: str = ""
    comment: str = ""
    original_recipient: str = ""
    remote_mta: Mta | None = None
    diagnostic: str = ""
    last_attempt: datetime | None = None
    final_log_id: str = ""
    will_retry_until: datetime | None = None
    other: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dsn:
    """A report. Addresses are addr-specs in Unicode; `message_id` and `references` have angle brackets.
    `original` is the header of the message it is about, or the whole message; `return_full` sends all of that back.
    """

    from_: str
    to: str
    subject: str
    message_id: str
    text: str
    recipients: tuple[RecipientStatus, ...]
    reporting_mta: str
    references: str = ""
    original_envelope_id: str = ""
    dsn_gateway: str = ""
    received_from: Mta | None = None
    arrival_date: datetime | None = None
    future_release_request: str = ""
    original: bytes = b""
    original_is_smtputf8: bool = False
    return_full: bool = False
    other: dict[str, str] = field(default_factory=dict)


def compose(dsn: Dsn, smtputf8: bool, prefix: bytes = b"", date: datetime | None = None) -> bytes:
    """The message. `smtputf8` allows the UTF-8 forms of RFC 6533, used when the original message needed them.
    `prefix` are header lines to begin with. Raises ComposeError."""
    assert dsn.recipients and dsn.message_id
    utf8 = smtputf8 and dsn.original_is_smtputf8
    header = Header(utf8)
    header.addresses("From", [NamedAddress("", _address(dsn.from_, utf8))])
    # The null reverse-path has no address to write to; RFC 5322 §3.4 allows an empty group.
    if dsn.to:
        header.addresses("To", [NamedAddress("", _address(dsn.to, utf8))])
    else:
        header.add("To", "undisclosed-recipients:;")
    header.subject(dsn.subject)
    header.add("Message-Id", dsn.message_id)
    if dsn.references:
        header.add("References", dsn.references)
    header.add("Date", format_date(date or now()))
    parts = [text_part(dsn.text, allow_8bit=utf8), _status_part(dsn, utf8)]
    if dsn.original:
        parts.append(_original_part(dsn, utf8))
    return prefix + message(header, multipart("report", parts, '; report-type="delivery-status"'))


def _address(address: str, utf8: bool) -> str:
    return address if utf8 else ascii_address(address)


def _typed_address(address: str, utf8: bool) -> str:
    """RFC 6533 §3: `rfc822` for what is ASCII, `utf-8` otherwise, escaped where UTF-8 cannot go."""
    kind = "rfc822" if address.rpartition("@")[0].isascii() and (not utf8 or address.isascii()) else "utf-8"
    return f"{kind};{_address(address, utf8)}"


def _line(name: str, value: str, utf8: bool) -> str:
    """A field; what comes from peers is on one line and, outside of the UTF-8 form, ASCII."""
    text = _CONTROL.sub(" ", value)
    if not utf8:
        text = text.encode("ascii", "replace").decode()
    return f"{name}: {text}\r\n"


def _mta(mta: Mta, utf8: bool) -> str:
    name = mta.name if utf8 else ascii_domain(mta.name)
    if not mta.ip:
        return f"dns;{name}"
    literal = f"[IPv6:{mta.ip}]" if ":" in mta.ip else f"[{mta.ip}]"
    return f"dns;{name} ({literal})"


def _status_part(dsn: Dsn, utf8: bool) -> Part:
    lines: list[tuple[str, str]] = []
    if dsn.original_envelope_id:
        lines.append(("Original-Envelope-ID", dsn.original_envelope_id))
    lines.append(("Reporting-MTA", f"dns;{dsn.reporting_mta if utf8 else ascii_domain(dsn.reporting_mta)}"))
    if dsn.dsn_gateway:
        lines.append(("DSN-Gateway", f"dns;{dsn.dsn_gateway}"))
    if dsn.received_from is not None:
        lines.append(("Received-From-MTA", _mta(dsn.received_from, utf8)))
    if dsn.arrival_date is not None:
        lines.append(("Arrival-Date", format_date(dsn.arrival_date)))
    if dsn.future_release_request:
        lines.append(("Future-Release-Request", dsn.future_release_request))
    text = "".join(_line(name, value, utf8) for name, value in lines)
    for recipient in dsn.recipients:
        text += "\r\n" + "".join(_line(name, value, utf8) for name, value in _recipient_fields(recipient, utf8))
    if utf8:
        return Part("message/global-delivery-status", "8bit", text.encode())
    return Part("message/delivery-status", "7bit", text.encode())


def _recipient_fields(recipient: RecipientStatus, utf8: bool) -> Iterator[tuple[str, str]]:
    if recipient.original_recipient:
        kind, _, address = recipient.original_recipient.partition(";")
        yield "Original-Recipient", f"{kind};{_address(address, utf8)}"
    yield "Final-Recipient", _typed_address(recipient.final_recipient, utf8)
    yield "Action", recipient.action.value
    status = recipient.status or _DEFAULT_STATUS.get(recipient.action, "2.0.0")
    # A comment with parentheses of its own would end early.
    comment = recipient.comment.replace("\\", "").replace("(", "[").replace(")", "]")
    yield "Status", f"{status} ({comment})" if comment else status
    if recipient.remote_mta is not None:
        yield "Remote-MTA", _mta(recipient.remote_mta, utf8)
    if recipient.diagnostic:
        yield "Diagnostic-Code", f"smtp; {recipient.diagnostic}"
    if recipient.last_attempt is not None:
        yield "Last-Attempt-Date", format_date(recipient.last_attempt)
    if recipient.final_log_id:
        yield "Final-Log-ID", recipient.final_log_id
    if recipient.will_retry_until is not None:
        yield "Will-Retry-Until", format_date(recipient.will_retry_until)


def _original_part(dsn: Dsn, utf8: bool) -> Part:
    """The original message or its header. RFC 3462 §2, RFC 6533 §4."""
    header, separator, _ = dsn.original.partition(b"\r\n\r\n")
    headers = header + b"\r\n" if separator else dsn.original
    if utf8:
        if dsn.return_full:
            return Part("message/global", "8bit", dsn.original)
        return Part("message/global-headers", "8bit", headers)
    if dsn.original_is_smtputf8:
        return base64_part(headers, "text/rfc822-headers; charset=utf-8")
    if dsn.return_full:
        return Part("message/rfc822", "7bit" if dsn.original.isascii() else "8bit", dsn.original)
    if not headers.isascii():
        return base64_part(headers, "text/rfc822-headers; charset=utf-8")
    return Part("text/rfc822-headers", "7bit", headers)


def parse(data: bytes, prefix: bytes = b"") -> Dsn:
    """Parse a message that claims to be a report. Raises DsnError."""
    whole = prefix + data
    parsed = parse_message(whole)
    structure = parsed.structure
    outer, text, status = part_info(structure, []), part_info(structure, [1]), part_info(structure, [2])
    media_type = "/".join(header_values(parsed.header, "Content-Type")[:1]).partition(";")[0].strip().lower()
    if outer is None or media_type != "multipart/report" or text is None or status is None:
        raise DsnError("message is not a multipart/report with two or three parts")
    if part_info(structure, [4]) is not None:
        raise DsnError("multipart/report has more than three parts")
    if (text.media_type, text.media_subtype) not in (("TEXT", "PLAIN"), ("", "")):
        raise DsnError("first part of multipart/report is not text/plain")
    kind = f"{status.media_type}/{status.media_subtype}"
    if kind not in ("MESSAGE/DELIVERY-STATUS", "MESSAGE/GLOBAL-DELIVERY-STATUS"):
        raise DsnError("second part of multipart/report is not a delivery status")
    returned = part_info(structure, [3])
    if returned is not None and _RETURNED_TYPES.get(returned.media_subtype) != returned.media_type:
        raise DsnError("third part of multipart/report is not a message or its header")
    fields = decode_part(whole[status.start : status.end], status.encoding)
    if fields is None or len(fields) > MAX_STATUS_BYTES:
        raise DsnError("delivery status has an unknown encoding or is too large")
    words = decode_part(whole[text.start : text.end], text.encoding) or b""
    original = b"" if returned is None else decode_part(whole[returned.start : returned.end], returned.encoding) or b""
    return _parse_status(fields, kind.startswith("MESSAGE/GLOBAL"), parsed, words.decode(errors="replace"), original)


def _parse_status(fields: bytes, utf8: bool, parsed: ParsedMessage, text: str, original: bytes) -> Dsn:
    blocks = [block for block in re.split(rb"(?:\r?\n){2,}", fields.lstrip(b"\r\n")) if block.strip()]
    if len(blocks) < 2:
        raise DsnError("delivery status has no recipient")
    general = _fields(blocks[0], utf8)
    if "reporting-mta" not in general:
        raise DsnError("delivery status has no Reporting-MTA")
    reporting = _parse_mta(general.pop("reporting-mta")).name
    received = general.pop("received-from-mta", None)
    arrival = general.pop("arrival-date", None)
    gateway = general.pop("dsn-gateway", None)
    return Dsn(
        from_=_first_address(parsed.from_),
        to=_first_address(parsed.to),
        subject=parsed.subject,
        message_id=f"<{parsed.message_id}>" if parsed.message_id else "",
        text=text,
        recipients=tuple(_parse_recipient(_fields(block, utf8), utf8) for block in blocks[1:]),
        reporting_mta=reporting,
        references=" ".join(f"<{reference}>" for reference in parsed.references),
        original_envelope_id=general.pop("original-envelope-id", ""),
        dsn_gateway=_parse_mta(gateway).name if gateway else "",
        received_from=_parse_mta(received) if received else None,
        arrival_date=_parse_date(arrival) if arrival else None,
        future_release_request=general.pop("future-release-request", ""),
        original=original,
        original_is_smtputf8=utf8,
        other=general,
    )


def _first_address(addresses: list[tuple[str, str, str]]) -> str:
    return f"{addresses[0][1]}@{addresses[0][2]}" if addresses else ""


def _fields(block: bytes, utf8: bool) -> dict[str, str]:
    """Fields of a block by lower-case name, unfolded."""
    try:
        text = block.decode("utf-8" if utf8 else "ascii", "strict" if utf8 else "replace")
    except UnicodeDecodeError as err:
        raise DsnError("delivery status is not UTF-8") from err
    fields: dict[str, str] = {}
    for line in re.split(r"\r?\n(?![ \t])", text.rstrip("\r\n")):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise DsnError("malformed line in delivery status")
        key = name.strip().lower()
        if key in fields:
            raise DsnError(f"duplicate field {name.strip()} in delivery status")
        fields[key] = " ".join(value.split())
    return fields


def _parse_recipient(fields: dict[str, str], utf8: bool) -> RecipientStatus:
    for name in ("final-recipient", "action", "status"):
        if name not in fields:
            raise DsnError(f"recipient of delivery status has no {name.title()}")
    try:
        action = Action(fields.pop("action").lower())
    except ValueError as err:
        raise DsnError("unknown Action in delivery status") from err
    status, _, comment = fields.pop("status").partition(" ")
    if not _STATUS.fullmatch(status):
        raise DsnError("malformed Status in delivery status")
    remote, last, until = (fields.pop(n, None) for n in ("remote-mta", "last-attempt-date", "will-retry-until"))
    original = fields.pop("original-recipient", "")
    return RecipientStatus(
        final_recipient=_parse_address(fields.pop("final-recipient"), utf8),
        action=action,
        status=status,
        comment=comment.strip().removeprefix("(").removesuffix(")"),
        original_recipient=_parse_original(original, utf8) if original else "",
        remote_mta=_parse_mta(remote) if remote else None,
        diagnostic=_parse_diagnostic(fields.pop("diagnostic-code", "")),
        last_attempt=_parse_date(last) if last else None,
        final_log_id=fields.pop("final-log-id", ""),
        will_retry_until=_parse_date_or_none(until) if until else None,
        other=fields,
    )


def _typed(value: str) -> tuple[str, str]:
    kind, semicolon, rest = value.partition(";")
    if not semicolon:
        raise DsnError("field of delivery status has no type")
    return _COMMENT.sub("", kind).strip().lower(), rest.strip()


def _parse_mta(value: str) -> Mta:
    kind, rest = _typed(value)
    if kind != "dns":
        raise DsnError(f"unknown type {kind!r} of an MTA name in delivery status")
    comment = re.search(r"\(\s*\[?(?:IPv6:)?([0-9A-Fa-f.:]+)\]?\s*\)", rest)
    return Mta(_COMMENT.sub("", rest).strip(), comment[1] if comment else "")


def _parse_original(value: str, utf8: bool) -> str:
    kind, rest = _typed(value)
    return f"{kind};{_parse_address(value, utf8) if kind in ('rfc822', 'utf-8') else rest}"


def _parse_address(value: str, utf8: bool) -> str:
    kind, rest = _typed(value)
    if kind not in ("rfc822", "utf-8"):
        raise DsnError(f"unknown address type {kind!r} in delivery status")
    if not rest.isascii() and not (utf8 and kind == "utf-8"):
        raise DsnError("address in delivery status is not ASCII")
    address = rest.removeprefix("<").removesuffix(">")
    if kind != "utf-8":
        return address
    try:
        return unescape_address(address)
    except (ValueError, OverflowError) as err:
        raise DsnError("bad escape in an address of delivery status") from err


def _parse_diagnostic(value: str) -> str:
    if not value:
        return ""
    kind, rest = _typed(value)
    if kind != "smtp":
        raise DsnError(f"unknown type {kind!r} of Diagnostic-Code in delivery status")
    return rest


def _parse_date(value: str) -> datetime:
    """A date with or without weekday and comments."""
    try:
        parsed = parsedate_to_datetime(_COMMENT.sub("", value).strip())
    except ValueError as err:
        raise DsnError("malformed date in delivery status") from err
    return parsed if parsed.tzinfo is not None else parsed.astimezone()


def _parse_date_or_none(value: str) -> datetime | None:
    try:
        return _parse_date(value)
    except DsnError:
        return None
