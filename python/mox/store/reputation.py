"""What the user thinks of senders: look-ups that cost the same however many messages there are.

The table has rows for live messages with `$Junk` or `$NotJunk` only. Functions that change messages keep it by calling
`mark` and `forget`; deciding what a history means is left to `mox.inbound`.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from msgspec import Struct

from mox.store.engine import Tx
from mox.store.policy import JUNK_FLAGS
from mox.store.types import Flag

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
DAY_HOURS = 24


class Kind(IntEnum):
    """What a history is looked up by. For the three of the From header it also matters whether that was validated."""

    MSG_FROM = 1  # localpart@domain
    MSG_FROM_DOMAIN = 2
    MSG_FROM_ORG_DOMAIN = 3
    DKIM_DOMAIN = 4
    MAIL_FROM = 5  # localpart@domain
    MAIL_FROM_DOMAIN = 6
    EHLO_DOMAIN = 7
    NETWORK = 8  # as given by `types.networks`


class Verdict(Struct, frozen=True):
    """What the user decided about an earlier message, and its From localpart."""

    is_junk: bool
    localpart: str


_KEYS = (
    "mailbox_orig_id, received_ms, msg_from_localpart, msg_from_domain, msg_from_org_domain, msg_from_validated, "
    "mail_from_localpart, mail_from_domain, ehlo_domain, dkim_domains, remote_network1, remote_network2, "
    "remote_network3"
)


def _rows(tx: Tx, message_id: int) -> list[tuple[Any, ...]]:
    """(kind, name, mailbox_orig_id, validated, received_ms, message_id, localpart) of all a message counts for."""
    row = tx.one(f"SELECT {_KEYS} FROM message_cold WHERE account_id = ? AND message_id = ?", tx.account_id, message_id)
    if row is None:
        return []
    mailbox_id, received_ms, localpart, domain, org_domain, validated, mf_local, mf_domain, ehlo, dkim, *nets = row
    keys = [
        (Kind.MSG_FROM, f"{localpart}@{domain}" if domain else "", validated),
        (Kind.MSG_FROM_DOMAIN, domain, validated),
        (Kind.MSG_FROM_ORG_DOMAIN, org_domain, validated),
        (Kind.MAIL_FROM, f"{mf_local}@{mf_domain}" if mf_domain else "", 0),
        (Kind.MAIL_FROM_DOMAIN, mf_domain, 0),
        (Kind.EHLO_DOMAIN, ehlo, 0),
        *((Kind.DKIM_DOMAIN, name, 0) for name in sorted(set(dkim.split()))),
        *((Kind.NETWORK, name, 0) for name in nets),
    ]
    return [(kind, name, mailbox_id, v, received_ms, message_id, localpart) for kind, name, v in keys if name]


def rows_of(tx: Tx, messages: Sequence[tuple[int, int]]) -> list[tuple[Any, ...]]:
    """The table's rows of messages (id, flags) that are junk or not junk."""
    return [
        (tx.account_id, *row[:6], int(bool(flags & Flag.JUNK)), row[6])
        for message_id, flags in messages
        for row in _rows(tx, message_id)
    ]


def mark(tx: Tx, changes: Sequence[tuple[int, int, int]]) -> None:
    """Follow (message_id, old flags, new flags) of live messages; 0 as old flags for new messages."""
    changed = [(m, old & JUNK_FLAGS, new & JUNK_FLAGS) for m, old, new in changes if (old ^ new) & JUNK_FLAGS]
    forget(tx, [(m, old) for m, old, _ in changed])
    inserts = rows_of(tx, [(m, new) for m, _, new in changed if new])
    if inserts:
        tx.many("INSERT INTO reputation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", inserts)


def forget(tx: Tx, messages: Sequence[tuple[int, int]]) -> None:
    """Messages (id, flags) do not count any more. Call it before their facts change."""
    deletes = [
        (tx.account_id, *row[:6])
        for message_id, flags in messages
        if flags & JUNK_FLAGS
        for row in _rows(tx, message_id)
    ]
    if deletes:
        tx.many(
            "DELETE FROM reputation WHERE account_id = ? AND kind = ? AND name = ? AND mailbox_orig_id = ? "
            "AND validated = ? AND received_ms = ? AND message_id = ?",
            deletes,
        )


def has_good(tx: Tx, kind: Kind, name: str) -> bool:
    """There is a message that is not junk, for whatever mailbox."""
    sql = "SELECT 1 FROM reputation WHERE account_id = ? AND kind = ? AND name = ? AND is_junk = 0 LIMIT 1"
    return tx.one(sql, tx.account_id, int(kind), name) is not None


class Volume(Struct, frozen=True):
    """Messages and bytes received from a network in the last minute and in the last 24 hours."""

    minute_messages: int
    minute_octets: int
    day_messages: int
    day_octets: int


def count_volume(tx: Tx, names: Sequence[str], octets: int, now_ms: int) -> None:
    """A message of this size came from the networks."""
    hour, minute = now_ms // HOUR_MS, now_ms // MINUTE_MS
    tx.many(
        "INSERT INTO volume VALUES (?, ?, ?, 1, ?, ?, 1, ?, 0, 0) ON CONFLICT DO UPDATE SET "
        "messages = messages + 1, octets = octets + excluded.octets, minute = excluded.minute, "
        "before_messages = CASE excluded.minute - minute WHEN 0 THEN before_messages WHEN 1 THEN minute_messages "
        "ELSE 0 END, "
        "before_octets = CASE excluded.minute - minute WHEN 0 THEN before_octets WHEN 1 THEN minute_octets ELSE 0 END, "
        "minute_messages = 1 + CASE minute WHEN excluded.minute THEN minute_messages ELSE 0 END, "
        "minute_octets = excluded.octets + CASE minute WHEN excluded.minute THEN minute_octets ELSE 0 END",
        [(tx.account_id, name, hour, octets, minute, octets) for name in names],
    )


def volumes(tx: Tx, networks: Sequence[str], now_ms: int) -> list[Volume]:
    """What came from each network. The minute is weighed from two whole ones, the day is of 24 hours and this one."""
    marks = ", ".join("?" * len(networks))
    rows = tx.run(
        "SELECT network, messages, octets, minute, minute_messages, minute_octets, before_messages, before_octets "
        f"FROM volume WHERE account_id = ? AND network IN ({marks}) AND hour >= ?",
        tx.account_id,
        *networks,
        now_ms // HOUR_MS - DAY_HOURS,
    )
    return [_sum([row[1:] for row in rows if row[0] == network], now_ms) for network in networks]


def _sum(hours: Sequence[tuple[int, ...]], now_ms: int) -> Volume:
    minute, share = now_ms // MINUTE_MS, 1 - now_ms % MINUTE_MS / MINUTE_MS
    day, day_octets, last, last_octets = 0, 0, 0.0, 0.0
    for messages, octets, at, *recent in hours:
        day, day_octets = day + messages, day_octets + octets
        if at == minute:
            last += recent[0] + share * recent[2]
            last_octets += recent[1] + share * recent[3]
        elif at == minute - 1:
            last += share * recent[0]
            last_octets += share * recent[1]
    return Volume(int(last), int(last_octets), day, day_octets)


def has_old_volume(tx: Tx, now_ms: int) -> bool:
    """`forget_volume` would remove something."""
    sql = "SELECT 1 FROM volume WHERE account_id = ? AND hour < ? LIMIT 1"
    return tx.one(sql, tx.account_id, now_ms // HOUR_MS - DAY_HOURS) is not None


def forget_volume(tx: Tx, now_ms: int) -> None:
    """Remove counters that no look-up uses any more."""
    tx.run("DELETE FROM volume WHERE account_id = ? AND hour < ?", tx.account_id, now_ms // HOUR_MS - DAY_HOURS)
