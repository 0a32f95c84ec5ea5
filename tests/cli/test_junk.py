"""junk … (spec/cli.md section 16)."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.cli.command import CommandError
from mox.cli.main import run

Junk = Callable[..., str]
HAM = "meeting agenda budget project review schedule minutes invoice colleague deadline".split()
SPAM = "winner lottery casino replica pharmacy discount miracle enlarge millions prize".split()
COMMON = "please today number people little before another together morning letter".split()
WORDS = ("-one-grams", "-two-grams=false")


@pytest.fixture
def junk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Junk:
    """Run `mox junk` in a folder with directories of mail; its output."""
    rng = random.Random(1)
    for name, words, count in (("ham", HAM, 60), ("spam", SPAM, 60), ("newham", HAM, 10), ("newspam", SPAM, 10)):
        (tmp_path / name).mkdir()
        for number in range(count):
            text = " ".join(rng.sample(words, 5) + rng.sample(COMMON, 5))
            content = f"Date: Mon, 1 Jan 2024 00:00:{number % 60:02} +0000\n\n{text}\n"
            (tmp_path / name / str(number)).write_text(content)
    monkeypatch.chdir(tmp_path)

    def command(word: str, *words: str) -> str:
        assert run(["junk", word, *words]) == 0
        return capsys.readouterr().out

    return command


def test_a_filter_learns_and_judges(junk: Junk, tmp_path: Path) -> None:
    assert junk("train", *WORDS, "-sent-dir", "newham", "ham", "spam") == "learned 70 ham, 60 spam\n"
    assert (tmp_path / "filter.db").exists() and not (tmp_path / "filter.bloom").exists()
    probability, _, significant = junk("check", *WORDS, "newspam/1").strip().partition(", ")
    assert float(probability) > 0.9 and significant == "significant"
    assert float(junk("check", *WORDS, "newham/1").partition(",")[0]) < 0.1
    told = junk("check", *WORDS, "-debug", "newspam/1").splitlines()
    assert [line.partition(":")[0] for line in told[1:]] == ["ham words", "spam words"]


def test_judging_known_messages(junk: Junk) -> None:
    junk("train", *WORDS, "ham", "spam")
    assert junk("test", *WORDS, "newham", "newspam").splitlines() == [
        "total ham, ok 10, bad 0",
        "total spam, ok 10, bad 0",
        "specifity (true negatives, hams identified): 1.000000",
        "sensitivity (true positives, spams identified): 1.000000",
        "accuracy: 1.000000",
    ]
    # All spam is taken for ham by who says so, and every mistake is named.
    lines = junk("test", *WORDS, "newspam", "newham").splitlines()
    assert len(lines) == 25 and lines[0].startswith("newspam/0: 1.0") and lines[10].startswith("newham/0: 0.0")
    assert lines[-1] == "accuracy: 0.000000"


def test_analyzing_splits_the_messages(junk: Junk, tmp_path: Path) -> None:
    lines = junk("analyze", *WORDS, "-train-ratio", "0.75", "ham", "spam").splitlines()
    assert lines[-5:-3] == ["total ham, ok 15, bad 0", "total spam, ok 15, bad 0"]
    assert not (tmp_path / "filter.db").exists()


def test_playing_learns_after_each_message(junk: Junk) -> None:
    lines = junk("play", *WORDS, "ham", "spam").splitlines()
    ham_right = int(lines[0].split()[3].strip(","))
    spam_right = int(lines[1].split()[3].strip(","))
    # Nothing is known at first, and nothing unknown is spam; later it is.
    assert ham_right >= 58 and 30 < spam_right < 60
    assert junk("play", *WORDS, "-sent-dir", "newham", "ham", "spam").startswith("total ham, ok ")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param(["check", "x"], "there is no filter in filter.db", id="no filter"),
        pytest.param(["train", "-max-power", "0.6", "ham", "spam"], "-max-power must be a number", id="share"),
        pytest.param(["train", "-top-words", "-", "ham", "spam"], "-top-words must be a number", id="number"),
        pytest.param(["train", "gone", "spam"], "reading messages: ", id="no directory"),
    ],
)
def test_what_is_wrong_is_told(junk: Junk, words: list[str], text: str) -> None:
    with pytest.raises(CommandError, match=text):
        junk(*words)
