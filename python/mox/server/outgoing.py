"""Puts the queue's runner together: what is delivered here, what goes out, where notifications are stored."""

import asyncio
import re
from collections.abc import Sequence

from mox._rust import stage_bytes
from mox.config.live import Config
from mox.inbound.deliver import Deliverer, ListenerRules
from mox.inbound.incoming import Envelope
from mox.message.addresses import ascii_domain
from mox.message.dsn import Mta
from mox.outbound.claims import Claim
from mox.outbound.notices import AccountNotices
from mox.outbound.outcomes import Outcome
from mox.outbound.queue import Queue
from mox.outbound.records import Message
from mox.outbound.runner import Runner
from mox.outbound.surroundings import ConfigSurroundings
from mox.smtp.address import Path
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

    def __init__(self, config: Config, queue: Queue, deliverer: Deliverer) -> None:
        self._config, self._queue, self._deliverer = config, queue, deliverer

    async def deliver(self, claim: Claim) -> Sequence[Outcome]:
        """An outcome for each recipient."""
        content = await asyncio.to_thread(self._queue.content, claim.messages[0])
        return await asyncio.gather(*(self._deliver_one(message, content) for message in claim.messages))

    async def _deliver_one(self, message: Message, content: bytes) -> Outcome:
        hostname = self._config.static.Hostname
        sender, recipient = _ascii(message.sender), _ascii(message.recipient)
        envelope = Envelope(
            sender,
            (recipient,),
            message.remote_ip or "127.0.0.1",
            hostname,
            hostname,
            utf8=message.smtputf8,
            has_tls=True,
            require_tls=message.require_tls,
            is_local=True,
        )
        outcomes = await self._deliverer.deliver(envelope, stage_bytes(content), ListenerRules())
        reply = outcomes[0].reply
        return Outcome(True, code=250, is_local=True) if reply is None else reply_outcome(str(reply), hostname)


def _ascii(path: Path) -> Path:
    return Path(path.localpart, ascii_domain(path.domain)) if path.domain and not path.is_literal else path


def delivery(
    config: Config, store: Store, queue: Queue, surroundings: ConfigSurroundings, deliverer: Deliverer
) -> Runner:
    """The runner of a worker."""
    local = LocalDelivery(config, queue, deliverer)
    notices = AccountNotices(config, store)
    return Runner(queue, local.deliver, notices.store, config.static.Hostname, surroundings.is_local)
