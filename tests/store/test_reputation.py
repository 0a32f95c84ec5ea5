"""Reputation records: what counts for which look-up, and that look-ups are short."""

from typing import Any

import pytest

from mox.store import history, mailboxes, rejects, reputation, training
from mox.store.engine import Tx
from mox.store.history import Question, Sent
from mox.store.policy import Policy
from mox.store.reputation import Kind, Verdict
from mox.store.types import Facts, Flag, networks
from tests.store.helpers import ACCOUNT, EVER_MS, Box, letter

NETWORKS = networks("192.0.2.77")
FACTS = Facts(
    remote_ip="192.0.2.77",
    remote_network1=NETWORKS[0],
    remote_network2=NETWORKS[1],
    remote_network3=NETWORKS[2],
    ehlo_domain="mx.example.org",
    mail_from_localpart="bounce",
    mail_from_domain="example.org",
    msg_from_localpart="ann",
    msg_from_domain="mail.example.org",
    msg_from_org_domain="example.org",
    msg_from_validated=True,
    dkim_domains="example.org signer.example",
)

LOOKUPS = [
    (Kind.MSG_FROM, "ann@mail.example.org", True),
    (Kind.MSG_FROM_DOMAIN, "mail.example.org", True),
    (Kind.MSG_FROM_ORG_DOMAIN, "example.org", True),
    (Kind.DKIM_DOMAIN, "example.org", False),
    (Kind.DKIM_DOMAIN, "signer.example", False),
    (Kind.MAIL_FROM, "bounce@example.org", False),
    (Kind.MAIL_FROM_DOMAIN, "example.org", False),
    (Kind.EHLO_DOMAIN, "mx.example.org", False),
    (Kind.NETWORK, "192.0.2.77/32", False),
    (Kind.NETWORK, "192.0.2.64/26", False),
    (Kind.NETWORK, "192.0.0.0/21", False),
]


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("192.0.2.77", ("192.0.2.77/32", "192.0.2.64/26", "192.0.0.0/21")),
        ("2001:db8:1:2:3::9", ("2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8::/32")),
    ],
)
def test_networks(ip: str, expected: tuple[str, str, str]) -> None:
    assert networks(ip) == expected


async def verdicts(box: Box, kind: Kind, name: str, validated: bool, mailbox: str = "Inbox") -> list[Verdict]:
    mailbox_id = (await box.mailbox(mailbox)).id
    return await box.ask(mailbox_id, Question(kind, name, EVER_MS, 50, validated))


@pytest.mark.parametrize(("kind", "name", "validated"), LOOKUPS)
async def test_a_marked_message_counts_for_all_it_came_with(box: Box, kind: Kind, name: str, validated: bool) -> None:
    await box.deliver("Inbox", letter(), FACTS)
    assert await verdicts(box, kind, name, validated) == []
    await box.flag("Inbox", [1], "+", Flag.JUNK)
    assert await verdicts(box, kind, name, validated) == [Verdict(True, "ann")]
    assert await verdicts(box, kind, name, validated, "Archive") == []
    if validated:
        assert await verdicts(box, kind, name, False) == []
    await box.flag("Inbox", [1], "=", Flag.NOTJUNK | Flag.SEEN)
    assert await verdicts(box, kind, name, validated) == [Verdict(False, "ann")]
    await box.move("Inbox", [1], "Archive")
    assert await verdicts(box, kind, name, validated) == [Verdict(False, "ann")]
    await box.copy("Archive", [1], "Trash")
    assert len(await verdicts(box, kind, name, validated)) == 2
    await box.expunge("Archive", [1])
    await box.expunge("Trash", [1])
    assert await verdicts(box, kind, name, validated) == []


async def test_history_is_newest_first_within_age_and_number(box: Box) -> None:
    for i in range(5):
        await box.deliver("Inbox", letter(), FACTS, received_ms=1000 + i, flags=Flag.JUNK if i % 2 else Flag.NOTJUNK)
    inbox = (await box.mailbox("Inbox")).id
    found = await box.ask(inbox, Question(Kind.DKIM_DOMAIN, "example.org", 98, 2), now_ms=1100)
    assert [v.is_junk for v in found] == [False, True]
    found = await box.ask(inbox, Question(Kind.DKIM_DOMAIN, "example.org", 98, 50), now_ms=1100)
    assert len(found) == 3


async def test_unmarked_messages_leave_no_rows(box: Box) -> None:
    await box.deliver("Inbox", letter(), FACTS)
    assert await box.see(lambda tx: tx.run("SELECT count(*) FROM reputation")) == [(0,)]


async def test_look_ups_read_one_short_range(box: Box) -> None:
    class Explaining(Tx):
        steps: tuple[str, ...] = ()

        def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
            rows = super().run(f"EXPLAIN QUERY PLAN {sql}", *values)
            self.steps = tuple(row[3] for row in rows if row[3].startswith(("SEARCH", "SCAN", "USE")))
            return []

    def plan(tx: Tx) -> tuple[str, ...]:
        explaining = Explaining(tx.connection)
        history.answers(explaining, 1, 20, [Question(kind, "a@x", 10, 2) for kind in (*Kind, *Sent)])
        return explaining.steps

    steps = [step for step in await box.see(plan) if not step.startswith("SCAN (subquery")]
    assert len(steps) == len(Kind) + len(Sent)
    for step in steps:
        assert step.startswith("SEARCH") and any(key in step for key in ("received_ms>?", "sent_ms>?", "localpart=?"))


async def test_many_questions_get_their_own_answers(box: Box) -> None:
    await box.deliver("Inbox", letter(), FACTS, received_ms=1000, flags=Flag.JUNK)
    await box.deliver("Inbox", letter(), FACTS, received_ms=1001, flags=Flag.NOTJUNK)
    inbox = (await box.mailbox("Inbox")).id
    questions = [
        Question(Kind.MSG_FROM, "ann@mail.example.org", EVER_MS, 50, True),
        Question(Kind.MSG_FROM, "nobody@mail.example.org", EVER_MS, 50, True),
        Question(Sent.DOMAIN, "example.org", EVER_MS),
        Question(Kind.EHLO_DOMAIN, "mx.example.org", EVER_MS, 1),
    ]
    found = await box.see(history.answers, inbox, EVER_MS, questions)
    assert [[v.is_junk for v in verdicts] for verdicts in found] == [[False, True], [], [], [False]]
    assert await box.see(history.answers, inbox, EVER_MS, []) == []


async def volume(box: Box, network: str, now_ms: int) -> reputation.Volume:
    """Of one network, asked for together with others."""
    found = await box.see(reputation.volumes, NETWORKS, now_ms)
    return found[NETWORKS.index(network)]


class TestVolume:
    async def test_counts_of_minute_and_day(self, box: Box) -> None:
        start = 1_700_000_000_000 // 3_600_000 * 3_600_000
        for seconds in (0, 10, 59):
            await box.do(reputation.count_volume, NETWORKS, 100, start + seconds * 1000)
        found = await volume(box, NETWORKS[1], start + 59_000)
        assert found == reputation.Volume(3, 300, 3, 300)
        # Half a minute later half of them count for the minute.
        assert (await volume(box, NETWORKS[1], start + 90_000)).minute_messages == 1
        await box.do(reputation.count_volume, NETWORKS, 1000, start + 90_000)
        found = await volume(box, NETWORKS[1], start + 90_000)
        assert (found.minute_messages, found.minute_octets, found.day_messages) == (2, 1150, 4)
        assert (await volume(box, NETWORKS[1], start + 240_000)).minute_messages == 0

    async def test_across_the_hour(self, box: Box) -> None:
        hour = 3_600_000 * 500_000
        await box.do(reputation.count_volume, NETWORKS, 10, hour - 1000)
        await box.do(reputation.count_volume, NETWORKS, 10, hour)
        assert await volume(box, NETWORKS[0], hour) == reputation.Volume(2, 20, 2, 20)

    async def test_after_a_day_nothing_counts(self, box: Box) -> None:
        hour = 3_600_000 * 500_000
        await box.do(reputation.count_volume, NETWORKS, 10, hour)
        assert (await volume(box, NETWORKS[0], hour + 25 * 3_600_000)).day_messages == 0
        assert not await box.see(reputation.has_old_volume, hour + 24 * 3_600_000)
        assert await box.see(reputation.has_old_volume, hour + 25 * 3_600_000)
        await box.do(reputation.forget_volume, hour + 25 * 3_600_000)
        assert await box.see(lambda tx: tx.run("SELECT count(*) FROM volume")) == [(0,)]


class TestRejects:
    @pytest.mark.holds("store-420e8c")
    async def test_old_rejects_go_and_the_number_is_limited(
        self, box: Box, rules: dict[str, Policy], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await box.do(mailboxes.ensure, "Rejects", True)
        rejected = Facts(is_reject=True)
        await box.add("Rejects", letter(), letter(), facts=rejected, received_ms=1000)
        await box.add("Rejects", letter(), facts=rejected, received_ms=2000)
        rejects_id = (await box.mailbox("Rejects")).id
        monkeypatch.setattr(rejects, "MAX_REJECTS", 2)
        assert await box.do(rejects.tidy, rejects_id, 2000) is False
        assert await box.do(rejects.tidy, rejects_id, 1001 + rejects.MAX_AGE_MS) is True
        assert await box.uids("Rejects") == [3]
        rules[ACCOUNT] = Policy(keep_rejects=True)
        assert await box.do(rejects.tidy, rejects_id, 2001 + rejects.MAX_AGE_MS) is True
        assert await box.uids("Rejects") == [3]

    @pytest.mark.holds("store-420e8c")
    async def test_copies_are_known_and_go_with_the_delivery(self, box: Box, rules: dict[str, Policy]) -> None:
        rules[ACCOUNT] = Policy(rejects_mailbox="Rejects")
        await box.do(mailboxes.ensure, "Rejects", True)
        rejects_id = (await box.mailbox("Rejects")).id
        await box.add("Rejects", letter(message_id="a@x"), facts=Facts(is_reject=True))
        await box.add("Rejects", letter(message_id=""), facts=Facts(is_reject=True, message_hash=b"hash"))
        assert await box.see(rejects.has_copy, rejects_id, "a@x", None)
        assert await box.see(rejects.has_copy, rejects_id, "", b"hash")
        assert not await box.see(rejects.has_copy, rejects_id, "b@x", b"other")
        assert not await box.see(rejects.has_copy, rejects_id, "", None)
        await box.do(rejects.remove_delivered, "a@x")
        assert await box.uids("Rejects") == [2]
        assert not await box.see(rejects.has_copy, rejects_id, "a@x", None)

    @pytest.mark.parametrize("keep_seen", [False, True], ids=["move", "copy"])
    async def test_a_reject_that_leaves_counts_for_its_mailbox(self, box: Box, keep_seen: bool) -> None:
        await box.do(mailboxes.ensure, "Rejects", True)
        inbox = (await box.mailbox("Inbox")).id
        facts = Facts(is_reject=True, msg_from_localpart="ann", msg_from_domain="example.org")
        await box.add("Rejects", letter(), facts=facts, flags=Flag.SEEN, mailbox_destined_id=inbox)
        done = await (box.copy if keep_seen else box.move)("Rejects", [1], "Archive")
        await box.flag("Archive", done.target, "+", Flag.NOTJUNK)
        assert await verdicts(box, Kind.MSG_FROM, "ann@example.org", False) == [Verdict(False, "ann")]
        (row,) = await box.see(lambda tx: tx.run("SELECT flags, message_id FROM message WHERE mailbox_id = 2"))
        assert bool(row[0] & Flag.SEEN) == keep_seen
        assert await box.cold(row[1], "is_reject, mailbox_orig_id") == (0, inbox)


INTROBOX = [("Inbox", Flag.NOTJUNK, True), ("Archive", 0, False), ("Junk", Flag.JUNK, True)]


@pytest.mark.parametrize(("target", "flags", "counts"), INTROBOX, ids=[t for t, _, _ in INTROBOX])
async def test_out_of_the_introbox(box: Box, rules: dict[str, Policy], target: str, flags: int, counts: bool) -> None:
    rules[ACCOUNT] = Policy(introbox="Introbox")
    await box.do(mailboxes.ensure, "Introbox", True)
    inbox, introbox = (await box.mailbox("Inbox")).id, (await box.mailbox("Introbox")).id
    await box.add("Introbox", letter(), mailbox_destined_id=inbox)
    await box.move("Introbox", [1], target)
    (row,) = await box.see(lambda tx: tx.run("SELECT flags, message_id FROM message"))
    assert row[0] == flags
    expected = (inbox, 0) if counts else (introbox, inbox)
    assert await box.cold(row[1], "mailbox_orig_id, mailbox_destined_id") == expected


class TestTraining:
    async def test_what_is_pending_follows_the_flags(self, box: Box, rules: dict[str, Policy]) -> None:
        rules[ACCOUNT] = Policy(trains_filter=True)
        await box.add("Inbox", letter(), letter(), flags=Flag.JUNK)
        await box.flag("Inbox", [2], "=", 0)
        (lesson,) = await box.see(training.pending)
        assert (lesson.message_id, lesson.trained, lesson.wanted) == (1, training.NOTHING, training.JUNK)
        await box.do(training.settle, 1, training.JUNK)
        assert await box.see(training.pending) == []
        await box.move("Inbox", [1], "Archive")
        await box.copy("Archive", [1], "Trash")
        (lesson,) = await box.see(training.pending)
        assert (lesson.message_id, lesson.wanted) == (3, training.JUNK)
        await box.flag("Archive", [1], "=", Flag.NOTJUNK)
        await box.flag("Archive", [1], "+", Flag.JUNK)
        assert {(x.message_id, x.trained, x.wanted) for x in await box.see(training.pending)} == {(3, 0, 2), (1, 2, 0)}

    async def test_an_expunged_message_is_unlearned_before_erasing(self, box: Box, rules: dict[str, Policy]) -> None:
        rules[ACCOUNT] = Policy(trains_filter=True)
        await box.add("Inbox", letter(), flags=Flag.NOTJUNK)
        await box.do(training.settle, 1, training.HAM)
        await box.expunge("Inbox", [1])
        await box.account.erase()
        (lesson,) = await box.see(training.pending)
        assert (lesson.trained, lesson.wanted) == (training.HAM, training.NOTHING)
        await box.do(training.settle, 1, training.NOTHING)
        await box.account.erase()
        assert await box.cold(1, "1") is None

    async def test_restart_has_everything_learned_anew(self, box: Box, rules: dict[str, Policy]) -> None:
        rules[ACCOUNT] = Policy(trains_filter=True)
        await box.add("Inbox", letter(), letter(), letter(), flags=Flag.JUNK)
        await box.flag("Inbox", [3], "=", 0)
        await box.do(training.settle, 1, training.JUNK)
        await box.do(training.restart)
        assert [(x.message_id, x.trained) for x in await box.see(training.pending)] == [(1, 0), (2, 0)]
