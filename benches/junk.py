"""Junk filter: accuracy against plain Bayes, time for a message, and growth of training. `python -m benches.junk`."""

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.junk.corpus import Corpus, PlainBayes

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


def accuracy(folder: Path) -> tuple[Rates, float]:
    """Ours, and the baseline's accuracy, on the same messages."""
    corpus, plain = Corpus(3), PlainBayes()
    ham, spam = corpus.messages(1500, False), corpus.messages(1500, True)
    own = FilterFile(folder / "accuracy.db", PARAMS)
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
    """Time to learn one message after the other, as a filter grows."""
    corpus = Corpus(4)
    own = FilterFile(folder / "growth.db", PARAMS)
    for batch in range(5):
        messages = corpus.messages(2000, batch % 2 == 1)
        started = time.perf_counter()
        own.train(messages, []) if batch % 2 == 0 else own.train([], messages)
        print(f"learning messages {2000 * batch} to {2000 * batch + 2000}: {time.perf_counter() - started:.2f} s")
    own.close()


def main() -> None:
    """Print everything."""
    with tempfile.TemporaryDirectory() as name:
        rates, baseline = accuracy(Path(name))
        print(f"accuracy {rates.accuracy:.4f} (ham {rates.specificity:.4f}, spam {rates.sensitivity:.4f})")
        print(f"plain Bayes {baseline:.4f}")
        growth(Path(name))


if __name__ == "__main__":
    main()
