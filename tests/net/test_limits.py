"""Limits per network, alone and together with other processes."""

import pytest

from mox.net.bus import PROCESS_ENDED, LocalBus
from mox.net.limits import ConnectionLimiter, RateLimiter, networks


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("10.1.2.77", ("10.1.2.77/32", "10.1.2.64/26", "10.1.0.0/21")),
        ("2001:db8:1:2::9", ("2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8::/32")),
        ("::ffff:10.1.2.77", ("10.1.2.77/32", "10.1.2.64/26", "10.1.0.0/21")),
    ],
)
def test_classes(ip: str, expected: tuple[str, str, str]) -> None:
    assert networks(ip) == expected


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_rate_by_class_and_window() -> None:
    clock = Clock()
    limiter = RateLimiter(60, [2, 3, 5], clock)
    assert [limiter.add("10.0.0.1") for _ in range(3)] == [True, True, False]
    assert [limiter.add("10.0.0.2") for _ in range(2)] == [True, False]
    assert limiter.is_open("10.0.1.1")
    clock.now += 60
    assert limiter.add("10.0.0.1")


def test_a_success_takes_the_addresses_events_from_its_networks() -> None:
    limiter = RateLimiter(60, [9, 3, 9], Clock())
    for _ in range(2):
        limiter.add("10.0.0.1")
    limiter.add("10.0.0.2")
    assert not limiter.is_open("10.0.0.2")
    limiter.reset("10.0.0.1")
    assert [limiter.add("10.0.0.2") for _ in range(3)] == [True, True, False]


class Ends:
    """Two processes' buses, joined as the core joins them."""

    def __init__(self) -> None:
        self.one, self.two = LocalBus("1"), LocalBus("2")
        join(self.one, self.two)


def join(one: LocalBus, two: LocalBus) -> None:
    here, there = one.publish, two.publish

    def both(topic: str, payload: bytes) -> None:
        here(topic, payload)
        there(topic, payload)

    one.publish = two.publish = both  # type: ignore[method-assign]


def test_processes_count_events_together() -> None:
    ends, clock = Ends(), Clock()
    limiters = [RateLimiter(60, [4, 9, 9], clock) for _ in range(2)]
    for limiter, bus in zip(limiters, (ends.one, ends.two), strict=True):
        limiter.share(bus, "x")
    assert [limiters[n % 2].add("10.0.0.1") for n in range(5)] == [True] * 4 + [False]
    limiters[0].reset("10.0.0.1")
    assert limiters[1].is_open("10.0.0.1")


def test_processes_count_connections_together_until_one_ends() -> None:
    ends = Ends()
    one, two = ConnectionLimiter([3, 9, 9]), ConnectionLimiter([3, 9, 9])
    one.share(ends.one, "x")
    two.share(ends.two, "x")
    assert one.add("10.0.0.1") and two.add("10.0.0.1") and two.add("10.0.0.1")
    assert not one.add("10.0.0.1")
    two.remove("10.0.0.1")
    assert one.add("10.0.0.1")
    assert not two.add("10.0.0.1")
    ends.one.publish(PROCESS_ENDED, b"2")
    assert one.add("10.0.0.1")


def test_a_connection_too_many_to_remove_does_no_harm() -> None:
    limiter = ConnectionLimiter([1, 1, 1])
    limiter.remove("10.0.0.1")
    assert limiter.add("10.0.0.1")
    assert not limiter.add("10.0.0.1")


@pytest.mark.holds("smtp-in-f4a984")
def test_two_windows_and_neighbours() -> None:
    clock = Clock()
    short, long = RateLimiter(60, [2, 4, 6], clock), RateLimiter(3600, [2, 4, 6], clock)

    def add(ip: str) -> bool:
        return short.is_open(ip) and long.is_open(ip) and short.add(ip) and long.add(ip)

    assert [add("10.0.0.1") for _ in range(3)] == [True, True, False]
    assert [add("10.0.0.2") for _ in range(3)] == [True, True, False]
    # The /26 is full, then the /21.
    assert not add("10.0.0.3")
    assert [add("10.0.1.1") for _ in range(3)] == [True, True, False]
    assert not add("10.0.2.1")
    assert add("10.0.8.1")
    clock.now += 60
    assert not add("10.0.0.1"), "the longer window is not over"
    clock.now += 3600
    assert add("10.0.0.1")
    for limiter in (short, long):
        limiter.reset("10.0.0.1")
    assert [add("10.0.0.2") for _ in range(2)] == [True, True]


@pytest.mark.holds("smtp-in-edde67")
def test_many_connections_of_one_address() -> None:
    limiter = RateLimiter(60, [300, 900, 2700], Clock())
    assert sum(limiter.add("10.0.0.1") for _ in range(600)) == 300
