"""Many questions about a sender's history in one statement: what the user decided about earlier messages
(`reputation`), and whether the account wrote there (`recipients`). A delivery asks a dozen of them.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from msgspec import Struct

from mox.store.engine import Tx
from mox.store.reputation import Kind, Verdict


class Sent(Enum):
    """Did the account write to this address (`localpart@domain`), domain, organizational domain?"""

    ADDRESS = "domain = ? AND localpart = ?"
    DOMAIN = "domain = ?"
    ORG_DOMAIN = "org_domain = ?"


class Question(Struct, frozen=True):
    """`name` as the kind has it; for messages not older than `age_ms`, newest first, at most `limit`. `validated` is of
    use for the kinds of the From header only. An answer about mail that was sent is one verdict, or none."""

    kind: Kind | Sent
    name: str
    age_ms: int
    limit: int = 1
    validated: bool = False


# Numbered in the order of the questions; the rows of one are in order, and stay together.
_VERDICTS = (
    "SELECT {}, is_junk, localpart FROM (SELECT is_junk, localpart FROM reputation WHERE account_id = ? AND kind = ? "
    "AND name = ? AND mailbox_orig_id = ? AND validated = ? AND received_ms >= ? ORDER BY received_ms DESC LIMIT ?)"
)
_SENT = "SELECT {}, 0, '' FROM (SELECT 1 FROM recipient WHERE account_id = ? AND {} AND sent_ms >= ? LIMIT 1)"


def answers(tx: Tx, mailbox_id: int, now_ms: int, questions: Sequence[Question]) -> list[list[Verdict]]:
    """For each question about mail for a mailbox what was found."""
    found: list[list[Verdict]] = [[] for _ in questions]
    if not questions:
        return found
    sql: list[str] = []
    values: list[Any] = []
    for number, asked in enumerate(questions):
        since_ms = now_ms - asked.age_ms
        if isinstance(asked.kind, Sent):
            sql.append(_SENT.format(number, asked.kind.value))
            localpart, _, domain = asked.name.rpartition("@")
            names = (domain, localpart) if asked.kind is Sent.ADDRESS else (asked.name,)
            values += (tx.account_id, *names, since_ms)
        else:
            sql.append(_VERDICTS.format(number))
            key = (tx.account_id, int(asked.kind), asked.name, mailbox_id, int(asked.validated))
            values += (*key, since_ms, asked.limit)
    for number, is_junk, localpart in tx.run(" UNION ALL ".join(sql), *values):
        found[number].append(Verdict(bool(is_junk), localpart))
    return found
