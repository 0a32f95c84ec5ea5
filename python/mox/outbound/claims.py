"""Claiming messages for delivery: which are due, by lease, grouped into transactions.

The attempt is counted and the next one scheduled in the claiming transaction, before any connection is made; a crash
at any later point leaves a sane record and bounds double delivery to one attempt.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from mox.outbound import lanes, suppression
from mox.outbound.backoff import Schedule
from mox.outbound.events import Surroundings
from mox.outbound.records import DELIVERING, Message, Result, columns, from_row, now_ms, to_column
from mox.store.engine import Tx

LEASE_MS = 300_000
# Recipients of one transaction. RFC 5321 §4.5.3.1.8: servers take at least 100.
MAX_GROUP = 100

_COLUMNS = columns(Message)


@dataclass(frozen=True, slots=True)
class Claim:
    """Recipients of one domain and content, to be delivered in one transaction by `transport`. Those in `suppressed`
    are on the suppression list and only need to fail. `sender_disabled`: nothing is to be delivered now."""

    domain: str
    transport: str
    messages: tuple[Message, ...]
    suppressed: tuple[Message, ...] = ()
    sender_disabled: bool = False


@dataclass(frozen=True, slots=True)
class Claimer:
    """Claims for one process. `lane_limit` bounds the transactions of a recipient domain that run at one time."""

    owner: str
    surroundings: Surroundings
    schedule: Schedule
    lane_limit: Callable[[str], int]
    dice: random.Random

    def claim(self, tx: Tx, room: int) -> list[Claim]:
        """Up to `room` transactions that are due, fairly from all domains."""
        now = now_ms()
        domains = lanes.due(tx, lanes.Kind.MESSAGE, now, room)
        share = max(1, room // len(domains)) if domains else 0
        claims: list[Claim] = []
        for domain in domains:
            claims += self._from_lane(tx, domain, now, share)
            if active(tx, domain, now) < self.lane_limit(domain):
                lanes.refresh(tx, lanes.Kind.MESSAGE, domain)
            else:
                # The end of one of its transactions makes a full lane due again; a lost process, the end of its lease.
                lanes.postpone(tx, lanes.Kind.MESSAGE, domain, now + LEASE_MS)
        return claims

    def _from_lane(self, tx: Tx, domain: str, now: int, share: int) -> list[Claim]:
        room = min(share, self.lane_limit(domain) - active(tx, domain, now))
        claims: list[Claim] = []
        while len(claims) < room:
            row = tx.one(
                f"SELECT {_COLUMNS} FROM queued WHERE hold = 0 AND recipient_domain = ? AND next_ms <= ? "
                "AND lease_ms <= ? ORDER BY next_ms, id LIMIT 1",
                domain,
                now,
                now,
            )
            if row is None:
                break
            claims.append(self._claim(tx, from_row(Message, row), now))
        return claims

    def _claim(self, tx: Tx, first: Message, now: int) -> Claim:
        transport = self.surroundings.transport(first)
        group = [first, *self._others(tx, first, transport, now)] if first.base_id else [first]
        next_ms = now + self.schedule.wait_ms(first.attempts, self.dice)
        started = [self._start(tx, message, now, next_ms) for message in group]
        listed = {m.id for m in started if suppression.lookup(tx, m.account, m.recipient) is not None}
        return Claim(
            domain=first.recipient_domain,
            transport=transport,
            messages=tuple(m for m in started if m.id not in listed),
            suppressed=tuple(m for m in started if m.id in listed),
            sender_disabled=self.surroundings.sender_disabled(first),
        )

    def _others(self, tx: Tx, first: Message, transport: str, now: int) -> list[Message]:
        """Recipients of the same domain that fit into the transaction of `first`."""
        rows = tx.run(
            f"SELECT {_COLUMNS} FROM queued WHERE base_id = ? AND recipient_domain = ? AND attempts = ? AND id != ? "
            "AND next_ms <= ? AND hold = 0 AND lease_ms <= ? ORDER BY id LIMIT ?",
            first.base_id,
            first.recipient_domain,
            first.attempts,
            first.id,
            max(first.next_ms, now),
            now,
            MAX_GROUP - 1,
        )
        found = (from_row(Message, row) for row in rows)
        return [m for m in found if _fits(first, m) and self.surroundings.transport(m) == transport]

    def _start(self, tx: Tx, message: Message, now: int, next_ms: int) -> Message:
        row = tx.one(
            "UPDATE queued SET attempts = attempts + 1, last_ms = ?, next_ms = ?, results = ?, lease_ms = ?, owner = ? "
            f"WHERE id = ? RETURNING {_COLUMNS}",
            now,
            next_ms,
            to_column([*message.results, Result(now, error=DELIVERING)]),
            now + LEASE_MS,
            self.owner,
            message.id,
        )
        assert row is not None
        return from_row(Message, row)


def _fits(first: Message, other: Message) -> bool:
    """Everything that belongs to the transaction and not to the recipient is the same. Notifications for UTF-8 peers
    have a content of their own."""
    return (
        first.require_tls == other.require_tls
        and first.smtputf8 == other.smtputf8
        and first.prefix == other.prefix
        and first.dsn_utf8 is None
        and other.dsn_utf8 is None
        and (first.envelope_id, first.return_full) == (other.envelope_id, other.return_full)
    )


def active(tx: Tx, domain: str, now: int) -> int:
    """Transactions to a domain that are under way in any process."""
    row = tx.one(
        "SELECT count(DISTINCT CASE WHEN base_id > 0 THEN base_id ELSE id END) FROM queued "
        "WHERE lease_ms > 0 AND recipient_domain = ? AND lease_ms > ?",
        domain,
        now,
    )
    return 0 if row is None else int(row[0])


def renew(tx: Tx, owner: str) -> None:
    """Keep the leases of a process that lives."""
    tx.run("UPDATE queued SET lease_ms = ? WHERE lease_ms > 0 AND owner = ?", now_ms() + LEASE_MS, owner)
