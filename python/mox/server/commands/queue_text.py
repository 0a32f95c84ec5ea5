"""How the queue is shown on the command line: lists as mox prints them, records as JSON with mox's field names."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from mox.config import durations
from mox.dns.names import DomainError, parse_domain
from mox.outbound.records import HoldRule, Hook, HookResult, HookRetired, Message, Result, Retired, Suppression, now_ms
from mox.smtp.address import Path


def _time(at_ms: int | None) -> str:
    """RFC 3339"""
    if at_ms is None:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().isoformat(timespec="seconds")


def _span(from_ms: int, to_ms: int) -> str:
    return durations.render(timedelta(seconds=round((to_ms - from_ms) / 1000)))


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _shown(path: Path) -> str:
    """An address for people, followed by its ASCII form where that differs."""
    unicode, ascii = path.unicode(), str(path)
    return unicode if unicode == ascii else f"{unicode}/{ascii}"


def _last_error(results: Sequence[Result] | Sequence[HookResult]) -> str:
    return results[-1].error if results else ""


def _list(title: str, lines: Iterable[str]) -> list[str]:
    return [title, *(list(lines) or ["(none)"])]


def messages(rows: Sequence[Message]) -> list[str]:
    """Queued messages."""
    now = now_ms()
    return _list(
        "messages:",
        (
            f"{m.id:5} {_time(m.queued_ms)} from:{_shown(m.sender)} to:{_shown(m.recipient)} "
            f"next {_span(now, m.next_ms)} last {'' if m.last_ms is None else _span(m.last_ms, now)} "
            f"error {_quoted(_last_error(m.results))}"
            for m in rows
        ),
    )


def retired(rows: Sequence[Retired]) -> list[str]:
    """Messages that left the queue."""
    now = now_ms()
    return _list(
        "retired messages:",
        (
            f"{m.id:5} {_time(m.queued_ms)} {'success' if m.success else 'failure'} from:{_shown(m.sender)} "
            f"to:{m.recipient_address} last {'' if m.last_ms is None else _span(m.last_ms, now)} "
            f"error {_quoted(_last_error(m.results))}"
            for m in rows
        ),
    )


def hooks(rows: Sequence[Hook]) -> list[str]:
    """Queued webhook calls."""
    now = now_ms()
    return _list(
        "webhooks:",
        (
            f"{h.id:5} {_time(h.submitted_ms)} account:{h.account} next {_span(now, h.next_ms)} "
            f"last {_span(h.results[-1].start_ms, now) if h.results else ''} "
            f"error {_quoted(_last_error(h.results))} url {h.url}"
            for h in rows
        ),
    )


def retired_hooks(rows: Sequence[HookRetired]) -> list[str]:
    """Webhook calls that are over."""
    now = now_ms()
    return _list(
        "retired webhooks:",
        (
            f"{h.id:5} {_time(h.submitted_ms)} {'success' if h.success else 'failure'} account:{h.account} "
            f"last {_span(h.activity_ms, now)} error {_quoted(_last_error(h.results))} url {h.url}"
            for h in rows
        ),
    )


def hold_rules(rows: Sequence[HoldRule]) -> list[str]:
    """Rules with what they match."""
    return _list("hold rules:", (f"id {rule.id}: {_conditions(rule)}" for rule in rows))


def _conditions(rule: HoldRule) -> str:
    conditions = (
        ("account", rule.account),
        ("sender domain", rule.sender_domain),
        ("recipient domain", rule.recipient_domain),
    )
    return ", ".join(f"{name} {_quoted(value)}" for name, value in conditions if value) or "all messages"


def suppressions(rows: Sequence[Suppression]) -> list[str]:
    """Entries of suppression lists, in columns."""
    return _list(
        "suppressions (account, address, manual, time added, base address, reason):",
        (
            "\t".join(
                (
                    _quoted(s.account),
                    _quoted(s.original_address),
                    "Yes" if s.manual else "No",
                    _time(s.created_ms),
                    _quoted(s.base_address),
                    _quoted(s.reason),
                )
            )
            for s in rows
        ),
    )


def lookup(rows: Sequence[Suppression]) -> list[str]:
    """Whether an address is suppressed; with the account where there are several."""
    if not rows:
        return ["not present"]
    lines = []
    for entry in rows:
        lines.append("present" if len(rows) == 1 else f"present for account {entry.account}")
        lines += [
            f"added: {_time(entry.created_ms)}",
            f"manual: {'yes' if entry.manual else 'no'}",
            f"base address: {entry.base_address}",
            f"reason: {_quoted(entry.reason)}",
        ]
    return lines


def _domain(text: str) -> dict[str, str]:
    try:
        domain = parse_domain(text)
    except DomainError:
        return {"ASCII": text, "Unicode": ""}
    return {"ASCII": domain.ascii, "Unicode": domain.unicode}


def _result(result: Result) -> dict[str, Any]:
    return {
        "Start": _time(result.start_ms),
        "Duration": result.duration_ms * 1_000_000,
        "Success": result.success,
        "Code": result.code,
        "Secode": result.secode,
        "Error": result.error,
    }


def retired_fields(message: Retired) -> dict[str, Any]:
    """A retired message."""
    return {
        "ID": message.id,
        "BaseID": message.base_id,
        "Queued": _time(message.queued_ms),
        "SenderAccount": message.account,
        "SenderLocalpart": message.sender_localpart,
        "SenderDomainStr": message.sender_domain,
        "FromID": message.from_id,
        "RecipientLocalpart": message.recipient_localpart,
        "RecipientDomain": {"IP": "", "Domain": _domain(message.recipient_domain)},
        "RecipientDomainStr": message.recipient_domain,
        "Attempts": message.attempts,
        "MaxAttempts": message.max_attempts,
        "DialedIPs": message.dialed_ips,
        "LastAttempt": None if message.last_ms is None else _time(message.last_ms),
        "Results": [_result(result) for result in message.results],
        "Has8bit": message.has_8bit,
        "SMTPUTF8": message.smtputf8,
        "IsDMARCReport": message.is_dmarc_report,
        "IsTLSReport": message.is_tls_report,
        "Size": message.size,
        "MessageID": message.message_id,
        "Subject": message.subject,
        "Transport": message.transport,
        "RequireTLS": message.require_tls,
        "FutureReleaseRequest": message.future_release,
        "Extra": message.extra,
        "LastActivity": _time(message.activity_ms),
        "RecipientAddress": message.recipient_address,
        "Success": message.success,
        "KeepUntil": _time(message.keep_until_ms),
    }


def _hook_result(result: HookResult) -> dict[str, Any]:
    return {
        "Start": _time(result.start_ms),
        "Duration": result.duration_ms * 1_000_000,
        "URL": result.url,
        "Success": result.success,
        "Code": result.code,
        "Error": result.error,
        "Response": result.response,
    }


def hook_fields(hook: Hook | HookRetired) -> dict[str, Any]:
    """A webhook call, queued or over."""
    fields: dict[str, Any] = {
        "ID": hook.id,
        "QueueMsgID": hook.queue_id,
        "FromID": hook.from_id,
        "MessageID": hook.message_id,
        "Subject": hook.subject,
        "Extra": hook.extra,
        "Account": hook.account,
        "URL": hook.url,
        "Authorization": hook.authorization,
        "IsIncoming": hook.is_incoming,
        "OutgoingEvent": hook.outgoing_event,
        "Payload": hook.payload,
        "Submitted": _time(hook.submitted_ms),
        "Attempts": hook.attempts,
    }
    if isinstance(hook, Hook):
        fields["NextAttempt"] = _time(hook.next_ms)
    fields["Results"] = [_hook_result(result) for result in hook.results]
    if isinstance(hook, HookRetired):
        fields["SupersededByID"] = hook.superseded_by
        fields["Success"] = hook.success
        fields["LastActivity"] = _time(hook.activity_ms)
        fields["KeepUntil"] = _time(hook.keep_until_ms)
    return fields
