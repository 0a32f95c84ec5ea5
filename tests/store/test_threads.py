"""Threads: the table of spec/store.md section 20, placed at delivery, late parents, muting and collapsing.

One routine serves deliveries and imports; late parents re-link, so that the order of arrival hardly matters. Cycles are
broken where they would close.
"""

import pytest

from mox.store import threads
from mox.store.types import Flag
from tests.store.helpers import Box, letter

# Per message: name, References, subject. In order of arrival.
Message = tuple[str, str, str]
# Per message: parents by name, closest first, and whether a link is missing.
Places = dict[str, tuple[str, bool]]

CASES: dict[str, tuple[list[Message], Places]] = {
    "reply by References": ([("a", "", "s"), ("b", "a", "re: s")], {"a": ("", False), "b": ("a", False)}),
    "two levels": (
        [("a", "", "s"), ("b", "a", "re: s"), ("c", "a b", "re: s")],
        {"a": ("", False), "b": ("a", False), "c": ("b a", False)},
    ),
    "an earlier reference when the nearest is missing": (
        [("a", "", "s"), ("c", "a b", "re: s")],
        {"a": ("", False), "c": ("a", True)},
    ),
    "References but another subject": ([("a", "", "s"), ("b", "a", "t")], {"a": ("", False), "b": ("", True)}),
    "no References, response": ([("a", "", "s"), ("b", "", "re: s")], {"a": ("", False), "b": ("a", True)}),
    "no References, (fwd)": ([("a", "", "s"), ("b", "", "s (fwd)")], {"a": ("", False), "b": ("a", True)}),
    "no References, [fwd: ]": ([("a", "", "s"), ("b", "", "[fwd: s]")], {"a": ("", False), "b": ("a", True)}),
    "response to nothing": ([("b", "", "re: s")], {"b": ("", True)}),
    "same subject, no marker": ([("a", "", "s"), ("b", "", "s")], {"a": ("", False), "b": ("", False)}),
    "empty subject": ([("a", "", ""), ("b", "", "re:")], {"a": ("", False), "b": ("", False)}),
    "reference to itself": ([("a", "a", "s")], {"a": ("", False)}),
    "References without ids": ([("a", "<>", "s")], {"a": ("", False)}),
    "NUL in subject": ([("a", "", "s"), ("b", "", "re: =?utf-8?q?s=00?=")], {"a": ("", False), "b": ("", False)}),
    "child before parent": ([("b", "a", "re: s"), ("a", "", "s")], {"a": ("", False), "b": ("a", False)}),
    "grandchildren before parent": (
        [("c", "a b", "re: s"), ("b", "a", "re: s"), ("a", "", "s")],
        {"a": ("", False), "b": ("a", False), "c": ("b a", False)},
    ),
    "an earlier parent, then the nearest": (
        [("a", "", "s"), ("c", "a b", "re: s"), ("b", "a", "re: s")],
        {"a": ("", False), "b": ("a", False), "c": ("b a", False)},
    ),
    "late parent with another subject": ([("b", "a", "re: s"), ("a", "", "t")], {"a": ("", False), "b": ("", True)}),
    "cycle of two": ([("c1", "c2", "s"), ("c2", "c1", "s")], {"c1": ("", True), "c2": ("c1", False)}),
    "cycle of three": (
        [("e0", "e1", "s"), ("e1", "e2", "s"), ("e2", "e0", "s")],
        {"e1": ("", True), "e0": ("e1", False), "e2": ("e0 e1", False)},
    ),
    "cycle beside a thread": (
        [("f0", "", "s"), ("f1", "f0 f2", "s"), ("f2", "f3", "s"), ("f3", "f1", "s")],
        {"f0": ("", False), "f2": ("", True), "f1": ("f2", False), "f3": ("f1 f2", False)},
    ),
}


@pytest.mark.holds("store-ad495f")
@pytest.mark.parametrize("case", CASES)
async def test_places(box: Box, case: str) -> None:
    messages, expected = CASES[case]
    ids: dict[str, int] = {}
    for name, references, subject in messages:
        refs = " ".join(r if r.startswith("<") else f"<{r}@x>" for r in references.split())
        content = letter(subject, message_id=f"{name}@x", **({"References": refs} if refs else {}))
        ids[name] = (await box.add("Inbox", content)).message_ids[0]
    by_id = {message_id: name for name, message_id in ids.items()}
    found: Places = {}
    for name, message_id in ids.items():
        row = await box.cold(message_id, "thread_id, thread_parents, thread_missing_link")
        assert row is not None
        parents = [by_id[int(p)] for p in row[1].split()]
        assert by_id[row[0]] == (parents[-1] if parents else name)
        found[name] = " ".join(parents), bool(row[2])
    assert found == expected


async def test_in_reply_to_stands_in_for_references(box: Box) -> None:
    first = await box.add("Inbox", letter("s", message_id="a@x"))
    second = await box.add("Inbox", letter("re: s", In_Reply_To="<a@x>"))
    assert await box.cold(second.message_ids[0], "thread_id, thread_missing_link") == (first.message_ids[0], 0)


@pytest.mark.holds("store-ad495f", "store-07e824")
async def test_a_duplicate_hangs_under_the_first_and_copies_its_state(box: Box) -> None:
    first = (await box.add("Inbox", letter("s", message_id="a@x"))).message_ids[0]
    assert await box.do(threads.mute, [first], True) == [first]
    second = await box.add("Archive", letter("other", message_id="a@x"))
    columns = "thread_id, thread_parents, thread_missing_link, thread_muted, thread_collapsed"
    assert await box.cold(second.message_ids[0], columns) == (first, str(first), 1, 1, 1)
    rows = await box.see(lambda tx: tx.run("SELECT flags FROM message WHERE message_id = ?", second.message_ids[0]))
    assert rows == [(int(Flag.SEEN),)]


async def test_a_response_is_found_by_subject_within_four_weeks_and_one_mailbox(box: Box) -> None:
    day = threads.DAY_MS
    await box.add("Archive", letter("s"), received_ms=100 * day)
    old = (await box.add("Inbox", letter("s"), received_ms=10 * day)).message_ids[0]
    late = (await box.add("Inbox", letter("re: s"), received_ms=38 * day)).message_ids[0]
    later = (await box.add("Inbox", letter("re: s"), received_ms=67 * day + 1)).message_ids[0]
    assert await box.cold(late, "thread_id, thread_parents") == (old, str(old))
    assert await box.cold(later, "thread_id, thread_parents") == (later, "")


async def test_an_expunged_message_is_no_parent(box: Box) -> None:
    await box.add("Inbox", letter("s", message_id="a@x"))
    await box.expunge("Inbox", [1])
    child = (await box.add("Inbox", letter("re: s", References="<a@x>"))).message_ids[0]
    assert await box.cold(child, "thread_id, thread_missing_link") == (child, 1)


async def test_copies_wait_for_the_same_parent(box: Box) -> None:
    await box.add("Inbox", letter("re: s", message_id="b@x", References="<a@x>"))
    await box.copy("Inbox", [1], "Archive")
    parent = (await box.add("Inbox", letter("s", message_id="a@x"))).message_ids[0]
    rows = await box.see(lambda tx: tx.run("SELECT thread_id, thread_parents FROM message_cold ORDER BY message_id"))
    assert rows == [(parent, str(parent)), (parent, str(parent)), (parent, "")]


async def test_collapse_and_mute_reach_all_below(box: Box) -> None:
    root = (await box.add("Inbox", letter("s", message_id="a@x"))).message_ids[0]
    child = (await box.add("Inbox", letter("re: s", message_id="b@x", References="<a@x>"))).message_ids[0]
    other = (await box.add("Inbox", letter("re: s", message_id="c@x", References="<a@x>"))).message_ids[0]
    assert await box.do(threads.collapse, [child], True) == [child]
    assert await box.do(threads.collapse, [root], True) == [root, other]
    assert await box.do(threads.collapse, [root], True) == []
    assert await box.do(threads.collapse, [root], False) == [root, child, other]
    assert await box.do(threads.mute, [child], True) == [child]
    assert await box.do(threads.mute, [root], True) == [root, other]
    assert await box.do(threads.mute, [root], False) == [root, child, other]
    assert await box.cold(root, "thread_muted, thread_collapsed") == (0, 1)


async def test_threading_costs_the_same_however_many_have_the_subject(box: Box) -> None:
    await box.add("Inbox", *(letter("s") for _ in range(200)))

    def plan(tx: threads.Tx, sql: str) -> str:
        return " ".join(row[3] for row in tx.run(f"EXPLAIN QUERY PLAN {sql}"))

    by_subject = await box.see(
        plan,
        "SELECT message_id FROM message_cold c WHERE c.account_id = 1 AND c.subject_base = 's' "
        "AND c.subject_base <> '' AND c.mailbox_orig_id = 1 AND c.received_ms BETWEEN 1 AND 2 "
        "ORDER BY c.received_ms DESC LIMIT 1",
    )
    assert "message_subject" in by_subject and "TEMP B-TREE" not in by_subject
