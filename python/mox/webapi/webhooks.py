"""What webhooks are told: the JSON bodies that the server posts (spec/webapi.md sections 11 and 12)."""

import hashlib
import hmac
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from mox.webapi.types import NameAddress, Structure

VERSION = 0
SIGNATURE_HEADER = "X-Mox-Webhook-Signature"


def _doc(text: str) -> Meta:
    return Meta(description=text)


class Event(StrEnum):
    """What became of a message to one recipient."""

    DELIVERED = "delivered"
    SUPPRESSED = "suppressed"
    DELAYED = "delayed"
    FAILED = "failed"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    CANCELED = "canceled"
    UNRECOGNIZED = "unrecognized"


EVENT_TEXTS: dict[Event, str] = {
    Event.DELIVERED: "The next server accepted the message, or reported its delivery.",
    Event.SUPPRESSED: "The recipient is on the suppression list; no delivery was tried.",
    Event.DELAYED: "An attempt failed; there will be another.",
    Event.FAILED: "There will be no other attempt.",
    Event.RELAYED: "A later server passed the message on to one that does not report.",
    Event.EXPANDED: "A later server delivered the message to several addresses.",
    Event.CANCELED: "The administrator removed the message from the queue.",
    Event.UNRECOGNIZED: "A message came in for the unique sender address, but it is no report that is understood.",
}


class Outgoing(Struct):
    """An event of an outgoing message."""

    Version: int
    Event: "Event"
    DSN: Annotated[bool, _doc("The event came by a delivery status notification.")]
    Suppressing: Annotated[bool, _doc("This failure put the address on the suppression list.")]
    QueueMsgID: Annotated[int, _doc("As returned by Send.")]
    FromID: str
    MessageID: Annotated[str, _doc("With < and >.")]
    Subject: str
    WebhookQueued: datetime
    SMTPCode: Annotated[int, _doc("0 if there is none.")]
    SMTPEnhancedCode: Annotated[str, _doc("Such as 5.1.1, or empty.")]
    Error: str
    Extra: Annotated[dict[str, str], _doc("As given to Send, or in X-Mox-Extra- header fields of submissions.")]


class IncomingMeta(Struct):
    """What the server knows about an incoming message."""

    MsgID: Annotated[int, _doc("For MessageGet and the like.")]
    MailFrom: str
    MailFromValidated: Annotated[bool, _doc("SPF passed.")]
    MsgFromValidated: Annotated[bool, _doc("The From header was verified, as by DMARC.")]
    RcptTo: str
    DKIMVerifiedDomains: list[str]
    RemoteIP: str
    Received: datetime
    MailboxName: Annotated[str, _doc("Where it was delivered to.")]
    Automated: Annotated[bool, _doc("Written by a program: do not answer automatically.")]


class Incoming(Struct):
    """An incoming message."""

    Version: int
    From: list[NameAddress]
    To: list[NameAddress]
    CC: list[NameAddress]
    BCC: list[NameAddress]
    ReplyTo: list[NameAddress]
    Subject: str
    MessageID: Annotated[str, _doc("With < and >, or empty.")]
    InReplyTo: Annotated[str, _doc("With < and >, or empty.")]
    References: list[str]
    Date: datetime | None
    Text: Annotated[str, _doc("At most 1 MiB, lines end in \\n.")]
    HTML: Annotated[str, _doc("At most 1 MiB, lines end in \\n.")]
    Structure: "Structure"
    Meta: IncomingMeta


def signature(secret: str, timestamp: int, webhook_id: int, body: bytes) -> str:
    """The value of SIGNATURE_HEADER: `t=<unix seconds>,v1=<hex HMAC-SHA256>` over `<t>.<webhook id>.<body>`."""
    signed = f"{timestamp}.{webhook_id}.".encode() + body
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def verify_signature(secret: str, header: str, webhook_id: int, body: bytes, now: int, tolerance_s: int = 300) -> bool:
    """The request was signed with the secret within `tolerance_s` of `now` (unix seconds)."""
    fields = dict(item.partition("=")[::2] for item in header.split(","))
    stamp = fields.get("t", "")
    if not (stamp.isascii() and stamp.isdecimal()) or abs(now - int(stamp)) > tolerance_s:
        return False
    return hmac.compare_digest(signature(secret, int(stamp), webhook_id, body), header)
