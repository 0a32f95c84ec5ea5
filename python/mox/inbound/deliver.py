"""The way of an incoming message: checks, then for each recipient a decision and what follows from it.

Recipients are worked off one after the other, accounts before aliases, so that an alias knows which of its members have
the message already. No lock and no transaction is held while anything waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import apsw

from mox import log, metrics
from mox._rust import StagedMessage
from mox.config.live import Config
from mox.config.tables import Found
from mox.dns.resolver import Resolver
from mox.inbound import localzone, recipients
from mox.inbound.analysis import Analysis, Analyst
from mox.inbound.headers import prefix
from mox.inbound.hooks import (
    Delivered,
    EvaluatedDmarc,
    EvaluationTaker,
    ExaminedReport,
    ReportTaker,
    no_news,
)
from mox.inbound.incoming import Envelope, Incoming, examine
from mox.inbound.recipients import NO_SUCH_USER, Target
from mox.inbound.results import Outcome
from mox.inbound.simulated import HANG, simulated_failure
from mox.inbound.storing import FULL, Storing
from mox.smtp.address import Path
from mox.smtp.reply import Reply, local_error
from mox.store.account import Account
from mox.store.errors import AccountRemoved, DatabaseVersionError
from mox.store.store import Store

MAX_RECEIVED = 100
UNKNOWN_DELAY_S = 5.0
SIMULATED_HANG_S = 3600.0

LOOP = Reply(550, "5.4.6", "the message passed too many hosts, there must be a loop")
NOT_FOR_YOU = Reply(550, "5.7.2", "not allowed to send to this list")

_logger = log.get("inbound")

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ListenerRules:
    """What a listener adds to the decisions."""

    dnsbls: tuple[str, ...] = ()
    first_time_delay_s: float = 0.0


@dataclass(slots=True)
class Neighbours:
    """Parts of the program that take part in deliveries, where there are any."""

    reports: ReportTaker | None = None
    evaluations: EvaluationTaker | None = None
    delivered: Delivered = no_news


@dataclass(slots=True)
class _Transaction:
    """One message on its way to several recipients."""

    incoming: Incoming
    storing: Storing
    rules: ListenerRules
    sleep: Sleep
    # Canonical addresses that were recipients themselves.
    explicit: set[str]
    has_waited: bool = False


class Deliverer:
    """Delivers incoming messages; one for a process."""

    def __init__(self, config: Config, store: Store, resolver: Resolver, neighbours: Neighbours | None = None) -> None:
        self.config, self.store, self.resolver = config, store, resolver
        self.neighbours = neighbours or Neighbours()
        self._analyst = Analyst(config, resolver)

    async def deliver(
        self, envelope: Envelope, staged: StagedMessage, rules: ListenerRules, sleep: Sleep = asyncio.sleep
    ) -> list[Outcome]:
        """An outcome for each different recipient; durable on return. `sleep` waits unless the program stops."""
        targets = self._targets(envelope)
        incoming = await examine(self.resolver, envelope, staged, localzone.dkim_policy(self.config))
        if incoming.received_count > MAX_RECEIVED:
            return [Outcome(path, LOOP, "loop") for path, _ in targets]
        if all(isinstance(target, Target) and target.found is None for _, target in targets):
            # Late, and slowly, so that nobody can look for users.
            await sleep(UNKNOWN_DELAY_S)
        explicit = {t.found.canonical for _, t in targets if isinstance(t, Target) and t.found and not t.found.alias}
        transaction = _Transaction(incoming, Storing.of(incoming, staged), rules, sleep, explicit)
        return [await self._one(transaction, path, target) for path, target in targets]

    def _targets(self, envelope: Envelope) -> list[tuple[Path, Target | Reply]]:
        """Recipients without repetitions, in the order of work."""
        found: dict[str, tuple[Path, Target | Reply]] = {}
        for path in envelope.recipients:
            target = recipients.find_target(self.config, path)
            entry = self.config.domain(path.domain)
            key = str(path) if entry is not None and entry.options.LocalpartCaseSensitive else str(path).lower()
            found.setdefault(key, (path, target))
        return sorted(found.values(), key=lambda item: item[1].rank if isinstance(item[1], Target) else 3)

    async def _one(self, transaction: _Transaction, path: Path, target: Target | Reply) -> Outcome:
        if isinstance(target, Reply):
            return Outcome(path, target, "unknownuser")
        if target.found is None:
            metrics.labelled(metrics.deliveries, "unknownuser", "").inc()
            return Outcome(path, NO_SUCH_USER, "unknownuser")
        if self.config.everything_to and (reply := await self._simulated(transaction, path)):
            return Outcome(path, reply, "simulated")
        try:
            if target.found.alias is not None:
                return await self._alias(transaction, path, target.found)
            return await self._account(transaction, path, target.found)
        except (AccountRemoved, DatabaseVersionError, apsw.Error, OSError, KeyError) as err:
            _logger.error("opening account", recipient=str(path), err=repr(err))
            metrics.labelled(metrics.deliveries, "accounterror", "").inc()
            return Outcome(path, local_error(), "accounterror")

    async def _simulated(self, transaction: _Transaction, path: Path) -> Reply | None:
        if path.localpart.startswith("queue") and not transaction.incoming.envelope.is_local:
            return None
        reply = simulated_failure(path)
        if reply is HANG:
            await transaction.sleep(SIMULATED_HANG_S)
        return reply

    # An account

    async def _account(self, transaction: _Transaction, path: Path, found: Found) -> Outcome:
        account = await self.store.open(found.account)
        report = await self._examine_report(transaction.incoming, found)
        analysis = await self._analyse(transaction, path, found, account, report)
        await self._evaluate(transaction.incoming, path, found, analysis)
        problems = _report_problems(report)
        lines = self._prefix(transaction.incoming, path, str(path), analysis, problems)
        if not analysis.decision.is_accepted:
            await transaction.storing.keep_reject(analysis, lines)
            return self._refused(transaction.incoming, path, analysis)
        is_report = report is not None and report.report is not None
        if is_report and report is not None and self.neighbours.reports is not None:
            await self.neighbours.reports.store(report, transaction.incoming)
        elif self._must_wait(analysis):
            await self._wait(transaction)
        return await self._store(transaction, path, analysis, lines, is_seen=is_report)

    async def _examine_report(self, incoming: Incoming, found: Found) -> ExaminedReport | None:
        if not found.reports or self.neighbours.reports is None:
            return None
        return await self.neighbours.reports.examine(found.reports, incoming)

    async def _analyse(
        self,
        transaction: _Transaction,
        path: Path,
        found: Found,
        account: Account,
        report: ExaminedReport | None,
        pass_address: str = "",
    ) -> Analysis:
        return await self._analyst.analyse(
            transaction.incoming,
            path,
            found,
            account,
            has_report=report is not None and report.report is not None,
            dnsbls=transaction.rules.dnsbls,
            pass_address=pass_address,
        )

    def _prefix(
        self,
        incoming: Incoming,
        path: Path,
        delivered_to: str,
        analysis: Analysis,
        problems: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        decision = analysis.decision
        overrides = list(decision.overrides)
        if incoming.dmarc.record is not None and not incoming.dmarc.applies:
            overrides.append("sampled_out")
        return prefix(incoming, str(path), delivered_to, decision.reason, decision.texts, overrides, problems)

    @staticmethod
    def _must_wait(analysis: Analysis) -> bool:
        """Nothing speaks for or against the sender: a short wait costs a spammer more than a friend."""
        rule = analysis.ruleset
        is_forward = rule is not None and rule.IsForward
        is_new = analysis.decision.reason == "no-bad-signals" and not is_forward
        return is_new and not analysis.config.NoFirstTimeSenderDelay

    @staticmethod
    async def _wait(transaction: _Transaction) -> None:
        if not transaction.has_waited and not transaction.incoming.envelope.is_local:
            transaction.has_waited = True
            await transaction.sleep(transaction.rules.first_time_delay_s)

    async def _store(
        self, transaction: _Transaction, path: Path, analysis: Analysis, lines: bytes, is_seen: bool = False
    ) -> Outcome:
        stored = await transaction.storing.deliver(analysis, lines, is_seen=is_seen)
        decision = analysis.decision
        if isinstance(stored, Reply):
            metrics.labelled(
                metrics.deliveries, "overquota" if stored is FULL else "delivererror", decision.reason
            ).inc()
            return Outcome(path, stored, decision.reason)
        metrics.labelled(metrics.deliveries, "delivered", decision.reason).inc()
        self._log(transaction.incoming, analysis, "delivered")
        await self.neighbours.delivered(analysis.account.name, stored, path)
        return Outcome(path, None, decision.reason)

    def _refused(self, incoming: Incoming, path: Path, analysis: Analysis) -> Outcome:
        decision = analysis.decision
        self._log(incoming, analysis, "rejected")
        metrics.labelled(metrics.deliveries, "reject", decision.reason).inc()
        return Outcome(path, decision.reply, decision.reason, makes_slow=True)

    @staticmethod
    def _log(incoming: Incoming, analysis: Analysis, text: str) -> None:
        author = incoming.author
        _logger.info(
            text,
            account=analysis.account.name,
            reason=analysis.decision.reason,
            mailbox=analysis.decision.mailbox,
            msgfrom=f"{author.localpart}@{author.unicode_domain}" if author else "",
        )

    async def _evaluate(self, incoming: Incoming, path: Path, found: Found, analysis: Analysis) -> None:
        """Keep what the author's domain wants to know of us."""
        taker, decision = self.neighbours.evaluations, analysis.decision
        record = incoming.dmarc.record
        wanted = (decision.is_accepted and not decision.is_reject) or decision.reason == "dmarc-policy"
        if taker is None or record is None or not record.aggregate_uris or not wanted:
            return
        if self.config.static.NoOutgoingDMARCReports:
            return
        is_rejected = decision.reason == "dmarc-policy"
        is_optional = bool(found.reports) or (is_rejected and not await self._analyst.knows(analysis))
        await taker.add(EvaluatedDmarc(incoming, path, is_optional, is_rejected, decision.overrides))

    # Aliases

    async def _alias(self, transaction: _Transaction, path: Path, found: Found) -> Outcome:
        """Every member by its own decision; the recipient fails when no member takes the message."""
        incoming = transaction.incoming
        author = incoming.author
        if not recipients.may_post(
            self.config, found, author.localpart if author else "", author.domain if author else ""
        ):
            return Outcome(path, NOT_FOR_YOU, "alias")
        own = recipients.canonical_address(self.config, author.localpart, author.domain) if author else ""
        analyses: dict[str, Analysis] = {}
        for address, member in recipients.members(self.config, found).items():
            # The member may be the only one who accepts, even if it gets no second copy.
            account = await self.store.open(member.account)
            analyses[address] = await self._analyse(transaction, path, member, account, None, found.canonical)
        if not analyses:
            return Outcome(path, NO_SUCH_USER, "alias")
        accepted = {address: a for address, a in analyses.items() if a.decision.is_accepted}
        first = next(iter(accepted.values()), next(iter(analyses.values())))
        await self._evaluate(incoming, path, found, first)
        if any(self._must_wait(a) for a in accepted.values()):
            await self._wait(transaction)
        outcomes = []
        for address, analysis in analyses.items():
            if address in transaction.explicit or address == own:
                continue
            lines = self._prefix(incoming, path, address, analysis)
            if analysis.decision.is_accepted:
                outcomes.append(await self._store(transaction, path, analysis, lines))
            else:
                await transaction.storing.keep_reject(analysis, lines)
        if not accepted:
            return self._refused(incoming, path, first)
        if all(outcome.reply is not None for outcome in outcomes) and outcomes:
            return next((o for o in outcomes if o.reply is not FULL), outcomes[0])
        return Outcome(path, None, first.decision.reason)


def _report_problems(report: ExaminedReport | None) -> list[tuple[str, str]]:
    if report is None or report.report is not None or not report.problem:
        return []
    return [(report.problem_field, report.problem)]
