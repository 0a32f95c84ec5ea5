"""Annotations of mailboxes and of the account (RFC 5464 METADATA). Mailbox id 0 stands for the account."""

from collections.abc import Sequence
from dataclasses import dataclass

from mox.store.engine import Tx
from mox.store.errors import AnnotationsTooBig, TooManyAnnotations

MAX_ANNOTATIONS = 1000
MAX_OCTETS = 1_000_000


@dataclass(frozen=True, slots=True)
class Annotation:
    """An entry; the name is in lower case."""

    mailbox_id: int
    name: str
    is_string: bool
    content: bytes
    modseq: int


def list_annotations(tx: Tx, mailbox_id: int) -> list[Annotation]:
    """All of a mailbox, by name."""
    rows = tx.run(
        "SELECT mailbox_id, name, is_string, content, modseq FROM annotation WHERE account_id = ? AND mailbox_id = ? "
        "ORDER BY name",
        tx.account_id,
        mailbox_id,
    )
    return [Annotation(box, name, bool(text), content, modseq) for box, name, text, content, modseq in rows]


def set_annotations(tx: Tx, mailbox_id: int, entries: Sequence[tuple[str, bytes | None, bool]]) -> None:
    """Set (name, content or None to remove, is_string). Raises TooManyAnnotations, AnnotationsTooBig."""
    for name, content, is_string in entries:
        removed = _remove(tx, mailbox_id, name)
        if content is not None:
            _insert(tx, mailbox_id, name, content, is_string)
        if removed or content is not None:
            _touch(tx, mailbox_id)
    _check_limits(tx)


def _insert(tx: Tx, mailbox_id: int, name: str, content: bytes, is_string: bool) -> None:
    number = tx.next_number("next_annotation_id")
    modseq = tx.next_modseq()
    tx.run(
        "INSERT INTO annotation_all VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?)",
        tx.account_id,
        number,
        modseq,
        modseq,
        mailbox_id,
        name.lower(),
        is_string,
        content,
    )


def _remove(tx: Tx, mailbox_id: int, name: str) -> bool:
    row = tx.one(
        "SELECT id FROM annotation WHERE account_id = ? AND mailbox_id = ? AND name = ?",
        tx.account_id,
        mailbox_id,
        name.lower(),
    )
    if row is None:
        return False
    tx.run(
        "UPDATE annotation_all SET expunged = 1, content = x'', modseq = ? WHERE account_id = ? AND id = ?",
        tx.next_modseq(),
        tx.account_id,
        row[0],
    )
    return True


def remove_all(tx: Tx, mailbox_id: int) -> None:
    """The mailbox is about to go."""
    if tx.one("SELECT 1 FROM annotation WHERE account_id = ? AND mailbox_id = ?", tx.account_id, mailbox_id):
        tx.run(
            "UPDATE annotation_all SET expunged = 1, content = x'', modseq = ? "
            "WHERE account_id = ? AND mailbox_id = ? AND expunged = 0",
            tx.next_modseq(),
            tx.account_id,
            mailbox_id,
        )


def copy_all(tx: Tx, mailbox_id: int, target_id: int) -> None:
    """Give a mailbox the annotations of another (RENAME of Inbox). Raises TooManyAnnotations, AnnotationsTooBig."""
    found = list_annotations(tx, mailbox_id)
    set_annotations(tx, target_id, [(a.name, a.content, a.is_string) for a in found])


def _touch(tx: Tx, mailbox_id: int) -> None:
    if mailbox_id:
        tx.run(
            "UPDATE mailbox_all SET modseq = ? WHERE account_id = ? AND id = ?",
            tx.next_modseq(),
            tx.account_id,
            mailbox_id,
        )


def _check_limits(tx: Tx) -> None:
    row = tx.one(
        "SELECT count(*), coalesce(sum(length(name) + length(content)), 0) FROM annotation WHERE account_id = ?",
        tx.account_id,
    )
    assert row is not None
    if row[0] > MAX_ANNOTATIONS:
        raise TooManyAnnotations(f"account has the most annotations it may have, {MAX_ANNOTATIONS}")
    if row[1] > MAX_OCTETS:
        raise AnnotationsTooBig(f"annotations of the account would take more than {MAX_OCTETS} bytes")


def changed_annotations(tx: Tx, modseq: int) -> list[tuple[int, str, int]]:
    """(mailbox_id, name, modseq) of what was set or removed after `modseq`, in order, each name once."""
    rows = tx.run(
        "SELECT mailbox_id, name, max(modseq) FROM annotation_all WHERE account_id = ? AND modseq > ? "
        "GROUP BY mailbox_id, name ORDER BY max(modseq), mailbox_id, name",
        tx.account_id,
        modseq,
    )
    return [(mailbox_id, name, changed) for mailbox_id, name, changed in rows]
