"""Accounts of domains.conf: addresses, rules for delivery, limits, webhooks."""

from datetime import timedelta
from typing import Annotated

from msgspec import Struct

from mox.config.junkfilter import JunkFilterSection, JunkFlagsSection
from mox.config.transport import Route

DEFAULT_MAX_OUTGOING_PER_DAY = 1000
DEFAULT_MAX_FIRST_TIME_RECIPIENTS_PER_DAY = 200
WEBHOOK_EVENTS = ("delivered", "suppressed", "delayed", "failed", "relayed", "expanded", "canceled", "unrecognized")


class OutgoingWebhookSection(Struct, frozen=True, kw_only=True):
    """A URL that is told what becomes of outgoing messages."""

    URL: Annotated[str, "Where events are posted to."]
    Authorization: Annotated[str, "Value of the Authorization header, if one is wanted."] = ""
    SigningKey: Annotated[
        str,
        "Calls are signed with this text, so that the receiver knows that they are genuine: header "
        "X-Mox-Webhook-Signature, see docs/webapi.md. Not known to mox itself.",
    ] = ""
    Events: Annotated[
        list[str],
        "Which events: delivered, suppressed, delayed, failed, relayed, expanded, canceled, unrecognized. Empty for "
        "all.",
    ] = []


class IncomingWebhookSection(Struct, frozen=True, kw_only=True):
    """A URL that is told of incoming messages."""

    URL: Annotated[str, "Where messages are posted to."]
    Authorization: Annotated[str, "Value of the Authorization header, if one is wanted."] = ""
    SigningKey: Annotated[
        str,
        "Calls are signed with this text, so that the receiver knows that they are genuine: header "
        "X-Mox-Webhook-Signature, see docs/webapi.md. Not known to mox itself.",
    ] = ""


class Ruleset(Struct, frozen=True, kw_only=True):
    """Delivery to another mailbox. All conditions that are set must hold, and at least one must be set."""

    SMTPMailFromRegexp: Annotated[
        str, "Matches the address in MAIL FROM, such as ^user@example\\.org$ or @list\\.example\\.org$."
    ] = ""
    MsgFromRegexp: Annotated[str, "Matches the single address in the From header of the message."] = ""
    VerifiedDomain: Annotated[
        str, "SPF or DKIM passed for this domain or a subdomain of it. Stops others from using the rule."
    ] = ""
    HeadersRegexp: Annotated[
        dict[str, str],
        "Regular expressions for name and value of header fields, both in lower case; all must match. For example "
        "^list-id$ with <name\\.lists\\.example\\.org>.",
    ] = {}
    IsForward: Annotated[
        bool,
        "The mail was forwarded by a server that may be trusted with it: the sender's own checks are not held against "
        "it, and the forwarding server's reputation counts. Needs SMTPMailFromRegexp and VerifiedDomain; excludes "
        "ListAllowDomain.",
    ] = False
    ListAllowDomain: Annotated[
        str,
        "Domain of a mailing list: with SPF or DKIM for it, messages are accepted without looking for junk, also "
        "when DMARC of the author's domain fails.",
    ] = ""
    AcceptRejectsToMailbox: Annotated[
        str, "Mailbox for messages that would be rejected; they are accepted and put there instead."
    ] = ""
    Mailbox: Annotated[str, "Mailbox to deliver to."]
    Comment: Annotated[str, "Free text."] = ""


class Destination(Struct, frozen=True, kw_only=True):
    """What happens to mail for an address."""

    Mailbox: Annotated[str, "Mailbox to deliver to if no rule matches. Default: Inbox."] = ""
    Rulesets: Annotated[list[Ruleset], "Rules; the first that matches decides the mailbox."] = []
    SMTPError: Annotated[
        str,
        "Refuse mail to this address: 421 for a temporary, 550 for a permanent refusal, optionally followed by a space "
        "and a text. Excludes Mailbox and Rulesets.",
    ] = ""
    MessageAuthRequiredSMTPError: Annotated[
        str,
        "If not empty: messages without SPF or DKIM for the domain in their From header are refused with this text, "
        "even if the domain has no DMARC policy.",
    ] = ""
    FullName: Annotated[str, "Name in From headers of mail composed with this address. Default: the account's."] = ""

    @property
    def smtp_error(self) -> tuple[int, str, str] | None:
        """Code, enhanced code and text of the refusal; None when mail is accepted."""
        if not self.SMTPError:
            return None
        code, _, text = self.SMTPError.partition(" ")
        if code == "421":
            return 451, "4.3.0", text or "error processing"
        return 550, "5.1.1", text or "no such user"


class SubjectPassSection(Struct, frozen=True, kw_only=True):
    """A way for people whose mail looks like junk."""

    Period: Annotated[
        timedelta,
        "How long a token is good that a rejection offers; with it in the subject, a message is accepted. Junk "
        "that is sent by machines does not come back.",
    ]


class Account(Struct, frozen=True, kw_only=True):
    """A user of the system: a name, addresses, and a password of its own."""

    OutgoingWebhook: Annotated[OutgoingWebhookSection | None, "Webhook for what becomes of outgoing messages."] = None
    IncomingWebhook: Annotated[IncomingWebhookSection | None, "Webhook for incoming messages."] = None
    FromIDLoginAddresses: Annotated[
        list[str],
        "Login addresses whose outgoing messages get a unique sender address, so that every bounce can be told apart. "
        "Their domain needs a catchall separator, or the account its catchall address.",
    ] = []
    KeepRetiredMessagePeriod: Annotated[
        timedelta, "How long outgoing messages stay in the list of retired ones after delivery or failure."
    ] = timedelta()
    KeepRetiredWebhookPeriod: Annotated[timedelta, "The same for calls of webhooks."] = timedelta()
    LoginDisabled: Annotated[
        str, "If not empty, nobody can log in, and this is the reason that is shown. Mail is still delivered."
    ] = ""
    Domain: Annotated[str, "Main domain of the account."]
    Description: Annotated[str, "Free text."] = ""
    FullName: Annotated[str, "Name in From headers of mail composed in the webmail."] = ""
    Destinations: Annotated[
        dict[str, Destination],
        "Addresses of the account. @example.org takes all addresses of a domain that belong to nobody else. Write nil "
        "for an address that needs no settings.",
    ] = {}
    SubjectPass: Annotated[SubjectPassSection, "Tokens for people whose mail is rejected as junk."] = (
        SubjectPassSection(Period=timedelta())
    )
    QuotaMessageSize: Annotated[
        int, "Bytes that all messages may take. 0 for the general limit of mox.conf, negative for no limit."
    ] = 0
    RejectsMailbox: Annotated[
        str,
        "Mailbox where copies of rejected messages are kept for a while, for mistakes. Rejects is a good name. Empty "
        "for none.",
    ] = ""
    KeepRejects: Annotated[bool, "Never remove messages from the mailbox for rejects."] = False
    Introbox: Annotated[str, "Mailbox for mail of people who write for the first time, instead of Inbox."] = ""
    AutomaticJunkFlags: Annotated[
        JunkFlagsSection, "Flags for junk that come with the mailbox a message is put in."
    ] = JunkFlagsSection(Enabled=False)
    JunkFilter: Annotated[
        JunkFilterSection | None, "The content filter, which learns from flags. Without it, none."
    ] = None
    MaxOutgoingMessagesPerDay: Annotated[
        int, "Recipients of outgoing mail within 24 hours. Bounds the harm of a stolen password. Default 1000."
    ] = 0
    MaxFirstTimeRecipientsPerDay: Annotated[
        int, "Recipients within 24 hours that were never written to before. Default 200."
    ] = 0
    NoFirstTimeSenderDelay: Annotated[bool, "Accept mail of senders that were never seen before without delay."] = False
    NoCustomPassword: Annotated[
        bool, "Users cannot choose a password, only have one generated. Protects against passwords used elsewhere."
    ] = False
    IMAPCapabilitiesDisabled: Annotated[
        list[str],
        "Capabilities of IMAP, in upper case, that are not offered after log-in. For programs that handle one badly.",
    ] = []
    Routes: Annotated[list[Route], "Routes for mail of this account; they come before those of the domain."] = []

    @property
    def max_outgoing_per_day(self) -> int:
        """What is in force."""
        return self.MaxOutgoingMessagesPerDay or DEFAULT_MAX_OUTGOING_PER_DAY

    @property
    def max_first_time_recipients_per_day(self) -> int:
        """What is in force."""
        return self.MaxFirstTimeRecipientsPerDay or DEFAULT_MAX_FIRST_TIME_RECIPIENTS_PER_DAY
