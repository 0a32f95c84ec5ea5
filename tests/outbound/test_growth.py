"""What scheduling costs does not depend on how much is queued, counted in steps of the database's machine, which are
the same on every computer. `python -m benches.outgoing --only scheduling` takes the time with 100,000 messages."""

import random
from pathlib import Path

import apsw
import pytest

from mox.outbound import lanes
from mox.outbound.backoff import Schedule
from mox.outbound.claims import Claimer
from mox.outbound.outcomes import Outcome, finish, retry
from mox.outbound.records import NewMessage
from mox.store.engine import Tx
from tests.outbound.bench import Bench, address, new, opened

FEW, MANY = 100, 10_000
CLAIMS = 20


def counted(connection: apsw.Connection) -> list[int]:
    """A list whose first item grows with the steps that the connection makes."""
    steps = [0]

    def step() -> bool:
        steps[0] += 1
        return False

    connection.set_progress_handler(step, 10)
    return steps


async def steps_a_message(bench: Bench, queued: int, domains: int, outcome: Outcome) -> float:
    """For claiming, recording and looking for the next, with so many queued."""
    sender = address("mjl@mox.example")
    # Prefixes that differ, so that every recipient is a transaction of its own.
    messages = [NewMessage(sender, address(f"u{n}@d{n % domains}.example"), b"%d" % n) for n in range(queued)]
    await bench.add(*messages)
    claimer = Claimer("host/1/x", bench.surroundings, Schedule(), lambda _domain: 5, random.Random(1))

    def work(tx: Tx) -> float:
        steps = counted(tx.connection)
        claims = claimer.claim(tx, CLAIMS)
        for claim in claims:
            for message in claim.messages:
                (finish if outcome.success else retry)(tx, bench.surroundings, message, outcome)
        lanes.next_ms(tx, lanes.Kind.MESSAGE)
        tx.connection.set_progress_handler(None)
        assert len(claims) == CLAIMS
        return steps[0] / CLAIMS

    # The first look is at fresh tables; the third is like all that follow.
    return [await bench.queue.record(work) for _ in range(3)][-1]


@pytest.mark.parametrize("domains", [20, 5_000], ids=["few domains", "many domains"])
@pytest.mark.parametrize("outcome", [Outcome(True, code=250), Outcome(False, code=451)], ids=["delivered", "later"])
async def test_scheduling_costs_the_same_with_much_queued(tmp_path: Path, domains: int, outcome: Outcome) -> None:
    async with opened(tmp_path / "few") as few, opened(tmp_path / "many") as many:
        small = await steps_a_message(few, FEW, min(domains, FEW), outcome)
        large = await steps_a_message(many, MANY, domains, outcome)
    assert large < 1.3 * small + 5, (small, large)


async def test_adding_costs_the_same_with_much_queued(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        found = []
        for _ in range(2):
            steps = await bench.queue.record(lambda tx: counted(tx.connection))
            await bench.add(new("x@remote.example"))
            found.append(steps[0])
            await bench.add(*(new(f"u{n}@d{n % 100}.example") for n in range(5_000)))
    assert found[1] < 1.3 * found[0] + 5, found
