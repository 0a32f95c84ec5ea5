"""What an SMTP server session asks of the program around it.

`Session.next_event` returns one of these. Those that ask for a decision are answered before the next event is taken.
"""

from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct

from mox.smtp.address import NULL_PATH, Path
from mox.smtp.arguments import MailParameters, RcptParameters


class Recipient(Struct, frozen=True):
    """An accepted RCPT."""

    path: Path
    parameters: RcptParameters


@dataclass(slots=True)
class Transaction:
    """What MAIL and RCPT gathered."""

    sender: Path = NULL_PATH
    parameters: MailParameters = field(default_factory=MailParameters)
    recipients: list[Recipient] = field(default_factory=list)


class Receiver(Protocol):
    """Takes the content of a message; `mox._rust.DataReceiver` and `ChunkReceiver`."""

    @property
    def done(self) -> bool:
        """The end marker of DATA was seen."""

    def feed(self, data: bytes) -> int:
        """The number of bytes that belong to the message."""


class NeedInput(Struct, frozen=True):
    """Send the output, read from the peer, call `Session.receive`. `is_data`: inside a message's content."""

    is_data: bool = False


class HelloGiven(Struct, frozen=True):
    """HELO or EHLO. Answer with `accept` or `refuse`."""

    name: str
    is_extended: bool


class MailGiven(Struct, frozen=True):
    """MAIL. Answer with `accept` or `refuse`."""

    transaction: Transaction


class RecipientGiven(Struct, frozen=True):
    """RCPT. Answer with `accept` or `refuse`."""

    transaction: Transaction
    recipient: Recipient


class TlsRequested(Struct, frozen=True):
    """STARTTLS. Send the output, do the handshake beginning with `Session.take_unread`, call `tls_started`."""


class AuthRequested(Struct, frozen=True):
    """AUTH. `initial` is the decoded initial response, None when there is none. Answer with `challenge`,
    `authenticated` or `auth_failed`."""

    mechanism: str
    initial: bytes | None


class AuthResponse(Struct, frozen=True):
    """The client's decoded response to `challenge`. Answer as to AuthRequested."""

    data: bytes


class AuthAborted(Struct, frozen=True):
    """The exchange ended by a client's `*` or by bad syntax; `reply` was sent. Needs no answer."""

    mechanism: str
    is_cancelled: bool


class ContentRequested(Struct, frozen=True):
    """DATA, or the first BDAT of a message. Answer with `receive_into`."""

    is_chunked: bool
    is_binary: bool


class MessageReceived(Struct, frozen=True):
    """The content is complete in the receiver. Answer with `message_done`; the transaction is over then."""

    transaction: Transaction
    receiver: Receiver


class Closed(Struct, frozen=True):
    """Send the output and close the connection."""


Event = (
    NeedInput
    | HelloGiven
    | MailGiven
    | RecipientGiven
    | TlsRequested
    | AuthRequested
    | AuthResponse
    | AuthAborted
    | ContentRequested
    | MessageReceived
    | Closed
)
