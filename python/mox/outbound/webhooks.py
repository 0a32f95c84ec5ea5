"""What webhooks are told: calls composed for events of outgoing messages and for incoming messages.

When calls are made, and how often, is in `hooks`; how, in `hookcalls`. spec/webapi.md sections 10 to 12.
"""

from datetime import UTC, datetime

import msgspec

from mox._rust import header_values
from mox.config.live import Config
from mox.message.tree import TreePart, build
from mox.outbound.events import OutgoingEvent
from mox.outbound.parsed import first_value, message_of, structure_of
from mox.outbound.records import NewHook
from mox.store.lookup import Whole
from mox.webapi import webhooks
from mox.webapi.webhooks import Incoming, IncomingMeta, Outgoing

_encoder = msgspec.json.Encoder()
_ESCAPES = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
_LIST_FIELDS = ("List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Precedence")


def encode(payload: Outgoing | Incoming) -> str:
    """JSON in which no HTML can hide, as in mox."""
    text = _encoder.encode(payload)
    for char, escape in _ESCAPES:
        text = text.replace(char, escape)
    return text.decode()


def outgoing_call(config: Config, event: OutgoingEvent) -> NewHook | None:
    """The call for an event; None when the account does not want it."""
    account = config.dynamic.Accounts.get(event.account)
    hook = account.OutgoingWebhook if account is not None else None
    if hook is None or (hook.Events and event.event.value not in hook.Events):
        return None
    payload = Outgoing(
        Version=webhooks.VERSION,
        Event=webhooks.Event(event.event.value),
        DSN=event.is_dsn,
        Suppressing=event.suppressing,
        QueueMsgID=event.queue_id,
        FromID=event.from_id,
        MessageID=event.message_id,
        Subject=event.subject,
        WebhookQueued=datetime.now(UTC),
        SMTPCode=event.code,
        SMTPEnhancedCode=event.enhanced,
        Error=event.error,
        Extra=dict(event.extra),
    )
    return NewHook(
        account=event.account,
        url=hook.URL,
        payload=encode(payload),
        authorization=hook.Authorization,
        queue_id=event.queue_id,
        from_id=event.from_id,
        message_id=event.incoming_message_id or event.message_id,
        subject=event.subject,
        extra={} if event.is_dsn else event.extra,
        outgoing_event=event.event.value,
    )


def incoming_call(config: Config, account_name: str, whole: Whole, data: bytes, from_id: str) -> NewHook | None:
    """The call for a delivered message, `data` its content; None when the account has no webhook. Decodes the whole
    message: for a thread."""
    account = config.dynamic.Accounts.get(account_name)
    hook = account.IncomingWebhook if account is not None else None
    if hook is None:
        return None
    tree = build(data, whole.structure)
    payload = _incoming(whole, tree, data)
    return NewHook(
        account=account_name,
        url=hook.URL,
        payload=encode(payload),
        authorization=hook.Authorization,
        from_id=from_id,
        message_id=payload.MessageID,
        subject=payload.Subject,
        is_incoming=True,
    )


def _incoming(whole: Whole, tree: TreePart, data: bytes) -> Incoming:
    header = data[: tree.start]
    message = message_of(tree, data)
    return Incoming(
        Version=webhooks.VERSION,
        From=message.From,
        To=message.To,
        CC=message.CC,
        BCC=message.BCC,
        ReplyTo=message.ReplyTo,
        Subject=message.Subject,
        MessageID=message.MessageID,
        InReplyTo=first_value(header, "In-Reply-To"),
        References=first_value(header, "References").split(),
        Date=message.Date,
        Text=message.Text,
        HTML=message.HTML,
        Structure=structure_of(tree, data),
        Meta=IncomingMeta(
            MsgID=whole.place.message_id,
            MailFrom=whole.mail_from,
            MailFromValidated=whole.mail_from_validated,
            MsgFromValidated=whole.msg_from_validated,
            RcptTo=whole.rcpt_to,
            DKIMVerifiedDomains=list(whole.dkim_domains),
            RemoteIP=whole.remote_ip,
            Received=datetime.fromtimestamp(whole.received_ms / 1000, UTC),
            MailboxName=whole.mailbox_name,
            Automated=is_automated(whole.mail_from, header, tree.content_type),
        ),
    )


def is_automated(mail_from: str, header: bytes, content_type: str) -> bool:
    """A program wrote it, and nothing should answer it (RFC 3834 §2)."""
    if not mail_from or content_type == "multipart/report":
        return True
    if any(value.strip() for name in _LIST_FIELDS for value in header_values(header, name)):
        return True
    return first_value(header, "Auto-Submitted").lower() not in ("", "no")
