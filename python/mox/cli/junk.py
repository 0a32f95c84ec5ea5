"""junk …: filters of their own files, to try parameters on directories of mail."""

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from mox._rust import parse_message
from mox.cli.command import Command, CommandError, Flag, Invocation
from mox.config.junkfilter import JunkFilterParams
from mox.junk.bulk import FilterFile, Rates, split
from mox.junk.scoring import Verdict, WordScore

# The order of messages is always the same, unless `-seed` is given.
_SEED = 1


def _params(invocation: Invocation) -> JunkFilterParams:
    """Raises CommandError."""
    return JunkFilterParams(
        Onegrams=invocation.switch("one-grams"),
        Twograms=invocation.switch("two-grams"),
        Threegrams=invocation.switch("three-grams"),
        MaxPower=_share(invocation, "max-power", 0.5),
        IgnoreWords=_share(invocation, "ignore-words", 0.5),
        TopWords=_count(invocation, "top-words"),
        RareWords=_count(invocation, "rare-words"),
    )


def _share(invocation: Invocation, name: str, most: float = 1.0) -> float:
    text = invocation.text(name)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise CommandError(f"-{name} must be a number between 0 and {most:g}, not {text!r}")
    return value


def _count(invocation: Invocation, name: str) -> int:
    text = invocation.text(name)
    if not text.isdecimal():
        raise CommandError(f"-{name} must be a number from 0, not {text!r}")
    return int(text)


def _files(folder: str) -> list[str]:
    """Message files of a directory. Raises CommandError."""
    try:
        return sorted(entry.path for entry in os.scandir(folder) if entry.is_file())
    except OSError as err:
        raise CommandError(f"reading messages: {err}") from err


def _read(path: str) -> bytes:
    """Raises CommandError."""
    try:
        return Path(path).read_bytes()
    except OSError as err:
        raise CommandError(f"reading a message: {err}") from err


def _contents(paths: Iterable[str]) -> Iterator[bytes]:
    return (_read(path) for path in paths)


def _named(paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    return ((path, _read(path)) for path in paths)


def _seed(invocation: Invocation) -> int | None:
    return None if invocation.switch("seed") else _SEED


def _print_verdict(verdict: Verdict) -> None:
    for kind, words in (("ham", verdict.ham_words), ("spam", verdict.spam_words)):
        print(f"{kind} words: {', '.join(map(_word, words)) or 'none'}")


def _word(word: WordScore) -> str:
    return f"{word.word} {word.score:.3f}"


def _print_rates(rates: Rates) -> None:
    print(f"total ham, ok {rates.ham_right}, bad {rates.ham_wrong}")
    print(f"total spam, ok {rates.spam_right}, bad {rates.spam_wrong}")
    print(f"specifity (true negatives, hams identified): {rates.specificity:.6f}")
    print(f"sensitivity (true positives, spams identified): {rates.sensitivity:.6f}")
    print(f"accuracy: {rates.accuracy:.6f}")


def _open(invocation: Invocation, must_exist: bool) -> FilterFile:
    """The filter of `-dbpath`. Raises CommandError."""
    path = Path(invocation.text("dbpath"))
    if must_exist and not path.exists():
        raise CommandError(f"there is no filter in {path}; make one with `mox junk train`, or name it with -dbpath")
    return FilterFile(path, _params(invocation))


def _train(invocation: Invocation) -> None:
    ham, spam = map(_files, invocation.arguments)
    filter_file = _open(invocation, must_exist=False)
    try:
        learned = filter_file.train(_contents([*ham, *_sent(invocation)]), _contents(spam))
    finally:
        filter_file.close()
    print(f"learned {learned.ham} ham, {learned.spam} spam")


def _sent(invocation: Invocation) -> list[str]:
    folder = invocation.text("sent-dir")
    return _files(folder) if folder else []


def _check(invocation: Invocation) -> None:
    filter_file = _open(invocation, must_exist=True)
    try:
        verdict = filter_file.classify(_read(invocation.argument(0)))
    finally:
        filter_file.close()
    print(f"{verdict.probability:.6f}, {'significant' if verdict.is_significant else 'not significant'}")
    if invocation.switch("debug"):
        _print_verdict(verdict)


def _judge(invocation: Invocation, filter_file: FilterFile, ham: Sequence[str], spam: Sequence[str]) -> None:
    """Judge message files, and print the mistakes and how many there were."""

    def wrong(name: str, verdict: Verdict) -> None:
        print(f"{name}: {verdict.probability:.6f}")
        if invocation.switch("debug"):
            _print_verdict(verdict)

    threshold = _share(invocation, "spam-threshold")
    _print_rates(filter_file.test(_named(ham), _named(spam), threshold, wrong))


def _test(invocation: Invocation) -> None:
    ham, spam = map(_files, invocation.arguments)
    filter_file = _open(invocation, must_exist=True)
    try:
        _judge(invocation, filter_file, ham, spam)
    finally:
        filter_file.close()


def _analyze(invocation: Invocation) -> None:
    ratio, seed = _share(invocation, "train-ratio"), _seed(invocation)
    (known_ham, ham), (known_spam, spam) = (split(_files(folder), ratio, seed) for folder in invocation.arguments)
    with tempfile.TemporaryDirectory(prefix="mox-junk-") as folder:
        filter_file = FilterFile(Path(folder) / "filter.db", _params(invocation))
        try:
            filter_file.train(_contents([*known_ham, *_sent(invocation)]), _contents(known_spam))
            _judge(invocation, filter_file, ham, spam)
        finally:
            filter_file.close()


def _play(invocation: Invocation) -> None:
    ham, spam = map(_files, invocation.arguments)
    kinds: tuple[tuple[list[str], bool | None], ...] = ((ham, False), (spam, True), (_sent(invocation), None))
    messages = [(_time(path), path, is_spam) for paths, is_spam in kinds for path in paths]
    # Those of the same second come in random order.
    random.Random(_seed(invocation)).shuffle(messages)
    messages.sort(key=lambda message: message[0])
    threshold = _share(invocation, "spam-threshold")
    with tempfile.TemporaryDirectory(prefix="mox-junk-") as folder:
        filter_file = FilterFile(Path(folder) / "filter.db", _params(invocation))
        try:
            _print_rates(filter_file.play(((_read(path), is_spam) for _, path, is_spam in messages), threshold))
        finally:
            filter_file.close()


def _time(path: str) -> float:
    """When a message was sent as far as it says; else the time of its file."""
    sent = parse_message(_read(path)).sent
    return min(sent[0], time.time()) if sent is not None else os.stat(path).st_mtime


_FLAGS = (
    Flag("one-grams", "count single words", False),
    Flag("two-grams", "count pairs of words; on, unless -two-grams=false", True),
    Flag("three-grams", "count triples of words", False),
    Flag("max-power", "bound for what a single word can say, 0 to 0.5", "0.05", "share"),
    Flag("ignore-words", "words this close to one half are left out, 0 to 0.5", "0.1", "share"),
    Flag("top-words", "how many of the most telling words count, from either end", "10", "number"),
    Flag("rare-words", "words seen this often or less count less", "1", "number"),
    Flag("debug", "print the words that decide", False),
    Flag("spam-threshold", "probability above which a message is spam", "0.95", "share"),
    Flag("train-ratio", "share of the messages that analyze learns from", "0.5", "share"),
    Flag("sent-dir", "directory with messages sent by the owner, learned as ham", "", "dir"),
    Flag("seed", "another random order each time", False),
    Flag("dbpath", "file of the filter", "filter.db", "file"),
    Flag("bloompath", "accepted for old scripts; there is no such file", "filter.bloom", "file"),
)


def _command(word: str, run: Callable[[Invocation], None], text: str, params: str = "hamdir spamdir") -> Command:
    count = len(params.split())
    return Command(("junk", word), run, text, f"[junkflags] {params}", count, count, _FLAGS, is_hidden=True)


COMMANDS = [
    _command(
        "analyze",
        _analyze,
        """Learn a random part of the messages, judge the others, and print how often that was right.

Each file in the directories is a message. The filter is not kept.
""",
    ),
    _command(
        "check",
        _check,
        "Judge one message with a filter made by train: probability of spam, and whether enough ham was learned.\n",
        "$messagefile",
    ),
    _command(
        "play",
        _play,
        """Judge messages in the order of their dates, and learn each one after that, as a server that is told of every
mistake; then print how often that was right.

Each file in the directories is a message. The filter is not kept.
""",
    ),
    _command(
        "test",
        _test,
        "Judge messages of known kind with a filter made by train, and print the mistakes and how many there were.\n",
        "$hamdir $spamdir",
    ),
    _command(
        "train",
        _train,
        """Learn messages into a filter of its own file. Done again, it learns more.

Each file in the directories is a message. Filters of accounts are not touched.

Example: mox junk train -one-grams -dbpath trial.db ham spam
""",
        "$hamdir $spamdir",
    ),
]
