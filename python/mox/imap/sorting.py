"""SORT and THREAD (RFC 5256, RFC 5267, RFC 5957, RFC 9394): a search, then one pass over what it found."""

from typing import Any

from mox._rust import Command, Sorter, Threader
from mox.imap import search
from mox.imap.errors import uid_required
from mox.imap.fetch import paths_of
from mox.imap.session import Session
from mox.store import messages
from mox.store.engine import Tx

BATCH = 500


async def sort(session: Session, command: Command) -> str:
    """Also UID SORT."""
    options, criteria, key = command.args
    is_uid = command.name.startswith("UID")
    target, found = await _found(session, command, key, options)
    sorter = Sorter(criteria)
    await _add_all(session, target, sorter, found)
    order = sorter.finish()
    if options is not None and "SAVE" in options:
        session.saved = sorted(search.saved_part(options, order))
    modseq = target.index.max_modseq(found) if search.has(key, ("MODSEQ",)) else 0
    numbers = order if is_uid else session.view.seqs(order)
    if options is not None:
        search.esearch_line(session, f'(TAG "{command.tag}")', options, numbers, is_uid, modseq)
    else:
        tail = f" (MODSEQ {modseq})" if modseq else ""
        session.untagged("".join(["SORT", *(f" {n}" for n in numbers), tail]))
    return ""


async def thread(session: Session, command: Command) -> str:
    """Also UID THREAD."""
    algorithm, key = command.args
    target, found = await _found(session, command, key, None)
    threader = Threader(algorithm)
    await _add_all(session, target, threader, found)
    threads = threader.finish(session.view, command.name.startswith("UID"))
    session.untagged(f"THREAD {threads}".rstrip())
    return ""


async def _found(session: Session, command: Command, key: Any, options: Any) -> tuple[search.Target, list[int]]:
    if session.uid_only and not command.name.startswith("UID"):
        raise uid_required()
    prepared = search.prepare(session, key)
    if options is not None and "SAVE" in options:
        session.saved = []
    target = await search.selected_target(session)
    return target, await search.find(session, target, prepared, command.tag)


async def _add_all(session: Session, target: search.Target, collector: Sorter | Threader, uids: list[int]) -> None:
    columns = collector.columns

    def add(tx: Tx, part: list[int]) -> None:
        rows: list[tuple[Any, ...]]
        if columns:
            rows = messages.cold_rows(tx, target.mailbox.id, part, columns)
        else:
            rows = [(uid,) for uid in part]
        collector.add(target.index, rows, paths_of(session, rows, columns))

    for start in range(0, len(uids), BATCH):
        part = uids[start : start + BATCH]
        await session.opened().read(lambda tx, part=part: add(tx, part))  # type: ignore[misc]
