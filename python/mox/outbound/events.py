"""What became of an outgoing message, as webhooks tell it, and what the rest of the program decides for the queue."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mox.outbound.records import Message, NewHook, Retired


class Event(Enum):
    """Events of outgoing webhooks."""

    DELIVERED = "delivered"
    SUPPRESSED = "suppressed"
    DELAYED = "delayed"
    FAILED = "failed"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    CANCELED = "canceled"
    UNRECOGNIZED = "unrecognized"


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """An event of one message. `enhanced` is complete, as in `5.1.1`, or empty; `incoming_message_id` is that of the
    DSN or reply the event was learned from, empty for events of the queue."""

    event: Event
    account: str
    queue_id: int
    from_id: str
    message_id: str
    subject: str
    extra: Mapping[str, str]
    error: str = ""
    code: int = 0
    enhanced: str = ""
    suppressing: bool = False
    is_dsn: bool = False
    incoming_message_id: str = ""


def outgoing_event(
    event: Event,
    message: Message | Retired,
    *,
    error: str = "",
    code: int = 0,
    secode: str = "",
    suppressing: bool = False,
    is_dsn: bool = False,
    incoming_message_id: str = "",
) -> OutgoingEvent:
    """The event of a record of the queue."""
    return OutgoingEvent(
        event=event,
        account=message.account,
        queue_id=message.id,
        from_id=message.from_id,
        message_id=message.message_id,
        subject=message.subject,
        extra=message.extra,
        error=error,
        code=code,
        enhanced=f"{code // 100}.{secode}" if code and secode else "",
        suppressing=suppressing,
        is_dsn=is_dsn,
        incoming_message_id=incoming_message_id,
    )


class Surroundings(Protocol):
    """What the queue asks inside its transactions; answers come from the configuration, at once."""

    def keep_messages_ms(self, account: str) -> int:
        """How long retired messages of an account are kept; 0: not at all."""

    def keep_hooks_ms(self, account: str) -> int:
        """The same for webhook calls."""

    def outgoing_hook(self, event: OutgoingEvent) -> NewHook | None:
        """The call that tells of an event; None when the account does not want it."""

    def transport(self, message: Message) -> str:
        """The name of the transport for the next attempt of a message; empty for direct delivery.
        `message.attempts` are those already made."""

    def sender_disabled(self, message: Message) -> bool:
        """The sender's domain is out of use for now."""
