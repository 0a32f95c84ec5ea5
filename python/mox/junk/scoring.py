"""From counts of words to the probability that a message is junk (Bayes, as Graham and Robinson apply it).

Pure: words, counts and parameters in, verdict out. The words come from `mox._rust.junk_words`.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct

from mox.config.junkfilter import JunkFilterParams

# With fewer ham messages learned, a verdict is no more than a guess.
SIGNIFICANT_HAM = 50
UNKNOWN = 0.5


class Counts(NamedTuple):
    """Messages of each class, in all or with a word."""

    ham: int
    spam: int


NOTHING_LEARNED = Counts(0, 0)


class WordScore(NamedTuple):
    """How much a word says for junk, between 0 and 1."""

    word: str
    score: float


class Verdict(Struct, frozen=True):
    """The probability of junk, and the words that made it, most telling first."""

    probability: float
    is_significant: bool
    ham_words: tuple[WordScore, ...]
    spam_words: tuple[WordScore, ...]


def word_score(counts: Counts, totals: Counts, params: JunkFilterParams) -> float | None:
    """What a word says; None when it says too little."""
    ham = counts.ham / totals.ham if totals.ham else 0.0
    spam = counts.spam / totals.spam if totals.spam else 0.0
    if not ham and not spam:
        return None
    score = min(max(spam / (ham + spam), params.MaxPower), 1 - params.MaxPower)
    seen = counts.ham + counts.spam
    if seen <= params.RareWords:
        score += (1 + params.RareWords - seen) * (UNKNOWN - score) / 10
    distance = abs(UNKNOWN - score)
    return None if distance < params.IgnoreWords or not distance else score


def classify(words: Iterable[str], counts: Mapping[str, Counts], totals: Counts, params: JunkFilterParams) -> Verdict:
    """Judge a message by its words. `counts` holds the known ones."""
    ham: list[WordScore] = []
    spam: list[WordScore] = []
    for word in words:
        known = counts.get(word)
        score = word_score(known, totals, params) if known is not None else None
        if score is not None:
            (ham if score < UNKNOWN else spam).append(WordScore(word, score))
    # Equal scores: longer words say more; the rest of the order only has to be always the same.
    ham.sort(key=lambda w: (w.score, -len(w.word), w.word))
    spam.sort(key=lambda w: (-w.score, -len(w.word), w.word))
    top = (tuple(ham[: params.TopWords]), tuple(spam[: params.TopWords]))
    return Verdict(_combine([*top[0], *top[1]], params), totals.ham >= SIGNIFICANT_HAM, *top)


def _combine(scores: list[WordScore], params: JunkFilterParams) -> float:
    if not scores:
        return UNKNOWN
    # Without a bound a single certain word would decide alone.
    tiny = 1e-9
    eta = sum(math.log(1 - s) - math.log(s) for s in (min(max(w.score, tiny), 1 - tiny) for w in scores))
    return 1 / (1 + math.exp(min(eta, 700.0)))
