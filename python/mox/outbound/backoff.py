"""When to try again: the schedules of messages and of webhooks."""

import random
from dataclasses import dataclass

# Waits of webhooks by attempt made, in seconds; after one more attempt the call is given up.
HOOK_WAITS_S = (60, 120, 240, 450, 900, 1800, 3600, 7200, 14400, 28800, 57600)
HOOK_JITTER = 0.01


@dataclass(frozen=True, slots=True)
class Schedule:
    """Waits double from `first_s`; a message is given up after `max_attempts` (7.5 minutes and 8: about 16 hours).
    The sender hears of the delay after attempt `delayed_after`."""

    first_s: float = 450.0
    max_attempts: int = 8
    delayed_after: int = 5
    jitter_s: tuple[float, float] = (-5.0, 4.0)

    def wait_ms(self, attempts_before: int, dice: random.Random) -> int:
        """The wait after an attempt that had `attempts_before` before it."""
        return int((self.first_s + dice.uniform(*self.jitter_s)) * 1000) << attempts_before

    def is_last(self, attempts: int, max_attempts: int) -> bool:
        """No attempt follows the `attempts` made; `max_attempts` of the message, 0 for ours."""
        return attempts >= (max_attempts or self.max_attempts)

    def remaining_waits_s(self, attempts: int, max_attempts: int) -> list[float]:
        """Waits before the attempts that are left after `attempts`."""
        return [self.first_s * 2**n for n in range(attempts - 1, (max_attempts or self.max_attempts) - 1)]


def hook_wait_ms(attempts_before: int, dice: random.Random) -> int:
    """The wait after a webhook call that had `attempts_before` before it; the last wait repeats."""
    wait = HOOK_WAITS_S[min(attempts_before, len(HOOK_WAITS_S) - 1)]
    return int(wait * 1000 * dice.uniform(1 - HOOK_JITTER, 1 + HOOK_JITTER))


def hook_is_last(attempts: int) -> bool:
    """No call follows the `attempts` made."""
    return attempts > len(HOOK_WAITS_S)
