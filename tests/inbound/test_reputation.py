"""Reputation from made-up histories. "v": the From domain was verified."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from mox.inbound.reputation import NOTHING, YEAR_MS, Identity, assess
from mox.store.history import Question, Sent
from mox.store.reputation import Kind, Verdict

HAM, JUNK = Verdict(False, "x"), Verdict(True, "x")
Key = tuple[Kind, str, bool]


@dataclass
class Fake:
    """A history; entries are newest first, with their age."""

    entries: dict[Key, Sequence[Verdict]] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)

    def answers(self, questions: Sequence[Question]) -> list[list[Verdict]]:
        return [self._answer(asked) for asked in questions]

    def _answer(self, asked: Question) -> list[Verdict]:
        if not isinstance(asked.kind, Sent):
            return list(self.entries.get((asked.kind, asked.name, asked.validated), ())[: asked.limit])
        name = f"org {asked.name}" if asked.kind is Sent.ORG_DOMAIN else asked.name
        return [HAM] if name in self.sent else []


V = Identity("a", "b.x.example", "x.example", True)
U = Identity("a", "b.x.example", "x.example", False)
ESP = Identity("", "", "", False, ("esp.example", "other.example"), "u", "m.example", True, "h.example", True)
IP = Identity(networks=("10.0.0.1/32", "10.0.0.0/26", "10.0.0.0/21"))
FULL, DOMAIN, ORG = Kind.MSG_FROM, Kind.MSG_FROM_DOMAIN, Kind.MSG_FROM_ORG_DOMAIN
A, D, G = "a@b.x.example", "b.x.example", "x.example"


def people(*names: str) -> list[Verdict]:
    return [Verdict(True, name) for name in names]


# id, identity, history, sent to; junk, conclusive, method
ROWS: list[tuple[str, Identity, dict[Key, Sequence[Verdict]], set[str], bool | None, bool, str]] = [
    ("newest is ham", V, {(FULL, A, True): [HAM, JUNK, HAM]}, set(), False, True, "msgfromfull"),
    ("newest is junk", V, {(FULL, A, True): [JUNK, HAM, JUNK, HAM]}, set(), False, True, "msgfromfull"),
    ("two newest junk", V, {(FULL, A, True): [JUNK, JUNK, HAM]}, set(), True, True, "msgfromfull"),
    ("one junk", V, {(FULL, A, True): [JUNK]}, set(), True, True, "msgfromfull"),
    ("own localpart first", V, {(FULL, A, True): [HAM], (DOMAIN, D, True): people("1", "2", "3")}, set(), False, True,
     "msgfromfull"),
    ("not verified, junk", U, {(FULL, A, False): [JUNK, JUNK]}, set(), True, False, "msgfromfull"),
    ("not verified, verified ham", U, {(FULL, A, True): [HAM]}, set(), True, False, "msgfromfull"),
    ("not verified, verified junk", U, {(FULL, A, True): [JUNK]}, set(), True, True, "msgfromfull"),
    ("sent to", V, {(DOMAIN, D, True): people("1", "2", "3")}, {A}, False, True, "msgtofull"),
    ("domain 6 of 10", V, {(DOMAIN, D, True): [HAM] * 6 + [JUNK] * 4}, set(), None, False, "msgfromdomain"),
    ("domain 9 of 10", V, {(DOMAIN, D, True): [HAM] * 9 + [JUNK]}, set(), False, True, "msgfromdomain"),
    ("domain 1 of 4", V, {(DOMAIN, D, True): [HAM, *people("1", "2", "3")]}, set(), None, False, "msgfromdomain"),
    ("domain all junk, 3", V, {(DOMAIN, D, True): people("1", "2", "3")}, set(), True, True, "msgfromdomain"),
    ("domain all junk, 2", V, {(DOMAIN, D, True): people("1", "2", "2")}, set(), True, False, "msgfromdomain"),
    ("domain not verified", U, {(DOMAIN, D, True): [JUNK]}, set(), True, True, "msgfromdomain"),
    ("sent to domain", V, {}, {D}, False, True, "msgtodomain"),
    ("org 6 of 10", V, {(ORG, G, True): [HAM] * 6 + [JUNK] * 4}, set(), None, False, "msgfromorgdomain"),
    ("org 9 of 10", V, {(ORG, G, True): [HAM] * 9 + [JUNK]}, set(), False, True, "msgfromorgdomain"),
    ("org all junk, 3", V, {(ORG, G, True): people("1", "2", "3")}, set(), True, True, "msgfromorgdomain"),
    ("org all junk, 2", V, {(ORG, G, True): people("1", "2")}, set(), True, False, "msgfromorgdomain"),
    ("sent to org", V, {}, {f"org {G}"}, False, True, "msgtoorgdomain"),
    ("esp ham", ESP, {(Kind.DKIM_DOMAIN, "esp.example", False): [HAM]}, set(), False, True, "dkimspf"),
    ("esp one junk", ESP, {(Kind.DKIM_DOMAIN, "esp.example", False): [JUNK]}, set(), True, False, "dkimspf"),
    ("esp junk", ESP, {(Kind.DKIM_DOMAIN, "esp.example", False): [JUNK] * 2,
                       (Kind.DKIM_DOMAIN, "other.example", False): [JUNK]}, set(), True, True, "dkimspf"),
    ("esp mixed", ESP, {(Kind.DKIM_DOMAIN, "esp.example", False): [JUNK] * 2,
                        (Kind.MAIL_FROM, "u@m.example", False): [HAM]}, set(), None, False, "dkimspf"),
    ("esp neither", ESP, {(Kind.DKIM_DOMAIN, "esp.example", False): [JUNK, HAM]}, set(), None, False, "none"),
    ("spf domain", ESP, {(Kind.MAIL_FROM_DOMAIN, "m.example", False): [HAM]}, set(), False, True, "dkimspf"),
    ("spf ehlo", ESP, {(Kind.EHLO_DOMAIN, "h.example", False): [JUNK] * 2}, set(), True, True, "dkimspf"),
    ("ip 2 junk", IP, {(Kind.NETWORK, "10.0.0.1/32", False): [JUNK] * 2}, set(), True, True, "ip1"),
    ("ip 1 junk", IP, {(Kind.NETWORK, "10.0.0.1/32", False): [JUNK]}, set(), True, False, "ip1"),
    ("ip 4 in class 2", IP, {(Kind.NETWORK, "10.0.0.0/26", False): [JUNK] * 4}, set(), True, False, "ip2"),
    ("ip 5 in class 2", IP, {(Kind.NETWORK, "10.0.0.0/26", False): [JUNK] * 5}, set(), True, True, "ip2"),
    ("ip 9 in class 3", IP, {(Kind.NETWORK, "10.0.0.0/21", False): [HAM] * 9}, set(), False, False, "ip3"),
    ("ip 10 in class 3", IP, {(Kind.NETWORK, "10.0.0.0/21", False): [HAM] * 10}, set(), False, True, "ip3"),
    ("ip half", IP, {(Kind.NETWORK, "10.0.0.1/32", False): [HAM, JUNK]}, set(), None, False, "ip1"),
    ("nothing", V, {}, set(), None, False, "none"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("who", "entries", "sent", "junk", "conclusive", "method"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS]
)
@pytest.mark.holds("smtp-in-b2d5f5")
@pytest.mark.holds("smtp-in-244873")
@pytest.mark.holds("smtp-in-4a92f3")
@pytest.mark.holds("smtp-in-cab3ea")
@pytest.mark.holds("smtp-in-7e3e15")
@pytest.mark.holds("smtp-in-58e8a3")
def test_assessment(
    who: Identity,
    entries: dict[Key, Sequence[Verdict]],
    sent: set[str],
    junk: bool | None,
    conclusive: bool,
    method: str,
) -> None:
    found = assess(who, Fake(entries, sent))
    assert (found.is_junk, found.is_conclusive, found.method) == (junk, conclusive, method)


def test_forwarded_messages_have_no_networks() -> None:
    entries: dict[Key, Sequence[Verdict]] = {(Kind.NETWORK, "", False): [JUNK] * 5}
    assert assess(Identity(networks=("", "", "")), Fake(entries)) == NOTHING


def test_ages_and_numbers_asked_for() -> None:
    asked: list[list[tuple[Kind, int, int]]] = []

    class Asking(Fake):
        def answers(self, questions: Sequence[Question]) -> list[list[Verdict]]:
            asked.append([(q.kind, q.age_ms, q.limit) for q in questions if not isinstance(q.kind, Sent)])
            return [[] for _ in questions]

    who = Identity("a", D, G, True, ("k.example",), "u", "m.example", True, "h.example", True, IP.networks)
    assert assess(who, Asking()) == NOTHING
    assert asked[0] == [(Kind.MSG_FROM, 3 * YEAR_MS, 2)]
    assert len(asked) == 2, "an unknown sender costs two questions"
    assert asked[1] == [
        (Kind.MSG_FROM_DOMAIN, 2 * YEAR_MS, 20),
        (Kind.MSG_FROM_ORG_DOMAIN, 2 * YEAR_MS, 20),
        (Kind.DKIM_DOMAIN, YEAR_MS // 2, 50),
        (Kind.MAIL_FROM, YEAR_MS // 2, 50),
        (Kind.MAIL_FROM_DOMAIN, YEAR_MS // 2, 50),
        (Kind.EHLO_DOMAIN, YEAR_MS // 2, 50),
        *[(Kind.NETWORK, YEAR_MS // 4, 50)] * 3,
    ]
