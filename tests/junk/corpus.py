"""Corpora of ham and spam made by chance, and a plain Bayes classifier to compare with."""

import math
import random
from collections import Counter

_VOWELS, _CONSONANTS = "aeiou", "bcdfglmnprstv"


def _vocabulary(rng: random.Random, count: int) -> list[str]:
    words: set[str] = set()
    while len(words) < count:
        words.add("".join(rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(rng.randint(2, 4))))
    return sorted(words)


class Corpus:
    """Messages of two kinds of writers: most words are common to both, and everybody has favourites. Words do not
    depend on each other, which is what plain Bayes assumes."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        words = _vocabulary(self.rng, 4000)
        self.rng.shuffle(words)
        self.common, self.ham, self.spam = words[:3000], words[2600:3500], words[3100:]

    def _words(self, is_spam: bool) -> list[str]:
        own = self.spam if is_spam else self.ham
        rng = self.rng
        return [
            rng.choice(own) if rng.random() < 0.25 else self.common[int(len(self.common) * rng.random() ** 3)]
            for _ in range(rng.randint(40, 200))
        ]

    def message(self, is_spam: bool) -> bytes:
        words = self._words(is_spam)
        subject = " ".join(words[:5])
        lines = "\r\n".join(" ".join(words[i : i + 10]) for i in range(5, len(words), 10))
        return f"From: <{words[0]}@{words[1]}.example>\r\nSubject: {subject}\r\n\r\n{lines}\r\n".encode()

    def messages(self, count: int, is_spam: bool) -> list[bytes]:
        return [self.message(is_spam) for _ in range(count)]


class Campaigns(Corpus):
    """Words depend on each other, as in real mail: people have topics and signatures and quote junk, junk comes in
    campaigns, and some of it is filled up with words of honest mail."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = rng = random.Random(seed)
        words = _vocabulary(rng, 9000)
        rng.shuffle(words)
        self.common = words[:2000]
        self.topics = [words[at : at + 60] for at in range(2000, 5600, 60)]
        self.people = [(words[at : at + 20], rng.sample(range(45), 4)) for at in range(6000, 7200, 20)]
        self.campaigns = [(rng.sample(words[8000:], 12), rng.randrange(40, 60)) for _ in range(200)]

    def _words(self, is_spam: bool) -> list[str]:
        rng = self.rng
        if is_spam:
            phrase, topic = rng.choice(self.campaigns)
            words, count = (list(phrase) if rng.random() < 0.5 else rng.sample(phrase, 6)), rng.randint(10, 60)
        else:
            signature, topics = rng.choice(self.people)
            topic = rng.choice(topics)
            words, count = (list(signature) if rng.random() < 0.6 else []), rng.randint(10, 150)
            if rng.random() < 0.08:
                words += rng.choice(self.campaigns)[0]
        words += [self._word(topic) for _ in range(count)]
        if is_spam and rng.random() < 0.3:
            honest = rng.choice(self.people)[1]
            words += [rng.choice(self.topics[rng.choice(honest)]) for _ in range(rng.randint(10, 40))]
        rng.shuffle(words)
        return words

    def _word(self, topic: int) -> str:
        if self.rng.random() < 0.35:
            return self.rng.choice(self.topics[topic])
        return self.common[int(len(self.common) * self.rng.random() ** 3)]


class PlainBayes:
    """Naive Bayes over words with add-one smoothing."""

    def __init__(self) -> None:
        self.counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self.messages = [0, 0]

    def train(self, words: list[str], is_spam: bool) -> None:
        self.counts[is_spam].update(words)
        self.messages[is_spam] += 1

    def is_spam(self, words: list[str]) -> bool:
        score = 0.0
        for word in words:
            shares = [(self.counts[kind][word] + 1) / (self.messages[kind] + 2) for kind in (0, 1)]
            score += math.log(shares[1] / shares[0])
        return score > 0
