"""From counts to a probability."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.config.junkfilter import JunkFilterParams
from mox.junk.scoring import Counts, classify, word_score

PARAMS = JunkFilterParams(Onegrams=True, MaxPower=0.01, TopWords=10, IgnoreWords=0.1, RareWords=2)
LAX = JunkFilterParams(Onegrams=True, MaxPower=0.0, TopWords=3, IgnoreWords=0.0, RareWords=0)


@pytest.mark.parametrize(
    ("counts", "totals", "params", "expected"),
    [
        ((10, 0), (10, 10), PARAMS, 0.01),
        ((0, 10), (10, 10), PARAMS, 0.99),
        ((5, 5), (10, 10), PARAMS, None),
        ((0, 0), (10, 10), PARAMS, None),
        ((5, 0), (0, 0), PARAMS, None),
        ((2, 8), (10, 10), PARAMS, 0.8),
        ((2, 8), (100, 10), PARAMS, 0.8 / 0.82),
        ((1, 0), (10, 0), PARAMS, 0.01 + 2 * 0.49 / 10),
        ((0, 2), (10, 10), PARAMS, 0.99 - 0.49 / 10),
        ((0, 1), (10, 10), LAX, 1.0),
        ((9, 11), (20, 20), PARAMS, None),
    ],
    ids=[
        "ham",
        "spam",
        "even",
        "no counts",
        "no messages",
        "mostly",
        "other totals",
        "rare",
        "less rare",
        "lax",
        "near",
    ],
)
def test_word(
    counts: tuple[int, int], totals: tuple[int, int], params: JunkFilterParams, expected: float | None
) -> None:
    score = word_score(Counts(*counts), Counts(*totals), params)
    assert score == (None if expected is None else pytest.approx(expected))


def test_most_telling_words_decide() -> None:
    counts = {"aa": Counts(10, 0), "bbb": Counts(10, 0), "c": Counts(0, 10), "d": Counts(3, 7), "e": Counts(7, 3)}
    verdict = classify(counts, counts, Counts(10, 10), PARAMS)
    assert [w.word for w in verdict.ham_words] == ["bbb", "aa", "e"]
    assert [w.word for w in verdict.spam_words] == ["c", "d"]
    scores = [w.score for w in (*verdict.ham_words, *verdict.spam_words)]
    expected = math.prod(scores) / (math.prod(scores) + math.prod(1 - s for s in scores))
    assert verdict.probability == pytest.approx(expected)
    assert not verdict.is_significant
    assert classify([], {}, Counts(50, 0), PARAMS).is_significant
    assert classify(["x"], {}, Counts(50, 0), PARAMS).probability == 0.5


def test_only_the_top_counts() -> None:
    counts = {f"w{n}": Counts(0, n + 1) for n in range(20)}
    assert len(classify(counts, counts, Counts(20, 20), LAX).spam_words) == 3


@given(
    st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=20),
    st.integers(0, 50),
    st.integers(0, 50),
    st.sampled_from([PARAMS, LAX]),
)
def test_always_a_probability(found: dict[str, tuple[int, int]], ham: int, spam: int, params: JunkFilterParams) -> None:
    verdict = classify(found, {w: Counts(*c) for w, c in found.items()}, Counts(ham, spam), params)
    assert 0 <= verdict.probability <= 1
