"""From the outcomes for several recipients to one reply. Pure."""

from collections.abc import Sequence

from msgspec import Struct

from mox.smtp.address import Path
from mox.smtp.reply import Reply

DONE = Reply(250, "2.2.0", "it is done")


class Outcome(Struct, frozen=True):
    """What became of a message for a recipient; `reply` None: delivered."""

    recipient: Path
    reply: Reply | None
    reason: str = ""
    # The client deserves slow answers: the message was refused by analysis.
    makes_slow: bool = False


def combine(outcomes: Sequence[Outcome]) -> Reply:
    """The reply to the message. When some recipients got it, the sender hears of the others by a notification."""
    refusals = [outcome.reply for outcome in outcomes if outcome.reply is not None]
    if len(refusals) < len(outcomes) or not refusals:
        return DONE
    first = refusals[0]
    if all((r.code, r.enhanced) == (first.code, first.enhanced) for r in refusals):
        return Reply(first.code, first.enhanced, "\n".join(dict.fromkeys(r.text for r in refusals)))
    lines = "\n".join([*(str(r) for r in refusals), "multiple errors"])
    is_permanent = any(r.code >= 500 for r in refusals)
    return Reply(554, "5.3.0", lines) if is_permanent else Reply(451, "4.3.0", lines)


def to_notify(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Failures that the reply does not tell of."""
    failed = [outcome for outcome in outcomes if outcome.reply is not None]
    return failed if len(failed) < len(outcomes) else []
