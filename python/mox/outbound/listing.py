"""Lists of queued and retired messages and webhook calls for administrators: filters, sorting, pages.

Pages go by key: the next one starts behind the sort value and id of the last row, so rows that come and go do not shift
it. Times are compared as numbers, whatever zone they were written in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from mox.config import durations
from mox.outbound.records import Hook, HookRetired, Message, Retired, columns, from_row, now_ms
from mox.store.engine import Tx

T = TypeVar("T")


class ListingError(Exception):
    """A filter or sorting makes no sense; the text says why."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows. Empty fields match everything, all others must match; but of `from_` and `to` either may.

    `from_` and `to` are parts of the address in Unicode. `submitted`, `next_attempt` and `last_activity` are `<1h` for
    before an hour from now, `>-2h30m` for after two and a half hours ago, also with `now`. `transport` "" is for
    messages without one. `event` is `incoming` or that of an outgoing webhook. `max` 0 is no limit.
    """

    max: int = 0
    ids: Sequence[int] = ()
    account: str = ""
    from_: str = ""
    to: str = ""
    hold: bool | None = None
    submitted: str = ""
    next_attempt: str = ""
    last_activity: str = ""
    transport: str | None = None
    success: bool | None = None
    event: str = ""


@dataclass(frozen=True, slots=True)
class Sort:
    """By which field, and behind which row a page starts: its id and its value of the field (RFC 3339)."""

    field: str = ""
    ascending: bool = False
    last_id: int = 0
    last: str = ""


EVERYTHING = Filter()
DEFAULT_SORT = Sort()


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A table to list. `sorts` maps names of fields to columns; the first is the default."""

    table: str
    record: type[T]
    sorts: dict[str, str] = field(default_factory=dict)

    def select(self, tx: Tx, which: Filter = EVERYTHING, sort: Sort = DEFAULT_SORT) -> list[T]:
        """The rows. Raises ListingError."""
        conditions, values = _conditions(which, _SUBMITTED[self.table])
        column = self._column(sort.field)
        direction, beyond = ("ASC", ">") if sort.ascending else ("DESC", "<")
        if sort.last_id:
            last_ms = parse_time(sort.last)
            conditions.append(f"({column} {beyond} ? OR ({column} = ? AND id {beyond} ?))")
            values += [last_ms, last_ms, sort.last_id]
        where = " AND ".join(conditions) or "1 = 1"
        limit = " LIMIT ?" if which.max else ""
        rows = tx.run(
            f"SELECT {columns(self.record)} FROM {self.table} WHERE {where} "
            f"ORDER BY {column} {direction}, id {direction}{limit}",
            *values,
            *([which.max] if which.max else []),
        )
        return [from_row(self.record, row) for row in rows]

    def _column(self, name: str) -> str:
        if not name:
            return next(iter(self.sorts.values()))
        if name not in self.sorts:
            raise ListingError(f"cannot sort by {name!r}; known are {', '.join(self.sorts)}")
        return self.sorts[name]


MESSAGES = Listing("queued", Message, {"NextAttempt": "next_ms", "Queued": "queued_ms"})
RETIRED = Listing("retired", Retired, {"LastActivity": "activity_ms", "Queued": "queued_ms"})
HOOKS = Listing("hooks", Hook, {"NextAttempt": "next_ms", "Submitted": "submitted_ms"})
HOOKS_RETIRED = Listing("hooks_retired", HookRetired, {"LastActivity": "activity_ms", "Submitted": "submitted_ms"})

# Columns of "submitted", which messages and hooks name differently.
_SUBMITTED = {"queued": "queued_ms", "retired": "queued_ms", "hooks": "submitted_ms", "hooks_retired": "submitted_ms"}
_ADDRESS = "CASE WHEN {0}_domain = '' THEN '' ELSE {0}_localpart || '@' || {0}_domain END"


def count(tx: Tx) -> int:
    """Messages in the queue."""
    row = tx.one("SELECT count(*) FROM queued")
    return int(row[0]) if row else 0


def hook_count(tx: Tx) -> int:
    """Webhook calls in the queue."""
    row = tx.one("SELECT count(*) FROM hooks")
    return int(row[0]) if row else 0


def _conditions(which: Filter, submitted: str) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    if which.ids:
        conditions.append(f"id IN ({', '.join('?' * len(which.ids))})")
        values += which.ids
    for column, value in (("account", which.account or None), ("transport", which.transport)):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    for column, flag in (("hold", which.hold), ("success", which.success)):
        if flag is not None:
            conditions.append(f"{column} = ?")
            values.append(int(flag))
    addresses = [(name, text) for name, text in (("sender", which.from_), ("recipient", which.to)) if text]
    if addresses:
        parts = [f"instr({_ADDRESS.format(name)}, ?) > 0" for name, _ in addresses]
        conditions.append(f"({' OR '.join(parts)})")
        values += [text for _, text in addresses]
    if which.event:
        conditions.append("is_incoming = 1" if which.event == "incoming" else "outgoing_event = ?")
        values += [] if which.event == "incoming" else [which.event]
    times = ((submitted, which.submitted), ("next_ms", which.next_attempt), ("activity_ms", which.last_activity))
    for column, text in times:
        if not text:
            continue
        comparison, at_ms = parse_time_filter(text)
        conditions.append(f"{column} {comparison} ?")
        values.append(at_ms)
    return conditions, values


def parse_time_filter(text: str) -> tuple[str, int]:
    """`<` or `>` and the time in milliseconds. Raises ListingError."""
    comparison, rest = text[:1], text[1:].strip()
    if comparison not in ("<", ">"):
        raise ListingError(f"time filter {text!r} must start with < or >")
    if rest == "now":
        return comparison, now_ms()
    try:
        return comparison, now_ms() + int(durations.parse(rest).total_seconds() * 1000)
    except ValueError as err:
        raise ListingError(f"time filter {text!r}: {err}") from err


def parse_time(text: str) -> int:
    """Milliseconds of an RFC 3339 time. Raises ListingError."""
    # Python takes at most six digits of a second.
    head, dot, tail = text.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    shortened = head + dot + tail[: min(digits, 6)] + tail[digits:]
    try:
        parsed = datetime.fromisoformat(shortened)
    except ValueError as err:
        raise ListingError(f"bad time {text!r}") from err
    if parsed.tzinfo is None:
        raise ListingError(f"time {text!r} has no zone")
    return round(parsed.timestamp() * 1000)


def format_time(at_ms: int) -> str:
    """RFC 3339, for `Sort.last`."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().isoformat(timespec="milliseconds")
