"""Delivers what is due, in each process that may deliver: each claim is tried, its senders are told what they want to
know, its outcomes are recorded. How a message is delivered is the caller's `deliver`.
"""

import asyncio
import os
import random
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import apsw

from mox import log, metrics
from mox.message.dsn import Action
from mox.outbound import claims, hooks, lanes, outcomes
from mox.outbound.backoff import Schedule
from mox.outbound.claimloop import ClaimLoop
from mox.outbound.claims import Claim, Claimer
from mox.outbound.notifier import Notify, SenderNotifier
from mox.outbound.outcomes import Effects, Outcome
from mox.outbound.queue import Queue
from mox.outbound.records import Message, Result, columns, from_row, now_ms, to_column, with_result
from mox.store.engine import Tx

RENEW_INTERVAL_S = 60.0
CLEAN_UP_FIRST_S = 3.0
CLEAN_UP_INTERVAL_S = 3600.0
INTERRUPTED = "interrupted"

Deliver = Callable[[Claim], Awaitable[Sequence[Outcome]]]

_logger = log.get("queue")


@dataclass(frozen=True, slots=True)
class Limits:
    """Transactions at one time: of this process, and of all processes to one recipient domain."""

    transactions: int = 100
    per_domain: int = 5
    per_local_domain: int = 100


def new_owner() -> str:
    """A name for this process in leases."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


def is_alive(owner: str, own: str) -> bool:
    """False when a process is known to be gone; leases of other hosts just run out."""
    host, pid, _ = owner.rsplit("/", 2)
    if owner == own or host != socket.gethostname():
        return True
    if pid == str(os.getpid()):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Runner:
    """Delivers from a queue.

    `deliver` returns an outcome for each message of the claim, in order; its unexpected exceptions count as temporary
    failures. `notify` stores a notification for a sender. `is_local` tells recipient domains
    whose mail stays here, which are not limited as remote servers are.
    """

    def __init__(
        self,
        queue: Queue,
        deliver: Deliver,
        notify: Notify,
        hostname: str,
        is_local: Callable[[str], bool],
        limits: Limits | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        self._queue, self._deliver = queue, deliver
        self._limits = limits or Limits()
        self._schedule = schedule or Schedule()
        self._notifier = SenderNotifier(queue, notify, hostname, self._schedule)
        self.owner = new_owner()
        self._claimer = Claimer(
            owner=self.owner,
            surroundings=queue.surroundings,
            schedule=self._schedule,
            lane_limit=lambda domain: self._limits.per_local_domain if is_local(domain) else self._limits.per_domain,
            dice=random.Random(),
        )
        self._loop = ClaimLoop(
            queue, lanes.Kind.MESSAGE, self._limits.transactions, self._claimer.claim, self._attempt, "queue"
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until `stopping` is set and the running attempts have ended. When cancelled, attempts are cut off
        and are due again at the next start."""
        upkeep = asyncio.create_task(self._upkeep())
        try:
            await self._release_quietly(release_dead)
            await self._loop.run(stopping)
        finally:
            upkeep.cancel()
            await asyncio.gather(upkeep, return_exceptions=True)
            await self._release_quietly(_release)

    async def _release_quietly(self, release: Callable[[Tx, str], int]) -> None:
        """Where the database fails, leases run out by themselves."""
        try:
            await self._queue.record(lambda tx: release(tx, self.owner))
        except (apsw.Error, OSError) as err:
            _logger.error("releasing messages", err=str(err))

    async def _upkeep(self) -> None:
        """Renew leases, and clean up from time to time."""
        loop = asyncio.get_running_loop()
        clean_at = loop.time() + CLEAN_UP_FIRST_S
        renew_at = loop.time() + RENEW_INTERVAL_S
        while True:
            await asyncio.sleep(max(0.0, min(clean_at, renew_at) - loop.time()))
            try:
                if loop.time() >= renew_at:
                    renew_at = loop.time() + RENEW_INTERVAL_S
                    await self._queue.record(self._renew)
                if loop.time() >= clean_at:
                    clean_at = loop.time() + CLEAN_UP_INTERVAL_S
                    await self._queue.record(_clean_up)
                    await self._queue.sweep()
                    await self._queue.count_held()
            except (apsw.Error, OSError) as err:
                _logger.error("upkeep of the queue", err=str(err))

    def _renew(self, tx: Tx) -> None:
        claims.renew(tx, self.owner)
        release_dead(tx, self.owner)

    async def _attempt(self, claim: Claim) -> None:
        """One transaction, from the claim to recorded outcomes."""
        if claim.sender_disabled:
            text = "domain of sender temporarily disabled, transient"
            results: Sequence[Outcome] = [Outcome(False, error=text) for _ in claim.messages]
        else:
            results = await self._try(claim) if claim.messages else []
        pairs = [*zip(claim.messages, results, strict=True), *((m, outcomes.suppressed(m)) for m in claim.suppressed)]
        for message, outcome in pairs:
            self._log(message, outcome)
        await asyncio.gather(*(self._notify_sender(message, outcome) for message, outcome in pairs))
        await self._record(pairs)

    async def _try(self, claim: Claim) -> Sequence[Outcome]:
        try:
            return await self._deliver(claim)
        except Exception as err:  # a bug must not stop the queue or lose the message
            metrics.panics.labels("queue").inc()
            _logger.exception("delivery attempt failed", id=claim.messages[0].id)
            return [Outcome(False, error=f"unexpected error: {err!r}, transient") for _ in claim.messages]

    async def _record(self, pairs: Sequence[tuple[Message, Outcome]]) -> None:
        def record(tx: Tx) -> list[Effects]:
            return [self._record_one(tx, message, outcome) for message, outcome in pairs]

        effects = await self._queue.record(record)
        if any(effect.has_hook for effect in effects):
            self._queue.kick_hooks()
        await self._queue.remove_files_later([effect.unused_file for effect in effects])

    def _record_one(self, tx: Tx, message: Message, outcome: Outcome) -> Effects:
        if not outcomes.exists(tx, message):
            _logger.info("message was removed during an attempt", id=message.id)
            return Effects()
        if self._is_final(message, outcome):
            return outcomes.finish(tx, self._queue.surroundings, message, outcome)
        return outcomes.retry(tx, self._queue.surroundings, message, outcome)

    def _is_final(self, message: Message, outcome: Outcome) -> bool:
        is_last = self._schedule.is_last(message.attempts, message.max_attempts)
        return outcome.success or outcome.permanent or is_last

    async def _notify_sender(self, message: Message, outcome: Outcome) -> None:
        """Store the notification that the sender wants, if any, before the outcome is recorded: a crash between
        the two repeats it rather than losing it. Errors are logged; the outcome stands."""
        action = self._action(message, outcome)
        if action is not None:
            await self._notifier.tell(message, outcome, action)

    def _action(self, message: Message, outcome: Outcome) -> Action | None:
        if outcome.success:
            return Action.DELIVERED if outcome.is_local or outcome.passed_on else None
        if self._is_final(message, outcome):
            return Action.FAILED
        return Action.DELAYED if message.attempts == self._schedule.delayed_after else None

    def _log(self, message: Message, outcome: Outcome) -> None:
        if outcome.success:
            result = "ok"
        elif self._is_final(message, outcome):
            result = "failed"
        else:
            result = "temperror"
        metrics.queue_deliveries.labels(result).inc()
        _logger.info(
            "delivery attempt",
            id=message.id,
            recipient=str(message.recipient),
            attempt=message.attempts,
            result=result,
            code=outcome.code,
            err=outcome.error,
        )


def release_dead(tx: Tx, own: str) -> int:
    """Make due what dead processes of this host had claimed; how many messages."""
    owners = [o for (o,) in tx.run("SELECT DISTINCT owner FROM queued WHERE lease_ms > 0") if not is_alive(o, own)]
    return sum(_release(tx, owner) for owner in owners)


def _release(tx: Tx, owner: str) -> int:
    rows = tx.run(f"SELECT {columns(Message)} FROM queued WHERE lease_ms > 0 AND owner = ?", owner)
    now = now_ms()
    for message in (from_row(Message, row) for row in rows):
        results = with_result(message.results, Result(now, error=INTERRUPTED))
        tx.run(
            "UPDATE queued SET results = ?, next_ms = ?, lease_ms = 0, owner = '' WHERE id = ?",
            to_column(results),
            now,
            message.id,
        )
        lanes.refresh(tx, lanes.Kind.MESSAGE, message.recipient_domain)
    return len(rows)


def _clean_up(tx: Tx) -> None:
    outcomes.clean_up(tx)
    hooks.clean_up(tx)
