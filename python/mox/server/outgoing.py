"""Puts the queue's runner together: what is delivered here, what goes out, where notifications are stored."""

import asyncio
import re
from collections.abc import Sequence

from mox._rust import stage_bytes
from mox.config.live import Config
from mox.inbound import deliver as inbound
from mox.message.dsn import Mta
from mox.outbound.claims import Claim
from mox.outbound.notices import AccountNotices
from mox.outbound.outcomes import Outcome
from mox.outbound.queue import Queue
from mox.outbound.records import Message
from mox.outbound.runner import Runner
from mox.outbound.surroundings import ConfigSurroundings
from mox.store.store import Store

_REPLY = re.compile(
    r"(?P<code>[245][0-9]{2})(?: (?P<class>[245])\.(?P<secode>[0-9]{1,3}\.[0-9]{1,3}))?(?: .*)?", re.DOTALL
)


def reply_outcome(reply: str, hostname: str) -> Outcome:
    """What an SMTP reply of our own delivery means for the queue."""
    line = reply.strip()
    found = _REPLY.fullmatch(line)
    if found is None:
        return Outcome(False, error=f"{line}, transient")
    is_permanent = line.startswith("5")
    return Outcome(
        success=False,
        permanent=is_permanent,
        code=int(found["code"]),
        secode=found["secode"] or "",
        error=f"{'permanent' if is_permanent else 'transient'}: {line}",
        lines=tuple(line.splitlines()),
        remote_mta=Mta(hostname),
        is_local=True,
    )


class LocalDelivery:
    """Delivers mail for our own domains, through the same decisions as incoming mail."""

    def __init__(self, config: Config, store: Store, queue: Queue, delivered: inbound.Delivered) -> None:
        self._config, self._store, self._queue = config, store, queue
        self._delivered = delivered

    async def deliver(self, claim: Claim) -> Sequence[Outcome]:
        """An outcome for each recipient."""
        content = await asyncio.to_thread(self._queue.path(claim.messages[0]).read_bytes)
        return await asyncio.gather(*(self._deliver_one(message, content) for message in claim.messages))

    async def _deliver_one(self, message: Message, content: bytes) -> Outcome:
        path = message.recipient
        if self._config.everything_to and path.localpart.startswith("queue"):
            reply = inbound.simulated_failure(path)
            if reply is not None:
                return reply_outcome(str(reply), self._config.static.Hostname)
        envelope = inbound.Envelope(message.sender, [path], message.remote_ip)
        try:
            await inbound.deliver(
                self._config, self._store, envelope, stage_bytes(content), message.prefix, self._delivered
            )
        except inbound.DeliveryError as err:
            return reply_outcome(str(err), self._config.static.Hostname)
        return Outcome(True, code=250, is_local=True)


def delivery(
    config: Config, store: Store, queue: Queue, surroundings: ConfigSurroundings, delivered: inbound.Delivered
) -> Runner:
    """The runner of a worker. `delivered` is told of messages for our own domains."""
    local = LocalDelivery(config, store, queue, delivered)
    notices = AccountNotices(config, store)
    return Runner(queue, local.deliver, notices.store, config.static.Hostname, surroundings.is_local)
