"""The suppression list."""

from pathlib import Path

import pytest

from mox.outbound import suppression
from mox.outbound.incoming import find_sent
from mox.outbound.outcomes import Outcome
from mox.outbound.suppression import SuppressionError, base_address, is_final
from tests.outbound.bench import address, failing, new, opened


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("M.j.l2+catchall@Mox.example", "mjl2@mox.example"),
        ("a-b+c@x.example", "a@x.example"),
        ("a+b-c@x.example", "a@x.example"),
        ("+x@a.example", '""@a.example'),
        ("a@xn--bcher-kva.example", "a@bücher.example"),
    ],
)
def test_base_address(given: str, base: str) -> None:
    assert base_address(address(given)) == base


@pytest.mark.parametrize(
    ("code", "secode", "final"),
    [
        (550, "", True),
        (521, "", True),
        (551, "", True),
        (553, "", True),
        (556, "", True),
        (554, "", False),
        (554, "7.0", False),
        (554, "7.1", True),
        (552, "2.1", True),
        (500, "1.1", True),
        (500, "1.3", True),
        (450, "1.1", False),
    ],
)
def test_responses_that_suppress_at_once(code: int, secode: str, final: bool) -> None:
    assert is_final(code, secode) is final


@pytest.mark.holds("outbound-fe13fe")
async def test_list(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        write, first = bench.queue.write, address("b.a+x@x.example")
        await write(lambda tx: suppression.add(tx, "mjl", first, True, "by hand"))
        with pytest.raises(SuppressionError, match="already"):
            await write(lambda tx: suppression.add(tx, "mjl", address("BA@x.example"), True, ""))
        with pytest.raises(SuppressionError, match="account"):
            await write(lambda tx: suppression.add(tx, "", first, True, ""))
        await write(lambda tx: suppression.add(tx, "other", first, False, ""))
        await write(lambda tx: suppression.add(tx, "mjl", address("a@x.example"), False, ""))
        listed = await bench.queue.read(lambda tx: suppression.list_all(tx, "mjl"))
        assert [s.base_address for s in listed] == ["a@x.example", "ba@x.example"]
        assert [s.account for s in await bench.queue.read(suppression.list_all)] == ["mjl", "other", "mjl"]
        await write(lambda tx: suppression.remove(tx, "mjl", address("B.A-z@x.example")))
        with pytest.raises(SuppressionError, match="not on"):
            await write(lambda tx: suppression.remove(tx, "mjl", first))
        assert await bench.queue.read(lambda tx: suppression.lookup(tx, "other", first)) is not None
        assert await bench.queue.read(lambda tx: suppression.lookup(tx, "mjl", first)) is None


async def test_third_failure_in_a_row_of_the_same_account(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = failing(Outcome(False, True, 554, "7.0", "permanent: 554 no"))
        for account in ("mjl", "other", "mjl", "other"):
            await bench.add(account=account)
            await bench.run_due()
        assert await bench.queue.read(suppression.list_all) == []
        await bench.add(new("A@remote.example"))
        await bench.run_due()
        await bench.add()
        await bench.run_due()
        (listed,) = await bench.queue.read(suppression.list_all)
        assert listed.account == "mjl" and listed.reason == "delivery failure from queue and three consecutive failures"


async def test_unique_sender_address_of_another_account(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = failing(Outcome(True))
        await bench.add(new(from_id="unique"), account="other")
        await bench.run_due()
        found = await bench.queue.read(lambda tx: find_sent(tx, "other", "unique"))
        assert found is not None and found.account == "other"
        assert await bench.queue.read(lambda tx: find_sent(tx, "mjl", "unique")) is None
