"""Where the content of queued messages is: in the database when it is small, else in a file of the queue's folder.

A small content costs no file of its own, with its syncs, and goes in the transaction that removes its last message.
"""

from mox.store.engine import Tx

# Above this, writing twice (log and database) costs more than a file.
MAX_ROW_BYTES = 64 << 10


def add(tx: Tx, file: str, content: bytes) -> None:
    """Keep a small content under the name that its messages have in `file`."""
    tx.run("INSERT INTO contents (file, content) VALUES (?, ?)", file, content)


def find(tx: Tx, file: str) -> bytes | None:
    """A small content; None when it is a file."""
    row = tx.one("SELECT content FROM contents WHERE file = ?", file)
    return None if row is None else bytes(row[0])


def drop_unused(tx: Tx, file: str) -> str | None:
    """After a message is gone: remove the content that no other needs. The name of a file that is to be removed after
    the commit, None when there is nothing left to do."""
    if tx.one("SELECT 1 FROM queued WHERE file = ? LIMIT 1", file) is not None:
        return None
    in_row = tx.one("DELETE FROM contents WHERE file = ? RETURNING 1", file) is not None
    return None if in_row else file
