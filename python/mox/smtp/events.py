"""What an SMTP server session asks of the program around it.

`Session.next_event` returns one of these. Those that ask for a decision are answered before the next event is taken.
"""

from dataclasses import dataclass, field
from typing import Protocol

from mox.smtp.address import NULL_PATH, Path
from mox.smtp.arguments import MailParameters, RcptParameters


@dataclass(frozen=True, slots=True)
class Recipient:
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


@dataclass(frozen=True, slots=True)
class NeedInput:
    """Send the output, read from the peer, call `Session.receive`. `is_data`: inside a message's content."""

    is_data: bool = False


@dataclass(frozen=True, slots=True)
class HelloGiven:
    """HELO or EHLO. Answer with `accept` or `refuse`."""

    name: str
    is_extended: bool


@dataclass(frozen=True, slots=True)
class MailGiven:
    """MAIL. Answer with `accept` or `refuse`."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class RecipientGiven:
    """RCPT. Answer with `accept` or `refuse`."""

    transaction: Transaction
    recipient: Recipient


@dataclass(frozen=True, slots=True)
class TlsRequested:
    """STARTTLS. Send the output, do the handshake beginning with `Session.take_unread`, call `tls_started`."""


@dataclass(frozen=True, slots=True)
class AuthRequested:
    """AUTH. `initial` is the decoded initial response, None when there is none. Answer with `challenge`,
    `authenticated` or `auth_failed`."""

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The client's decoded response to `challenge`. Answer as to AuthRequested."""

    data: bytes


@dataclass(frozen=True, slots=True)
class AuthAborted:
    """The exchange ended by a client's `*` or by bad syntax; `reply` was sent. Needs no answer."""

    mechanism: str
    is_cancelled: bool


@dataclass(frozen=True, slots=True)
class ContentRequested:
    """DATA, or the first BDAT of a message. Answer with `receive_into`."""

    is_chunked: bool
    is_binary: bool


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """The content is complete in the receiver. Answer with `message_done`; the transaction is over then."""

    transaction: Transaction
    receiver: Receiver


@dataclass(frozen=True, slots=True)
class Closed:
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
