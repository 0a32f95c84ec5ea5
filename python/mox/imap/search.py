"""SEARCH (RFC 9051 §6.4.4, RFC 5182): keys on messages become lists of UIDs, the rest is one call on the index."""

import calendar
from email.utils import parsedate_tz
from typing import Any

from mox._rust import Command, format_set, header_values, read_ranges, search_message
from mox.imap.session import NoError, Session
from mox.store import mailboxes, messages
from mox.store.engine import Tx
from mox.store.errors import NoSuchMailbox

Key = tuple[Any, ...]
_COLD = ("HEADER", "SENT", "BODY", "TEXT")
_FOREVER_MS = 2**62
BATCH = 200
DAY_S = 86_400


def _has(key: Key, kinds: tuple[str, ...]) -> bool:
    match key:
        case ("AND", keys):
            return any(_has(k, kinds) for k in keys)
        case ("OR", first, second):
            return _has(first, kinds) or _has(second, kinds)
        case ("NOT", inner):
            return _has(inner, kinds)
    return key[0] in kinds


def _hot(session: Session, key: Key) -> Key:
    """Without `$` and times relative to now."""
    now = session.ctx.now_ms()
    match key:
        case ("AND", keys):
            return ("AND", [_hot(session, k) for k in keys])
        case ("OR", first, second):
            return ("OR", _hot(session, first), _hot(session, second))
        case ("NOT", inner):
            return ("NOT", _hot(session, inner))
        case ("UID", sequence) if sequence.is_saved:
            return ("IN", session.saved)
        case ("OLDER", seconds):
            return ("RECEIVED", -_FOREVER_MS, now - seconds * 1000 + 1)
        case ("YOUNGER", seconds):
            return ("RECEIVED", now - seconds * 1000, _FOREVER_MS)
    return key


async def _decided(session: Session, key: Key, among: list[int]) -> Key:
    """With every key that needs the message replaced by the UIDs of `among` that match it."""
    match key:
        case ("AND", keys):
            _, index = session.selected()
            hot = [k for k in keys if not _has(k, _COLD)]
            found = set(index.search(session.view, ("AND", hot)))
            left = [uid for uid in among if uid in found]
            cold = [await _decided(session, k, left) for k in keys if _has(k, _COLD)]
            return ("AND", [*hot, *cold])
        case ("OR", first, second):
            return ("OR", await _decided(session, first, among), await _decided(session, second, among))
        case ("NOT", inner):
            return ("NOT", await _decided(session, inner, among))
    if key[0] not in _COLD:
        return key
    found_uids: list[int] = []
    for start in range(0, len(among), BATCH):
        part = among[start : start + BATCH]
        found_uids += await session.opened().read(lambda tx, part=part: _scan(session, tx, key, part))  # type: ignore[misc]
    return ("IN", found_uids)


def _scan(session: Session, tx: Tx, key: Key, uids: list[int]) -> list[int]:
    """UIDs that match. Runs in a thread."""
    mailbox, index = session.selected()
    account = session.opened()
    if key[0] in ("HEADER", "SENT"):
        rows = messages.cold_rows(tx, mailbox.id, uids, ["header"])
        return [uid for uid, header in rows if _header_matches(key, header)]
    found = []
    for uid, structure, prefix, blob_id in messages.cold_rows(tx, mailbox.id, uids, ["structure", "prefix", "blob_id"]):
        hot = index.get(uid)
        (data,) = read_ranges([(prefix, account.blob_path(blob_id), 0, hot[4] if hot is not None else 0)])
        if data is not None and search_message(data, structure, [key[1]], key[0] == "TEXT")[0]:
            found.append(uid)
    return found


def _header_matches(key: Key, header: bytes) -> bool:
    if key[0] == "HEADER":
        values = header_values(header, key[1])
        return any(key[2].casefold() in value.casefold() for value in values)
    dates = header_values(header, "Date")
    parsed = parsedate_tz(dates[0]) if dates else None
    if parsed is None:
        return False
    try:
        # The calendar date in the sender's own zone (RFC 9051 §6.4.4, SENTON).
        day = calendar.timegm((*parsed[:3], 0, 0, 0)) // DAY_S
    except (ValueError, OverflowError):
        return False
    return bool(key[1] <= day < key[2])


async def search(session: Session, command: Command) -> str:
    """Also UID SEARCH."""
    options, key = command.args
    is_uid = command.name.startswith("UID")
    mailbox, index = session.selected()
    try:
        await session.opened().read(lambda tx: mailboxes.get(tx, mailbox.id))
    except NoSuchMailbox as err:
        raise NoError(str(err), "NONEXISTENT") from err
    with_modseq = _has(key, ("MODSEQ",))
    if with_modseq:
        session.enabled.add("CONDSTORE")
    key = await _decided(session, _hot(session, key), session.view.uids())
    found = index.search(session.view, key)
    if options is not None and "SAVE" in options:
        session.saved = _saved(options, found)
    numbers = found if is_uid else [session.view.seq(uid) or 0 for uid in found]
    modseq = max((row[3] for uid in found if (row := index.get(uid)) is not None), default=0) if with_modseq else 0
    if options is None and not session.rev2:
        tail = f" (MODSEQ {modseq})" if modseq else ""
        session.untagged("".join(["SEARCH", *(f" {n}" for n in numbers), tail]))
        return ""
    _esearch(session, command.tag, options or ["ALL"], numbers, is_uid, modseq)
    return ""


def _saved(options: list[str], found: list[int]) -> list[int]:
    """RFC 5182 §2.4"""
    if {"ALL", "COUNT"} & set(options) or not {"MIN", "MAX"} & set(options):
        return found
    ends = []
    if found and "MIN" in options:
        ends.append(found[0])
    if found and "MAX" in options:
        ends.append(found[-1])
    return sorted(set(ends))


def _esearch(session: Session, tag: str, options: list[str], numbers: list[int], is_uid: bool, modseq: int) -> None:
    if options == ["SAVE"]:
        return
    words = [f'ESEARCH (TAG "{tag}")']
    if is_uid:
        words.append("UID")
    if numbers and "MIN" in options:
        words.append(f"MIN {numbers[0]}")
    if numbers and "MAX" in options:
        words.append(f"MAX {numbers[-1]}")
    if "COUNT" in options:
        words.append(f"COUNT {len(numbers)}")
    if numbers and ("ALL" in options or not options):
        words.append(f"ALL {format_set(numbers)}")
    if numbers and modseq:
        words.append(f"MODSEQ {modseq}")
    session.untagged(" ".join(words))
