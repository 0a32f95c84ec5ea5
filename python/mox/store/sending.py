"""How much an account may send: a sliding window of 24 hours over one record per recipient."""

from collections.abc import Sequence

from mox.store.engine import Tx
from mox.store.errors import MessageLimit, RecipientLimit

WINDOW_MS = 86_400_000


def check_limits(tx: Tx, recipients: Sequence[str], now_ms: int) -> None:
    """Whether the account may send to these canonical addresses now. Raises MessageLimit, RecipientLimit."""
    since = now_ms - WINDOW_MS
    most, most_new = tx.policy.max_outgoing_per_day, tx.policy.max_first_time_per_day
    sent = _sent_since(tx, since)
    if sent + len(recipients) > most:
        raise MessageLimit(most)
    if sent + len(recipients) < most_new:
        return
    unknown = {address for address in recipients if not _wrote_before(tx, address, now_ms + 1)}
    window = {
        str(address)
        for (address,) in tx.run(
            "SELECT recipient FROM outgoing o WHERE account_id = ? AND submitted_ms > ? AND NOT EXISTS "
            "(SELECT 1 FROM outgoing e WHERE e.account_id = o.account_id AND e.recipient = o.recipient "
            "AND e.submitted_ms <= ?2)",
            tx.account_id,
            since,
        )
    }
    if len(unknown | window) > most_new:
        raise RecipientLimit(most_new)


def _sent_since(tx: Tx, since_ms: int) -> int:
    """Recipients since a time, by the numbers of the first and the last one: the cost does not grow with them."""
    row = tx.one(
        "SELECT (SELECT next_outgoing_id FROM sync_state WHERE account_id = ?1) - id FROM outgoing "
        "WHERE account_id = ?1 AND submitted_ms > ?2 ORDER BY submitted_ms, id LIMIT 1",
        tx.account_id,
        since_ms,
    )
    return 0 if row is None else int(row[0])


def _wrote_before(tx: Tx, address: str, before_ms: int) -> bool:
    sql = "SELECT 1 FROM outgoing WHERE account_id = ? AND recipient = ? AND submitted_ms < ? LIMIT 1"
    return tx.one(sql, tx.account_id, address, before_ms) is not None


def take(tx: Tx, recipients: Sequence[str], now_ms: int) -> None:
    """Check, and count the message, in one transaction: two messages at the same time cannot both be the last that is
    allowed. Raises as `check_limits`."""
    check_limits(tx, recipients, now_ms)
    record(tx, recipients, now_ms)


def record(tx: Tx, recipients: Sequence[str], now_ms: int) -> None:
    """A message to these canonical addresses was accepted for delivery."""
    first = tx.next_number("next_outgoing_id", len(recipients))
    tx.many(
        "INSERT INTO outgoing VALUES (?, ?, ?, ?)",
        [(tx.account_id, first + i, address, now_ms) for i, address in enumerate(recipients)],
    )
