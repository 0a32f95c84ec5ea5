"""Records of the queue database, and how they become rows. Times are milliseconds since 1970, UTC.

Domains are stored in Unicode; address literals with their brackets.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Literal, TypeVar

import msgspec

from mox.message.addresses import ascii_domain
from mox.smtp.address import Path
from mox.store.engine import Tx

# Text of the last result while an attempt runs; storing the outcome replaces that result.
DELIVERING = "delivering..."
NULL_PATH = Path("", "")

Record = TypeVar("Record")
T = TypeVar("T")


def _once(of_type: Callable[[type[Any]], T]) -> Callable[[type[Any]], T]:
    """A function of record types, computed once for each."""
    known: dict[type[Any], T] = {}

    def look_up(record: type[Any]) -> T:
        if record not in known:
            known[record] = of_type(record)
        return known[record]

    return look_up


def now_ms() -> int:
    """The wall clock, which all schedules follow."""
    return time.time_ns() // 1_000_000


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt, or what an administrator or a DSN did. `secode` is without the class digit, as in `7.1`."""

    start_ms: int
    duration_ms: int = 0
    success: bool = False
    code: int = 0
    secode: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message for one recipient, to be queued. All messages of one `Queue.add` have the same content.

    `next_ms` 0 is now. `dsn_utf8` is a complete alternative message for peers with SMTPUTF8. `notify` holds the
    keywords of RFC 3461 §4.1 (NEVER, SUCCESS, FAILURE, DELAY); `original_recipient` is ORCPT, `type;address` decoded;
    `envelope_id` is ENVID, decoded; `remote_ip` the client that submitted it.
    """

    sender: Path
    recipient: Path
    prefix: bytes = b""
    message_id: str = ""
    subject: str = ""
    smtputf8: bool = False
    from_id: str = ""
    next_ms: int = 0
    max_attempts: int = 0
    require_tls: bool | None = None
    transport: str = ""
    future_release: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    dsn_utf8: bytes | None = None
    is_dmarc_report: bool = False
    is_tls_report: bool = False
    notify: frozenset[str] = frozenset()
    original_recipient: str = ""
    envelope_id: str = ""
    return_full: bool = False
    remote_ip: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A queued message for one recipient. Content is `prefix` and then the file."""

    id: int
    base_id: int
    queued_ms: int
    hold: bool
    account: str
    sender_localpart: str
    sender_domain: str
    from_id: str
    recipient_localpart: str
    recipient_domain: str
    attempts: int
    max_attempts: int
    dialed_ips: dict[str, list[str]]
    next_ms: int
    last_ms: int | None
    results: list[Result]
    has_8bit: bool
    smtputf8: bool
    is_dmarc_report: bool
    is_tls_report: bool
    size: int
    message_id: str
    prefix: bytes
    subject: str
    dsn_utf8: bytes | None
    transport: str
    require_tls: bool | None
    future_release: str
    extra: dict[str, str]
    file: str
    remote_ip: str
    notify: frozenset[str]
    original_recipient: str
    envelope_id: str
    return_full: bool

    @property
    def sender(self) -> Path:
        """MAIL FROM; the null path for notifications."""
        return Path(self.sender_localpart, ascii_domain(self.sender_domain))

    @property
    def recipient(self) -> Path:
        """RCPT TO"""
        return Path(self.recipient_localpart, ascii_domain(self.recipient_domain))


@dataclass(frozen=True, slots=True)
class Retired:
    """What is kept of a message that left the queue."""

    id: int
    base_id: int
    queued_ms: int
    account: str
    sender_localpart: str
    sender_domain: str
    from_id: str
    recipient_localpart: str
    recipient_domain: str
    attempts: int
    max_attempts: int
    dialed_ips: dict[str, list[str]]
    last_ms: int | None
    results: list[Result]
    has_8bit: bool
    smtputf8: bool
    is_dmarc_report: bool
    is_tls_report: bool
    size: int
    message_id: str
    subject: str
    transport: str
    require_tls: bool | None
    future_release: str
    extra: dict[str, str]
    recipient_address: str
    activity_ms: int
    success: bool
    keep_until_ms: int

    @property
    def sender(self) -> Path:
        """MAIL FROM"""
        return Path(self.sender_localpart, ascii_domain(self.sender_domain))


@dataclass(frozen=True, slots=True)
class HoldRule:
    """Holds what matches every condition that is not empty; without any, everything."""

    id: int
    account: str
    sender_domain: str
    recipient_domain: str


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address an account does not send to any more."""

    id: int
    created_ms: int
    account: str
    base_address: str
    original_address: str
    manual: bool
    reason: str


class HookResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of a webhook. `response` is the start of what the server answered."""

    start_ms: int
    duration_ms: int = 0
    url: str = ""
    success: bool = False
    code: int = 0
    error: str = ""
    response: str = ""


@dataclass(frozen=True, slots=True)
class NewHook:
    """A webhook call to be made. `queue_id` 0 for incoming messages; `payload` is JSON; `authorization` the value of
    that header; `outgoing_event` is empty for incoming messages."""

    account: str
    url: str
    payload: str
    authorization: str = ""
    queue_id: int = 0
    from_id: str = ""
    message_id: str = ""
    subject: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    is_incoming: bool = False
    outgoing_event: str = ""


@dataclass(frozen=True, slots=True)
class Hook:
    """A queued webhook call."""

    id: int
    queue_id: int
    from_id: str
    message_id: str
    subject: str
    extra: dict[str, str]
    account: str
    url: str
    authorization: str
    is_incoming: bool
    outgoing_event: str
    payload: str
    submitted_ms: int
    attempts: int
    next_ms: int
    results: list[HookResult]


@dataclass(frozen=True, slots=True)
class HookRetired:
    """A webhook call that is over. `authorization` tells only whether there was one."""

    id: int
    queue_id: int
    from_id: str
    message_id: str
    subject: str
    extra: dict[str, str]
    account: str
    url: str
    authorization: bool
    is_incoming: bool
    outgoing_event: str
    payload: str
    submitted_ms: int
    attempts: int
    results: list[HookResult]
    superseded_by: int
    success: bool
    activity_ms: int
    keep_until_ms: int


# Columns that hold JSON, by the type they are read as.
_JSON: dict[str, Any] = {
    "dialed_ips": dict[str, list[str]],
    "extra": dict[str, str],
    "results": list[Result],
}
_HOOK_JSON: dict[str, Any] = {"extra": dict[str, str], "results": list[HookResult]}
_BOOLS = frozenset(
    (
        "hold",
        "has_8bit",
        "smtputf8",
        "is_dmarc_report",
        "is_tls_report",
        "return_full",
        "success",
        "manual",
        "is_incoming",
    )
)


@_once
def columns(record: type[Any]) -> str:
    """The columns of a record type, for SELECT."""
    return ", ".join(f.name for f in fields(record))


def _optional_bool(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _words(value: str) -> frozenset[str]:
    return frozenset(value.split())


@_once
def _readers(record: type[Any]) -> tuple[tuple[int, Callable[[Any], Any]], ...]:
    """Which columns of a record type are not kept as they are, and how they are read."""
    json = _HOOK_JSON if record in (Hook, HookRetired) else _JSON
    found: list[tuple[int, Callable[[Any], Any]]] = []
    for number, name in enumerate(f.name for f in fields(record)):
        if name in json:
            found.append((number, msgspec.json.Decoder(json[name]).decode))
        elif name in _BOOLS or (name == "authorization" and record is HookRetired):
            found.append((number, bool))
        elif name == "require_tls":
            found.append((number, _optional_bool))
        elif name == "notify":
            found.append((number, _words))
    return tuple(found)


def from_row(record: type[Record], row: Sequence[Any]) -> Record:
    """The record of a row that was selected with `columns`."""
    values = list(row)
    for number, read in _readers(record):
        values[number] = read(values[number])
    return record(*values)


def to_column(value: Any) -> Any:
    """A value as the database keeps it."""
    kind = type(value)
    if kind is frozenset:
        return " ".join(sorted(value))
    if kind is dict or kind is list:
        return msgspec.json.encode(value).decode()
    return int(value) if kind is bool else value


@_once
def _values(record: type[Any]) -> tuple[str, Callable[[Any], tuple[Any, ...]]]:
    """What INSERT says of a record type, and what reads the values of a record."""
    names = [f.name for f in fields(record)]
    return f"({columns(record)}) VALUES ({', '.join('?' * len(names))})", attrgetter(*names)


def insert(tx: Tx, table: str, record: Any) -> None:
    """Add a record as a row. `table` and the columns are constants of this package."""
    into, values_of = _values(type(record))
    tx.run(f"INSERT INTO {table} {into}", *map(to_column, values_of(record)))


@_once
def _names(record: type[Any]) -> frozenset[str]:
    return frozenset(f.name for f in fields(record))


def derived(kind: type[Record], source: Any, **others: Any) -> Record:
    """A record with the values of `source` in the fields that both have, but for those that are given."""
    shared = (_names(kind) & _names(type(source))) - others.keys()
    return kind(**{name: getattr(source, name) for name in shared}, **others)


def next_id(tx: Tx, counter: Literal["queued", "hook"], count: int = 1) -> int:
    """The first of `count` new ids, never given before."""
    row = tx.one("UPDATE counters SET value = value + ? WHERE name = ? RETURNING value", count, counter)
    assert row is not None
    return int(row[0]) - count + 1


def with_result(results: Sequence[Result], outcome: Result) -> list[Result]:
    """The history with an outcome: it takes the place of a running attempt, which gave it its start."""
    if results and results[-1].error == DELIVERING:
        return [*results[:-1], msgspec.structs.replace(outcome, start_ms=results[-1].start_ms)]
    return [*results, outcome]
