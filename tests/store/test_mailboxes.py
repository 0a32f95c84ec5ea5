"""Mailboxes: names, hierarchy, special use, subscriptions, annotations."""

import pytest

from mox.store import annotations, hierarchy, mailboxes, messages
from mox.store.errors import (
    AnnotationsTooBig,
    BadName,
    HasChildren,
    MailboxExists,
    NoSuchMailbox,
    NoUidsLeft,
    OverQuota,
    TooManyAnnotations,
)
from mox.store.history import Question, Sent
from mox.store.policy import JunkRules, Policy, make_policy
from mox.store.store import Store
from mox.store.types import Flag, SpecialUse
from tests.store.helpers import ACCOUNT, EVER_MS, Box, letter

NAMES = [
    ("inbox", "Inbox"),
    ("INBOX/a", "Inbox/a"),
    ("a/inbox", "a/inbox"),
    ("a*%&b", "a*%&b"),
    ("a b", "a b"),
    ("\u00e9", "\u00e9"),
]
BAD_NAMES = [
    "", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/..", "#a", "a\0", "a\x1f", "a\x7f", "a\x9f", "a\u2028",
    "a\u2029", "e\u0301",
]  # fmt: skip


@pytest.mark.parametrize(("name", "stored"), NAMES)
def test_names(name: str, stored: str) -> None:
    assert mailboxes.check_name(name) == stored


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_bad_names(name: str) -> None:
    with pytest.raises(BadName):
        mailboxes.check_name(name)


def test_inbox_where_it_is_not_allowed() -> None:
    with pytest.raises(BadName):
        mailboxes.check_name("inBox", allow_inbox=False)
    assert mailboxes.check_name("inbox/x", allow_inbox=False) == "Inbox/x"


async def test_a_new_account(box: Box) -> None:
    boxes = await box.see(mailboxes.list_mailboxes)
    assert [(m.name, m.special_use) for m in boxes] == [
        ("Inbox", SpecialUse(0)),
        ("Archive", SpecialUse.ARCHIVE),
        ("Drafts", SpecialUse.DRAFT),
        ("Junk", SpecialUse.JUNK),
        ("Sent", SpecialUse.SENT),
        ("Trash", SpecialUse.TRASH),
    ]
    assert {(m.uidvalidity, m.modseq, m.uidnext) for m in boxes} == {(boxes[0].uidvalidity, 2, 1)}
    assert await box.see(mailboxes.subscriptions) == {m.name for m in boxes}


async def test_initial_mailboxes_get_their_parents(store: Store, rules: dict[str, Policy]) -> None:
    rules["other"] = Policy(initial_mailboxes=(("a/b", SpecialUse.SENT),))
    other = Box(await store.open("other"))
    boxes = await other.see(mailboxes.list_mailboxes)
    assert [(m.name, m.special_use) for m in boxes] == [
        ("Inbox", SpecialUse(0)),
        ("a", SpecialUse(0)),
        ("a/b", SpecialUse.SENT),
    ]


async def test_create_makes_parents_and_subscribes(box: Box) -> None:
    created = await box.do(mailboxes.create, "a/b/c", SpecialUse.SENT)
    assert [(m.name, m.special_use) for m in created] == [
        ("a", SpecialUse(0)),
        ("a/b", SpecialUse(0)),
        ("a/b/c", SpecialUse.SENT),
    ]
    assert len({m.modseq for m in created}) == 1 and len({m.uidvalidity for m in created}) == 3
    assert (await box.mailbox("Sent")).special_use == SpecialUse(0)
    assert (await box.mailbox("Sent")).modseq == created[0].modseq
    assert {"a", "a/b", "a/b/c"} <= await box.see(mailboxes.subscriptions)
    with pytest.raises(MailboxExists):
        await box.do(mailboxes.create, "a/b")


@pytest.mark.holds("store-420e8c")
async def test_ensure_of_an_existing_mailbox_writes_nothing(box: Box) -> None:
    # In a read transaction, in which a write would fail.
    assert await box.see(mailboxes.ensure, "Inbox", True) == []
    with pytest.raises(NoSuchMailbox):
        await box.see(mailboxes.get_by_name, "nope")


async def test_special_use_moves(box: Box) -> None:
    archive = (await box.mailbox("Archive")).id
    await box.do(mailboxes.set_special_use, archive, SpecialUse.TRASH | SpecialUse.ARCHIVE)
    assert (await box.mailbox("Trash")).special_use == SpecialUse(0)
    assert (await box.see(mailboxes.with_use, SpecialUse.TRASH)).id == archive  # type: ignore[union-attr]
    before = (await box.mailbox("Archive")).modseq
    await box.do(mailboxes.set_special_use, archive, SpecialUse.TRASH | SpecialUse.ARCHIVE)
    assert (await box.mailbox("Archive")).modseq == before
    await box.do(mailboxes.set_special_use, archive, SpecialUse(0))
    assert await box.see(mailboxes.with_use, SpecialUse.TRASH) is None


@pytest.mark.holds("store-c2b3b6")
async def test_a_deleted_name_can_be_used_again(box: Box) -> None:
    (first,) = await box.do(mailboxes.create, "a")
    await box.add("a", letter())
    await box.do(hierarchy.delete, "a")
    assert await box.see(mailboxes.find, "a") is None
    (second,) = await box.do(mailboxes.create, "a")
    assert second.id > first.id and second.uidvalidity > first.uidvalidity and second.uidnext == 1
    changed = await box.see(mailboxes.changed_mailboxes, first.modseq)
    assert [(m.id, m.expunged) for m in changed if m.name == "a"] == [(first.id, True), (second.id, False)]


async def test_only_leaves_are_deleted(box: Box) -> None:
    await box.do(mailboxes.create, "a/b", SpecialUse.SENT)
    with pytest.raises(HasChildren):
        await box.do(hierarchy.delete, "a")
    await box.do(hierarchy.delete, "a/b")
    await box.do(hierarchy.delete, "a")
    with pytest.raises(NoSuchMailbox):
        await box.do(hierarchy.delete, "a")


async def test_rename_keeps_ids_and_takes_children_along(box: Box) -> None:
    await box.do(mailboxes.create, "a/b")
    await box.do(mailboxes.create, "a0")
    before = {name: await box.mailbox(name) for name in ("a", "a/b")}
    await box.do(mailboxes.rename, "a", "x/y")
    for old, new in (("a", "x/y"), ("a/b", "x/y/b")):
        renamed = await box.mailbox(new)
        assert (renamed.id, renamed.uidvalidity) == (before[old].id, before[old].uidvalidity)
        assert renamed.modseq > before[old].modseq
    assert await box.see(mailboxes.find, "a0") is not None
    assert "x" not in await box.see(mailboxes.subscriptions)
    with pytest.raises(MailboxExists):
        await box.do(mailboxes.rename, "x/y", "Trash")
    with pytest.raises(NoSuchMailbox):
        await box.do(mailboxes.rename, "a", "b")


async def test_rename_below_itself(box: Box) -> None:
    (first,) = await box.do(mailboxes.create, "a")
    await box.do(mailboxes.rename, "a", "a/x")
    assert (await box.mailbox("a/x")).id == first.id
    assert (await box.mailbox("a")).id != first.id


async def test_rename_of_inbox_moves_its_messages(box: Box) -> None:
    await box.add("Inbox", letter(), letter())
    await box.do(annotations.set_annotations, (await box.mailbox("Inbox")).id, [("/private/a", b"x", True)])
    await box.do(hierarchy.rename_inbox, "old/mail", 1)
    assert (await box.uids("Inbox"), await box.uids("old/mail")) == ([], [1, 2])
    copied = await box.see(annotations.list_annotations, (await box.mailbox("old/mail")).id)
    assert [(a.name, a.content) for a in copied] == [("/private/a", b"x")]
    assert "old/mail" not in await box.see(mailboxes.subscriptions)


async def test_subscriptions_need_no_mailbox(box: Box) -> None:
    await box.do(mailboxes.subscribe, "nope")
    await box.do(mailboxes.subscribe, "nope")
    assert "nope" in await box.see(mailboxes.subscriptions)
    await box.do(mailboxes.unsubscribe, "nope")
    with pytest.raises(NoSuchMailbox):
        await box.do(mailboxes.unsubscribe, "nope")
    await box.do(mailboxes.unsubscribe, "Trash")
    await box.do(mailboxes.unsubscribe, "Trash")


class TestAnnotations:
    async def test_set_replace_remove(self, box: Box) -> None:
        inbox = (await box.mailbox("Inbox")).id
        await box.do(annotations.set_annotations, inbox, [("/private/A", b"1", True), ("/shared/b", b"2", False)])
        found = await box.see(annotations.list_annotations, inbox)
        assert [(a.name, a.content, a.is_string) for a in found] == [
            ("/private/a", b"1", True),
            ("/shared/b", b"2", False),
        ]
        modseq = (await box.mailbox("Inbox")).modseq
        await box.do(annotations.set_annotations, inbox, [("/private/a", b"3", True), ("/shared/b", None, False)])
        assert [a.content for a in await box.see(annotations.list_annotations, inbox)] == [b"3"]
        assert (await box.mailbox("Inbox")).modseq == modseq + 1
        assert await box.see(annotations.changed_annotations, modseq) == [
            (inbox, "/private/a", modseq + 1),
            (inbox, "/shared/b", modseq + 1),
        ]

    async def test_removing_what_is_not_there_changes_nothing(self, box: Box) -> None:
        inbox = await box.mailbox("Inbox")
        await box.do(annotations.set_annotations, inbox.id, [("/private/a", None, True)])
        assert await box.mailbox("Inbox") == inbox

    async def test_limits_are_for_the_whole_account(self, box: Box) -> None:
        many = [(f"/private/{i}", b"", True) for i in range(annotations.MAX_ANNOTATIONS)]
        await box.do(annotations.set_annotations, 0, many)
        inbox = (await box.mailbox("Inbox")).id
        with pytest.raises(TooManyAnnotations):
            await box.do(annotations.set_annotations, inbox, [("/private/x", b"", True)])
        await box.do(annotations.set_annotations, 0, [("/private/1", None, True)])
        await box.do(annotations.set_annotations, inbox, [("/private/x", b"", True)])
        with pytest.raises(AnnotationsTooBig):
            await box.do(annotations.set_annotations, inbox, [("/private/x", b"x" * annotations.MAX_OCTETS, True)])
        assert await box.see(annotations.list_annotations, inbox) != []


class TestMessages:
    async def test_quota_refuses_and_changes_nothing(self, box: Box, rules: dict[str, Policy]) -> None:
        content = letter()
        rules[ACCOUNT] = Policy(quota=2 * len(content) + 50)
        await box.add("Inbox", content)
        inbox = await box.mailbox("Inbox")
        await box.copy("Inbox", [1], "Archive")
        with pytest.raises(OverQuota, match="maximum total message size"):
            await box.add("Inbox", letter())
        with pytest.raises(OverQuota):
            await box.copy("Inbox", [1], "Archive")
        await box.move("Inbox", [1], "Archive")
        assert (await box.mailbox("Inbox")).uidnext == inbox.uidnext
        # Space is free again when the bytes are gone, not before.
        await box.expunge("Archive", [1])
        with pytest.raises(OverQuota):
            await box.add("Inbox", letter())
        await box.account.erase()
        await box.add("Inbox", letter())

    async def test_uids_end(self, box: Box) -> None:
        inbox = (await box.mailbox("Inbox")).id
        await box.do(lambda tx: tx.run("UPDATE mailbox_all SET uidnext = ? WHERE id = ?", messages.MAX_UID - 1, inbox))
        await box.add("Inbox", letter())
        with pytest.raises(NoUidsLeft, match="recreate"):
            await box.add("Inbox", letter())

    async def test_one_modseq_for_one_operation(self, box: Box) -> None:
        added = await box.add("Inbox", letter(), letter())
        await box.flag("Inbox", [1, 2], "+", Flag.SEEN, ["b", "a"])
        inbox = await box.mailbox("Inbox")
        rows = await box.see(messages.hot_rows, inbox.id)
        assert [(r[1], r[2], r[3]) for r in rows] == [(1, "a b", added.modseq + 1)] * 2
        assert inbox.keywords == "a b"
        await box.flag("Inbox", [1, 2, 3], "+", Flag.SEEN)
        await box.flag("Inbox", [1], "-", 0, ["a"])
        assert (await box.mailbox("Inbox")).modseq == added.modseq + 2
        assert (await box.mailbox("Inbox")).keywords == "a b"

    async def test_unchanged_since(self, box: Box) -> None:
        added = await box.add("Inbox", letter(), letter())
        await box.flag("Inbox", [2], "+", Flag.SEEN)
        inbox = (await box.mailbox("Inbox")).id
        nothing: frozenset[str] = frozenset()
        result = await box.do(
            messages.set_flags, inbox, [1, 2, 2], "+", Flag.FLAGGED, nothing, unchanged_since=added.modseq
        )
        assert (result.refused, result.modseq, result.found) == ([2], added.modseq + 2, [1, 2])
        result = await box.do(messages.set_flags, inbox, [1], "+", Flag.FLAGGED, nothing, unchanged_since=0)
        assert (result.refused, result.modseq) == ([1], None)

    async def test_copy_and_move_give_consecutive_uids(self, box: Box) -> None:
        await box.add("Inbox", *(letter() for _ in range(4)), keywords=frozenset({"k"}))
        copied = await box.copy("Inbox", [4, 2, 9], "Archive")
        assert (copied.source, copied.target) == ([2, 4], [1, 2])
        moved = await box.move("Inbox", [3, 1], "Archive")
        assert (moved.source, moved.target) == ([1, 3], [3, 4])
        assert (await box.mailbox("Archive")).keywords == "k"
        assert (await box.move("Inbox", [1, 3], "Archive")).target == []

    async def test_recipients_of_sent_mail_are_known_until_it_goes(self, box: Box) -> None:
        async def sent(kind: Sent, name: str, age_ms: int = EVER_MS) -> bool:
            return bool(await box.ask(0, Question(kind, name, age_ms), now_ms=EVER_MS))

        content = letter(To="Bob <bob@sub.example.net>, undisclosed:;", Cc="carol@EXAMPLE.com")
        await box.add("Inbox", content)
        assert not await sent(Sent.ADDRESS, "bob@sub.example.net")
        await box.add("Sent", content, received_ms=5000)
        assert await sent(Sent.ADDRESS, "bob@sub.example.net", EVER_MS - 5000)
        assert not await sent(Sent.ADDRESS, "bob@sub.example.net", EVER_MS - 5001)
        assert not await sent(Sent.ADDRESS, "al@sub.example.net")
        assert await sent(Sent.DOMAIN, "example.com")
        assert await sent(Sent.ORG_DOMAIN, "example.net")
        await box.copy("Sent", [1], "Archive")
        await box.expunge("Sent", [1])
        assert await sent(Sent.ADDRESS, "bob@sub.example.net")
        await box.expunge("Archive", [1])
        assert not await sent(Sent.ADDRESS, "bob@sub.example.net")


JUNK, HAM = int(Flag.JUNK), int(Flag.NOTJUNK)
RULES = [
    # junk, neutral, notjunk, mailbox, use, flags before, flags after
    ("", "", "", "x", 0, HAM, HAM),
    ("", "", "", "x", SpecialUse.JUNK, HAM, JUNK),
    ("^(junk|spam)", "^(inbox|neutral)", "", "Junk", 0, 0, JUNK),
    ("^(junk|spam)", "^(inbox|neutral)", "", "Spam/old", 0, HAM, JUNK),
    ("^(junk|spam)", "^(inbox|neutral)", "", "Inbox", 0, JUNK, 0),
    ("^(junk|spam)", "^(inbox|neutral)", "", "Archive", 0, JUNK, HAM),
    ("", "^inbox", "^archive", "other", 0, 0, JUNK),
    ("^junk", "", "^archive", "other", 0, JUNK, 0),
    ("^junk", "", "", "other", 0, JUNK, JUNK),
    ("^junk", "^inbox", "^archive", "other", 0, JUNK, JUNK),
    ("^a", "^a", "^a", "A", 0, 0, JUNK),
]


@pytest.mark.parametrize("row", RULES, ids=lambda r: "-".join(map(str, r)))
def test_junk_flags_by_mailbox(row: tuple[str, str, str, str, int, int, int]) -> None:
    import re

    junk, neutral, notjunk, name, use, before, after = row
    compiled = [re.compile(text) if text else None for text in (junk, neutral, notjunk)]
    policy = Policy(junk_rules=JunkRules(*compiled))
    assert policy.junk_flags(name, SpecialUse(use), before | Flag.SEEN) == after | Flag.SEEN


async def test_junk_flags_follow_a_message(box: Box, rules: dict[str, Policy]) -> None:
    await box.add("Inbox", letter())
    await box.move("Inbox", [1], "Junk")
    (row,) = await box.see(messages.hot_rows, (await box.mailbox("Junk")).id)
    assert row[1] == Flag.JUNK


def test_the_policy_of_a_configuration() -> None:
    from mox.config import sconf
    from mox.config.account import Account
    from mox.config.model import Static

    static = sconf.parse(
        Static,
        "DataDir: d\nLogLevel: info\nHostname: h\nListeners:\n\tx:\n\t\tIPs:\n\t\t\t- 127.0.0.1\n"
        "Postmaster:\n\tAccount: a\n\tMailbox: m\nQuotaMessageSize: 100\nInitialMailboxes:\n\tSpecialUse:\n"
        "\t\tSent: Out\n\tRegular:\n\t\t- Lists\n",
        "mox.conf",
    )
    account = sconf.parse(
        Account,
        "Domain: x.example\nRejectsMailbox: Rejects\nAutomaticJunkFlags:\n\tEnabled: true\n"
        "\tJunkMailboxRegexp: ^junk\n",
        "domains.conf",
    )
    policy = make_policy(static, account)
    assert (policy.quota, policy.rejects_mailbox, policy.trains_filter) == (100, "Rejects", False)
    assert policy.initial_mailboxes == (("Out", SpecialUse.SENT), ("Lists", SpecialUse(0)))
    assert policy.junk_flags("junk", SpecialUse(0), 0) == JUNK
    assert (policy.max_outgoing_per_day, policy.max_first_time_per_day) == (1000, 200)
