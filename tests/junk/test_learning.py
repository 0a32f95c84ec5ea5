"""Learning from flags, moves and removals, with the store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mox.config.account import Destination
from mox.config.junkfilter import JunkFilterParams
from mox.junk import learning, table
from mox.junk.bulk import FilterFile, split
from mox.junk.scoring import Counts, classify
from mox.junk.trainer import Trainer
from mox.net.bus import LocalBus
from mox.store.policy import Policy
from mox.store.store import Store
from mox.store.types import Flag
from tests.inbound.world import FILTER, World, account
from tests.junk.corpus import Campaigns, Corpus, PlainBayes
from tests.store.helpers import Box

PARAMS = JunkFilterParams(Onegrams=True, MaxPower=0.01, TopWords=10, IgnoreWords=0.1, RareWords=1)
HAM = b"Subject: lunch tomorrow\r\n\r\nShall we meet at noon for lunch\r\n"
SPAM = b"Subject: cheap pills\r\n\r\nBuy cheap pills today without prescription\r\n"


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    policy = Policy(trains_filter=True)
    async with Store(tmp_path, LocalBus(), lambda _: policy).closing() as store:
        box = Box(await store.open("mjl"))
        yield box
        await learning.settle(box.account, PARAMS)
        assert await learning.verify(box.account, PARAMS) == []
        assert await box.problems() == []


async def probability(box: Box, content: bytes) -> float:
    words = learning.words_of(content, PARAMS)
    counts, totals = await box.account.read(lambda tx: (table.look_up(tx, words), table.totals(tx)))
    return classify(words, counts, totals, PARAMS).probability


async def test_flags_teach_and_unteach(box: Box) -> None:
    ham = (await box.add("Inbox", HAM)).uids
    spam = (await box.add("Inbox", SPAM)).uids
    assert await learning.settle(box.account, PARAMS) == 0
    await box.flag("Inbox", ham, "+", Flag.NOTJUNK)
    await box.flag("Inbox", spam, "+", Flag.JUNK)
    assert await learning.settle(box.account, PARAMS) == 2
    assert await probability(box, HAM) < 0.1
    assert await probability(box, SPAM) > 0.9
    await box.flag("Inbox", ham, "=", Flag.JUNK)
    await learning.settle(box.account, PARAMS)
    assert await box.see(table.totals) == Counts(0, 2)
    await box.flag("Inbox", [*ham, *spam], "=", 0)
    await learning.settle(box.account, PARAMS)
    assert await box.see(table.totals) == Counts(0, 0)
    assert await probability(box, SPAM) == 0.5
    assert await box.see(lambda tx: tx.run("SELECT * FROM junk_word")) == []


async def test_both_flags_teach_nothing(box: Box) -> None:
    await box.add("Inbox", HAM, flags=Flag.JUNK | Flag.NOTJUNK)
    assert await learning.settle(box.account, PARAMS) == 0


async def test_copies_count_and_removals_take_back(box: Box) -> None:
    uids = (await box.add("Inbox", SPAM, flags=Flag.JUNK)).uids
    await box.copy("Inbox", uids, "Archive")
    await learning.settle(box.account, PARAMS)
    assert await box.see(table.totals) == Counts(0, 2)
    await box.move("Inbox", uids, "Archive")
    await learning.settle(box.account, PARAMS)
    assert await box.see(table.totals) == Counts(0, 2)
    await box.expunge("Archive", await box.uids("Archive"))
    await learning.settle(box.account, PARAMS)
    assert await box.see(table.totals) == Counts(0, 0)


async def test_lines_added_by_delivery_do_not_count(box: Box) -> None:
    prefix = b"Return-Path: <someone@sender.example>\r\n"
    await box.add("Inbox", HAM, prefix=prefix, flags=Flag.NOTJUNK)
    await learning.settle(box.account, PARAMS)
    assert set(await box.see(table.look_up, learning.words_of(HAM, PARAMS))) == set(learning.words_of(HAM, PARAMS))
    assert await box.see(table.look_up, learning.words_of(prefix, PARAMS)) == {}


async def test_retraining(box: Box) -> None:
    await box.add("Inbox", HAM, flags=Flag.NOTJUNK)
    await box.add("Inbox", SPAM, flags=Flag.JUNK)
    await learning.settle(box.account, PARAMS)
    await box.do(table.learn, ["stray"], True)
    assert len(await learning.verify(box.account, PARAMS)) == 2
    assert await learning.retrain(box.account, PARAMS) == 2
    assert await box.see(table.totals) == Counts(1, 1)


async def test_a_lost_file_is_skipped(box: Box) -> None:
    await box.add("Inbox", HAM, flags=Flag.NOTJUNK)
    assert await learning.settle(box.account, PARAMS) == 1


@pytest.mark.parametrize(
    ("corpus", "at_least", "advantage"),
    [
        pytest.param(Corpus(), 0.95, -0.01, id="words by themselves"),
        pytest.param(Campaigns(), 0.8, 0.0, id="topics and campaigns"),
    ],
)
def test_as_good_as_plain_bayes(tmp_path: Path, corpus: Corpus, at_least: float, advantage: float) -> None:
    """Where words do not depend on each other plain Bayes is the best there is; in real mail they do."""
    ham, spam = corpus.messages(300, False), corpus.messages(300, True)
    own, plain = FilterFile(tmp_path / "filter.db", PARAMS), PlainBayes()
    own.train(ham[:200], spam[:200])
    for contents, kind in ((ham[:200], False), (spam[:200], True)):
        for content in contents:
            plain.train(own.words(content), kind)
    rates = own.test([("h", c) for c in ham[200:]], [("s", c) for c in spam[200:]], 0.5)
    right = sum(not plain.is_spam(own.words(c)) for c in ham[200:]) + sum(
        plain.is_spam(own.words(c)) for c in spam[200:]
    )
    assert rates.accuracy >= right / 200 + advantage
    assert rates.accuracy > at_least
    own.close()


def test_playing_learns_as_it_goes(tmp_path: Path) -> None:
    corpus = Corpus(2)
    messages = [(corpus.message(kind), kind) for kind in [False, True] * 100]
    own = FilterFile(tmp_path / "filter.db", PARAMS)
    rates = own.play(messages, 0.5)
    assert rates.ham_right + rates.ham_wrong == 100
    assert rates.accuracy > 0.8
    own.close()
    assert split(["a", "b", "c", "d"], 0.5, 1) == split(["a", "b", "c", "d"], 0.5, 1)


async def test_background_learning(tmp_path: Path) -> None:
    options = {"mjl": account(Destinations={"mjl@mox.example": Destination()}, JunkFilter=FILTER)}
    world = World(tmp_path, options)
    await world.deliver("mjl@mox.example")
    await world.flag("Inbox", int(Flag.JUNK))
    trainer = Trainer(world.config, world.store)
    assert await trainer.learn() == 1
    assert await trainer.learn() == 0
    await world.store.close()
