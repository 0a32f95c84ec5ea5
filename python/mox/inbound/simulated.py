"""Failures that localserve makes up for recipients with telling names, so that developers can test theirs."""

import re

from mox.smtp.address import Path
from mox.smtp.reply import Reply

_SIMULATED = re.compile(r"(temperror|permerror|timeout|[4-5][0-9][0-9]|600)$")
# Stands for no answer at all.
HANG = Reply(451, "4.3.0", "simulated time-out")


def simulated_failure(path: Path) -> Reply | None:
    """What localserve answers for a special localpart."""
    found = _SIMULATED.search(path.localpart)
    if found is None:
        return None
    match found[1]:
        case "temperror":
            return Reply(451, "4.0.0", "simulated temporary error")
        case "permerror":
            return Reply(550, "5.0.0", "simulated permanent error")
        case "timeout":
            return HANG
        case code:
            return Reply(int(code), f"{code[0]}.0.0", "simulated error")
