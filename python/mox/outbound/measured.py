"""How long a delivery to a host or by a relay took, and what came of it, for the metric of that."""

import asyncio
import time
from collections.abc import Iterable
from types import TracebackType

from mox import metrics
from mox.outbound.outcomes import Outcome
from mox.smtp.client import TlsMode


def tls_label(mode: TlsMode, has_mtasts: bool = False, has_dane: bool = False) -> str:
    """The mode, and by what it was demanded."""
    return mode.value + ("+mtasts" if has_mtasts else "") + ("+dane" if has_dane else "")


class Measured:
    """Use it as a context around a delivery; set `tls_mode` when it is known, and `outcomes` at the end."""

    def __init__(self, attempt: int, transport: str) -> None:
        self._attempt, self._transport = attempt, transport
        self._started = time.monotonic()
        self.tls_mode = ""
        self.outcomes: Iterable[Outcome] = ()

    def __enter__(self) -> "Measured":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        labels = (str(self._attempt), self._transport, self.tls_mode, self._result(err))
        metrics.queue_delivery_seconds.labels(*labels).observe(time.monotonic() - self._started)

    def _result(self, err: BaseException | None) -> str:
        if isinstance(err, asyncio.CancelledError):
            return "canceled"
        if isinstance(err, TimeoutError):
            return "timeout"
        found = list(self.outcomes)
        if err is not None or not found:
            return "error"
        good = sum(outcome.success for outcome in found)
        if good:
            return "ok" if good == len(found) else "okpartial"
        return "permerror" if all(outcome.permanent for outcome in found) else "temperror"
