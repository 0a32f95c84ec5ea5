"""What administrators do with the queue. Each function is one transaction's work; `Queue.write` runs it and wakes the
runners. Attempts in progress go on; their outcome is dropped when the message is gone."""

from collections.abc import Sequence
from dataclasses import replace

from mox.message.dsn import Action
from mox.outbound import hooks, lanes, outcomes, suppression
from mox.outbound.events import Event, Surroundings
from mox.outbound.listing import HOOKS, MESSAGES, Filter
from mox.outbound.notifier import SenderNotifier
from mox.outbound.outcomes import CANCELED_TEXT, Outcome
from mox.outbound.queue import Queue
from mox.outbound.records import Message, now_ms
from mox.store.engine import Tx


def _changed(tx: Tx, messages: Sequence[Message]) -> int:
    """Set the lanes of changed messages."""
    for domain in {message.recipient_domain for message in messages}:
        lanes.refresh(tx, lanes.Kind.MESSAGE, domain)
    return len(messages)


def add_to_next_attempt(tx: Tx, which: Filter, add_ms: int) -> int:
    """Shift the next attempts; how many messages."""
    messages = MESSAGES.select(tx, which)
    tx.many("UPDATE queued SET next_ms = next_ms + ? WHERE id = ?", [(add_ms, m.id) for m in messages])
    return _changed(tx, messages)


def set_next_attempt(tx: Tx, which: Filter, at_ms: int) -> int:
    """Set the next attempts, not to 0; how many messages."""
    if at_ms <= 0:
        raise ValueError("the time of the next attempt cannot be zero")
    messages = MESSAGES.select(tx, which)
    tx.many("UPDATE queued SET next_ms = ? WHERE id = ?", [(at_ms, m.id) for m in messages])
    return _changed(tx, messages)


def set_hold(tx: Tx, which: Filter, hold: bool) -> int:
    """Hold or release; how many messages."""
    messages = MESSAGES.select(tx, which)
    tx.many("UPDATE queued SET hold = ? WHERE id = ?", [(int(hold), m.id) for m in messages])
    return _changed(tx, messages)


def set_transport(tx: Tx, which: Filter, transport: str) -> int:
    """Set the transport, "" for the routes to decide; how many messages."""
    messages = MESSAGES.select(tx, which)
    tx.many("UPDATE queued SET transport = ? WHERE id = ?", [(transport, m.id) for m in messages])
    return len(messages)


def set_require_tls(tx: Tx, which: Filter, require_tls: bool | None) -> int:
    """Set what a message says of TLS; how many messages."""
    messages = MESSAGES.select(tx, which)
    value = None if require_tls is None else int(require_tls)
    tx.many("UPDATE queued SET require_tls = ? WHERE id = ?", [(value, m.id) for m in messages])
    return len(messages)


async def fail(queue: Queue, notifier: SenderNotifier, which: Filter) -> int:
    """Fail messages: their senders get a notification, the event is `failed`; how many."""
    messages = await queue.read(lambda tx: MESSAGES.select(tx, which))
    outcome = Outcome(False, True, error=CANCELED_TEXT)
    for message in messages:
        await notifier.tell(replace(message, last_ms=message.last_ms or now_ms()), outcome, Action.FAILED)
    return await _retire(queue, messages, Event.FAILED, outcome)


async def drop(queue: Queue, which: Filter) -> int:
    """Remove messages without a notification, with event `canceled`; how many."""
    messages = await queue.read(lambda tx: MESSAGES.select(tx, which))
    return await _retire(queue, messages, Event.CANCELED, Outcome(False, True, error=CANCELED_TEXT))


async def _retire(queue: Queue, messages: Sequence[Message], event: Event, outcome: Outcome) -> int:
    def retire(tx: Tx) -> list[str | None]:
        left = [m for m in messages if outcomes.exists(tx, m)]
        return [outcomes.retire(tx, queue.surroundings, m, event, outcome).unused_file for m in left]

    unused = await queue.write(retire)
    await queue.remove_files_later(unused)
    return len(unused)


def add_to_hook_next_attempt(tx: Tx, which: Filter, add_ms: int) -> int:
    """Shift the next calls of webhooks; how many."""
    found = HOOKS.select(tx, which)
    tx.many("UPDATE hooks SET next_ms = next_ms + ? WHERE id = ?", [(add_ms, h.id) for h in found])
    lanes.rebuild(tx, lanes.Kind.HOOK)
    return len(found)


def set_hook_next_attempt(tx: Tx, which: Filter, at_ms: int) -> int:
    """Set the next calls of webhooks; how many."""
    if at_ms <= 0:
        raise ValueError("the time of the next attempt cannot be zero")
    found = HOOKS.select(tx, which)
    tx.many("UPDATE hooks SET next_ms = ? WHERE id = ?", [(at_ms, h.id) for h in found])
    lanes.rebuild(tx, lanes.Kind.HOOK)
    return len(found)


def cancel_hooks(tx: Tx, surroundings: Surroundings, which: Filter) -> int:
    """Take calls of webhooks out of the queue; how many."""
    found = HOOKS.select(tx, which)
    for hook in found:
        hooks.cancel(tx, hook, surroundings.keep_hooks_ms(hook.account))
    return len(found)


async def remove_account(queue: Queue, notifier: SenderNotifier, account: str) -> None:
    """Fail the messages, cancel the webhooks and forget the suppression list of an account that is removed."""
    which = Filter(account=account)
    await fail(queue, notifier, which)

    def forget(tx: Tx) -> None:
        cancel_hooks(tx, queue.surroundings, which)
        suppression.remove_account(tx, account)

    await queue.write(forget)
