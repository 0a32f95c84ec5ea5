"""Hold rules: conditions under which messages wait in the queue until an administrator releases them."""

from mox.outbound import lanes
from mox.outbound.records import HoldRule, columns, from_row
from mox.store.engine import Tx


class HoldRuleError(Exception):
    """There is no such rule."""


def matches(rule: HoldRule, account: str, sender_domain: str, recipient_domain: str) -> bool:
    """Every condition that is not empty must match; a rule without any holds everything."""
    pairs = (
        (rule.account, account),
        (rule.sender_domain, sender_domain),
        (rule.recipient_domain, recipient_domain),
    )
    return all(not wanted or wanted == value for wanted, value in pairs)


def list_all(tx: Tx) -> list[HoldRule]:
    """All rules in order of id."""
    return [from_row(HoldRule, row) for row in tx.run(f"SELECT {columns(HoldRule)} FROM hold_rules ORDER BY id")]


def add(tx: Tx, account: str, sender_domain: str, recipient_domain: str) -> HoldRule:
    """Add a rule; what is queued and matches is held from now on. Domains are in Unicode."""
    row = tx.one(
        f"INSERT INTO hold_rules (account, sender_domain, recipient_domain) VALUES (?, ?, ?) "
        f"RETURNING {columns(HoldRule)}",
        account,
        sender_domain,
        recipient_domain,
    )
    assert row is not None
    rule = from_row(HoldRule, row)
    tx.run(
        "UPDATE queued SET hold = 1 WHERE (? = '' OR account = ?) AND (? = '' OR sender_domain = ?) "
        "AND (? = '' OR recipient_domain = ?)",
        *(value for value in (account, sender_domain, recipient_domain) for _ in range(2)),
    )
    lanes.rebuild(tx, lanes.Kind.MESSAGE)
    return rule


def remove(tx: Tx, rule_id: int) -> None:
    """Remove a rule; what it holds stays held. Raises HoldRuleError."""
    if not tx.run("DELETE FROM hold_rules WHERE id = ? RETURNING id", rule_id):
        raise HoldRuleError(f"there is no hold rule {rule_id}")
