"""The queue: adding, claiming, outcomes, notifications, what is kept."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from mox._rust import stage_bytes
from mox.message.dsn import Action, parse
from mox.outbound import claims, holdrules, operations, outcomes, runner, suppression
from mox.outbound.claims import Claim
from mox.outbound.events import Event
from mox.outbound.listing import Filter
from mox.outbound.outcomes import Outcome
from mox.outbound.queue import FromIdError
from mox.outbound.records import now_ms
from mox.outbound.runner import Limits
from mox.store.engine import Tx
from tests.outbound.bench import LETTER, Bench, address, failing, new, opened

TEMPORARY = Outcome(False, error="later, transient")
REFUSED = Outcome(False, True, 550, "1.1", "permanent: 550 5.1.1 unknown", ("550 5.1.1 unknown",))
DELIVERED = Outcome(True, code=250, secode="0.0")
FAR_MS = 1 << 51
LARGE = LETTER + b"line\r\n" * 20_000


class Recorder:
    """A delivery that records claims, with a bound on how many run at one time."""

    def __init__(self, outcome: Outcome = DELIVERED) -> None:
        self.claims: list[Claim] = []
        self.outcome = outcome
        self.running: dict[str, int] = {}
        self.most: dict[str, int] = {}

    async def __call__(self, claim: Claim) -> Sequence[Outcome]:
        self.claims.append(claim)
        self.running[claim.domain] = self.running.get(claim.domain, 0) + 1
        self.most[claim.domain] = max(self.most.get(claim.domain, 0), self.running[claim.domain])
        await asyncio.sleep(0)
        self.running[claim.domain] -= 1
        return [self.outcome for _ in claim.messages]


def files(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder / "queue") if len(name) == 32]


async def kept_contents(bench: Bench) -> int:
    return int(await bench.queue.read(lambda tx: (tx.one("SELECT count(*) FROM contents") or (0,))[0]))


@pytest.mark.parametrize("content", [LETTER, LARGE], ids=["row", "file"])
async def test_delivered_message_leaves_record_and_no_content(tmp_path: Path, content: bytes) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = failing(DELIVERED)
        (message_id,) = await bench.add(new(extra={"k": "v"}, next_ms=FAR_MS), content=content)
        (message,) = await bench.messages()
        assert await bench.queue.content(message) == content == await bench.queue.header(message)
        assert (len(files(tmp_path)), await kept_contents(bench)) == ((0, 1) if content is LETTER else (1, 0))
        await bench.make_due()
        assert await bench.run_due() == []
        (kept,) = await bench.retired()
        assert (kept.id, kept.success, kept.attempts, kept.extra) == (message_id, True, 1, {"k": "v"})
        assert [(r.success, r.code, r.error) for r in kept.results] == [(True, 250, "")]
        assert files(tmp_path) == [] and await kept_contents(bench) == 0
        assert [event.event for event in bench.surroundings.events] == [Event.DELIVERED]


async def test_recipients_of_a_message_share_a_transaction(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = recorder = Recorder()
        await bench.add(new("a@x.example"), new("b@x.example"), new("c@y.example"))
        await bench.run_due()
        groups = sorted(sorted(str(m.recipient) for m in claim.messages) for claim in recorder.claims)
        assert groups == [["a@x.example", "b@x.example"], ["c@y.example"]]


@pytest.mark.parametrize(
    "second",
    [{"prefix": b"X: y\r\n"}, {"sender": "other@mox.example"}, {"require_tls": True}, {"transport": "t"}],
    ids=["prefix", "sender", "require_tls", "transport"],
)
async def test_what_keeps_recipients_apart(tmp_path: Path, second: dict[str, object]) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = recorder = Recorder()
        await bench.add(new("a@x.example"), new("b@x.example", **second))
        await bench.run_due()
        assert len(recorder.claims) == 2


async def test_retries_follow_the_schedule_and_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = failing(TEMPORARY)
        await bench.add()
        for attempt in range(1, 8):
            (message,) = await bench.attempt()
            assert message.attempts == attempt
            wait_s = (message.next_ms - (message.last_ms or 0)) / 1000
            assert abs(wait_s - 450 * 2 ** (attempt - 1)) <= 5 * 2 ** (attempt - 1)
        assert await bench.attempt() == []
        (kept,) = await bench.retired()
        assert (kept.success, kept.attempts, len(kept.results)) == (False, 8, 8)
        assert all(result.error == "later, transient" for result in kept.results)
        delayed, failed = (parse(notice.content) for notice in bench.notices)
        assert delayed.recipients[0].action is Action.DELAYED
        assert failed.recipients[0].action is Action.FAILED
        assert delayed.references == failed.references == "<m@mox.example>"
        # Attempts 6, 7 and 8 are 2, 4 and 8 hours apart; the notice says so.
        assert "2, 6 and 14 hours" in delayed.text
        retry, last = delayed.recipients[0].will_retry_until, delayed.recipients[0].last_attempt
        assert retry is not None and last is not None and (retry - last).total_seconds() == 14 * 3600


@pytest.mark.holds("outbound-9e760b")
async def test_failed_dial_uses_one_attempt(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.add_host("remote.example", "10.0.0.9", None)
        await bench.add()
        (message,) = await bench.run_due()
        assert bench.dialer.dialed == ["10.0.0.9"]
        assert message.attempts == 1 and message.next_ms > now_ms() + 400_000
        assert "connection refused" in message.results[0].error
        async with bench.running():
            bench.queue.kick()
            await bench.until(lambda found: found == [message])
            assert bench.dialer.dialed == ["10.0.0.9"]
            shift = -460_000
            await bench.queue.write(lambda tx: operations.add_to_next_attempt(tx, Filter(), shift))
            await bench.until(lambda found: found[0].attempts == 2 and found[0].results[-1].error != "delivering...")
        assert bench.dialer.dialed == ["10.0.0.9", "10.0.0.9"]


@pytest.mark.holds("outbound-5a7e6d")
async def test_fail_by_administrator(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        (message_id, other) = [*(await bench.add(new(next_ms=FAR_MS))), *(await bench.add(new(next_ms=FAR_MS)))]
        assert await operations.fail(bench.queue, bench.notifier, Filter(ids=[message_id])) == 1
        assert [m.id for m in await bench.messages()] == [other]
        assert await bench.messages(Filter(ids=[message_id])) == []
        (notice,) = bench.notices
        report = parse(notice.content)
        assert (notice.account, report.recipients[0].action) == ("mjl", Action.FAILED)
        assert report.recipients[0].last_attempt is not None
        assert [event.event for event in bench.surroundings.events] == [Event.FAILED]


@pytest.mark.holds("outbound-722aff")
@pytest.mark.parametrize(
    ("how", "event", "code", "enhanced", "error", "suppressing"),
    [
        (DELIVERED, Event.DELIVERED, 250, "2.0.0", "", False),
        (REFUSED, Event.FAILED, 550, "5.1.1", "permanent: 550 5.1.1 unknown", True),
        (replace(REFUSED, code=554, secode="7.0"), Event.FAILED, 554, "5.7.0", "permanent: 550 5.1.1 unknown", False),
        ("suppressed", Event.SUPPRESSED, 0, "", "address is on suppression list, permanent", False),
        ("failed", Event.FAILED, 0, "", "delivery canceled by admin", False),
        ("dropped", Event.CANCELED, 0, "", "delivery canceled by admin", False),
    ],
    ids=["delivered", "refused", "refused without suppression", "suppressed", "failed by admin", "dropped"],
)
async def test_what_is_kept_and_told(
    tmp_path: Path, how: Outcome | str, event: Event, code: int, enhanced: str, error: str, suppressing: bool
) -> None:
    async with opened(tmp_path) as bench:
        bench.surroundings.wants_hooks = True
        if isinstance(how, Outcome):
            bench.deliver = failing(how)
        if how == "suppressed":
            await bench.queue.write(lambda tx: suppression.add(tx, "mjl", address("A+b@remote.example"), True, ""))
        await bench.add(new(next_ms=FAR_MS if how in ("failed", "dropped") else 0))
        match how:
            case "failed":
                await operations.fail(bench.queue, bench.notifier, Filter())
            case "dropped":
                await operations.drop(bench.queue, Filter())
            case _:
                await bench.run_due()
        assert await bench.messages() == []
        (kept,) = await bench.retired()
        assert kept.success is (event is Event.DELIVERED)
        assert kept.results[-1].error.endswith(error) and len(kept.results) == 1
        (told,) = bench.surroundings.events
        assert (told.event, told.code, told.enhanced, told.suppressing) == (event, code, enhanced, suppressing)
        assert told.error.endswith(error)
        expects_notice = event in (Event.FAILED, Event.SUPPRESSED)
        assert len(bench.notices) == int(expects_notice)


@pytest.mark.holds("outbound-d398a2")
async def test_550_suppresses_and_the_next_message_fails_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = recorder = Recorder(replace(REFUSED, code=554, secode=""))
        await bench.add(new("m.j.l+x@remote.example"))
        await bench.run_due()
        assert await bench.queue.read(lambda tx: suppression.list_all(tx)) == []
        recorder.outcome = REFUSED
        await bench.add(new("m.j.l+x@remote.example"))
        await bench.run_due()
        assert bench.surroundings.events[-1].suppressing
        await bench.add(new("MJL-y@remote.example"))
        await bench.run_due()
        assert len(recorder.claims) == 2 or recorder.claims[-1].messages == ()
        assert bench.surroundings.events[-1].event is Event.SUPPRESSED


async def test_suppressed_recipient_among_others(tmp_path: Path) -> None:
    """Every recipient of a transaction is checked, not only the first."""
    async with opened(tmp_path) as bench:
        bench.deliver = recorder = Recorder()
        await bench.queue.write(lambda tx: suppression.add(tx, "mjl", address("b@x.example"), False, "x"))
        await bench.add(new("a@x.example"), new("b@x.example"))
        await bench.run_due()
        assert [[str(m.recipient) for m in claim.messages] for claim in recorder.claims] == [["a@x.example"]]
        assert {e.event for e in bench.surroundings.events} == {Event.DELIVERED, Event.SUPPRESSED}


async def test_sender_domain_out_of_use_waits(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = recorder = Recorder()
        bench.surroundings.disabled.add("mox.example")
        await bench.add()
        (message,) = await bench.run_due()
        assert recorder.claims == [] and "temporarily disabled" in message.results[0].error


@pytest.mark.holds("outbound-2f38b9")
@pytest.mark.parametrize(
    ("rule", "held"),
    [
        (("mjl", "", ""), [True, False, True]),
        (("", "", ""), [True, True, True]),
        (("mjl", "mox.example", ""), [True, False, False]),
        (("", "", "remote.example"), [True, True, True]),
        (("", "other.example", ""), [False, False, False]),
    ],
    ids=["account", "everything", "account and domain", "recipient", "other sender"],
)
async def test_hold_rules(tmp_path: Path, rule: tuple[str, str, str], held: list[bool]) -> None:
    """Every condition must hold; a null sender is not held by a rule for an account of somebody else."""
    async with opened(tmp_path) as bench:
        bench.deliver = failing(DELIVERED)

        async def add_three() -> None:
            for account, sender in (("mjl", "mjl@mox.example"), ("other", "x@mox.example"), ("mjl", "")):
                await bench.add(new(sender=sender, next_ms=FAR_MS), account=account)

        await add_three()
        added = await bench.queue.write(lambda tx: holdrules.add(tx, *rule))
        await add_three()
        found = sorted(await bench.messages(), key=lambda m: m.id)
        assert [m.hold for m in found] == held * 2
        await bench.queue.write(lambda tx: operations.set_next_attempt(tx, Filter(), 1))
        async with bench.running():
            left = await bench.until(lambda messages: len(messages) == 2 * sum(held))
            assert all(m.hold for m in left)
            await bench.queue.write(lambda tx: operations.set_hold(tx, Filter(), False))
            await bench.until(lambda messages: not messages)
        await bench.queue.write(lambda tx: holdrules.remove(tx, added.id))
        await add_three()
        assert not any(m.hold for m in await bench.messages())
        with pytest.raises(holdrules.HoldRuleError):
            await bench.queue.write(lambda tx: holdrules.remove(tx, added.id))


async def test_from_id_is_unique_among_queued_and_retired(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = failing(DELIVERED)
        with pytest.raises(FromIdError):
            await bench.add(new("a@x.example", from_id="1"), new("b@x.example", from_id="1"))
        assert await bench.messages() == [] and not [n for n in os.listdir(tmp_path / "queue") if len(n) == 32]
        await bench.add(new(from_id="1"))
        await bench.run_due()
        with pytest.raises(FromIdError):
            await bench.add(new(from_id="1"))


async def test_future_release(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = recorder = Recorder()
        await bench.add(new(next_ms=now_ms() + 50))
        async with bench.running():
            await bench.until(lambda messages: not messages)
        assert len(recorder.claims) == 1


async def test_one_domain_neither_hides_nor_delays_others(tmp_path: Path) -> None:
    """A destination that takes no mail has its few places; everybody else is served."""
    async with opened(tmp_path) as bench:
        release = asyncio.Event()

        async def deliver(claim: Claim) -> Sequence[Outcome]:
            if claim.domain == "dead.example":
                await release.wait()
                return [TEMPORARY for _ in claim.messages]
            return [DELIVERED for _ in claim.messages]

        bench.deliver = deliver
        bench.limits = Limits(transactions=6, per_domain=2)
        for number in range(30):
            await bench.add(new(f"u{number}@dead.example"))
        for number in range(10):
            await bench.add(new(f"u@live{number}.example"))
        async with bench.running():
            left = await bench.until(lambda messages: len(messages) == 30)
            assert sum(m.attempts for m in left) == 2
            release.set()
            await bench.until(lambda messages: all(m.attempts == 1 for m in messages))


async def test_places_of_a_domain(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = recorder = Recorder()
        bench.limits = Limits(transactions=50, per_domain=3, per_local_domain=20)
        bench.local.add("local.example")
        for number in range(20):
            await bench.add(new(f"u{number}@x.example"))
            await bench.add(new(f"u{number}@local.example"))
        await bench.run_due()
        assert len(recorder.claims) == 40
        assert recorder.most["x.example"] <= 3
        assert recorder.most["local.example"] > 3


async def test_two_runners_deliver_each_message_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = recorder = Recorder()
        for number in range(40):
            await bench.add(new(f"u@d{number}.example"))
        async with bench.running(), bench.running():
            await bench.until(lambda messages: not messages)
        assert len(recorder.claims) == 40
        assert len(await bench.retired()) == 40


async def test_claims_of_a_dead_process_are_due_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await bench.add()
        dead = runner.Runner(bench.queue, bench.deliver, None, "h", lambda _d: False)  # type: ignore[arg-type]
        host = dead.owner.split("/")[0]
        claimer = replace(dead._claimer, owner=f"{host}/999999999/x")
        await bench.queue.record(lambda tx: claimer.claim(tx, 10))
        bench.deliver = failing(DELIVERED)
        await bench.run_due()
        (kept,) = await bench.retired()
        assert [r.error for r in kept.results] == ["interrupted", ""]
        assert kept.attempts == 2


async def test_a_bug_in_delivery_is_a_temporary_failure(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:

        async def deliver(_claim: Claim) -> Sequence[Outcome]:
            raise RuntimeError("oops")

        bench.deliver = deliver
        await bench.add()
        (message,) = await bench.run_due()
        assert "oops" in message.results[0].error and message.attempts == 1


async def test_message_removed_during_its_attempt(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:

        async def deliver(claim: Claim) -> Sequence[Outcome]:
            await operations.drop(bench.queue, Filter())
            return [DELIVERED for _ in claim.messages]

        bench.deliver = deliver
        await bench.add()
        async with bench.running():
            await bench.until(lambda messages: not messages)
        (kept,) = await bench.retired()
        assert not kept.success
        assert [event.event for event in bench.surroundings.events] == [Event.CANCELED]


@pytest.mark.holds("outbound-981f3c")
async def test_shutdown_waits_for_running_deliveries(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        started, go_on = asyncio.Event(), asyncio.Event()

        async def deliver(claim: Claim) -> Sequence[Outcome]:
            started.set()
            await go_on.wait()
            return [DELIVERED for _ in claim.messages]

        bench.deliver = deliver
        await bench.add()
        stopping = asyncio.Event()
        task = asyncio.create_task(bench.runner().run(stopping))
        await started.wait()
        await bench.add(new("late@other.example"))
        stopping.set()
        go_on.set()
        await task
        assert len(await bench.retired()) == 1 or len(await bench.messages()) == 0


async def test_cancelled_runner_gives_its_claims_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        started = asyncio.Event()

        async def deliver(_claim: Claim) -> Sequence[Outcome]:
            started.set()
            await asyncio.Event().wait()
            return []

        bench.deliver = deliver
        await bench.add()
        task = asyncio.create_task(bench.runner().run(asyncio.Event()))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        (message,) = await bench.messages()
        assert message.next_ms <= now_ms() and message.results[-1].error == "interrupted"


@pytest.mark.holds("outbound-689edb")
async def test_clean_up_removes_what_is_not_kept_any_longer(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = failing(DELIVERED)
        for keep in (1, 10**9):
            bench.surroundings.keep_messages = keep
            await bench.add()
            await bench.run_due()
        await asyncio.sleep(0.005)
        assert await bench.queue.record(outcomes.clean_up) == 1
        assert len(await bench.retired()) == 1


async def test_nothing_is_kept_without_a_period(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.surroundings.keep_messages = 0
        bench.deliver = failing(DELIVERED)
        await bench.add()
        await bench.run_due()
        assert await bench.retired() == []


async def test_sweep_removes_old_files_without_message(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await bench.add(new(next_ms=FAR_MS), content=LARGE)
        (kept,) = files(tmp_path)
        old, young = tmp_path / "queue" / ("a" * 32), tmp_path / "queue" / ("b" * 32)
        for file in (old, young, tmp_path / "queue" / kept):
            file.write_bytes(b"x")
            os.utime(file, (1, 1))
        os.utime(young)
        assert await bench.queue.sweep() == 1
        assert not old.exists() and young.exists() and (tmp_path / "queue" / kept).exists()


@pytest.mark.parametrize(
    ("notify", "outcome", "actions"),
    [
        ("", DELIVERED, []),
        ("SUCCESS", replace(DELIVERED, passed_on=True), [Action.RELAYED]),
        ("SUCCESS", replace(DELIVERED, is_local=True), [Action.DELIVERED]),
        # The other server tells.
        ("SUCCESS", DELIVERED, []),
        ("NEVER", REFUSED, []),
        ("SUCCESS", REFUSED, []),
        ("FAILURE", REFUSED, [Action.FAILED]),
        ("", REFUSED, [Action.FAILED]),
    ],
)
async def test_notifications_that_were_asked_for(
    tmp_path: Path, notify: str, outcome: Outcome, actions: list[Action]
) -> None:
    """RFC 3461 §4.1, §5.2"""
    async with opened(tmp_path) as bench:
        bench.deliver = failing(outcome)
        facts = {"original_recipient": "rfc822;orig@remote.example", "envelope_id": "env"}
        await bench.add(new(notify=frozenset(notify.split()), **facts))
        await bench.run_due()
        reports = [parse(notice.content) for notice in bench.notices]
        assert [report.recipients[0].action for report in reports] == actions
        for report in reports:
            assert report.original_envelope_id == "env"
            assert report.recipients[0].original_recipient == "rfc822;orig@remote.example"


async def test_whole_message_comes_back_when_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = failing(REFUSED)
        await bench.add(new(return_full=True))
        await bench.run_due()
        assert parse(bench.notices[0].content).original == LETTER


async def test_has_8bit_follows_the_content(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await bench.queue.add("mjl", stage_bytes("Subject: x\r\n\r\nä\r\n".encode()), [new(next_ms=FAR_MS)])
        await bench.queue.add("mjl", stage_bytes(LETTER), [new(next_ms=FAR_MS)])
        found = sorted(await bench.messages(), key=lambda m: m.id)
        assert [m.has_8bit for m in found] == [True, False]


async def test_claiming_costs_the_same_whatever_is_queued(tmp_path: Path) -> None:
    """Work of the database for one claim, counted in steps of its engine, with little and with much in the queue."""

    async with opened(tmp_path) as bench:
        counts = []
        for _ in range(2):
            await bench.add(new("u@due.example"))
            counts.append(await _claim_steps(bench))
            staged = stage_bytes(LETTER)
            many = [new(f"u{n}@d{n % 50}.example", next_ms=FAR_MS) for n in range(3000)]
            await bench.queue.add("mjl", staged, many)
        assert counts[1] < counts[0] * 1.5


async def _claim_steps(bench: Bench) -> int:
    counted = 0

    def step() -> bool:
        nonlocal counted
        counted += 1
        return False

    def claim(tx: claims.Tx) -> int:
        tx.connection.set_progress_handler(step, 1)
        try:
            return len(bench.runner()._claimer.claim(tx, 1))
        finally:
            tx.connection.set_progress_handler(None)

    assert await bench.queue.record(claim) == 1
    return counted


async def test_failing_database_does_not_end_the_runner(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.deliver = failing(DELIVERED)
        record, failures = bench.queue.record, 2

        async def flaky(change: Callable[[Tx], object]) -> object:
            nonlocal failures
            if failures and bench.queue.record is not record:
                failures -= 1
                raise apsw.BusyError("database is locked")
            return await record(change)

        running = bench.runner()
        stopping = asyncio.Event()
        task = asyncio.create_task(running.run(stopping))
        bench.queue.record = flaky  # type: ignore[method-assign, assignment]
        await bench.add()
        await bench.until(lambda messages: not messages)
        stopping.set()
        await task
        assert failures == 0
