"""What an account's history says of a sender.

The first kind of history that exists decides: the author's address, whom the account wrote to, the author's domain and
organizational domain, what DKIM and SPF verified, the address the connection came from. Pure but for the look-ups,
which come in as `History`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from mox.store.history import Question, Sent
from mox.store.reputation import Kind, Verdict

YEAR_MS = 365 * 86_400_000


class History(Protocol):
    """An account's history, for one of its mailboxes."""

    def answers(self, questions: Sequence[Question]) -> list[list[Verdict]]:
        """For each question what was found."""


class _Answers:
    """Answers to the questions of the steps, which are all asked at once: a dry run without any answers goes through
    all that a step may ask."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._known: dict[Question, Sequence[Verdict]] = {}
        self._planned: list[Question] | None = None

    def prepare(self, who: "Identity", steps: "Sequence[_Step]") -> None:
        """Ask what the steps want to know of a sender that nothing is known of."""
        planned = self._planned = []
        for step in steps:
            step(who, self)
        self._planned = None
        self._known.update(zip(planned, self._history.answers(planned), strict=True))

    def verdicts(self, kind: Kind, name: str, age_ms: int, limit: int, validated: bool = False) -> Sequence[Verdict]:
        """What was decided about earlier messages, newest first."""
        return self._answer(Question(kind, name, age_ms, limit, validated))

    def has_sent(self, kind: Sent, name: str, age_ms: int) -> bool:
        """The account wrote there."""
        return bool(self._answer(Question(kind, name, age_ms)))

    def _answer(self, question: Question) -> Sequence[Verdict]:
        if self._planned is not None:
            self._planned.append(question)
            return ()
        if question not in self._known:
            (self._known[question],) = self._history.answers([question])
        return self._known[question]


class Identity(Struct, frozen=True):
    """The identities of a message. Domains in Unicode; what is not known, or is not to count, is empty."""

    from_localpart: str = ""
    from_domain: str = ""
    from_org_domain: str = ""
    from_validated: bool = False
    dkim_domains: tuple[str, ...] = ()
    mail_from_localpart: str = ""
    mail_from_domain: str = ""
    mail_from_validated: bool = False
    ehlo_domain: str = ""
    ehlo_validated: bool = False
    networks: tuple[str, ...] = ()


class Reputation(Struct, frozen=True):
    """`is_junk` None: history exists, but says neither, or there is none. `method` names what was found."""

    is_junk: bool | None
    is_conclusive: bool
    method: str
    text: str


NOTHING = Reputation(None, False, "none", "no history of the sender")


def assess(who: Identity, history: History) -> Reputation:
    """The first step with matching data decides. Most mail is of known authors, so they are looked for first."""
    answers = _Answers(history)
    for steps in (_ABOUT_AUTHOR, _ABOUT_OTHERS):
        answers.prepare(who, steps)
        for step in steps:
            found = step(who, answers)
            if found is not None:
                return found
    return NOTHING


def _newest_two_are_junk(verdicts: Sequence[Verdict]) -> bool:
    return verdicts[0].is_junk and (len(verdicts) == 1 or verdicts[1].is_junk)


def _from_address(who: Identity, history: _Answers) -> Reputation | None:
    if not who.from_domain:
        return None
    address = f"{who.from_localpart}@{who.from_domain}"
    same = history.verdicts(Kind.MSG_FROM, address, 3 * YEAR_MS, 2, who.from_validated)
    if same:
        junk = _newest_two_are_junk(same)
        return Reputation(junk, who.from_validated, "msgfromfull", f"messages of {address}")
    if not who.from_validated:
        validated = history.verdicts(Kind.MSG_FROM, address, 3 * YEAR_MS, 2, True)
        if validated:
            text = f"earlier messages of {address} were verified, this one is not"
            return Reputation(True, _newest_two_are_junk(validated), "msgfromfull", text)
    return None


def _sent_to_address(who: Identity, history: _Answers) -> Reputation | None:
    address = f"{who.from_localpart}@{who.from_domain}"
    if who.from_domain and history.has_sent(Sent.ADDRESS, address, 3 * YEAR_MS):
        return Reputation(False, True, "msgtofull", f"account wrote to {address}")
    return None


def _from_exact_domain(who: Identity, history: _Answers) -> Reputation | None:
    if not who.from_domain:
        return None
    found = _from_domain(who, history, Kind.MSG_FROM_DOMAIN, who.from_domain, "msgfromdomain")
    if found is None and history.has_sent(Sent.DOMAIN, who.from_domain, 2 * YEAR_MS):
        return Reputation(False, True, "msgtodomain", f"account wrote to addresses at {who.from_domain}")
    return found


def _from_org_domain(who: Identity, history: _Answers) -> Reputation | None:
    if not who.from_org_domain:
        return None
    found = _from_domain(who, history, Kind.MSG_FROM_ORG_DOMAIN, who.from_org_domain, "msgfromorgdomain")
    if found is None and history.has_sent(Sent.ORG_DOMAIN, who.from_org_domain, 2 * YEAR_MS):
        return Reputation(False, True, "msgtoorgdomain", f"account wrote to addresses under {who.from_org_domain}")
    return found


def _from_domain(who: Identity, history: _Answers, kind: Kind, domain: str, method: str) -> Reputation | None:
    same = history.verdicts(kind, domain, 2 * YEAR_MS, 20, who.from_validated)
    if same:
        good = sum(not v.is_junk for v in same)
        text = f"{good} of {len(same)} messages from {domain} are not junk"
        if 100 * good // len(same) > 80:
            return Reputation(False, True, method, text)
        if good == 0:
            # A whole domain is bad only when several people there are.
            return Reputation(True, len({v.localpart for v in same}) >= 3, method, text)
        return Reputation(None, False, method, text)
    if not who.from_validated:
        validated = history.verdicts(kind, domain, 2 * YEAR_MS, 2, True)
        if validated:
            text = f"earlier messages from {domain} were verified, this one is not"
            return Reputation(True, _newest_two_are_junk(validated), method, text)
    return None


def _verified_domains(who: Identity, history: _Answers) -> Reputation | None:
    """Signals of mail services that send for many: DKIM domains, and the domain that SPF verified."""
    counted = [(domain, history.verdicts(Kind.DKIM_DOMAIN, domain, YEAR_MS // 2, 50)) for domain in who.dkim_domains]
    counted.append(_spf_history(who, history))
    ham, spam, most = [], [], 0
    for domain, verdicts in counted:
        if not verdicts:
            continue
        most = max(most, len(verdicts))
        share = sum(v.is_junk for v in verdicts) / len(verdicts)
        if share < 0.1:
            ham.append(domain)
        elif share > 0.9:
            spam.append(domain)
    if not ham and not spam:
        return None
    if ham and not spam:
        return Reputation(False, True, "dkimspf", f"good history of verified domains {', '.join(ham)}")
    if spam and not ham:
        return Reputation(True, most > 1, "dkimspf", f"bad history of verified domains {', '.join(spam)}")
    text = f"good history of verified domains {', '.join(ham)}, bad history of {', '.join(spam)}"
    return Reputation(None, False, "dkimspf", text)


def _spf_history(who: Identity, history: _Answers) -> tuple[str, Sequence[Verdict]]:
    age = YEAR_MS // 2
    if who.mail_from_validated and who.mail_from_domain:
        address = f"{who.mail_from_localpart}@{who.mail_from_domain}"
        found = history.verdicts(Kind.MAIL_FROM, address, age, 50)
        found = found or history.verdicts(Kind.MAIL_FROM_DOMAIN, who.mail_from_domain, age, 50)
        if found:
            return who.mail_from_domain, found
    if who.ehlo_validated and who.ehlo_domain:
        return who.ehlo_domain, history.verdicts(Kind.EHLO_DOMAIN, who.ehlo_domain, age, 50)
    return "", ()


_NEEDED = (2, 5, 10)


def _networks(who: Identity, history: _Answers) -> Reputation | None:
    for number, (network, needed) in enumerate(zip(who.networks, _NEEDED, strict=False), 1):
        verdicts = history.verdicts(Kind.NETWORK, network, YEAR_MS // 4, 50) if network else ()
        if not verdicts:
            continue
        share = sum(v.is_junk for v in verdicts) / len(verdicts)
        junk = False if share < 0.25 else True if share > 0.75 else None
        conclusive = len(verdicts) >= needed and (share <= 0.1 or share >= 0.9)
        text = f"{len(verdicts)} messages from {network}, {share:.0%} junk"
        return Reputation(junk, conclusive, f"ip{number}", text)
    return None


_Step = Callable[[Identity, _Answers], Reputation | None]
_ABOUT_AUTHOR: Sequence[_Step] = (_from_address, _sent_to_address)
_ABOUT_OTHERS: Sequence[_Step] = (_from_exact_domain, _from_org_domain, _verified_domains, _networks)
