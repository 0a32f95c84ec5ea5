"""The suppression list: addresses to which an account does not send any more, by hand or after failures."""

from enum import Enum

from mox.outbound.records import Suppression, columns, from_row, now_ms
from mox.smtp.address import Path
from mox.store.engine import Tx

# Codes, and enhanced codes without class with any 5xx, that tell at once that an address is of no use.
_FINAL_CODES = frozenset((521, 550, 551, 553, 556))
_FINAL_SECODES = frozenset(("1.1", "1.2", "1.3", "1.6", "2.1", "7.1"))
# So many failures in a row, with other codes, suppress as well.
_FAILURES_IN_A_ROW = 3


class SuppressionError(Exception):
    """The list cannot be changed so; the text says why."""


class Source(Enum):
    """Where a failure was learned from."""

    QUEUE = "queue"
    DSN = "DSN"


def base_address(path: Path) -> str:
    """What variants of an address have in common: `M.j.l2+catchall@mox.example` is `mjl2@mox.example`."""
    local = path.localpart.partition("+")[0].partition("-")[0].replace(".", "").lower()
    return Path(local, path.domain).unicode()


def lookup(tx: Tx, account: str, address: Path) -> Suppression | None:
    """The entry for an address, whatever variant is asked for."""
    row = tx.one(
        f"SELECT {columns(Suppression)} FROM suppressions WHERE account = ? AND base_address = ?",
        account,
        base_address(address),
    )
    return None if row is None else from_row(Suppression, row)


def add(tx: Tx, account: str, address: Path, manual: bool, reason: str) -> Suppression:
    """Suppress an address. Raises SuppressionError for one that is listed, and for an empty account."""
    if not account:
        raise SuppressionError("a suppression needs an account")
    if lookup(tx, account, address) is not None:
        raise SuppressionError(f"{base_address(address)} is already on the suppression list")
    row = tx.one(
        "INSERT INTO suppressions (created_ms, account, base_address, original_address, manual, reason) "
        f"VALUES (?, ?, ?, ?, ?, ?) RETURNING {columns(Suppression)}",
        now_ms(),
        account,
        base_address(address),
        address.unicode(),
        int(manual),
        reason,
    )
    assert row is not None
    return from_row(Suppression, row)


def remove(tx: Tx, account: str, address: Path) -> None:
    """Allow an address again. Raises SuppressionError when it is not listed."""
    removed = tx.run(
        "DELETE FROM suppressions WHERE account = ? AND base_address = ? RETURNING id", account, base_address(address)
    )
    if not removed:
        raise SuppressionError(f"{base_address(address)} is not on the suppression list")


def list_all(tx: Tx, account: str = "") -> list[Suppression]:
    """The list of an account in order of address; of all accounts in order of id."""
    if account:
        rows = tx.run(
            f"SELECT {columns(Suppression)} FROM suppressions WHERE account = ? ORDER BY base_address", account
        )
    else:
        rows = tx.run(f"SELECT {columns(Suppression)} FROM suppressions ORDER BY id")
    return [from_row(Suppression, row) for row in rows]


def remove_account(tx: Tx, account: str) -> None:
    """Forget the list of an account that is removed."""
    tx.run("DELETE FROM suppressions WHERE account = ?", account)


def is_final(code: int, secode: str) -> bool:
    """A response that suppresses at once."""
    return code in _FINAL_CODES or (code // 100 == 5 and secode in _FINAL_SECODES)


def process_failure(
    tx: Tx, account: str, address: Path, message_id: int, code: int, secode: str, source: Source
) -> bool:
    """Suppress an address after a final failure with an SMTP code, if it is a telling one or the third in a row.
    `message_id` is the queue's id of the message. True when the address was added."""
    if not account or not code or lookup(tx, account, address) is not None:
        return False
    if is_final(code, secode):
        reason = f'delivery failure from {source.value} with smtp code {code}, enhanced code "{secode}"'
    elif _failed_before(tx, account, address, message_id):
        reason = f"delivery failure from {source.value} and three consecutive failures"
    else:
        return False
    add(tx, account, address, manual=False, reason=reason)
    return True


def _failed_before(tx: Tx, account: str, address: Path, message_id: int) -> bool:
    rows = tx.run(
        "SELECT success FROM retired WHERE account = ? AND recipient_address = ? AND id != ? "
        "ORDER BY activity_ms DESC LIMIT ?",
        account,
        address.unicode(),
        message_id,
        _FAILURES_IN_A_ROW - 1,
    )
    return len(rows) == _FAILURES_IN_A_ROW - 1 and not any(success for (success,) in rows)
