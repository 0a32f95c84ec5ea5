"""FETCH (RFC 9051 §6.4.5): hot items from the mailbox index, others from the database and the message files.

Each batch is one call into a thread, where Rust reads the files and renders the responses.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mox._rust import Command, decode_part, header_fields, part_info, read_ranges, section_range
from mox.imap.session import NoError, Session
from mox.store import mailboxes, messages
from mox.store.engine import Tx
from mox.store.errors import NoSuchMailbox
from mox.store.types import Flag

HOT = frozenset({"UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "MODSEQ", "SAVEDATE"})
_COLUMNS = {"ENVELOPE": "envelope", "BODY": "body", "BODYSTRUCTURE": "bodystructure"}
# What the parser keeps of a header; longer ones are read from the file.
KEPT_HEADER = 64 * 1024
BATCH_MESSAGES = 500
BATCH_BYTES = 4 << 20
PREVIEW_CHARS = 200


@dataclass(slots=True)
class _Row:
    """What is known of a message while its items are made."""

    uid: int
    size: int
    columns: dict[str, Any]
    path: str
    failed: bool = False
    values: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Item:
    """An item that is not hot: its label and kind for the renderer, the columns it needs, and how to get it.

    `wanted` gives the byte range to read, None for none; `finish` makes the value of the octets that were read."""

    label: str
    kind: str
    columns: tuple[str, ...]
    wanted: Callable[[_Row], tuple[int, int] | None] | None
    finish: Callable[[_Row, bytes | None], Any]


def _plan(items: list[tuple[Any, ...]]) -> list[_Item | str]:
    """Hot items as names, others as _Item; FLAGS and MODSEQ at the end."""
    plan: list[_Item | str] = []
    last: list[_Item | str] = []
    for item in items:
        name = item[0]
        if name in ("FLAGS", "MODSEQ"):
            if name not in last:
                last.append(name)
        elif name in HOT:
            if name not in plan:
                plan.append(name)
        else:
            plan.append(_cold(item))
    return plan + last


def _cold(item: tuple[Any, ...]) -> _Item:
    name = item[0]
    if name in _COLUMNS:
        column = _COLUMNS[name]
        return _Item(name, "raw", (column,), None, lambda row, _data: row.columns[column])
    if name == "PREVIEW":
        return _Item(name, "string", ("preview",), None, lambda row, _d: row.columns["preview"].strip()[:PREVIEW_CHARS])
    if name == "RFC822":
        return _section(name, [], "", [], None)
    if name in ("RFC822.HEADER", "RFC822.TEXT"):
        return _section(name, [], name[7:], [], None)
    _, label, _peek, part, section, fields, offset, count = item
    partial = None if offset is None else (offset, count)
    if name == "BODY[]":
        return _section(label, part, section, fields, partial)
    return _binary(label, part, partial, name == "BINARY.SIZE[]")


def _cut(data: bytes, partial: tuple[int, int] | None) -> bytes:
    return data if partial is None else data[partial[0] : partial[0] + partial[1]]


def _section(label: str, part: list[int], section: str, fields: list[str], partial: tuple[int, int] | None) -> _Item:
    by_fields = section.startswith("HEADER.")
    if not part and section.startswith("HEADER"):
        return _top_header(label, section, fields, partial)

    def wanted(row: _Row) -> tuple[int, int] | None:
        kind = "HEADER" if by_fields else section
        found = (0, row.size) if not part and not section else section_range(row.columns["structure"], part, kind)
        if found is None or by_fields or partial is None:
            return found
        start = min(found[0] + partial[0], found[1])
        return start, min(start + partial[1], found[1])

    def finish(row: _Row, data: bytes | None) -> bytes | None:
        if data is None:
            row.failed = True
            return None
        return _cut(header_fields(data, fields, section.endswith("NOT")), partial) if by_fields else data

    return _Item(label, "literal", ("structure",) if part or section else (), wanted, finish)


def _top_header(label: str, section: str, fields: list[str], partial: tuple[int, int] | None) -> _Item:
    """The message's own header is in the database unless it is very long."""

    def wanted(row: _Row) -> tuple[int, int] | None:
        return (0, row.columns["header_size"]) if row.columns["header_size"] > KEPT_HEADER else None

    def finish(row: _Row, data: bytes | None) -> bytes:
        header = row.columns["header"] if data is None else data
        if section != "HEADER":
            header = header_fields(header, fields, section.endswith("NOT"))
        return _cut(header, partial)

    return _Item(label, "literal", ("header", "header_size"), wanted, finish)


def _binary(label: str, part: list[int], partial: tuple[int, int] | None, only_size: bool) -> _Item:
    """RFC 3516"""

    def wanted(row: _Row) -> tuple[int, int] | None:
        if not part:
            return 0, row.size
        info = part_info(row.columns["structure"], part)
        return (info.start, info.end) if info is not None and info.is_leaf else None

    def finish(row: _Row, data: bytes | None) -> Any:
        info = part_info(row.columns["structure"], part) if part else None
        decoded = decode_part(data, info.encoding) if data is not None and info is not None else data
        if decoded is None:
            row.failed = True
            return None
        return len(decoded) if only_size else _cut(decoded, partial)

    return _Item(label, "int" if only_size else "literal", ("structure",), wanted, finish)


def _sets_seen(items: list[tuple[Any, ...]]) -> bool:
    return any(i[0] in ("RFC822", "RFC822.TEXT") or (i[0] in ("BODY[]", "BINARY[]") and not i[2]) for i in items)


async def fetch(session: Session, command: Command) -> str:
    """Also UID FETCH."""
    sequence, items, since = command.args
    is_uid = command.name.startswith("UID")
    mailbox, index = session.selected()
    uids = session.uids(sequence, is_uid)
    names = {item[0] for item in items}
    if since is not None or "MODSEQ" in names:
        await session.enable_condstore()
    if since:
        changed = set(index.search(session.view, ("MODSEQ", since + 1)))
        uids = [uid for uid in uids if uid in changed]
        items = [*items, ("MODSEQ",)]
    try:
        await session.opened().read(lambda tx: mailboxes.get(tx, mailbox.id))
    except NoSuchMailbox as err:
        raise NoError(str(err), "NONEXISTENT") from err
    if _sets_seen(items) and not session.read_only and await _mark_seen(session, uids):
        items = [*items, ("FLAGS",)]
        if "CONDSTORE" in session.enabled:
            items = [*items, ("MODSEQ",)]
    plan = _plan(items)
    if all(isinstance(entry, str) for entry in plan):
        hot = [entry for entry in plan if isinstance(entry, str)]
        for start in range(0, len(uids), 10_000):
            session.conn.write(index.render_flags(session.view, uids[start : start + 10_000], hot))
            await session.flush()
        return ""
    failed = False
    for batch in _batches(session, uids, plan):
        data, bad = await session.opened().read(lambda tx, batch=batch: _batch(session, tx, batch, plan))  # type: ignore[misc]
        failed |= bad
        session.conn.write(data)
        await session.flush()
    if failed:
        raise NoError("some items do not exist in some messages")
    return ""


async def _mark_seen(session: Session, uids: list[int]) -> bool:
    mailbox, index = session.selected()
    unseen = set(index.search(session.view, ("NOT", ("FLAG", int(Flag.SEEN)))))
    wanted = [uid for uid in uids if uid in unseen]
    if not wanted:
        return False
    result = await session.opened().write(
        lambda tx: messages.set_flags(tx, mailbox.id, wanted, "+", int(Flag.SEEN), frozenset())
    )
    await session.own(result.modseq)
    return result.modseq is not None


def _batches(session: Session, uids: list[int], plan: list[_Item | str]) -> Iterator[list[int]]:
    """Bounded by messages, and by octets where files are read."""
    reads = any(isinstance(item, _Item) and item.wanted is not None for item in plan)
    _, index = session.selected()
    batch: list[int] = []
    octets = 0
    for uid in uids:
        if reads:
            hot = index.get(uid)
            octets += hot[4] if hot is not None else 0
        batch.append(uid)
        if len(batch) >= BATCH_MESSAGES or octets >= BATCH_BYTES:
            yield batch
            batch, octets = [], 0
    if batch:
        yield batch


def _batch(session: Session, tx: Tx, uids: list[int], plan: list[_Item | str]) -> tuple[bytes, bool]:
    """Responses of a batch, and whether an item was missing. Runs in a thread."""
    mailbox, index = session.selected()
    cold = [item for item in plan if isinstance(item, _Item)]
    names = sorted({name for item in cold for name in item.columns} - {"prefix", "blob_id"})
    needs_file = any(item.wanted is not None for item in cold)
    columns = [*names, "prefix", "blob_id"] if needs_file else names
    rows = []
    account = session.opened()
    for uid, *values in messages.cold_rows(tx, mailbox.id, uids, columns or ["blob_id"]):
        found = dict(zip(columns, values, strict=False))
        path = account.blob_path(found["blob_id"]) if needs_file else ""
        size = 0
        if needs_file:
            hot = index.get(uid)
            size = hot[4] if hot is not None else 0
        rows.append(_Row(uid, size, found, path))
    _fill(rows, cold)
    wire = [(e.label, e.kind) if isinstance(e, _Item) else (e, "hot") for e in plan]
    data = index.render_fetch(session.view, wire, [(row.uid, *row.values) for row in rows], False)
    return data, any(row.failed for row in rows)


def _fill(rows: list[_Row], cold: list[_Item]) -> None:
    """Read what the items want of the files, all in one call, and make the values."""
    requests: list[tuple[bytes, str, int, int]] = []
    slots: list[int | None] = []
    for row in rows:
        for item in cold:
            found = item.wanted(row) if item.wanted is not None else None
            slots.append(None if found is None else len(requests))
            if found is not None:
                requests.append((row.columns["prefix"], row.path, *found))
    read = read_ranges(requests) if requests else []
    slot = iter(slots)
    for row in rows:
        for item in cold:
            at = next(slot)
            row.values.append(item.finish(row, None if at is None else read[at]))
