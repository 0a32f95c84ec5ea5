"""Telling senders what became of their messages: reads the original, composes the notification, has it stored."""

from collections.abc import Awaitable, Callable

import apsw

from mox import log, metrics
from mox.message.compose import ComposeError
from mox.message.dsn import Action
from mox.outbound import dsn
from mox.outbound.backoff import Schedule
from mox.outbound.outcomes import Outcome
from mox.outbound.queue import Queue
from mox.outbound.records import Message

# Stores a notification. Raises NotifyError.
Notify = Callable[[dsn.Notice], Awaitable[None]]

_logger = log.get("queue")


class NotifyError(Exception):
    """A notification could not be stored."""


class SenderNotifier:
    """Notifies by `notify`. Failing to is logged; what became of the message stands."""

    def __init__(self, queue: Queue, notify: Notify, hostname: str, schedule: Schedule | None = None) -> None:
        self._queue, self._notify, self._hostname = queue, notify, hostname
        self._schedule = schedule or Schedule()

    async def tell(self, message: Message, outcome: Outcome, action: Action) -> None:
        """Store a notification, if the sender wants it."""
        if not dsn.wants(message, action):
            return
        try:
            read = self._queue.content if message.return_full else self._queue.header
            original = await read(message)
            await self._notify(self._notice(message, outcome, action, original))
        except (OSError, apsw.Error, ComposeError, NotifyError) as err:
            _logger.error("notifying the sender", id=message.id, action=action.value, err=str(err))

    def _notice(self, message: Message, outcome: Outcome, action: Action, original: bytes) -> dsn.Notice:
        match action:
            case Action.DELAYED:
                waits_s = self._schedule.remaining_waits_s(message.attempts, message.max_attempts)
                return dsn.delayed(message, outcome, self._hostname, original, waits_s)
            case Action.FAILED:
                if message.is_dmarc_report:
                    metrics.queue_dmarc_report_failures.inc()
                return dsn.failed(message, outcome, self._hostname, original)
            case _:
                return dsn.succeeded(message, outcome, self._hostname, original)
