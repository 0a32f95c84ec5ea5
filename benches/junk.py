"""Junk filter: accuracy against plain Bayes, time for a message, and growth of training. `python -m benches.junk`."""

import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.junk.corpus import Campaigns, Corpus, PlainBayes

from mox.config.junkfilter import JunkFilterParams
from mox.junk.bulk import FilterFile, Rates

PARAMS = JunkFilterParams(Onegrams=True, MaxPower=0.01, TopWords=10, IgnoreWords=0.1, RareWords=2)
THRESHOLD = 0.5


def cpu_ms(work: Callable[[], object], count: int) -> float:
    """Milliseconds of CPU for each of `count` things."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * used / count


def accuracy(folder: Path, corpus: Corpus) -> tuple[Rates, float]:
    """Ours, and the baseline's accuracy, on the same messages."""
    plain = PlainBayes()
    ham, spam = corpus.messages(1500, False), corpus.messages(1500, True)
    own = FilterFile(folder / f"{type(corpus).__name__}.db", PARAMS)
    own.train(ham[:1000], spam[:1000])
    for contents, kind in ((ham[:1000], False), (spam[:1000], True)):
        for content in contents:
            plain.train(own.words(content), kind)
    tested = [(c, False) for c in ham[1000:]] + [(c, True) for c in spam[1000:]]
    right = sum(plain.is_spam(own.words(c)) == kind for c, kind in tested)
    rates = own.test([("", c) for c in ham[1000:]], [("", c) for c in spam[1000:]], THRESHOLD)
    print(f"classify: {cpu_ms(lambda: [own.classify(c) for c in ham[:500]], 500):.2f} ms CPU a message")
    own.close()
    return rates, right / len(tested)


def growth(folder: Path) -> None:
    """Time to learn messages as a filter grows."""
    corpus = Corpus(4)
    own = FilterFile(folder / "growth.db", PARAMS)
    for batch in range(5):
        ham, spam = corpus.messages(1000, False), corpus.messages(1000, True)
        spent = cpu_ms(lambda ham=ham, spam=spam: own.train(ham, spam), 2000)  # type: ignore[misc]
        print(f"learning messages {2000 * batch} to {2000 * batch + 2000}: {spent:.3f} ms CPU a message")
    own.close()


def main() -> None:
    """Print everything."""
    with tempfile.TemporaryDirectory() as name:
        for text, corpus in (("words by themselves", Corpus(3)), ("topics and campaigns", Campaigns(3))):
            rates, baseline = accuracy(Path(name), corpus)
            share = f"accuracy {rates.accuracy:.4f} (ham {rates.specificity:.4f}, spam {rates.sensitivity:.4f})"
            print(f"{text}: {share}, plain Bayes {baseline:.4f}")
        growth(Path(name))


if __name__ == "__main__":
    main()
