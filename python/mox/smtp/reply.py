"""Replies of an SMTP server (RFC 5321 §4.2, RFC 2034)."""

from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

MAX_LINE = 510
# A line that is too long is cut at a blank from this offset of its text on, else right before it.
WRAP_AT = 400


class Reply(Struct, frozen=True):
    """A code, an enhanced code in full (`5.1.1`, may be empty) and a text of one or more lines."""

    code: int
    enhanced: str
    text: str
    closes: bool = False

    @property
    def is_error(self) -> bool:
        """4xx or 5xx."""
        return self.code >= 400

    @property
    def is_temporary(self) -> bool:
        """The client may try again."""
        return 400 <= self.code < 500

    def tagged(self, session_id: str) -> "Reply":
        """With the id under which the logs speak of this session."""
        return replace(self, text=f"{self.text} ({session_id})") if session_id else self

    def render(self) -> bytes:
        """Lines for the wire."""
        return _render(self.code, self.enhanced, self.text)

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"


@lru_cache(maxsize=256)
def _render(code: int, enhanced: str, text: str) -> bytes:
    """Most replies are always the same."""
    enhanced = f"{enhanced} " if enhanced else ""
    room = MAX_LINE - 4 - len(enhanced)
    lines = [piece for line in text.split("\n") for piece in _wrap(line.encode(), room)]
    head = f"{code}-{enhanced}".encode()
    last = f"{code} {enhanced}".encode()
    return b"".join(head + line + b"\r\n" for line in lines[:-1]) + last + lines[-1] + b"\r\n"


def _wrap(line: bytes, room: int) -> list[bytes]:
    pieces = []
    line = line.replace(b"\r", b" ")
    while len(line) > room:
        blank = line.rfind(b" ", WRAP_AT + 1, room)
        at = blank if blank > 0 else WRAP_AT
        # Never inside a character.
        while blank < 0 and line[at] & 0xC0 == 0x80:
            at -= 1
        pieces.append(line[:at])
        line = line[at:]
    return [*pieces, line]


class SmtpError(Exception):
    """A command is refused; `reply` goes to the client, the exception's cause only to the log."""

    def __init__(self, code: int, enhanced: str, text: str, closes: bool = False) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, text, closes)


def bad_syntax(text: str) -> SmtpError:
    """RFC 5321 §4.2.4"""
    return SmtpError(501, "5.5.2", f"bad syntax: {text}")


def bad_sequence(text: str) -> SmtpError:
    """RFC 5321 §4.1.4"""
    return SmtpError(503, "5.5.1", text)


def local_error(text: str = "local error, try again later") -> Reply:
    """A fault of ours."""
    return Reply(451, "4.3.0", text)


def storage_full(text: str = "no space to store the message now") -> Reply:
    """The host's disk is full."""
    return Reply(452, "4.3.1", text)


SHUTTING_DOWN = Reply(421, "4.3.2", "shutting down", closes=True)
TIMED_OUT = Reply(421, "4.4.2", "timed out", closes=True)
