"""To whom the account wrote. Replies from these people are welcome, which incoming mail asks about."""

from collections.abc import Iterable
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache
from typing import Any

from mox.dns.names import DomainError, parse_domain
from mox.dns.psl import organizational_domain
from mox.store.engine import Tx


@lru_cache(maxsize=4096)
def _domains(text: str) -> tuple[str, str]:
    """A domain as a header has it, and its organizational domain, both in Unicode, as senders are asked for."""
    try:
        found = parse_domain(text)
        return found.name, parse_domain(organizational_domain(found.ascii)).name
    except DomainError:
        return text.lower(), text.lower()


def sent_ms(date: str, received_ms: int) -> int:
    """The Date header's moment, else the time of receipt."""
    parts = parsedate_tz(date)
    try:
        return mktime_tz(parts) * 1000 if parts is not None else received_ms
    except (ValueError, OverflowError):
        return received_ms


def add_from(tx: Tx, message_id: int, parsed: Any, received_ms: int) -> None:
    """Record the addresses of a message that was put into the mailbox with the use `\\Sent`."""
    when = sent_ms(parsed.date, received_ms)
    addresses = {
        (*_domains(domain), localpart)
        for _, localpart, domain in (*parsed.to, *parsed.cc, *parsed.bcc)
        if localpart and domain
    }
    tx.many(
        "INSERT INTO recipient VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(tx.account_id, domain, local, message_id, org, when) for domain, org, local in sorted(addresses)],
    )


def copy(tx: Tx, pairs: Iterable[tuple[int, int]]) -> None:
    """(copy, original) message ids: a copy counts as well."""
    pairs = list(pairs)
    originals = [old for _, old in pairs]
    # Most messages were not sent by the account and have none.
    if not tx.one(
        "SELECT 1 FROM recipient WHERE account_id = ? AND message_id BETWEEN ? AND ? LIMIT 1",
        tx.account_id,
        min(originals),
        max(originals),
    ):
        return
    tx.many(
        "INSERT INTO recipient SELECT account_id, domain, localpart, ?, org_domain, sent_ms FROM recipient "
        "WHERE account_id = ? AND message_id = ?",
        [(new, tx.account_id, old) for new, old in pairs],
    )


def remove(tx: Tx, message_ids: Iterable[int]) -> None:
    """The messages are gone."""
    tx.many("DELETE FROM recipient WHERE account_id = ? AND message_id = ?", [(tx.account_id, m) for m in message_ids])
