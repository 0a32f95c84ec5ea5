"""Webhook calls as a receiver sees them, for the documentation, `mox example` and try-out forms."""

from datetime import UTC, datetime

from mox.webapi.types import NameAddress, Structure
from mox.webapi.webhooks import VERSION, Event, Incoming, IncomingMeta, Outgoing

_SENT = "<Jx0c0T8mTnqBq2b3gYv8bA@mail.example.org>"
_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

WEBHOOKS: dict[str, Outgoing | Incoming] = {
    "webhook-outgoing-delivered": Outgoing(
        Version=VERSION,
        Event=Event.DELIVERED,
        DSN=False,
        Suppressing=False,
        QueueMsgID=101,
        FromID="q1NfJ1Zk2mQw0W0m5W5hOQ",
        MessageID=_SENT,
        Subject="Invoice",
        WebhookQueued=_AT,
        SMTPCode=0,
        SMTPEnhancedCode="",
        Error="",
        Extra={"orderid": "77"},
    ),
    "webhook-outgoing-dsn-failed": Outgoing(
        Version=VERSION,
        Event=Event.FAILED,
        DSN=True,
        Suppressing=True,
        QueueMsgID=102,
        FromID="0W0m5W5hOQq1NfJ1Zk2mQw",
        MessageID=_SENT,
        Subject="Invoice",
        WebhookQueued=_AT,
        SMTPCode=550,
        SMTPEnhancedCode="5.1.1",
        Error="remote server reported failure: 550 5.1.1 no such mailbox",
        Extra={"orderid": "77"},
    ),
    "webhook-incoming-basic": Incoming(
        Version=VERSION,
        From=[NameAddress("Ann", "ann@remote.example")],
        To=[NameAddress("", "orders@example.org")],
        CC=[],
        BCC=[],
        ReplyTo=[],
        Subject="Re: Invoice",
        MessageID="<1@remote.example>",
        InReplyTo=_SENT,
        References=[_SENT],
        Date=_AT,
        Text="thanks\n",
        HTML="",
        Structure=Structure(
            ContentType="text/plain",
            ContentTypeParams={"charset": "utf-8"},
            ContentID="",
            ContentDisposition="",
            Filename="",
            DecodedSize=8,
            Parts=[],
        ),
        Meta=IncomingMeta(
            MsgID=201,
            MailFrom="ann@remote.example",
            MailFromValidated=True,
            MsgFromValidated=True,
            RcptTo="orders@example.org",
            DKIMVerifiedDomains=["remote.example"],
            RemoteIP="192.0.2.1",
            Received=_AT,
            MailboxName="Inbox",
            Automated=False,
        ),
    ),
}
