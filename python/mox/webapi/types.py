"""Requests and results of the webapi, under the names they have in JSON.

Every field of a request may be left out and then has the empty value given here. Lists and maps are never null in
results. docs/webapi.md and the OpenAPI document are made from these types and their descriptions.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct


def _doc(text: str) -> Meta:
    return Meta(description=text)


class Code(StrEnum):
    """Error codes: what went wrong, for programs."""

    PROTOCOL = "protocol"
    SERVER = "server"
    USER = "user"
    ERROR = "error"
    BAD_ADDRESS = "badAddress"
    MISSING_BODY = "missingBody"
    MULTIPLE_FROM = "multipleFrom"
    BAD_FROM = "badFrom"
    DOMAIN_DISABLED = "domainDisabled"
    NO_RECIPIENTS = "noRecipients"
    MESSAGE_LIMIT_REACHED = "messageLimitReached"
    RECIPIENT_LIMIT_REACHED = "recipientLimitReached"
    MESSAGE_TOO_LARGE = "messageTooLarge"
    MALFORMED_MESSAGE_ID = "malformedMessageID"
    SENT_OVER_QUOTA = "sentOverQuota"
    MESSAGE_NOT_FOUND = "messageNotFound"
    PART_NOT_FOUND = "partNotFound"
    IDEMPOTENCY_MISMATCH = "idempotencyMismatch"


CODE_TEXTS: dict[Code, str] = {
    Code.PROTOCOL: "The request is malformed: bad content type, form or JSON, an unknown field.",
    Code.SERVER: "The server failed. The request may be repeated later, with an idempotency key if it sends.",
    Code.USER: "The request cannot be carried out as it is; the message says why.",
    Code.ERROR: "The request contradicts the state of the account, such as adding a suppression that exists.",
    Code.BAD_ADDRESS: "An email address is malformed.",
    Code.MISSING_BODY: "A message needs Text or HTML.",
    Code.MULTIPLE_FROM: "A message has at most one From address.",
    Code.BAD_FROM: "The From address is not one of the account.",
    Code.DOMAIN_DISABLED: "The domain of the From address is disabled.",
    Code.NO_RECIPIENTS: "To, CC and BCC are all empty.",
    Code.MESSAGE_LIMIT_REACHED: "The account's limit of outgoing messages in 24 hours is reached.",
    Code.RECIPIENT_LIMIT_REACHED: "The account's limit of first-time recipients in 24 hours is reached.",
    Code.MESSAGE_TOO_LARGE: "The composed message is larger than the server takes.",
    Code.MALFORMED_MESSAGE_ID: "MessageID must start with < and end with >.",
    Code.SENT_OVER_QUOTA: "The message is being delivered, but the account has no room for the copy in Sent.",
    Code.MESSAGE_NOT_FOUND: "There is no such message, or it was removed.",
    Code.PART_NOT_FOUND: "The message has no part at this path.",
    Code.IDEMPOTENCY_MISMATCH: "The idempotency key was used before, with another request.",
}


class Error(Struct):
    """The body of an answer with status 400."""

    Code: str
    Message: str


class NameAddress(Struct):
    """A mailbox."""

    Name: Annotated[str, _doc("Display name, may be empty.")] = ""
    Address: Annotated[str, _doc("Email address.")] = ""


class Message(Struct):
    """A message as people write it."""

    From: Annotated[list[NameAddress], _doc("Empty: the log-in address, with the full name of the account.")] = []
    To: list[NameAddress] = []
    CC: list[NameAddress] = []
    BCC: Annotated[list[NameAddress], _doc("Recipients that the others do not see.")] = []
    ReplyTo: list[NameAddress] = []
    MessageID: Annotated[str, _doc("With < and >. Empty: one is made.")] = ""
    References: Annotated[list[str], _doc("Message-IDs with < and >, oldest first.")] = []
    Date: Annotated[datetime | None, _doc("Absent: now.")] = None
    Subject: str = ""
    Text: Annotated[str, _doc("Plain text with lines ending in \\n.")] = ""
    HTML: Annotated[str, _doc("HTML with lines ending in \\n.")] = ""


class File(Struct):
    """A file of a message."""

    Name: str = ""
    ContentType: Annotated[str, _doc("Empty: found out from the data.")] = ""
    ContentID: Annotated[str, _doc("With < and >, for references in HTML with cid: URLs.")] = ""
    Data: Annotated[str, _doc("Content in base64.")] = ""


class SendRequest(Message, kw_only=True):
    """A message to send."""

    Extra: Annotated[dict[str, str], _doc("Returned in webhooks about this message; not part of the message.")] = {}
    Headers: Annotated[list[tuple[str, str]], _doc("Additional header fields, as pairs of name and value.")] = []
    AlternativeFiles: Annotated[list[File], _doc("Alternatives to the bodies, such as a calendar invitation.")] = []
    InlineFiles: Annotated[list[File], _doc("Images that the HTML body refers to.")] = []
    AttachedFiles: list[File] = []
    RequireTLS: Annotated[
        bool | None,
        _doc(
            "true: deliver only over verified TLS, on all the way (RFC 8689); false: TLS policies of recipient domains "
            "may be ignored; null: usual policies."
        ),
    ] = None
    FutureRelease: Annotated[datetime | None, _doc("Do not deliver before, at most 60 days from now.")] = None
    SaveSent: Annotated[bool, _doc("Store a copy in the mailbox for sent messages.")] = False
    IdempotencyKey: Annotated[
        str,
        _doc(
            "Not in mox's webapi. A request repeated with the same key within 7 days is not carried out again and gets "
            "the same result. At most 200 characters; header Idempotency-Key means the same."
        ),
    ] = ""


class Submission(Struct):
    """A message in the queue, for one recipient."""

    Address: Annotated[str, _doc("The recipient as given in the request.")]
    QueueMsgID: Annotated[int, _doc("Also in webhooks about this delivery.")]
    FromID: Annotated[str, _doc("Unique part of the sender address, if the log-in address is configured for it.")]


class SendResult(Struct):
    """Submissions in the order of To, CC, BCC."""

    MessageID: str
    Submissions: list[Submission]


class SendBatchRequest(Struct):
    """Messages to send, at most 100. Each is sent or refused on its own."""

    Requests: list[SendRequest] = []


class SendBatchItem(Struct):
    """What became of one message: exactly one of the two is present."""

    Result: SendResult | None = None
    Error: "Error | None" = None


class SendBatchResult(Struct):
    """In the order of the requests."""

    Results: list[SendBatchItem]


class SuppressionListRequest(Struct):
    """No parameters."""


class Suppression(Struct):
    """An address that is not delivered to."""

    ID: int
    Created: datetime
    Account: str
    BaseAddress: Annotated[str, _doc("Without what varies: +detail, dots, case.")]
    OriginalAddress: Annotated[str, _doc("As it was added.")]
    Manual: Annotated[bool, _doc("Added by a request, not after failed deliveries.")]
    Reason: str


class SuppressionListResult(Struct):
    """By base address."""

    Suppressions: list[Suppression]


class SuppressionAddRequest(Struct):
    """An address to suppress."""

    EmailAddress: str = ""
    Manual: bool = False
    Reason: str = ""


class SuppressionRemoveRequest(Struct):
    """An address to deliver to again; any variant of the suppressed address."""

    EmailAddress: str = ""


class SuppressionPresentRequest(Struct):
    """An address to look up."""

    EmailAddress: str = ""


class SuppressionPresentResult(Struct):
    """Whether it is suppressed."""

    Present: bool


class Empty(Struct):
    """Nothing to tell."""


class MessageGetRequest(Struct):
    """Which message: IDs come with incoming webhooks."""

    MsgID: int = 0


class Structure(Struct):
    """A part of a message, with its parts."""

    ContentType: Annotated[str, _doc("Lower case; / if the part does not say.")]
    ContentTypeParams: dict[str, str]
    ContentID: Annotated[str, _doc("With < and >, or empty.")]
    ContentDisposition: Annotated[str, _doc("Lower case, without parameters.")]
    Filename: str
    DecodedSize: Annotated[int, _doc("Bytes after decoding base64 or quoted-printable; 0 for a multipart.")]
    Parts: "list[Structure]"


class MessageMeta(Struct):
    """What the server knows about a message."""

    Size: Annotated[int, _doc("Bytes.")]
    DSN: Annotated[bool, _doc("The message is a delivery status notification.")]
    Flags: Annotated[list[str], _doc("Such as \\seen or $junk, and keywords.")]
    MailFrom: Annotated[str, _doc("Sender in the SMTP envelope.")]
    MailFromValidated: Annotated[bool, _doc("SPF passed.")]
    RcptTo: Annotated[str, _doc("Recipient in the SMTP envelope.")]
    MsgFrom: Annotated[str, _doc("Address in the From header.")]
    MsgFromValidated: Annotated[bool, _doc("The From header was verified, as by DMARC.")]
    DKIMVerifiedDomains: list[str]
    RemoteIP: str
    MailboxName: str


class MessageGetResult(Struct):
    """A stored message. Text and HTML hold at most 1 MiB each."""

    Message: "Message"
    Structure: "Structure"
    Meta: MessageMeta


class MessageRawGetRequest(Struct):
    """Which message."""

    MsgID: int = 0


class MessagePartGetRequest(Struct):
    """Which part of which message: indices into Parts, from the outermost. Empty path: the whole body."""

    MsgID: int = 0
    PartPath: list[int] = []


class MessageDeleteRequest(Struct):
    """Which message. It is removed, not moved to Trash."""

    MsgID: int = 0


class MessageFlagsAddRequest(Struct):
    """Flags to set."""

    MsgID: int = 0
    Flags: Annotated[list[str], _doc("System flags such as \\seen, well-known ones such as $junk, or keywords.")] = []


class MessageFlagsRemoveRequest(Struct):
    """Flags to clear."""

    MsgID: int = 0
    Flags: list[str] = []


class MessageMoveRequest(Struct):
    """Where to move a message; it keeps its ID."""

    MsgID: int = 0
    DestMailboxName: Annotated[str, _doc("An existing mailbox, case counts.")] = ""


class Bytes(Struct):
    """The answer is not JSON but the bytes asked for."""


class Method(Struct, frozen=True):
    """A method of the webapi: a POST to <base>v0/<name>, form field `request` with JSON."""

    name: str
    request: type[Struct]
    result: type[Struct]
    text: str
    is_extension: bool = False


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("Send", SendRequest, SendResult, "Compose a message and put it in the queue, once per recipient."),
        Method(
            "SendBatch",
            SendBatchRequest,
            SendBatchResult,
            "Send up to 100 messages in one request. Each is sent or refused on its own.",
            is_extension=True,
        ),
        Method(
            "SuppressionList", SuppressionListRequest, SuppressionListResult, "Addresses that are not delivered to."
        ),
        Method("SuppressionAdd", SuppressionAddRequest, Empty, "Do not deliver to an address any more."),
        Method("SuppressionRemove", SuppressionRemoveRequest, Empty, "Deliver to an address again."),
        Method("SuppressionPresent", SuppressionPresentRequest, SuppressionPresentResult, "Is an address suppressed?"),
        Method("MessageGet", MessageGetRequest, MessageGetResult, "A stored message, parsed."),
        Method("MessageRawGet", MessageRawGetRequest, Bytes, "A stored message as it is, header and body."),
        Method("MessagePartGet", MessagePartGetRequest, Bytes, "One part of a stored message, decoded."),
        Method("MessageDelete", MessageDeleteRequest, Empty, "Remove a message for good."),
        Method("MessageFlagsAdd", MessageFlagsAddRequest, Empty, "Set flags of a message."),
        Method("MessageFlagsRemove", MessageFlagsRemoveRequest, Empty, "Clear flags of a message."),
        Method("MessageMove", MessageMoveRequest, Empty, "Move a message to another mailbox."),
    )
}
