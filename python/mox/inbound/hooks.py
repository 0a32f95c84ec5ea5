"""What other parts of the program do for incoming mail; they are handed in where the program is put together."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mox.config.tables import Reports
from mox.inbound.incoming import Incoming
from mox.smtp.address import Path


@dataclass(frozen=True, slots=True)
class ExaminedReport:
    """A report that came to an address for reports: `report` to be stored, or None and what is wrong with it."""

    kind: Reports
    report: object | None
    problem: str = ""

    @property
    def problem_field(self) -> str:
        """The header field that tells of the problem."""
        return "X-Mox-DMARCReport-Error" if self.kind is Reports.DMARC else "X-Mox-TLSReport-Error"


class ReportTaker(Protocol):
    """Takes DMARC and TLS reports of other servers."""

    async def examine(self, kind: Reports, incoming: Incoming) -> ExaminedReport:
        """Parse and judge a message to an address for such reports."""

    async def store(self, examined: ExaminedReport, incoming: Incoming) -> None:
        """Keep a good report."""


@dataclass(frozen=True, slots=True)
class EvaluatedDmarc:
    """A message whose author's domain wants to hear of its DMARC evaluation (RFC 7489 §7.2).

    `is_optional`: alone it is no reason to send a report.
    """

    incoming: Incoming
    recipient: Path
    is_optional: bool
    is_rejected: bool
    overrides: Sequence[str]


class EvaluationTaker(Protocol):
    """Keeps DMARC evaluations for reports to other domains."""

    async def add(self, evaluated: EvaluatedDmarc) -> None:
        """Keep one."""


# Told of a stored message, by account, message id and recipient: notifications about sent ones, webhooks.
Delivered = Callable[[str, int, Path], Awaitable[None]]


async def no_news(_account: str, _message_id: int, _recipient: Path) -> None:
    """For callers without webhooks."""
