"""Lists for administrators: filters, and pages of one row in every order."""

from pathlib import Path

import pytest

from mox.outbound import hooks, operations
from mox.outbound.listing import (
    HOOKS,
    HOOKS_RETIRED,
    MESSAGES,
    RETIRED,
    Filter,
    Listing,
    ListingError,
    Sort,
    format_time,
    parse_time,
    parse_time_filter,
)
from mox.outbound.records import NewHook, now_ms
from tests.outbound.bench import DAY_MS, Bench, address, new, opened

FAR_MS = 1 << 42


async def fill(bench: Bench) -> None:
    """Five rows in each of the four tables, some with equal times."""
    for number in range(5):
        await bench.add(new(f"u{number}@x.example", next_ms=FAR_MS + number // 2))
        await bench.queue.write(lambda tx: hooks.add(tx, NewHook("mjl", "http://h.example/", "{}"), DAY_MS))
    await operations.drop(bench.queue, Filter())
    surroundings = bench.surroundings
    await bench.queue.write(lambda tx: operations.cancel_hooks(tx, surroundings, Filter()))
    for number in range(5):
        await bench.add(new(f"u{number}@x.example", next_ms=FAR_MS + number // 2))
        await bench.queue.write(lambda tx: hooks.add(tx, NewHook("mjl", "http://h.example/", "{}"), DAY_MS))


TABLES = [
    (MESSAGES, "NextAttempt", "next_ms"),
    (MESSAGES, "Queued", "queued_ms"),
    (RETIRED, "LastActivity", "activity_ms"),
    (RETIRED, "Queued", "queued_ms"),
    (HOOKS, "NextAttempt", "next_ms"),
    (HOOKS, "Submitted", "submitted_ms"),
    (HOOKS_RETIRED, "LastActivity", "activity_ms"),
    (HOOKS_RETIRED, "Submitted", "submitted_ms"),
]


@pytest.mark.holds("outbound-44e813")
@pytest.mark.parametrize("zone", ["local", "UTC", "nanoseconds"])
@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize(("listing", "field", "column"), TABLES, ids=lambda v: v if isinstance(v, str) else v.table)
async def test_pages_of_one_row(
    tmp_path: Path, listing: Listing[object], field: str, column: str, ascending: bool, zone: str
) -> None:
    async with opened(tmp_path) as bench:
        await fill(bench)
        everything = await bench.queue.read(lambda tx: listing.select(tx, sort=Sort(field, ascending)))
        keys = [(getattr(row, column), row.id) for row in everything]  # type: ignore[attr-defined]
        assert len(keys) == 5 and keys == sorted(keys, reverse=not ascending)
        sort, found = Sort(field, ascending), []
        while page := await bench.queue.read(lambda tx, s=sort: listing.select(tx, Filter(max=1), s)):  # type: ignore[misc]
            (row,) = page
            found.append(row)
            assert len(found) <= 5
            text = format_time(getattr(row, column))
            if zone == "UTC":
                text = text[:-6] + "Z" if text.endswith("+00:00") else text
            elif zone == "nanoseconds":
                text = text[:-6] + "000000" + text[-6:]
            sort = Sort(field, ascending, row.id, text)  # type: ignore[attr-defined]
        assert found == everything


async def test_filters(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        a = (await bench.add(new("a@x.example", next_ms=FAR_MS), account="one"))[0]
        b = (await bench.add(new("b@bücher.example", sender="", next_ms=now_ms() + 3_600_000, transport="t")))[0]
        cases: list[tuple[Filter, list[int]]] = [
            (Filter(), [a, b]),
            (Filter(ids=[b]), [b]),
            (Filter(account="one"), [a]),
            (Filter(from_="@mox.example"), [a]),
            (Filter(to="@bücher.example"), [b]),
            (Filter(from_="mjl@", to="b@b"), [a, b]),
            (Filter(hold=True), []),
            (Filter(hold=False), [a, b]),
            (Filter(transport=""), [a]),
            (Filter(transport="t"), [b]),
            (Filter(submitted="<now"), [a, b]),
            (Filter(submitted=">-1h"), [a, b]),
            (Filter(submitted=">1h"), []),
            (Filter(next_attempt="<2h30m"), [b]),
            (Filter(max=1), [a]),
        ]
        for which, expected in cases:
            found = await bench.queue.read(lambda tx, w=which: MESSAGES.select(tx, w, Sort("Queued", True)))  # type: ignore[misc]
            assert [m.id for m in found] == expected, which
        assert address("b@bücher.example").domain == "xn--bcher-kva.example"


@pytest.mark.parametrize("text", ["now", "=1h", "<", "<soon", "<1"])
def test_bad_time_filters(text: str) -> None:
    with pytest.raises(ListingError):
        parse_time_filter(text)


def test_bad_sorting(tmp_path: Path) -> None:
    with pytest.raises(ListingError, match="cannot sort"):
        MESSAGES._column("Size")
    for text in ("", "yesterday", "2026-01-01T00:00:00"):
        with pytest.raises(ListingError):
            parse_time(text)
    assert parse_time("2026-01-01T00:00:00.123456789Z") == parse_time("2026-01-01T01:00:00.123+01:00")
