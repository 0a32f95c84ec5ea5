"""SEARCH and ESEARCH (RFC 9051 §6.4.4, RFC 5182, RFC 7377, RFC 9394, RFC 9585).

The mailbox index decides what it can; messages are read only where it cannot, batch by batch, each batch in one call
into Rust. `sorting` uses the same steps.
"""

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mox._rust import Command, MailboxIndex, SearchProgram, SessionView, format_set, render_search
from mox.imap import filters
from mox.imap.errors import BadError, NoError, uid_required
from mox.imap.fetch import cut, paths_of
from mox.imap.mailboxes import checked
from mox.imap.session import Session
from mox.store import mailboxes, messages
from mox.store.engine import Tx
from mox.store.types import Mailbox

Key = tuple[Any, ...]
BATCH = 200
PROGRESS_S = 10.0
_FOREVER_MS = 2**62


@dataclass(frozen=True, slots=True)
class Target:
    """A mailbox to search, as this session sees it."""

    mailbox: Mailbox
    index: MailboxIndex
    view: SessionView


def has(key: Key, kinds: tuple[str, ...]) -> bool:
    """A key of one of these kinds is somewhere in it."""
    match key:
        case ("AND", keys):
            return any(has(k, kinds) for k in keys)
        case ("OR", first, second):
            return has(first, kinds) or has(second, kinds)
        case ("NOT", inner):
            return has(inner, kinds)
    return key[0] in kinds


def uses_saved(key: Key) -> bool:
    """`$` is somewhere in it."""
    match key:
        case ("AND", keys):
            return any(uses_saved(k) for k in keys)
        case ("OR", first, second):
            return uses_saved(first) or uses_saved(second)
        case ("NOT", inner):
            return uses_saved(inner)
        case ("UID" | "SEQ", sequence):
            return bool(sequence.is_saved)
    return False


def resolved(key: Key, now_ms: int, saved: list[int]) -> Key:
    """Without `$` and times relative to now."""
    match key:
        case ("AND", keys):
            return ("AND", [resolved(k, now_ms, saved) for k in keys])
        case ("OR", first, second):
            return ("OR", resolved(first, now_ms, saved), resolved(second, now_ms, saved))
        case ("NOT", inner):
            return ("NOT", resolved(inner, now_ms, saved))
        case ("UID" | "SEQ", sequence) if sequence.is_saved:
            return ("IN", saved)
        case ("OLDER", seconds):
            return ("INSTANT", -_FOREVER_MS, now_ms - seconds * 1000 + 1)
        case ("YOUNGER", seconds):
            return ("INSTANT", now_ms - seconds * 1000, _FOREVER_MS)
    return key


class Progress:
    """Tells a client that waits long how far the search is (RFC 9585)."""

    def __init__(self, session: Session, tag: str, goal: int) -> None:
        self._session = session
        self._tag = "NIL" if "]" in tag or '"' in tag or "\\" in tag else f'"{tag}"'
        self._goal = str(goal) if goal else "NIL"
        self._told = time.monotonic()

    async def at(self, done: int) -> None:
        """So many messages are done."""
        now = time.monotonic()
        if now - self._told < self._session.ctx.delays.progress_s:
            return
        self._told = now
        self._session.untagged(f"OK [INPROGRESS ({self._tag} {done} {self._goal})] still searching")
        await self._session.flush()


async def find(session: Session, target: Target, key: Key, tag: str) -> list[int]:
    """UIDs that match, ascending."""
    program = SearchProgram(key)
    found, undecided = program.start(target.index, target.view)
    if undecided and program.has_needle:
        account = session.opened()
        more, undecided, unknown = await account.in_thread(
            lambda: program.narrow(target.index, target.view, account.text.index, undecided)
        )
        account.text.want(account, unknown)
        found += more
    progress = Progress(session, tag, len(target.view))
    decided = len(target.view) - len(undecided)
    for start in range(0, len(undecided), BATCH):
        await progress.at(decided + start)
        part = undecided[start : start + BATCH]
        found += await session.opened().read(
            lambda tx, part=part: _test(session, tx, target, program, part)  # type: ignore[misc]
        )
    return sorted(found)


def _test(session: Session, tx: Tx, target: Target, program: SearchProgram, uids: list[int]) -> list[int]:
    """Runs in a thread."""
    rows = messages.cold_rows(tx, target.mailbox.id, uids, program.columns)
    return program.test(target.index, target.view, rows, paths_of(session, rows, program.columns))


async def selected_target(session: Session) -> Target:
    """The selected mailbox. Raises NoError when it was deleted."""
    await session.current()
    return Target(*session.selected(), session.view)


def prepare(session: Session, key: Key) -> Key:
    """What a key means in this session and now; a MODSEQ key enables CONDSTORE. Raises BadError."""
    if session.uid_only and _has_numbers(key):
        raise uid_required()
    if has(key, ("MODSEQ",)):
        session.enabled.add("CONDSTORE")
    return resolved(key, session.ctx.now_ms(), session.saved or [])


def _has_numbers(key: Key) -> bool:
    return has(key, ("SEQ",)) and not (key[0] == "SEQ" and key[1].is_saved)


async def search(session: Session, command: Command) -> str:
    """Also UID SEARCH."""
    options, key = command.args
    is_uid = command.name.startswith("UID")
    prepared = prepare(session, key)
    if options is not None and "SAVE" in options:
        session.saved = []
    target = await selected_target(session)
    found = await find(session, target, prepared, command.tag)
    if options is not None and "SAVE" in options:
        session.saved = saved_part(options, found)
    modseq = target.index.max_modseq(found) if has(key, ("MODSEQ",)) else 0
    numbers = found if is_uid else session.view.seqs(found)
    if options is None and not session.rev2:
        session.write(render_search(numbers, modseq))
    else:
        esearch_line(session, f'(TAG "{command.tag}")', options, numbers, is_uid, modseq)
    return ""


def saved_part(options: list[Any], found: list[int]) -> list[int]:
    """RFC 5182 §2.4: with MIN or MAX alone only these are saved."""
    partial = next((o for o in options if isinstance(o, tuple)), None)
    if {"ALL", "COUNT"} & set(options) or not ({"MIN", "MAX"} & set(options) or partial):
        return found
    kept = set(cut(found, partial)) if partial is not None else set()
    if found and "MIN" in options:
        kept.add(found[0])
    if found and "MAX" in options:
        kept.add(found[-1])
    return sorted(kept)


def esearch_line(
    session: Session, correlator: str, options: list[Any] | None, numbers: list[int], is_uid: bool, modseq: int
) -> None:
    """An ESEARCH response (RFC 9051 §7.3.4) for numbers in the order of the result."""
    if options == ["SAVE"]:
        return
    wanted = set(options or ["ALL"])
    words = [f"ESEARCH {correlator}"]
    if is_uid:
        words.append("UID")
    if numbers and "MIN" in wanted:
        words.append(f"MIN {numbers[0]}")
    if numbers and "MAX" in wanted:
        words.append(f"MAX {numbers[-1]}")
    if "COUNT" in wanted:
        words.append(f"COUNT {len(numbers)}")
    if numbers and "ALL" in wanted:
        words.append(f"ALL {ordered_set(numbers)}")
    for partial in (o for o in wanted if isinstance(o, tuple)):
        part = cut(numbers, partial)
        words.append(f"PARTIAL ({partial[1]}:{partial[2]} {ordered_set(part) if part else 'NIL'})")
    if numbers and modseq:
        words.append(f"MODSEQ {modseq}")
    session.untagged(" ".join(words))


def ordered_set(numbers: list[int]) -> str:
    """Numbers as a set; in their order when that is not ascending (RFC 5267 §3)."""
    if all(a < b for a, b in pairwise(numbers)):
        return format_set(numbers)
    return ",".join(map(str, numbers))


# ESEARCH: several mailboxes


async def esearch(session: Session, command: Command) -> str:
    """RFC 7377. Also for the selected mailbox alone, when no filter is given."""
    wanted, options, key = command.args
    if wanted is None and session.mailbox is None:
        raise BadError("no mailbox is selected, name some with IN")
    if ("SELECTED", []) in (wanted or []) and session.mailbox is None:
        raise BadError("no mailbox is selected")
    prepared = prepare(session, key)
    boxes = await _mailboxes(session, wanted)
    selected_id = session.mailbox.id if session.mailbox is not None else None
    only_selected = [box.id for box in boxes] == [selected_id]
    saves = options is not None and "SAVE" in options
    if saves and not only_selected:
        raise BadError("SAVE is for the selected mailbox alone")
    if uses_saved(key) and not only_selected:
        raise NoError("$ is for the selected mailbox alone")
    if saves:
        session.saved = []
    for box in boxes:
        found, modseq = await _find_in(session, box, prepared, command.tag)
        if saves and options is not None:
            session.saved = saved_part(options, found)
        if found:
            where = f'(TAG "{command.tag}" MAILBOX {session.name(box.name)} UIDVALIDITY {box.uidvalidity})'
            esearch_line(session, where, options, found, True, modseq if has(key, ("MODSEQ",)) else 0)
        await session.flush_full()
    return ""


async def _mailboxes(session: Session, wanted: list[filters.Filter] | None) -> list[Mailbox]:
    """By name, each once."""
    boxes, scope = await scope_of(session)
    if wanted is None:
        wanted = [("SELECTED", [])]
    wanted = [(kind, [checked(name) for name in names]) for kind, names in wanted]
    selected_id = session.mailbox.id if session.mailbox is not None else None

    def is_wanted(box: Mailbox) -> bool:
        selected = box.id == selected_id and any(kind == "SELECTED" for kind, _ in wanted)
        return selected or any(filters.matches(f, box.name, scope) for f in wanted)

    return sorted(filter(is_wanted, boxes), key=lambda box: box.name)


async def scope_of(session: Session) -> tuple[list[Mailbox], filters.Scope]:
    """All mailboxes, and what filters refer to."""
    boxes, subscribed = await session.opened().read(
        lambda tx: (mailboxes.list_mailboxes(tx), mailboxes.subscriptions(tx))
    )
    destinations = session.ctx.config.account(session.account_name).Destinations.values()
    inboxes = {d.Mailbox or "Inbox" for d in destinations}
    for destination in destinations:
        inboxes |= {r.Mailbox for r in destination.Rulesets if not r.ListAllowDomain}
    return boxes, filters.Scope(frozenset(subscribed), frozenset(inboxes))


async def _find_in(session: Session, box: Mailbox, key: Key, tag: str) -> tuple[list[int], int]:
    if session.mailbox is not None and box.id == session.mailbox.id:
        mailbox, index = session.selected()
        found = await find(session, Target(mailbox, index, session.view), key, tag)
        return found, index.max_modseq(found)
    account = session.opened()
    index = await account.open_index(box.id)
    try:
        await account.sync()
        found = await find(session, Target(box, index, index.new_view()), key, tag)
        return found, index.max_modseq(found)
    finally:
        account.release_index(box.id)
