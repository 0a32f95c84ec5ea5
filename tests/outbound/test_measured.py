"""The metrics of deliveries: where they went, by which TLS, and what came of it (spec/outbound.md section 25)."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from mox.outbound.measured import Measured, tls_label
from mox.outbound.outcomes import Outcome
from mox.smtp.client import TlsMode
from tests.outbound.bench import new, with_mx
from tests.smtp.fake_mx import FakeMx

GOOD, BAD, LATER = Outcome(True), Outcome(False, True), Outcome(False)


def deliveries(**labels: str) -> float:
    return REGISTRY.get_sample_value("mox_queue_delivery_duration_seconds_count", labels) or 0


def commands(command: str, code: str, secode: str = "") -> float:
    labels = {"cmd": command, "code": code, "secode": secode}
    return REGISTRY.get_sample_value("mox_smtpclient_command_duration_seconds_count", labels) or 0


@pytest.mark.parametrize(
    ("outcomes", "error", "result"),
    [
        ([GOOD], None, "ok"),
        ([GOOD, BAD], None, "okpartial"),
        ([BAD, BAD], None, "permerror"),
        ([BAD, LATER], None, "temperror"),
        ([], TimeoutError(), "timeout"),
        ([], asyncio.CancelledError(), "canceled"),
        ([], OSError(), "error"),
    ],
    ids=["all", "some", "never", "later", "timeout", "canceled", "broken"],
)
def test_results(outcomes: list[Outcome], error: BaseException | None, result: str) -> None:
    labels = {"attempt": "3", "transport": "t", "tlsmode": "skip", "result": result}
    before = deliveries(**labels)

    def measure() -> None:
        with Measured(3, "t") as measured:
            measured.tls_mode = tls_label(TlsMode.SKIP)
            measured.outcomes = outcomes
            if error is not None:
                raise error

    if error is None:
        measure()
    else:
        with pytest.raises(type(error)):
            measure()
    assert deliveries(**labels) == before + 1


def test_tls_labels() -> None:
    assert tls_label(TlsMode.REQUIRED, True, True) == "requiredstarttls+mtasts+dane"
    assert tls_label(TlsMode.OPPORTUNISTIC) == "opportunistic"


async def test_a_delivery_is_counted(tmp_path: Path) -> None:
    labels = {"attempt": "1", "transport": "", "tlsmode": "opportunistic", "result": "ok"}
    async with with_mx(tmp_path, FakeMx()) as bench:
        before, greetings = deliveries(**labels), commands("(greeting)", "220")
        await bench.add(new())
        assert await bench.run_due() == []
        assert deliveries(**labels) == before + 1
        assert commands("(greeting)", "220") == greetings + 1
