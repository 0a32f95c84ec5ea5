"""Addresses that no reports are sent to until some time; the stores of TLS and of DMARC results have a list each."""

from dataclasses import dataclass

from mox.outbound.records import now_ms
from mox.store.engine import Tx

_COLUMNS = "id, inserted_ms, reporting_address, until_ms, comment"


class SuppressedError(Exception):
    """The list cannot be changed so."""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An entry."""

    id: int
    inserted_ms: int
    reporting_address: str
    until_ms: int
    comment: str


def add(tx: Tx, address: str, until_ms: int, comment: str) -> Suppressed:
    """Send nothing to an address until then. Raises SuppressedError."""
    if not address or until_ms <= 0:
        raise SuppressedError("an address and a time are needed")
    if tx.one("SELECT 1 FROM suppressed WHERE reporting_address = ?", address) is not None:
        raise SuppressedError(f"{address} is already on the list")
    row = tx.one(
        f"INSERT INTO suppressed (inserted_ms, reporting_address, until_ms, comment) VALUES (?, ?, ?, ?) "
        f"RETURNING {_COLUMNS}",
        now_ms(),
        address,
        until_ms,
        comment,
    )
    assert row is not None
    return Suppressed(*row)


def list_all(tx: Tx) -> list[Suppressed]:
    """All, newest first."""
    return [Suppressed(*row) for row in tx.run(f"SELECT {_COLUMNS} FROM suppressed ORDER BY id DESC")]


def update(tx: Tx, entry_id: int, until_ms: int) -> None:
    """Another end. Raises SuppressedError."""
    if not tx.run("UPDATE suppressed SET until_ms = ? WHERE id = ? RETURNING id", until_ms, entry_id):
        raise SuppressedError(f"there is no entry {entry_id}")


def remove(tx: Tx, entry_id: int) -> None:
    """Send again. Raises SuppressedError."""
    if not tx.run("DELETE FROM suppressed WHERE id = ? RETURNING id", entry_id):
        raise SuppressedError(f"there is no entry {entry_id}")


def is_suppressed(tx: Tx, address: str) -> bool:
    """Nothing is to be sent to an address now."""
    found = tx.one("SELECT 1 FROM suppressed WHERE reporting_address = ? AND until_ms > ?", address, now_ms())
    return found is not None
