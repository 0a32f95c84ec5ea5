"""The order of decisions: one row for each outcome. What comes first wins over what comes later."""

from typing import Any

import pytest
from msgspec.structs import replace

from mox.config.account import Ruleset
from mox.inbound.policy import AskDnsbl, Decision, JunkFacts, Listing, RecipientFacts, decide
from mox.inbound.reputation import NOTHING, Reputation
from mox.junk.scoring import Verdict
from mox.mailauth.dmarc import Discovery, DmarcResult, DmarcStatus
from mox.mailauth.dmarcrecord import DmarcPolicy
from mox.store.types import Validation

NO_DMARC = DmarcResult(DmarcStatus.NONE)
PASS = DmarcResult(DmarcStatus.PASS)
REJECT = DmarcResult(
    DmarcStatus.FAIL, rejects=True, applies=True, policy=DmarcPolicy.REJECT, discovery=Discovery("x.example")
)
SAMPLED_OUT = replace(REJECT, applies=False)
HAM = Reputation(False, True, "msgfromfull", "")
SPAM = Reputation(True, True, "msgfromdomain", "")
WEAK_SPAM = Reputation(True, False, "ip1", "")
MIXED = Reputation(None, False, "msgfromdomain", "")
FORWARD = Ruleset(Mailbox="Fwd", IsForward=True, SMTPMailFromRegexp="x", VerifiedDomain="x.example")
LIST = Ruleset(Mailbox="List", ListAllowDomain="x.example", SMTPMailFromRegexp="x")
KEEP = Ruleset(Mailbox="Inbox", SMTPMailFromRegexp="x", AcceptRejectsToMailbox="Suspects")
LISTED = (Listing("bl.example", "spam"),)


def junk(probability: float, significant: bool = True, threshold: float = 0.95) -> JunkFacts:
    return JunkFacts(Verdict(probability, significant, (), ()), threshold)


BASE = RecipientFacts(dmarc=NO_DMARC, reputation=NOTHING, rejects_mailbox="Rejects")

# id, facts that differ from BASE, code (250: accepted), reason, mailbox. In the order of the steps.
ROWS: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("high rate", {"volume": "messages per minute", "is_list": True}, 452, "high-rate", "Rejects"),
    ("mailing list", {"ruleset": LIST, "mailbox": "List", "is_list": True, "dmarc": REJECT}, 250, "list-allow", "List"),
    ("dmarc", {"dmarc": REJECT, "reputation": HAM}, 550, "dmarc-policy", "Rejects"),
    ("dmarc sampled out", {"dmarc": SAMPLED_OUT, "reputation": HAM}, 250, "msgfromfull", "Inbox"),
    ("dmarc of a forward", {"dmarc": REJECT, "ruleset": FORWARD, "mailbox": "Fwd"}, 250, "no-bad-signals", "Fwd"),
    ("auth required", {"auth_required": "sign!", "reputation": HAM}, 550, "msg-auth-required", "Rejects"),
    ("auth later", {"auth_required": "sign!", "dmarc": DmarcResult(DmarcStatus.TEMPERROR)}, 451, "msg-auth-required",
     "Rejects"),
    ("auth given", {"auth_required": "sign!", "from_validated": True}, 250, "no-bad-signals", "Inbox"),
    ("reputation broken", {"reputation": None}, 451, "reputation-error", "Rejects"),
    ("known author", {"reputation": HAM, "junk": junk(1.0), "introbox": "Intro"}, 250, "msgfromfull", "Inbox"),
    ("known spammer", {"reputation": SPAM, "has_report": True}, 451, "msgfromdomain", "Rejects"),
    ("report", {"has_report": True, "junk": junk(1.0), "introbox": "Intro"}, 250, "reporting", "Inbox"),
    ("spf fail", {"mail_from_validation": Validation.FAIL}, 451, "spf-policy", "Rejects"),
    ("spf softfail", {"mail_from_validation": Validation.SOFTFAIL}, 451, "spf-policy", "Rejects"),
    ("spf fail of a known domain", {"mail_from_validation": Validation.FAIL, "reputation": MIXED}, 250,
     "no-bad-signals", "Inbox"),
    ("iprev and weak signal", {"iprev_is_good": False, "reputation": WEAK_SPAM, "subject_pass": "x"}, 451, "iprev",
     "Rejects"),
    ("iprev alone", {"iprev_is_good": False}, 250, "no-bad-signals", "Inbox"),
    ("subject pass", {"subject_pass": "x", "junk": junk(1.0), "dnsbl": LISTED}, 250, "subjectpass", "Inbox"),
    ("junk filter broken", {"junk_error": "junk-classify-error"}, 451, "junk-classify-error", "Rejects"),
    ("content", {"junk": junk(0.96)}, 451, "junk-content", "Rejects"),
    ("content at the threshold", {"junk": junk(0.95)}, 250, "no-bad-signals", "Inbox"),
    ("content unsure", {"junk": junk(1.0, significant=False)}, 250, "no-bad-signals", "Inbox"),
    ("content unsure, bad iprev", {"junk": junk(1.0, significant=False), "iprev_is_good": False}, 451,
     "junk-content-strict", "Rejects"),
    ("content without tls", {"junk": junk(0.3), "has_tls": False}, 451, "junk-content-strict", "Rejects"),
    ("content, not named", {"junk": junk(0.3), "is_named": False}, 451, "junk-content-strict", "Rejects"),
    ("content of a forward, not named", {"junk": junk(0.3), "is_named": False, "ruleset": FORWARD, "mailbox": "Fwd"},
     250, "no-bad-signals", "Fwd"),
    ("listed", {"has_dnsbls": True, "dnsbl": LISTED}, 451, "dns-blocklisted", "Rejects"),
    ("listed, offered", {"has_dnsbls": True, "dnsbl": LISTED, "token": "(pass:x)", "dmarc": PASS}, 550,
     "give-subjectpass", "Rejects"),
    ("listed, not offered", {"has_dnsbls": True, "dnsbl": LISTED, "token": "(pass:x)"}, 451, "dns-blocklisted",
     "Rejects"),
    ("junk, too bad to offer", {"junk": junk(0.96), "token": "(pass:x)", "dmarc": PASS}, 451, "junk-content",
     "Rejects"),
    ("not listed", {"has_dnsbls": True, "dnsbl": ()}, 250, "no-bad-signals", "Inbox"),
    ("introbox", {"introbox": "Intro"}, 250, "no-bad-signals", "Intro"),
    ("introbox, other mailbox", {"introbox": "Intro", "mailbox": "Lists"}, 250, "no-bad-signals", "Lists"),
    ("introbox, good domain", {"introbox": "Intro", "reputation": Reputation(False, True, "dkimspf", "")}, 250,
     "dkimspf", "Intro"),
    ("refused into a mailbox", {"reputation": SPAM, "ruleset": KEEP}, 250, "msgfromdomain", "Suspects"),
    ("dmarc refused into a mailbox", {"dmarc": REJECT, "ruleset": KEEP}, 250, "dmarc-policy", "Suspects"),
    ("high rate is never kept", {"volume": "x", "ruleset": KEEP}, 452, "high-rate", "Rejects"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "code", "reason", "mailbox"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_outcome(facts: dict[str, Any], code: int, reason: str, mailbox: str) -> None:
    decision = decide(replace(BASE, **facts))
    assert isinstance(decision, Decision)
    assert (decision.reply.code if decision.reply else 250, decision.reason, decision.mailbox) == (
        code,
        reason,
        mailbox,
    )


def test_lists_are_asked_last() -> None:
    asking = replace(BASE, has_dnsbls=True)
    assert isinstance(decide(asking), AskDnsbl)
    assert isinstance(decide(replace(asking, junk=junk(1.0))), Decision)
    assert isinstance(decide(replace(asking, reputation=HAM)), Decision)


def test_offer_is_at_the_end_of_the_text() -> None:
    decision = decide(replace(BASE, has_dnsbls=True, dnsbl=LISTED, token="(pass:x)", dmarc=PASS))
    assert isinstance(decision, Decision) and decision.reply is not None
    assert decision.reply.text.endswith("(pass:x)")


def test_destined_mailboxes() -> None:
    refused = decide(replace(BASE, reputation=SPAM, introbox="Intro"))
    assert isinstance(refused, Decision)
    assert (refused.mailbox, refused.destined) == ("Rejects", "Inbox")
    intro = decide(replace(BASE, introbox="Intro"))
    assert isinstance(intro, Decision)
    assert intro.destined == "Inbox"
    kept = decide(replace(BASE, reputation=SPAM, ruleset=KEEP))
    assert isinstance(kept, Decision)
    assert (kept.is_reject, kept.is_accepted, kept.counts_as_refused) == (True, True, True)


def test_overrides_and_texts_tell_why() -> None:
    decision = decide(replace(BASE, ruleset=FORWARD, mailbox="Fwd", junk=junk(0.2)))
    assert isinstance(decision, Decision)
    assert decision.overrides == ("forwarded",)
    assert decision.texts[0].startswith("forward:")
    assert any("spamscore 0.20, threshold 0.95" in text for text in decision.texts)
    listed = decide(replace(BASE, is_list=True))
    assert isinstance(listed, Decision)
    assert listed.overrides == ("mailing_list",)
