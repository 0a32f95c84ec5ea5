"""How talking to a server can fail, and whether trying again can help."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What went wrong; the value is the start of the text."""

    SIZE = "message too large for remote server"
    EIGHTBIT = "remote server does not implement 8bitmime extension, required by message"
    SMTPUTF8 = "remote server does not implement smtputf8 extension, required by message"
    REQUIRETLS = "remote server does not implement requiretls extension, required for delivery"
    STATUS = "remote smtp server sent unexpected response status code"
    # A recipient that was refused in a pipelined transaction.
    REFUSED = ""
    PROTOCOL = "smtp protocol error"
    TLS = "tls error"
    AUTH = "authentication failed"
    BOTCHED = "smtp connection is botched"
    CLOSED = "connection closed by remote server"
    IO = "input/output error"
    TIMEOUT = "timeout"
    CONTENT = "message cannot be sent"


@dataclass(frozen=True, slots=True)
class Response:
    """A reply of the server. `secode` is the enhanced code without class digit, empty when there is none. `softened`:
    a 5xx that is known to be temporary."""

    code: int
    secode: str
    lines: tuple[str, ...]
    softened: bool = False

    @property
    def is_permanent(self) -> bool:
        """5xx"""
        return self.code // 100 == 5 and not self.softened

    @property
    def text(self) -> str:
        """What stands behind the code in the first line."""
        return self.lines[0][4:]


class SmtpClientError(Exception):
    """A session or transaction failed. `command` is the one that did (`(greeting)`, `ehlo`, `mailfrom` …); `code` is 0
    and `lines` are empty without a response."""

    def __init__(
        self,
        kind: Kind,
        permanent: bool = False,
        command: str = "",
        detail: str = "",
        code: int = 0,
        secode: str = "",
        lines: tuple[str, ...] = (),
    ) -> None:
        self.kind, self.permanent, self.command, self.detail = kind, permanent, command, detail
        self.code, self.secode, self.lines = code, secode, lines
        super().__init__(self._text())

    def _text(self) -> str:
        start = ": ".join(part for part in (self.kind.value, self.detail) if part)
        word = "permanent" if self.permanent else "transient"
        line = f": {self.lines[0]}" if self.lines else ""
        return f"{start}, {word}{line}" if start else f"{word}{line}"

    @property
    def is_botched(self) -> bool:
        """The connection cannot be used any more."""
        return self.kind in _BOTCHING


_BOTCHING = frozenset((Kind.PROTOCOL, Kind.TLS, Kind.BOTCHED, Kind.CLOSED, Kind.IO, Kind.TIMEOUT, Kind.CONTENT))


def unexpected(
    response: Response, expected: str, command: str, kind: Kind = Kind.STATUS, permanent: bool | None = None
) -> SmtpClientError:
    """The error for a response; permanent for 5xx unless `permanent` says otherwise."""
    return SmtpClientError(
        kind,
        response.is_permanent if permanent is None else permanent,
        command,
        f"got {response.code}, expected {expected}" if kind in (Kind.STATUS, Kind.TLS) else "",
        response.code,
        response.secode,
        response.lines,
    )
