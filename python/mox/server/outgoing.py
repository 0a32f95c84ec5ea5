"""Puts the queue's runner together: what is delivered here, what goes out, where notifications are stored."""

import asyncio
import re
from collections.abc import Sequence

import apsw

from mox import log
from mox._rust import stage_bytes
from mox.config.live import Config
from mox.dns.resolver import Resolver
from mox.inbound.deliver import Deliverer, ListenerRules
from mox.inbound.incoming import Envelope
from mox.message.dsn import Mta
from mox.outbound.claims import Claim
from mox.outbound.dial import DirectDialer, local_addresses
from mox.outbound.direct import DirectDelivery, TlsResults
from mox.outbound.hookcalls import tls_context
from mox.outbound.host import Tools
from mox.outbound.mtasts import HttpsFetcher
from mox.outbound.mtastscache import PolicyCache
from mox.outbound.notices import AccountNotices
from mox.outbound.offers import Offers
from mox.outbound.outcomes import Outcome
from mox.outbound.pool import Pool
from mox.outbound.queue import Queue
from mox.outbound.records import Message
from mox.outbound.relay import RelayDelivery
from mox.outbound.remote import RemoteDelivery
from mox.outbound.roots import load_roots
from mox.outbound.runner import Runner
from mox.outbound.surroundings import ConfigSurroundings
from mox.reports.dmarcsend import DmarcReportSender
from mox.reports.outgoing import ReportMailer
from mox.reports.tlsresults import TlsRecorder, open_results
from mox.reports.tlssend import TlsReportSender
from mox.store.engine import Engine
from mox.store.store import Store

_logger = log.get("queue")

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
        content = await self._queue.content(claim.messages[0])
        return await asyncio.gather(*(self._deliver_one(message, content) for message in claim.messages))

    async def _deliver_one(self, message: Message, content: bytes) -> Outcome:
        hostname = self._config.static.Hostname
        sender, recipient = message.sender, message.recipient
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


class Outgoing:
    """Everything by which a worker's queue delivers. Use `run`, then `close`."""

    def __init__(
        self,
        config: Config,
        store: Store,
        queue: Queue,
        surroundings: ConfigSurroundings,
        deliverer: Deliverer,
        resolver: Resolver,
        evaluations: Engine,
    ) -> None:
        self._surroundings = surroundings
        hostname = config.static.Hostname
        self._local = LocalDelivery(config, queue, deliverer)
        roots = load_roots(config.static, config.path.parent)
        tagged = resolver.tagged("queue")
        self._pool = Pool()
        self._policies = PolicyCache(
            config.data_dir, resolver.tagged("mtasts"), HttpsFetcher(tls_context(config)).fetch
        )
        self._results = open_results(config.data_dir)
        self._record_tls = not config.static.NoOutgoingTLSReports
        self._recorder = TlsRecorder(self._results)
        tools = Tools(queue, tagged, roots, Offers(store).remember, self._pool)
        direct = DirectDelivery(tools, self._policies, self._record)
        dialer = DirectDialer(local_addresses(config.static))
        self._relay = RelayDelivery(queue, tagged, roots, dialer, lambda: hostname)
        self._remote = RemoteDelivery(config, direct, self._relay)
        notices = AccountNotices(config, store)
        self._senders = self._report_senders(config, queue, resolver, evaluations)
        self.runner = Runner(queue, self._deliver, notices.store, hostname, surroundings.is_local)

    def _report_senders(
        self, config: Config, queue: Queue, resolver: Resolver, evaluations: Engine
    ) -> list[TlsReportSender | DmarcReportSender]:
        """Of the reports that are to be sent; localserve sends none."""
        senders: list[TlsReportSender | DmarcReportSender] = []
        if config.everything_to:
            return senders
        mailer = ReportMailer(config, queue)
        if not config.static.NoOutgoingTLSReports:
            all_success = config.static.OutgoingTLSReportsForAllSuccess
            senders.append(TlsReportSender(self._results, resolver.tagged("tlsrpt"), mailer, all_success))
        if not config.static.NoOutgoingDMARCReports:
            senders.append(DmarcReportSender(evaluations, resolver.tagged("dmarc"), mailer))
        return senders

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until `stopping` is set and the running attempts have ended."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.runner.run(stopping))
            refresher = group.create_task(self._policies.run_refresh(stopping))
            sending = [group.create_task(sender.run()) for sender in self._senders]
            await stopping.wait()
            for task in (refresher, *sending):
                task.cancel()

    async def _deliver(self, claim: Claim) -> Sequence[Outcome]:
        if self._surroundings.is_local(claim.domain) and not claim.transport:
            return await self._local.deliver(claim)
        return await self._remote.deliver(claim)

    async def _record(self, results: TlsResults) -> None:
        if not self._record_tls:
            return
        try:
            await self._recorder.record(results)
        except (apsw.Error, OSError) as err:
            _logger.error("recording tls results", domain=results.domain, err=str(err))

    async def close(self) -> None:
        """Close sessions and databases."""
        await self._pool.close()
        await self._relay.close()
        await self._policies.close()
        await self._results.close()
