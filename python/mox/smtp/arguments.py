"""Arguments of SMTP commands: paths and ESMTP parameters (RFC 5321 §4.1.2 and the extensions' RFCs).

Text comes decoded with `surrogateescape`: a byte that is not UTF-8 matches no grammar rule.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec import Struct

from mox.smtp.address import AddressError, parse_address
from mox.smtp.reply import SmtpError, bad_syntax

# RFC 4865 §4: how far in the future a release may be.
FUTURE_RELEASE_MAX_S = 60 * 24 * 3600
DEFAULT_MAX_SIZE = 100 << 20
MAX_ENVID = 100
MAX_ORCPT = 500

_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(?:=[^\x00-\x20=\x7f\ud800-\udfff]+)?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_UTC = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?Z")
_NOTIFY = {"SUCCESS", "FAILURE", "DELAY"}


@dataclass(slots=True)
class MailParameters:
    """What MAIL was given beside the path. `release_at` is when FUTURERELEASE wants the message sent."""

    size: int = 0
    body: str = "7BIT"
    utf8: bool = False
    require_tls: bool | None = None
    release_at: datetime | None = None
    release_request: str = ""
    dsn_return: str = ""
    envelope_id: str = ""


class RcptParameters(Struct, frozen=True):
    """Delivery status notifications that were asked for (RFC 3461 §4.1, §4.2); empty means by default."""

    notify: frozenset[str] = field(default_factory=frozenset)
    original: str = ""


class Capabilities(Struct, frozen=True):
    """What of MAIL's parameters this connection takes."""

    max_size: int
    is_submission: bool
    has_tls: bool
    require_tls: bool
    binary: bool


def split_path(text: str, keyword: str, pedantic: bool) -> tuple[str, str]:
    """The raw path of `FROM:<path> …` and what follows it. Raises SmtpError."""
    if text[: len(keyword)].upper() != keyword:
        raise bad_syntax(f"expected {keyword}")
    text = text[len(keyword) :]
    # Outlook 365 and some senders put a blank here.
    if text.startswith(" ") and not pedantic:
        text = text[1:]
    end = text.find(">")
    if not text.startswith("<") or end < 0:
        raise bad_syntax("expected a path in <>")
    return text[1:end], text[end + 1 :]


def split_parameters(text: str, allow_utf8: bool = True) -> list[tuple[str, str | None]]:
    """(upper-case keyword, value or None) in order. Raises SmtpError for bad syntax and for duplicates."""
    if text and not text.startswith(" "):
        raise bad_syntax("expected a blank before the parameters")
    found: dict[str, str | None] = {}
    for item in text.split():
        if not _PARAMETER.fullmatch(item) or (not allow_utf8 and not item.isascii()):
            raise bad_syntax("bad parameter")
        name, mark, value = item.partition("=")
        if name.upper() in found:
            raise SmtpError(501, "5.5.4", f"duplicate parameter {name.upper()}")
        found[name.upper()] = value if mark else None
    return list(found.items())


def parse_mail_parameters(text: str, can: Capabilities, now: datetime) -> MailParameters:
    """Raises SmtpError."""
    given = MailParameters()
    pairs = split_parameters(text)
    given.utf8 = any(name == "SMTPUTF8" for name, _ in pairs)
    for name, value in pairs:
        _mail_parameter(given, name, value, can, now)
    return given


def _mail_parameter(given: MailParameters, name: str, value: str | None, can: Capabilities, now: datetime) -> None:
    match name, value:
        case "SIZE", str():
            given.size = _size(value, can.max_size)
        case "BODY", str():
            given.body = _body(value, can.binary)
        case "AUTH", str():
            # RFC 4954 §5: read and ignored; identities are always checked here.
            _auth(value)
        case "SMTPUTF8", None:
            pass
        case "REQUIRETLS", None:
            given.require_tls = _require_tls(can)
        case "HOLDFOR", str() if can.is_submission:
            _hold_for(given, value, now)
        case "HOLDUNTIL", str() if can.is_submission:
            _hold_until(given, value, now)
        case "RET", str():
            if value.upper() not in ("FULL", "HDRS"):
                raise SmtpError(501, "5.5.4", "RET is FULL or HDRS")
            given.dsn_return = value.upper()
        case "ENVID", str():
            if len(value) > MAX_ENVID:
                raise SmtpError(501, "5.5.4", "ENVID is too long")
            given.envelope_id = decode_xtext(value)
        case (("SIZE" | "BODY" | "AUTH" | "SMTPUTF8" | "REQUIRETLS" | "RET" | "ENVID"), _):
            raise SmtpError(501, "5.5.4", f"bad value for parameter {name}")
        case _:
            raise SmtpError(555, "5.3.3", f"parameter {name[:40]} is not supported here")


def _size(value: str, max_size: int) -> int:
    size = _number(value, 20)
    if size > max_size:
        enhanced = "5.2.3" if size < DEFAULT_MAX_SIZE else "5.3.4"
        raise SmtpError(552, enhanced, f"message too large, the limit is {max_size} bytes")
    return size


def _number(value: str, digits: int) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]*", value) or len(value) > digits:
        raise bad_syntax("expected a number")
    return int(value)


def _body(value: str, binary: bool) -> str:
    kind = value.upper()
    if kind not in ("7BIT", "8BITMIME") and not (binary and kind == "BINARYMIME"):
        raise SmtpError(555, "5.5.4", "this kind of body is not supported")
    return kind


def _auth(value: str) -> None:
    if value == "<>":
        return
    try:
        parse_address(decode_xtext(value))
    except AddressError as err:
        raise bad_syntax(f"AUTH: {err}") from err


def _require_tls(can: Capabilities) -> bool:
    if not can.require_tls:
        raise SmtpError(555, "5.3.3", "REQUIRETLS is not supported here")
    if not can.has_tls:
        raise SmtpError(523, "5.7.10", "REQUIRETLS needs a TLS connection")
    return True


def _hold_for(given: MailParameters, value: str, now: datetime) -> None:
    _one_release(given)
    seconds = _number(value, 9)
    if not seconds:
        raise bad_syntax("HOLDFOR must be positive")
    _set_release(given, datetime.fromtimestamp(now.timestamp() + seconds, UTC), f"for;{value}", now)


def _hold_until(given: MailParameters, value: str, now: datetime) -> None:
    _one_release(given)
    found = _UTC.fullmatch(value)
    try:
        until = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else None
    except ValueError as err:
        raise bad_syntax("HOLDUNTIL is not a date") from err
    if until is None:
        raise bad_syntax("HOLDUNTIL is not a date in UTC")
    if until <= now:
        raise SmtpError(554, "5.5.4", "HOLDUNTIL is in the past")
    _set_release(given, until, f"until;{value}", now)


def _one_release(given: MailParameters) -> None:
    if given.release_at is not None:
        raise SmtpError(501, "5.5.4", "HOLDFOR and HOLDUNTIL cannot go together")


def _set_release(given: MailParameters, at: datetime, request: str, now: datetime) -> None:
    if (at - now).total_seconds() > FUTURE_RELEASE_MAX_S:
        raise SmtpError(554, "5.5.4", f"release is too far in the future, the limit is {FUTURE_RELEASE_MAX_S} seconds")
    given.release_at, given.release_request = at, request


def parse_rcpt_parameters(text: str, allow_utf8: bool) -> RcptParameters:
    """RFC 3461 §4.1, §4.2. Raises SmtpError."""
    notify: frozenset[str] = frozenset()
    original = ""
    for name, value in split_parameters(text, allow_utf8):
        match name, value:
            case "NOTIFY", str():
                notify = _notify(value)
            case "ORCPT", str():
                original = _original(value)
            case (("NOTIFY" | "ORCPT"), _):
                raise SmtpError(501, "5.5.4", f"bad value for parameter {name}")
            case _:
                raise SmtpError(555, "5.3.3", f"parameter {name[:40]} is not supported here")
    return RcptParameters(notify, original)


def _notify(value: str) -> frozenset[str]:
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return frozenset(words)
    if not set(words) <= _NOTIFY or len(set(words)) != len(words):
        raise SmtpError(501, "5.5.4", "NOTIFY is NEVER or a list of SUCCESS, FAILURE and DELAY")
    return frozenset(words)


def _original(value: str) -> str:
    kind, mark, address = value.partition(";")
    if not mark or not kind or not address or len(value) > MAX_ORCPT:
        raise SmtpError(501, "5.5.4", "ORCPT is an address type, a semicolon and an address")
    return f"{kind.lower()};{decode_xtext(address)}"


def decode_xtext(value: str) -> str:
    """RFC 3461 §4. Raises SmtpError; a decoded control character is refused too."""
    if not _XTEXT.fullmatch(value):
        raise bad_syntax("bad xtext")
    decoded = re.sub(r"\+([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), value)
    if not decoded.isprintable():
        raise bad_syntax("control character in xtext")
    return decoded


def encode_xtext(value: str) -> str:
    """RFC 3461 §4, for ASCII text."""
    return "".join(c if "!" <= c <= "~" and c not in "+=" else f"+{ord(c):02X}" for c in value)
