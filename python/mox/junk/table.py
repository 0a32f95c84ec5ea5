"""Counts of words in an account's database. Functions take a transaction; no word of a message comes twice."""

from collections.abc import Iterable, Mapping, Sequence

from mox.junk.scoring import NOTHING_LEARNED, Counts
from mox.store.engine import Tx

# Parameters of one statement; databases limit them.
_BATCH = 500


def totals(tx: Tx) -> Counts:
    """Messages learned."""
    row = tx.one("SELECT ham, spam FROM junk_total WHERE account_id = ?", tx.account_id)
    return Counts(*row) if row is not None else NOTHING_LEARNED


def look_up(tx: Tx, words: Sequence[str]) -> dict[str, Counts]:
    """Counts of the words that are known."""
    found: dict[str, Counts] = {}
    for at in range(0, len(words), _BATCH):
        batch = words[at : at + _BATCH]
        marks = ", ".join("?" * len(batch))
        rows = tx.run(
            f"SELECT word, ham, spam FROM junk_word WHERE account_id = ? AND word IN ({marks})", tx.account_id, *batch
        )
        found.update((word, Counts(ham, spam)) for word, ham, spam in rows)
    return found


def learn(tx: Tx, words: Sequence[str], is_spam: bool) -> None:
    """Count a message."""
    add(tx, dict.fromkeys(words, Counts(0, 1) if is_spam else Counts(1, 0)), Counts(0, 1) if is_spam else Counts(1, 0))


def add(tx: Tx, words: Mapping[str, Counts], messages: Counts) -> None:
    """Add counts of many messages at once."""
    tx.many(
        "INSERT INTO junk_word VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET ham = ham + excluded.ham, spam = spam + excluded.spam",
        # In order, so that neighbours in the table are written together.
        [(tx.account_id, word, words[word].ham, words[word].spam) for word in sorted(words)],
    )
    tx.run(
        "INSERT INTO junk_total VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET ham = ham + excluded.ham, spam = spam + excluded.spam",
        tx.account_id,
        *messages,
    )


def unlearn(tx: Tx, words: Sequence[str], is_spam: bool) -> None:
    """Take back a message that was learned. Counts do not go below zero; words without counts are removed."""
    column = "spam" if is_spam else "ham"
    keys = [(tx.account_id, word) for word in words]
    tx.many(f"UPDATE junk_word SET {column} = {column} - 1 WHERE account_id = ? AND word = ? AND {column} > 0", keys)
    tx.many("DELETE FROM junk_word WHERE account_id = ? AND word = ? AND ham = 0 AND spam = 0", keys)
    tx.run(f"UPDATE junk_total SET {column} = {column} - 1 WHERE account_id = ? AND {column} > 0", tx.account_id)


def clear(tx: Tx) -> None:
    """Forget everything."""
    tx.run("DELETE FROM junk_word WHERE account_id = ?", tx.account_id)
    tx.run("DELETE FROM junk_total WHERE account_id = ?", tx.account_id)


def verify(tx: Tx, messages: Iterable[tuple[Sequence[str], bool]]) -> list[str]:
    """Differences between the tables and what learning `messages` (words, is spam) gives; empty when all is well."""
    expected: dict[str, Counts] = {}
    total = Counts(0, 0)
    for words, is_spam in messages:
        one = Counts(0, 1) if is_spam else Counts(1, 0)
        total = Counts(total.ham + one.ham, total.spam + one.spam)
        for word in words:
            old = expected.get(word, Counts(0, 0))
            expected[word] = Counts(old.ham + one.ham, old.spam + one.spam)
    problems = [] if totals(tx) == total else [f"junk filter learned {totals(tx)}, should be {total}"]
    for word, ham, spam in tx.run("SELECT word, ham, spam FROM junk_word WHERE account_id = ?", tx.account_id):
        if (ham, spam) != (want := expected.pop(word, Counts(0, 0))):
            problems.append(f"word {word!r} has counts {ham} and {spam}, should be {want.ham} and {want.spam}")
    return [*problems, *(f"word {word!r} is missing" for word in expected)]
