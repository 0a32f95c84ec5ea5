"""What becomes of a message for one recipient: the order of decisions, as a table of steps over facts.

Pure: facts in, decision out. The first step that decides ends it. DNS lists are asked only for messages that everything
else would accept, so `decide` may answer `ASK_DNSBL`; then it is called again with the answer. Most refusals are
temporary and say nothing: real servers try again, and spammers learn nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from mox.config.account import Ruleset
from mox.inbound.reputation import Reputation
from mox.junk.scoring import Verdict
from mox.mailauth.dmarc import DmarcResult, DmarcStatus
from mox.smtp.reply import Reply
from mox.store.types import Validation

INBOX = "Inbox"
# From here a junk filter has to be sure for messages with something else wrong.
STRICT_THRESHOLD = 0.25
# Below the threshold by this much, the author is offered a subject pass.
PASS_MARGIN = 0.2
# Reputation of these kinds is about the author alone; others say little about who connects.
WEAK_METHODS = frozenset(("dkimspf", "ip1", "ip2", "ip3", "none"))
KNOWN_AUTHOR = frozenset(("msgfromfull", "msgtofull"))

LATER = Reply(451, "4.3.0", "unable to process the message now, try again later")


class JunkFacts(Struct, frozen=True):
    """What the content filter says. `threshold` is the configured one with its random part."""

    verdict: Verdict
    threshold: float


class Listing(Struct, frozen=True):
    """A DNS list has the address."""

    zone: str
    explanation: str


class RecipientFacts(Struct, frozen=True, kw_only=True):
    """Everything that is decided on. What is not applicable has its default.

    `volume` names a limit that is exceeded; `is_list`: the ruleset is for a mailing list that SPF or DKIM verified;
    `has_report`: the address takes reports, and this is a good one; `iprev_is_good`: the address has a name that leads
    back; `is_named`: the recipient stands in To or Cc; `subject_pass` None: no good token in the subject;
    `token` is what a refusal may offer; `dnsbl` is None before it was asked.
    """

    dmarc: DmarcResult
    reputation: Reputation | None
    mailbox: str = INBOX
    ruleset: Ruleset | None = None
    rejects_mailbox: str = ""
    introbox: str = ""
    volume: str = ""
    is_list: bool = False
    has_report: bool = False
    auth_required: str = ""
    from_validated: bool = False
    mail_from_validation: Validation = Validation.UNKNOWN
    iprev_is_good: bool = True
    iprev_text: str = ""
    subject_pass: str | None = None
    token: str = ""
    junk: JunkFacts | None = None
    junk_error: str = ""
    has_tls: bool = True
    is_named: bool = True
    has_dnsbls: bool = False
    dnsbl: tuple[Listing, ...] | None = None

    @property
    def is_forward(self) -> bool:
        """The ruleset trusts the forwarding server."""
        return self.ruleset is not None and self.ruleset.IsForward

    @property
    def method(self) -> str:
        """What reputation was found by."""
        return self.reputation.method if self.reputation else "none"

    @property
    def suspicious_iprev(self) -> bool:
        """The connection's address has no good name, and nothing better is known of the sender."""
        return self.method in WEAK_METHODS and not self.iprev_is_good


class Decision(Struct, frozen=True):
    """The outcome. `reply` is the refusal, None when accepted. `destined` is where the message would have gone.

    `is_reject`: the ruleset wants refused messages in a mailbox of its own, so it is accepted all the same.
    `is_stored`: a refused message is kept in the mailbox for rejects.
    """

    reason: str
    mailbox: str
    destined: str = ""
    reply: Reply | None = None
    texts: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    is_reject: bool = False
    is_stored: bool = True

    @property
    def is_accepted(self) -> bool:
        """The client gets a 250."""
        return self.reply is None

    @property
    def counts_as_refused(self) -> bool:
        """By whatever way it is kept."""
        return self.reply is not None or self.is_reject


class AskDnsbl(Struct, frozen=True):
    """Look the address up in the DNS lists, then decide again."""


ASK_DNSBL = AskDnsbl()


class _Yes(Struct, frozen=True):
    reason: str


class _No(Struct, frozen=True):
    reason: str
    reply: Reply = LATER


_Step = _Yes | _No | AskDnsbl | None


@dataclass(slots=True)
class _Notes:
    """Reasons for people, in the order in which they were found."""

    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.texts.append(text)


def decide(facts: RecipientFacts) -> Decision | AskDnsbl:
    """Run the steps."""
    notes = _Notes()
    if facts.is_forward:
        notes.add("forward: ruleset trusts the forwarding server, dmarc and its address are not used")
    for step in STEPS:
        match step(facts, notes):
            case _Yes(reason):
                return _accepted(facts, reason, notes)
            case _No(reason, reply):
                return _refused(facts, reason, reply, notes)
            case AskDnsbl():
                return ASK_DNSBL
    raise AssertionError("the last step decides")


def _high_rate(facts: RecipientFacts, notes: _Notes) -> _Step:
    if not facts.volume:
        return None
    notes.add(f"too much from this address or network: {facts.volume}")
    return _No("high-rate", Reply(452, "4.2.2", f"too many messages or bytes from your ip or network: {facts.volume}"))


def _mailing_list(facts: RecipientFacts, notes: _Notes) -> _Step:
    if not facts.is_list:
        return None
    notes.add("mailing list: verified domain is allowed by ruleset")
    return _Yes("list-allow")


def _dmarc_policy(facts: RecipientFacts, notes: _Notes) -> _Step:
    dmarc = facts.dmarc
    if facts.is_forward:
        return None
    if dmarc.rejects and dmarc.applies:
        notes.add(
            f"dmarc: rejected by policy {dmarc.policy.value} of {dmarc.discovery.domain if dmarc.discovery else ''}"
        )
        return _No("dmarc-policy", Reply(550, "5.7.26", "rejected because of the dmarc policy of the author's domain"))
    notes.add("dmarc: ok" if dmarc.status is DmarcStatus.PASS else f"dmarc: not used, {dmarc.status.value}")
    return None


def _auth_required(facts: RecipientFacts, notes: _Notes) -> _Step:
    if not facts.auth_required or facts.from_validated:
        return None
    notes.add("message authentication is required, and the author's domain is not verified")
    if facts.dmarc.status is DmarcStatus.TEMPERROR:
        text = f"transient verification error: {facts.auth_required}"
        return _No("msg-auth-required", Reply(451, "4.7.26", text))
    return _No("msg-auth-required", Reply(550, "5.7.26", facts.auth_required))


def _reputation_failed(facts: RecipientFacts, notes: _Notes) -> _Step:
    if facts.reputation is not None:
        return None
    notes.add("reputation could not be determined")
    return _No("reputation-error")


def _reputation(facts: RecipientFacts, notes: _Notes) -> _Step:
    found = facts.reputation
    assert found is not None
    kind = {True: "junk", False: "nonjunk", None: "unknown"}[found.is_junk]
    sure = "conclusive" if found.is_conclusive else "inconclusive"
    notes.add(f"reputation: {kind}, {sure}, {found.method}: {found.text}")
    if not found.is_conclusive or found.is_junk is None:
        return None
    return _No(found.method) if found.is_junk else _Yes(found.method)


def _report(facts: RecipientFacts, notes: _Notes) -> _Step:
    if not facts.has_report:
        return None
    notes.add("report: valid, about a domain of ours")
    return _Yes("reporting")


def _spf_policy(facts: RecipientFacts, notes: _Notes) -> _Step:
    failures = {Validation.FAIL: "fail", Validation.SOFTFAIL: "softfail"}
    if facts.method not in WEAK_METHODS or facts.mail_from_validation not in failures:
        return None
    notes.add(f"spf: {failures[facts.mail_from_validation]} for an unknown sender")
    return _No("spf-policy")


def _bad_iprev(facts: RecipientFacts, notes: _Notes) -> _Step:
    if not facts.suspicious_iprev:
        return None
    notes.add(f"iprev: {facts.iprev_text or 'not pass'}")
    is_junk = facts.reputation is not None and facts.reputation.is_junk
    return _No("iprev") if is_junk else None


def _subject_pass(facts: RecipientFacts, notes: _Notes) -> _Step:
    if facts.subject_pass is None:
        return None
    notes.add("subjectpass: good token in the subject")
    return _Yes("subjectpass")


def _junk_error(facts: RecipientFacts, notes: _Notes) -> _Step:
    if not facts.junk_error:
        return None
    notes.add("content: could not be judged")
    return _No(facts.junk_error)


def _content_and_lists(facts: RecipientFacts, notes: _Notes) -> _Step:
    is_good, reason, may_offer_pass = _content(facts, notes)
    if is_good and facts.has_dnsbls and facts.dnsbl is None:
        return ASK_DNSBL
    if is_good and facts.dnsbl:
        listing = facts.dnsbl[0]
        notes.add(f"dnsbl: listed in {listing.zone}: {listing.explanation}")
        is_good, reason, may_offer_pass = False, "dns-blocklisted", True
    if is_good:
        notes.add("no bad signals")
        return _Yes("no-bad-signals")
    if facts.token and facts.dmarc.status is DmarcStatus.PASS and facts.method == "none" and may_offer_pass:
        notes.add("subjectpass: offered")
        text = (
            "your message looks like junk; if you are not a machine, send it again with this text, brackets included, "
            f"in its subject: {facts.token}"
        )
        return _No("give-subjectpass", Reply(550, "5.7.1", text))
    return _No(reason)


def _content(facts: RecipientFacts, notes: _Notes) -> tuple[bool, str, bool]:
    """(is good enough, reason if not, close enough to offer a subject pass)."""
    if facts.junk is None:
        return True, "", False
    verdict, threshold, why = facts.junk.verdict, facts.junk.threshold, ""
    if threshold > STRICT_THRESHOLD:
        why = _strictness(facts)
        threshold = STRICT_THRESHOLD if why else threshold
    is_good = verdict.probability <= threshold or (not verdict.is_significant and not facts.suspicious_iprev)
    notes.add(_content_text(verdict, is_good, threshold, why))
    reason = "junk-content-strict" if why else "junk-content"
    return is_good, reason, verdict.probability < threshold - PASS_MARGIN


def _strictness(facts: RecipientFacts) -> str:
    if facts.suspicious_iprev:
        return "iprev"
    if not facts.has_tls:
        return "no tls"
    return "" if facts.is_forward or facts.is_named else "recipient in neither to nor cc"


def _content_text(verdict: Verdict, is_good: bool, threshold: float, why: str) -> str:
    ham, spam = (
        ", ".join(f"{w.word} {w.score:.3f}" for w in words) for words in (verdict.ham_words, verdict.spam_words)
    )
    return (
        f"content: {'not junk' if is_good else 'junk'}{'' if verdict.is_significant else ' (not significant)'}, "
        f"spamscore {verdict.probability:.2f}, threshold {threshold:.2f}{f' (stricter due to {why})' if why else ''} "
        f"(ham words: {ham or 'none'}), (spam words: {spam or 'none'})"
    )


# The order of decisions. A reader who wants to know why a message was treated as it was starts here.
STEPS: tuple[Callable[[RecipientFacts, _Notes], _Step], ...] = (
    _high_rate,
    _mailing_list,
    _dmarc_policy,
    _auth_required,
    _reputation_failed,
    _reputation,
    _report,
    _spf_policy,
    _bad_iprev,
    _subject_pass,
    _junk_error,
    _content_and_lists,
)
# Before these, nothing is known of the author that could spare the introbox.
_BEFORE_INTROBOX = frozenset(("high-rate", "list-allow", "dmarc-policy", "msg-auth-required", "reputation-error"))


def _overrides(facts: RecipientFacts) -> tuple[str, ...]:
    return (*(("mailing_list",) if facts.is_list else ()), *(("forwarded",) if facts.is_forward else ()))


def _place(facts: RecipientFacts, reason: str) -> tuple[str, str]:
    """(mailbox, destined mailbox if that is another)."""
    spared = facts.method in KNOWN_AUTHOR or facts.is_forward or facts.has_report or reason in _BEFORE_INTROBOX
    if facts.mailbox == INBOX and facts.introbox and not spared:
        return facts.introbox, INBOX
    return facts.mailbox, ""


def _accepted(facts: RecipientFacts, reason: str, notes: _Notes) -> Decision:
    mailbox, destined = _place(facts, reason)
    notes.add(f"accepted into {mailbox}")
    return Decision(reason, mailbox, destined, None, tuple(notes.texts), _overrides(facts))


def _refused(facts: RecipientFacts, reason: str, reply: Reply, notes: _Notes) -> Decision:
    mailbox, destined = _place(facts, reason)
    destined = destined or mailbox
    notes.add("refused")
    decision = Decision(reason, facts.rejects_mailbox, destined, reply, tuple(notes.texts), _overrides(facts))
    if reason == "high-rate":
        return replace(decision, is_stored=False)
    own = facts.ruleset.AcceptRejectsToMailbox if facts.ruleset else ""
    if own:
        notes.add(f"ruleset accepts refused messages into {own}")
        return replace(decision, mailbox=own, reply=None, is_reject=True, texts=tuple(notes.texts))
    return decision
