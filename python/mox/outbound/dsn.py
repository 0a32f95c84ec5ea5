"""Notifications for senders: of a message of the queue that failed, is delayed, or was delivered or passed on.

What is said, and whether it was asked for (RFC 3461 §4.1 NOTIFY, §6); the format is `message/dsn.py`'s, storing them in
the sender's account is done by whoever runs the queue.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mox.message.addresses import ascii_address
from mox.message.compose import new_message_id
from mox.message.dsn import Action, Dsn, RecipientStatus, compose
from mox.outbound.outcomes import Outcome
from mox.outbound.records import Message


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification, ready to be stored: for which account, in the mailbox for DMARC reports' failures or in Inbox."""

    account: str
    is_dmarc_report: bool
    mail_from: str
    recipient: str
    content: bytes


def wants(message: Message, action: Action) -> bool:
    """The sender asked for such a notification, or did not say and gets the usual ones. RFC 3461 §4.1"""
    if message.is_dmarc_report and action is Action.DELAYED:
        return False
    match action:
        case Action.FAILED:
            return not message.notify or "FAILURE" in message.notify
        case Action.DELAYED:
            return not message.notify or "DELAY" in message.notify
        case _:
            return "SUCCESS" in message.notify


def failed(message: Message, outcome: Outcome, hostname: str, original: bytes) -> Notice:
    """The message will not be delivered. `original` is its content from the start, at least the whole header."""
    text = (
        "Delivery has failed permanently for your email to:\n\n"
        f"\t{_shown(message)}\n\n"
        "No further deliveries will be attempted.\n\n"
        f"Error during the last delivery attempt:\n\n\t{outcome.error}\n{_response(outcome)}"
    )
    return _notice(message, outcome, hostname, original, Action.FAILED, "mail delivery failed", text, None)


def delayed(message: Message, outcome: Outcome, hostname: str, original: bytes, waits_s: Sequence[float]) -> Notice:
    """The message is not delivered yet. `waits_s` are the waits before the attempts that are left."""
    last = datetime.fromtimestamp((message.last_ms or message.queued_ms) / 1000, UTC)
    until = last + timedelta(seconds=sum(waits_s))
    text = (
        "Delivery is delayed for your email to:\n\n"
        f"\t{ascii_address(str(message.recipient))}\n\n"
        f"{_plan(waits_s)}"
        "If these attempts all fail, you will receive a notice.\n\n"
        f"Error during the last delivery attempt:\n\n\t{outcome.error}\n{_response(outcome)}"
    )
    return _notice(message, outcome, hostname, original, Action.DELAYED, "mail delivery delayed", text, until)


def succeeded(message: Message, outcome: Outcome, hostname: str, original: bytes) -> Notice:
    """The message was delivered, or passed on to a server that sends no notifications."""
    if outcome.is_local:
        action, words = Action.DELIVERED, "has been delivered to"
    else:
        action, words = Action.RELAYED, "has been passed on to a server that does not notify of delivery, for"
    text = f"Your email {words}:\n\n\t{_shown(message)}\n"
    return _notice(message, outcome, hostname, original, action, "mail delivery report", text, None)


def _shown(message: Message) -> str:
    return message.recipient.unicode() if message.smtputf8 else ascii_address(str(message.recipient))


def _plan(waits_s: Sequence[float]) -> str:
    if not waits_s:
        return ""
    hours = [f"{round(sum(waits_s[: n + 1]) / 3600, 1):g}" for n in range(len(waits_s))]
    listed = hours[0] if len(hours) == 1 else f"{', '.join(hours[:-1])} and {hours[-1]}"
    return f"The next attempts are in about {listed} hours.\n"


def _response(outcome: Outcome) -> str:
    if not outcome.lines:
        return ""
    return "\nFull SMTP response:\n\n" + "".join(f"\t{line}\n" for line in outcome.lines)


def _status(outcome: Outcome, action: Action) -> str:
    match action:
        case Action.FAILED:
            return f"{5 if outcome.permanent else 4}.{outcome.secode or '0.0'}"
        case Action.DELAYED:
            return f"4.{outcome.secode or '0.0'}"
        case _:
            return f"2.{outcome.secode or '0.0'}"


def _notice(
    message: Message,
    outcome: Outcome,
    hostname: str,
    original: bytes,
    action: Action,
    subject: str,
    text: str,
    until: datetime | None,
) -> Notice:
    status = RecipientStatus(
        final_recipient=message.recipient.unicode(),
        action=action,
        status=_status(outcome, action),
        comment=outcome.error,
        original_recipient=message.original_recipient,
        remote_mta=outcome.remote_mta,
        diagnostic=" ".join(outcome.lines),
        last_attempt=datetime.fromtimestamp(message.last_ms / 1000, UTC) if message.last_ms else None,
        will_retry_until=until,
    )
    sender = f"postmaster@{hostname}"
    dsn = Dsn(
        from_=sender,
        to=message.sender.unicode(),
        subject=subject,
        message_id=new_message_id(hostname),
        text=text,
        recipients=(status,),
        reporting_mta=hostname,
        references=message.message_id if message.message_id.startswith("<") else "",
        original_envelope_id=message.envelope_id,
        arrival_date=datetime.fromtimestamp(message.queued_ms / 1000, UTC),
        future_release_request=message.future_release,
        original=original,
        original_is_smtputf8=message.smtputf8,
        return_full=message.return_full and action is Action.FAILED,
    )
    prefix = f"Return-Path: <{sender}>\r\nDelivered-To: {message.sender}\r\n".encode()
    content = compose(dsn, message.smtputf8, prefix)
    return Notice(message.account, message.is_dmarc_report, sender, str(message.sender), content)
