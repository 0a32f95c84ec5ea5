"""Filters of their own files, for trying out parameters on directories of mail: what `mox junk` does."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mox._rust import junk_words
from mox.config.junkfilter import JunkFilterParams
from mox.junk import table
from mox.junk.scoring import Counts, Verdict, classify
from mox.store.engine import Tx, connect

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS junk_word (account_id INTEGER NOT NULL, word TEXT NOT NULL, ham INTEGER NOT NULL, "
    "spam INTEGER NOT NULL, PRIMARY KEY (account_id, word)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS junk_total (account_id INTEGER PRIMARY KEY, ham INTEGER NOT NULL, "
    "spam INTEGER NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class Rates:
    """How well a filter did: messages judged right and wrong."""

    ham_right: int
    ham_wrong: int
    spam_right: int
    spam_wrong: int

    @property
    def ham(self) -> int:
        """All ham."""
        return self.ham_right + self.ham_wrong

    @property
    def spam(self) -> int:
        """All spam."""
        return self.spam_right + self.spam_wrong

    @property
    def specificity(self) -> float:
        """The share of ham that was not called spam."""
        return self.ham_right / max(1, self.ham)

    @property
    def sensitivity(self) -> float:
        """The share of spam that was called spam."""
        return self.spam_right / max(1, self.spam)

    @property
    def accuracy(self) -> float:
        """The share that was judged right."""
        return (self.ham_right + self.spam_right) / max(1, self.ham + self.spam)


class FilterFile:
    """A filter in a database file, for one process at a time. Blocks; use it off the loop."""

    def __init__(self, path: Path, params: JunkFilterParams) -> None:
        self.params = params
        self._connection = connect(path)
        for statement in _SCHEMA:
            self._connection.execute(statement)
        self._tx = Tx(self._connection)

    def words(self, content: bytes) -> list[str]:
        """Words of a message with this filter's parameters."""
        params = self.params
        return junk_words(content, params.Onegrams, params.Twograms, params.Threegrams)

    def train(self, ham: Iterable[bytes], spam: Iterable[bytes]) -> Counts:
        """Learn messages; how many."""
        counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        messages = [0, 0]
        for kind, contents in enumerate((ham, spam)):
            for content in contents:
                counts[kind].update(self.words(content))
                messages[kind] += 1
        total = Counts(*messages)
        merged = {word: Counts(counts[0][word], counts[1][word]) for word in counts[0].keys() | counts[1].keys()}
        with self._connection:
            table.add(self._tx, merged, total)
        return total

    def classify(self, content: bytes) -> Verdict:
        """Judge a message."""
        words = self.words(content)
        return classify(words, table.look_up(self._tx, words), table.totals(self._tx), self.params)

    def test(
        self,
        ham: Iterable[tuple[str, bytes]],
        spam: Iterable[tuple[str, bytes]],
        threshold: float,
        wrong: Callable[[str, Verdict], None] = lambda _name, _verdict: None,
    ) -> Rates:
        """Judge named messages of known kind; `wrong` hears of each mistake."""
        found = [[0, 0], [0, 0]]
        for is_spam, messages in enumerate((ham, spam)):
            for name, content in messages:
                verdict = self.classify(content)
                is_right = (verdict.probability > threshold) == bool(is_spam)
                found[is_spam][is_right] += 1
                if not is_right:
                    wrong(name, verdict)
        return Rates(found[0][1], found[0][0], found[1][1], found[1][0])

    def play(self, messages: Iterable[tuple[bytes, bool | None]], threshold: float) -> Rates:
        """Judge messages (content, is spam) one after the other, and learn each one after that. None: sent by the
        owner of the filter, so it is ham and there is nothing to judge."""
        found = [[0, 0], [0, 0]]
        for content, is_spam in messages:
            if is_spam is not None:
                is_right = (self.classify(content).probability > threshold) == is_spam
                found[int(is_spam)][is_right] += 1
            with self._connection:
                table.learn(self._tx, self.words(content), is_spam is True)
        return Rates(found[0][1], found[0][0], found[1][1], found[1][0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def split(names: Sequence[str], ratio: float, seed: int | None) -> tuple[list[str], list[str]]:
    """Names in random order, cut in a part to learn from and a part to judge."""
    shuffled = list(names)
    random.Random(seed).shuffle(shuffled)
    at = int(len(shuffled) * ratio)
    return shuffled[:at], shuffled[at:]
