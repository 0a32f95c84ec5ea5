"""Reading what a server says: replies (RFC 5321 §4.2, RFC 2034) and the extensions that it announces."""

import re
from dataclasses import dataclass, field

from mox.smtp.client_errors import Kind, Response, SmtpClientError

# Servers write longer lines than RFC 5321 §4.5.3.1.5 allows (512 octets).
MAX_LINE = 4096
MAX_LINES = 200

_LINE = re.compile(rb"([0-9]{3})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.([0-9]{1,3}\.[0-9]{1,3})(?: |$)")
_LIMIT_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LIMIT_VALUE = re.compile(r"[!-:<-~]+")


class ReplyReader:
    """Bytes in, replies out. After an error nothing more can be read."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._code = b""

    def feed(self, data: bytes) -> None:
        """Take bytes of the server."""
        self._buffer += data

    def drain(self) -> bytes:
        """Take out what was not read."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def next(self, has_enhanced: bool, command: str) -> Response | None:
        """The next reply, None when more bytes are needed. Raises SmtpClientError for what is none."""
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            if self._take(line, command):
                return self._finish(has_enhanced)
        if len(self._buffer) > MAX_LINE:
            raise SmtpClientError(Kind.PROTOCOL, command=command, detail="line too long")
        return None

    def _take(self, line: bytes, command: str) -> bool:
        """Keep a line; True for the last of a reply."""
        found = _LINE.fullmatch(line)
        if found is None:
            shown = line[:100].decode(errors="replace")
            raise SmtpClientError(Kind.PROTOCOL, command=command, detail=f"not a response line: {shown!r}")
        if self._lines and found[1] != self._code:
            raise SmtpClientError(Kind.PROTOCOL, command=command, detail="response lines with different codes")
        if len(self._lines) >= MAX_LINES:
            raise SmtpClientError(Kind.PROTOCOL, command=command, detail="response with too many lines")
        self._code = found[1]
        self._lines.append(line)
        return found[2] != b"-"

    def _finish(self, has_enhanced: bool) -> Response:
        lines = tuple(line.decode(errors="replace") for line in self._lines)
        self._lines = []
        code = int(self._code)
        found = _ENHANCED.match(lines[0][4:]) if has_enhanced else None
        return Response(code, found[2] if found and int(found[1]) == code // 100 else "", lines)


@dataclass(frozen=True, slots=True)
class Extensions:
    """What a server announces in its answer to EHLO. `size` 0: no maximum; `auth` are mechanisms in upper case; the
    limits of RFC 9422 are 0 where there is none."""

    starttls: bool = False
    enhanced_codes: bool = False
    eightbitmime: bool = False
    pipelining: bool = False
    requiretls: bool = False
    smtputf8: bool = False
    dsn: bool = False
    chunking: bool = False
    has_size: bool = False
    size: int = 0
    auth: tuple[str, ...] = ()
    limits: dict[str, str] = field(default_factory=dict)
    mail_max: int = 0
    rcpt_max: int = 0
    rcpt_domain_max: int = 0


_FLAGS = {
    "STARTTLS": "starttls",
    "ENHANCEDSTATUSCODES": "enhanced_codes",
    "8BITMIME": "eightbitmime",
    "PIPELINING": "pipelining",
    "REQUIRETLS": "requiretls",
    "SMTPUTF8": "smtputf8",
    "DSN": "dsn",
    "CHUNKING": "chunking",
}


def parse_extensions(response: Response) -> Extensions:
    """The extensions of an EHLO response: its lines after the first, in any case."""
    flags: dict[str, bool] = {}
    size = 0
    auth: tuple[str, ...] = ()
    limits: dict[str, str] = {}
    for line in response.lines[1:]:
        keyword, _, arguments = line[4:].strip().partition(" ")
        match keyword.upper():
            case name if name in _FLAGS:
                flags[_FLAGS[name]] = True
            case "SIZE":
                flags["has_size"] = True
                size = int(arguments) if arguments.strip().isdigit() else 0
            case "AUTH":
                auth = tuple(arguments.upper().split())
            case "LIMITS":
                limits = parse_limits(f" {arguments}")
    return Extensions(
        **flags,
        size=size,
        auth=auth,
        limits=limits,
        mail_max=_number(limits, "MAILMAX"),
        rcpt_max=_number(limits, "RCPTMAX"),
        rcpt_domain_max=_number(limits, "RCPTDOMAINMAX"),
    )


def parse_limits(text: str) -> dict[str, str]:
    """` name=value` pairs; any syntax error or repeated name drops them all. RFC 9422 §2"""
    limits: dict[str, str] = {}
    if not text.startswith(" "):
        return {}
    for item in text[1:].split(" "):
        name, equals, value = item.partition("=")
        name = name.upper()
        if not equals or not _LIMIT_NAME.fullmatch(name) or not _LIMIT_VALUE.fullmatch(value) or name in limits:
            return {}
        limits[name] = value
    return limits


def _number(limits: dict[str, str], name: str) -> int:
    """A limit that is a number above 0 of at most six digits."""
    value = limits.get(name, "")
    return int(value) if value.isdigit() and len(value) <= 6 else 0
