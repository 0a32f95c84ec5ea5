"""The queue of webhook calls: what is to be called, when, and what became of it.

The web side composes payloads and makes the calls; here are records, schedule and leases. Calls are added in the
transaction that changes the message they tell of.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from mox.outbound import lanes
from mox.outbound.backoff import hook_is_last, hook_wait_ms
from mox.outbound.records import (
    DELIVERING,
    Hook,
    HookResult,
    HookRetired,
    NewHook,
    columns,
    derived,
    from_row,
    insert,
    next_id,
    now_ms,
    to_column,
)
from mox.store.engine import Tx

LEASE_MS = 120_000
CANCELED = "canceled by admin"

# How long retired calls of an account are kept, in milliseconds; 0: not at all.
KeepPeriod = Callable[[str], int]

_dice = random.Random()


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What a call gave. Success is a status of 200 to 299; `code` 0 without a response."""

    code: int
    error: str = ""
    response: str = ""
    duration_ms: int = 0

    @property
    def success(self) -> bool:
        """The receiver took it."""
        return 200 <= self.code < 300 and not self.error


def add(tx: Tx, new: NewHook, keep_ms: int) -> int:
    """Queue a call; it supersedes a waiting one of the same message. Returns its id."""
    now = now_ms()
    hook_id = next_id(tx, "hook")
    if new.queue_id:
        rows = tx.run(f"SELECT {columns(Hook)} FROM hooks WHERE queue_id = ?", new.queue_id)
        for old in (from_row(Hook, row) for row in rows):
            _remove(tx, old)
            _retire(tx, old, keep_ms, old.results, now, success=False, superseded_by=hook_id)
    hook = derived(Hook, new, id=hook_id, extra=dict(new.extra), submitted_ms=now, attempts=0, next_ms=now, results=[])
    insert(tx, "hooks", hook)
    lanes.touch(tx, lanes.Kind.HOOK, hook.url, now)
    return hook_id


def claim(tx: Tx, owner: str, room: int) -> list[Hook]:
    """Up to `room` calls that are due, one per URL at a time, their attempt already counted and rescheduled."""
    now = now_ms()
    claimed = []
    for url in lanes.due(tx, lanes.Kind.HOOK, now, room):
        busy = tx.one("SELECT max(lease_ms) FROM hooks WHERE lease_ms > 0 AND url = ?", url)
        if busy is not None and (busy[0] or 0) > now:
            lanes.postpone(tx, lanes.Kind.HOOK, url, busy[0])
            continue
        row = tx.one(
            f"SELECT {columns(Hook)} FROM hooks WHERE url = ? AND next_ms <= ? ORDER BY next_ms, id LIMIT 1", url, now
        )
        if row is None:
            lanes.refresh(tx, lanes.Kind.HOOK, url)
            continue
        hook = from_row(Hook, row)
        claimed.append(_start(tx, hook, owner, now))
        lanes.postpone(tx, lanes.Kind.HOOK, url, now + LEASE_MS)
    return claimed


def _start(tx: Tx, hook: Hook, owner: str, now: int) -> Hook:
    row = tx.one(
        "UPDATE hooks SET attempts = attempts + 1, next_ms = ?, results = ?, lease_ms = ?, owner = ? WHERE id = ? "
        f"RETURNING {columns(Hook)}",
        now + hook_wait_ms(hook.attempts, _dice),
        to_column([*hook.results, HookResult(now, url=hook.url, error=DELIVERING)]),
        now + LEASE_MS,
        owner,
        hook.id,
    )
    assert row is not None
    return from_row(Hook, row)


def finish(tx: Tx, hook: Hook, outcome: CallOutcome, keep_ms: int) -> None:
    """Record what a claimed call gave: done, tried again, or given up after the last attempt."""
    result = HookResult(
        hook.results[-1].start_ms,
        outcome.duration_ms,
        hook.url,
        outcome.success,
        outcome.code,
        outcome.error,
        outcome.response,
    )
    row = tx.one(f"SELECT {columns(Hook)} FROM hooks WHERE id = ?", hook.id)
    if row is None:
        _finish_removed(tx, hook, result)
    else:
        _finish_queued(tx, from_row(Hook, row), result, keep_ms)
    lanes.refresh(tx, lanes.Kind.HOOK, hook.url)


def _finish_queued(tx: Tx, hook: Hook, result: HookResult, keep_ms: int) -> None:
    results = [*hook.results[:-1], result]
    if result.success or hook_is_last(hook.attempts):
        _remove(tx, hook)
        _retire(tx, hook, keep_ms, results, result.start_ms, result.success)
    else:
        tx.run("UPDATE hooks SET results = ?, lease_ms = 0, owner = '' WHERE id = ?", to_column(results), hook.id)


def _finish_removed(tx: Tx, hook: Hook, result: HookResult) -> None:
    """The call was superseded or canceled while it ran; say so where it is kept."""
    row = tx.one("SELECT results FROM hooks_retired WHERE id = ?", hook.id)
    if row is None:
        return
    results = msgspec.json.decode(row[0], type=list[HookResult])
    marked = msgspec.structs.replace(result, error=f"{result.error} (superseded)".strip())
    tx.run("UPDATE hooks_retired SET results = ? WHERE id = ?", to_column([*results, marked]), hook.id)


def cancel(tx: Tx, hook: Hook, keep_ms: int) -> None:
    """Take a call out of the queue on behalf of an administrator."""
    now = now_ms()
    _remove(tx, hook)
    _retire(tx, hook, keep_ms, [*hook.results, HookResult(now, error=CANCELED)], now, success=False)


def _remove(tx: Tx, hook: Hook) -> None:
    tx.run("DELETE FROM hooks WHERE id = ?", hook.id)
    lanes.refresh(tx, lanes.Kind.HOOK, hook.url)


def _retire(
    tx: Tx,
    hook: Hook,
    keep_ms: int,
    results: list[HookResult],
    activity_ms: int,
    success: bool,
    superseded_by: int = 0,
) -> None:
    if keep_ms <= 0:
        return
    retired = derived(
        HookRetired,
        hook,
        authorization=bool(hook.authorization),
        results=results,
        superseded_by=superseded_by,
        success=success,
        activity_ms=activity_ms,
        keep_until_ms=now_ms() + keep_ms,
    )
    insert(tx, "hooks_retired", retired)


def renew(tx: Tx, owner: str) -> None:
    """Keep the leases of a process that lives."""
    tx.run("UPDATE hooks SET lease_ms = ? WHERE lease_ms > 0 AND owner = ?", now_ms() + LEASE_MS, owner)


def clean_up(tx: Tx) -> int:
    """Delete what is not kept any longer; how many rows."""
    return len(tx.run("DELETE FROM hooks_retired WHERE keep_until_ms < ? RETURNING id", now_ms()))
