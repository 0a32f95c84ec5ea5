"""What an attempt gave, and its effects on the queue: retry, retire, suppress, tell webhooks, in one transaction."""

from dataclasses import dataclass, field

from mox.message.dsn import Mta
from mox.outbound import contents, hooks, lanes, suppression
from mox.outbound.events import Event, Surroundings, outgoing_event
from mox.outbound.records import Message, Result, Retired, derived, insert, now_ms, to_column, with_result
from mox.store.engine import Tx

SUPPRESSED_TEXT = "not delivering to recipient address {address}: address is on suppression list, permanent"
CANCELED_TEXT = "delivery canceled by admin"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one attempt for one recipient. `code` 0: no SMTP response; `secode` without class digit; `lines` are those
    of the response, when it came from the remote server. `passed_on` tells that a server without DSN support took it,
    so that our word is the last (RFC 3461 §4.2)."""

    success: bool
    permanent: bool = False
    code: int = 0
    secode: str = ""
    error: str = ""
    lines: tuple[str, ...] = ()
    remote_mta: Mta | None = None
    dialed_ips: dict[str, list[str]] = field(default_factory=dict)
    passed_on: bool = False
    is_local: bool = False
    suppressed: bool = False


@dataclass(frozen=True, slots=True)
class Effects:
    """What has to follow the commit: removal of a file that no message needs any more, webhook calls."""

    unused_file: str | None = None
    has_hook: bool = False


def suppressed(message: Message) -> Outcome:
    """The failure of a message to an address on the suppression list."""
    return Outcome(False, True, error=SUPPRESSED_TEXT.format(address=message.recipient), suppressed=True)


def exists(tx: Tx, message: Message) -> bool:
    """The message is still queued; an administrator may have removed it during an attempt."""
    return tx.one("SELECT 1 FROM queued WHERE id = ?", message.id) is not None


def _result(message: Message, outcome: Outcome) -> Result:
    start = message.last_ms or now_ms()
    return Result(start, now_ms() - start, outcome.success, outcome.code, outcome.secode, outcome.error)


def retry(tx: Tx, surroundings: Surroundings, message: Message, outcome: Outcome) -> Effects:
    """Record a temporary failure; the next attempt is scheduled since the claim."""
    results = with_result(message.results, _result(message, outcome))
    tx.run(
        "UPDATE queued SET results = ?, dialed_ips = ?, lease_ms = 0, owner = '' WHERE id = ?",
        to_column(results),
        to_column(outcome.dialed_ips or message.dialed_ips),
        message.id,
    )
    lanes.refresh(tx, lanes.Kind.MESSAGE, message.recipient_domain)
    return Effects(has_hook=_tell(tx, surroundings, Event.DELAYED, message, outcome, suppressing=False))


def finish(tx: Tx, surroundings: Surroundings, message: Message, outcome: Outcome) -> Effects:
    """Record success or final failure and retire the message."""
    suppressing = False
    if outcome.success:
        event = Event.DELIVERED
    elif outcome.suppressed:
        event = Event.SUPPRESSED
    else:
        event = Event.FAILED
        suppressing = suppression.process_failure(
            tx,
            message.account,
            message.recipient,
            message.id,
            outcome.code,
            outcome.secode,
            suppression.Source.QUEUE,
        )
    return retire(tx, surroundings, message, event, outcome, suppressing)


def retire(
    tx: Tx, surroundings: Surroundings, message: Message, event: Event, outcome: Outcome, suppressing: bool = False
) -> Effects:
    """Take a message out of the queue, keep its record if the account wants that, tell the webhook."""
    tx.run("DELETE FROM queued WHERE id = ?", message.id)
    lanes.refresh(tx, lanes.Kind.MESSAGE, message.recipient_domain)
    keep_ms = surroundings.keep_messages_ms(message.account)
    if keep_ms > 0:
        insert(tx, "retired", _retired(message, event, outcome, keep_ms))
    has_hook = _tell(tx, surroundings, event, message, outcome, suppressing)
    return Effects(contents.drop_unused(tx, message.file), has_hook)


def _tell(
    tx: Tx, surroundings: Surroundings, event: Event, message: Message, outcome: Outcome, suppressing: bool
) -> bool:
    hook = surroundings.outgoing_hook(
        outgoing_event(
            event,
            message,
            error=outcome.error,
            code=outcome.code,
            secode=outcome.secode,
            suppressing=suppressing,
        )
    )
    if hook is not None:
        hooks.add(tx, hook, surroundings.keep_hooks_ms(message.account))
    return hook is not None


def _retired(message: Message, event: Event, outcome: Outcome, keep_ms: int) -> Retired:
    now = now_ms()
    return derived(
        Retired,
        message,
        dialed_ips=outcome.dialed_ips or message.dialed_ips,
        results=with_result(message.results, _result(message, outcome)),
        recipient_address=message.recipient.unicode(),
        activity_ms=now,
        success=event is Event.DELIVERED,
        keep_until_ms=now + keep_ms,
    )


def clean_up(tx: Tx) -> int:
    """Delete retired messages that are not kept any longer; how many."""
    return len(tx.run("DELETE FROM retired WHERE keep_until_ms < ? RETURNING id", now_ms()))
