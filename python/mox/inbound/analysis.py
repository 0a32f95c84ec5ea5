"""Gathers the facts about a message for one account: one read of its database, then DNS lists if they matter.

The decision itself is `mox.inbound.policy`.
"""

import ipaddress
import random
import time
from collections.abc import Sequence

import apsw
from msgspec import Struct
from msgspec.structs import replace

from mox import log, metrics
from mox._rust import split_fields
from mox.config.account import Account as AccountConfig
from mox.config.account import Ruleset
from mox.config.live import Config
from mox.config.rules import CompiledRuleset
from mox.config.tables import Found
from mox.dns.psl import organizational_domain
from mox.dns.resolver import Resolver
from mox.inbound import rulesets, subjectpass, volume
from mox.inbound.incoming import Incoming
from mox.inbound.policy import AskDnsbl, Decision, JunkFacts, Listing, RecipientFacts, decide
from mox.inbound.recipients import canonical_address
from mox.inbound.reputation import Identity, Reputation, assess
from mox.junk import learning, table
from mox.junk.scoring import NOTHING_LEARNED, classify
from mox.mailauth import dnsbl
from mox.mailauth.dnsbl import HealthCache
from mox.mailauth.iprev import IprevStatus
from mox.smtp.address import Path, encode_localpart, to_unicode
from mox.store import history, mailboxes, reputation, settings, training
from mox.store.account import Account
from mox.store.engine import Tx
from mox.store.history import Question, Sent
from mox.store.reputation import Kind, Verdict
from mox.store.types import Facts, Validation

# The filter's threshold moves by up to this, so that it cannot be found by trying.
JITTER = 0.05

_logger = log.get("inbound")


class Analysis(Struct, frozen=True):
    """What is done with a message for an account, and the record that is stored with it."""

    account: Account
    found: Found
    config: AccountConfig
    decision: Decision
    record: Facts
    ruleset: Ruleset | None


class TxHistory(Struct, frozen=True):
    """`History` of a mailbox, in an open transaction."""

    tx: Tx
    mailbox_id: int
    now_ms: int

    def answers(self, questions: Sequence[Question]) -> list[list[Verdict]]:
        """See History."""
        return history.answers(self.tx, self.mailbox_id, self.now_ms, questions)


class _Read(Struct, frozen=True):
    """What one read transaction found."""

    volume: str
    reputation: Reputation
    junk: JunkFacts | None
    junk_error: str
    must_learn: bool
    pass_key: str | None


class Analyst:
    """Analyses messages; one for a process."""

    def __init__(self, config: Config, resolver: Resolver) -> None:
        self._config = config
        self._resolver = resolver
        self._health = HealthCache()

    async def analyse(
        self,
        incoming: Incoming,
        path: Path,
        found: Found,
        account: Account,
        *,
        has_report: bool = False,
        dnsbls: Sequence[str] = (),
        pass_address: str = "",
    ) -> Analysis:
        """Decide about a message to `path` for the account of `found`. `pass_address` has the key for subject passes
        when it is not the address found. Raises nothing but what a bug raises."""
        config = self._config.account(found.account)
        rule = rulesets.find(found.rulesets, rule_facts(incoming)) if found.rulesets else None
        mailbox = (rule.ruleset.Mailbox if rule else "") or found.destination.Mailbox or "Inbox"
        record = _record(incoming, path, rule)
        base = self._base_facts(incoming, path, found, config, rule, mailbox)
        facts = replace(base, has_report=has_report, has_dnsbls=bool(dnsbls))
        try:
            read = await self._read(incoming, account, config, record, mailbox, pass_address or found.canonical)
        except apsw.Error as err:
            _logger.error("reading history", account=account.name, err=str(err))
        else:
            facts = await self._with_history(facts, read, incoming, account, config, pass_address or found.canonical)
        decision = decide(facts)
        if isinstance(decision, AskDnsbl):
            facts = replace(facts, dnsbl=await self._listings(dnsbls, incoming))
            decision = decide(facts)
            assert isinstance(decision, Decision)
        if decision.reason == "give-subjectpass":
            metrics.subjectpass_generated.inc()
        return Analysis(account, found, config, decision, record, rule.ruleset if rule else None)

    def _base_facts(
        self,
        incoming: Incoming,
        path: Path,
        found: Found,
        config: AccountConfig,
        rule: CompiledRuleset | None,
        mailbox: str,
    ) -> RecipientFacts:
        return RecipientFacts(
            dmarc=incoming.dmarc,
            reputation=None,
            mailbox=mailbox,
            ruleset=rule.ruleset if rule else None,
            rejects_mailbox=config.RejectsMailbox,
            introbox=config.Introbox,
            is_list=rule is not None and _is_verified_list(rule, incoming),
            auth_required=found.destination.MessageAuthRequiredSMTPError,
            from_validated=incoming.from_validated,
            mail_from_validation=incoming.mail_from_validation,
            iprev_is_good=incoming.iprev.status is IprevStatus.PASS or bool(self._config.everything_to),
            iprev_text=f"{incoming.iprev.status.value} {incoming.iprev.problem}".strip(),
            has_tls=incoming.envelope.has_tls or incoming.envelope.is_local,
            is_named=self._is_named(incoming, path),
        )

    def _is_named(self, incoming: Incoming, path: Path) -> bool:
        if not path.localpart:
            return True
        wanted = canonical_address(self._config, path.localpart, path.domain)
        named = (*incoming.parsed.to, *incoming.parsed.cc)
        return any(canonical_address(self._config, local, domain.lower()) == wanted for _, local, domain in named)

    async def _read(
        self, incoming: Incoming, account: Account, config: AccountConfig, record: Facts, mailbox: str, address: str
    ) -> _Read:
        now_ms = time.time_ns() // 1_000_000
        limits = volume.VolumeLimits.configured(self._config.static.Limits)

        def read(tx: Tx) -> _Read:
            exceeded = ""
            if not incoming.envelope.is_local:
                volumes = reputation.volumes(tx, incoming.networks, now_ms)
                exceeded = volume.exceeded(volumes, incoming.size, limits)
            box = mailboxes.find(tx, mailbox)
            found = assess(_identity(record, incoming), TxHistory(tx, box.id if box else -1, now_ms))
            key = settings.find_subjectpass_key(tx, address) if config.SubjectPass.Period else None
            if found.is_conclusive or exceeded or config.JunkFilter is None:
                return _Read(exceeded, found, None, "", False, key)
            must_learn = bool(training.pending(tx, 1))
            try:
                return _Read(exceeded, found, _classify(tx, incoming, config), "", must_learn, key)
            except apsw.Error as err:
                _logger.error("judging content", account=account.name, err=str(err))
                return _Read(exceeded, found, None, "junk-classify-error", False, key)

        result = await account.read(read)
        if result.must_learn and config.JunkFilter is not None:
            await learning.settle(account, config.JunkFilter.Params)
            result = await account.read(read)
        return result

    async def _with_history(
        self,
        facts: RecipientFacts,
        read: _Read,
        incoming: Incoming,
        account: Account,
        config: AccountConfig,
        address: str,
    ) -> RecipientFacts:
        facts = replace(facts, volume=read.volume, reputation=read.reputation, junk=read.junk)
        facts = replace(facts, junk_error=read.junk_error)
        period_s = config.SubjectPass.Period.total_seconds()
        if not period_s or incoming.author is None or read.reputation.is_conclusive:
            return facts
        key = read.pass_key
        if key is None:
            key = await account.write(lambda tx: settings.subjectpass_key(tx, address))
        author = f"{encode_localpart(incoming.author.localpart)}@{incoming.author.unicode_domain}"
        now_s = int(time.time())
        token = subjectpass.generate(author, key, now_s)
        try:
            subjectpass.verify(incoming.parsed.subject, author, key, period_s, now_s)
        except subjectpass.NoToken:
            return replace(facts, token=token)
        except subjectpass.SubjectPassError as err:
            _logger.debug("bad subject pass", err=str(err))
            metrics.subjectpass_verifications.labels("fail").inc()
            return replace(facts, token=token)
        metrics.subjectpass_verifications.labels("ok").inc()
        return replace(facts, token=token, subject_pass=author)

    async def knows(self, analysis: Analysis) -> bool:
        """The account has good mail from the author's organization, or wrote there."""
        organization = analysis.record.msg_from_org_domain

        def read(tx: Tx) -> bool:
            if reputation.has_good(tx, Kind.MSG_FROM_ORG_DOMAIN, organization):
                return True
            now_ms = time.time_ns() // 1_000_000
            (sent,) = history.answers(tx, 0, now_ms, [Question(Sent.ORG_DOMAIN, organization, now_ms)])
            return bool(sent)

        return await analysis.account.read(read)

    async def _listings(self, zones: Sequence[str], incoming: Incoming) -> tuple[Listing, ...]:
        address = ipaddress.ip_address(incoming.envelope.remote_ip)
        listed = await dnsbl.first_listing(self._resolver, list(zones), address, self._health)
        return () if listed is None else (Listing(listed.zone, listed.explanation),)


def rule_facts(incoming: Incoming) -> rulesets.RuleFacts:
    """What rulesets look at."""
    author = incoming.author
    verified = list(incoming.dkim_domains)
    if incoming.spf.status.value == "pass" and incoming.spf.domain:
        verified.append(to_unicode(incoming.spf.domain))
    if incoming.sealer:
        verified.append(incoming.sealer)
    try:
        fields = tuple((name, _value(raw)) for name, raw in split_fields(incoming.header))
    except ValueError:
        fields = None
    msg_from = f"{encode_localpart(author.localpart)}@{author.unicode_domain}" if author else ""
    return rulesets.RuleFacts(str(incoming.envelope.sender), msg_from, tuple(verified), fields)


def _value(raw: bytes) -> str:
    return raw.partition(b":")[2].decode(errors="replace").replace("\r\n", "")


def _is_verified_list(rule: CompiledRuleset, incoming: Incoming) -> bool:
    """SPF, DKIM or ARC passed for exactly the list's domain."""
    if rule.list_allow_domain is None:
        return False
    wanted = rule.list_allow_domain.name
    sender = to_unicode(incoming.envelope.sender.domain)
    is_spf = incoming.mail_from_validation is Validation.PASS and sender == wanted
    return is_spf or wanted in incoming.dkim_domains or wanted == incoming.sealer


def _record(incoming: Incoming, path: Path, rule: CompiledRuleset | None) -> Facts:
    """What is stored of a message. A forwarded one says nothing about the server it came from."""
    envelope, author = incoming.envelope, incoming.author
    from_domain = author.domain if author else ""
    networks = ("", "", "") if envelope.is_local else incoming.networks
    dkim_domains = " ".join(incoming.dkim_domains)
    hello = to_unicode(envelope.hello_domain)
    record = Facts(
        is_mailing_list=rule is not None and _is_verified_list(rule, incoming),
        remote_ip=envelope.remote_ip,
        remote_network1=networks[0],
        remote_network2=networks[1],
        remote_network3=networks[2],
        ehlo_domain=hello,
        mail_from=str(envelope.sender),
        mail_from_localpart=envelope.sender.localpart,
        mail_from_domain=to_unicode(envelope.sender.domain),
        rcpt_to=str(path),
        rcpt_to_localpart=path.localpart,
        rcpt_to_domain=to_unicode(path.domain),
        msg_from_localpart=author.localpart if author else "",
        msg_from_domain=to_unicode(from_domain),
        msg_from_org_domain=to_unicode(organizational_domain(from_domain)) if from_domain else "",
        ehlo_validated=incoming.ehlo_validation is Validation.PASS,
        mail_from_validated=incoming.mail_from_validation is Validation.PASS,
        msg_from_validated=incoming.from_validated,
        ehlo_validation=incoming.ehlo_validation,
        mail_from_validation=incoming.mail_from_validation,
        msg_from_validation=incoming.from_validation,
        dkim_domains=dkim_domains,
        tls_version=envelope.tls_version,
        require_tls=bool(envelope.require_tls),
    )
    if rule is None or not rule.ruleset.IsForward:
        return record
    forwarder = rule.verified_domain.name if rule.verified_domain else ""
    return replace(
        record,
        is_forward=True,
        remote_network1="",
        remote_network2="",
        remote_network3="",
        ehlo_domain="",
        orig_ehlo_domain=hello,
        mail_from_domain="",
        dkim_domains=" ".join(d for d in incoming.dkim_domains if d != forwarder),
        orig_dkim_domains=dkim_domains,
    )


def _identity(record: Facts, incoming: Incoming) -> Identity:
    return Identity(
        record.msg_from_localpart,
        record.msg_from_domain,
        record.msg_from_org_domain,
        record.msg_from_validated,
        tuple(record.dkim_domains.split()),
        record.mail_from_localpart,
        record.mail_from_domain,
        record.mail_from_validated,
        record.ehlo_domain,
        record.ehlo_validated,
        (record.remote_network1, record.remote_network2, record.remote_network3),
    )


def _classify(tx: Tx, incoming: Incoming, config: AccountConfig) -> JunkFacts:
    """Runs in the reading thread; most of it is one call into Rust without the interpreter lock."""
    assert config.JunkFilter is not None
    params = config.JunkFilter.Params
    totals = table.totals(tx)
    # A filter that has learned nothing knows no word.
    words = learning.words_of(incoming.content, params) if totals != NOTHING_LEARNED else []
    verdict = classify(words, table.look_up(tx, words), totals, params)
    return JunkFacts(verdict, config.JunkFilter.Threshold + random.uniform(-JITTER, JITTER))
