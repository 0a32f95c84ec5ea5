"""Where the octets after DATA and BDAT go (RFC 5321 §4.1.1.4, RFC 3030 §2); a part of the session, without I/O."""

import enum
import re

from mox.smtp.events import Receiver
from mox.smtp.reply import SmtpError

_BDAT = re.compile(r" ([0-9]{1,20})( LAST)?[ \t]*", re.IGNORECASE)


class Progress(enum.Enum):
    """What `Content.take` came to."""

    NEEDS_MORE = enum.auto()
    SKIPPED = enum.auto()
    CHUNK_DONE = enum.auto()
    MESSAGE_DONE = enum.auto()


class Content:
    """Takes content out of the session's buffer, to the dot or by count."""

    def __init__(self) -> None:
        self.receiver: Receiver | None = None
        self.is_chunked = False
        self._left: int | None = None
        self._is_last = False
        self._skip = 0

    @property
    def is_active(self) -> bool:
        """What comes next is content, not a command."""
        return self._skip > 0 or self._left is not None or (self.receiver is not None and not self.is_chunked)

    def announce(self, rest: str) -> None:
        """The arguments of BDAT. Raises SmtpError that closes: without a size octets cannot be told from commands."""
        found = _BDAT.fullmatch(rest)
        if found is None:
            raise SmtpError(501, "5.5.4", "expected BDAT size [LAST]", closes=True)
        self._left, self._is_last = int(found[1]), bool(found[2])

    def skip_chunk(self) -> None:
        """BDAT is refused: its octets come all the same and are thrown away."""
        self._skip, self._left = self._left or 0, None

    def start(self, receiver: Receiver, is_chunked: bool) -> None:
        """The message begins."""
        self.receiver, self.is_chunked = receiver, is_chunked

    def reset(self) -> None:
        """The transaction is over."""
        self.receiver, self.is_chunked = None, False

    def take(self, buffer: bytearray) -> Progress:
        """Take content from the front of `buffer`."""
        if self._skip:
            taken = min(self._skip, len(buffer))
            del buffer[:taken]
            self._skip -= taken
            return Progress.NEEDS_MORE if self._skip else Progress.SKIPPED
        assert self.receiver is not None
        if self._left is None:
            del buffer[: self.receiver.feed(bytes(buffer)) if buffer else 0]
            return Progress.MESSAGE_DONE if self.receiver.done else Progress.NEEDS_MORE
        piece = bytes(buffer[: self._left])
        self.receiver.feed(piece)
        del buffer[: len(piece)]
        self._left -= len(piece)
        if self._left:
            return Progress.NEEDS_MORE
        self._left = None
        return Progress.MESSAGE_DONE if self._is_last else Progress.CHUNK_DONE
