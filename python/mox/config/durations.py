"""Durations as the configuration files write them: `72h`, `1h30m`, `1.5s`; `72h0m0s` in normal form."""

import re
from datetime import timedelta
from fractions import Fraction

_MICROSECONDS = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "µs": Fraction(1),
    "μs": Fraction(1),
    "ms": Fraction(1000),
    "s": Fraction(1_000_000),
    "m": Fraction(60_000_000),
    "h": Fraction(3_600_000_000),
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


class DurationError(ValueError):
    """Not a duration; the text says what is expected."""


def parse(text: str) -> timedelta:
    """A duration, precise to the microsecond. Raises DurationError."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return timedelta()
    total, at = Fraction(0), 0
    while part := _PART.match(rest, at):
        total += Fraction(part[1]) * _MICROSECONDS[part[2]]
        at = part.end()
    if not rest or at != len(rest):
        raise DurationError(f"{text!r} is not a duration; write numbers with units h, m, s or ms, like 72h or 1h30m")
    try:
        return timedelta(microseconds=sign * round(total))
    except OverflowError:
        raise DurationError(f"{text!r} is too long a duration") from None


def render(value: timedelta) -> str:
    """The normal form: `72h0m0s`, `1m30s`, `1.5s`, `250ms`, `0s`."""
    microseconds = round(value / timedelta(microseconds=1))
    if not microseconds:
        return "0s"
    sign, microseconds = ("-", -microseconds) if microseconds < 0 else ("", microseconds)
    if microseconds < 1000:
        return f"{sign}{microseconds}µs"
    if microseconds < 1_000_000:
        return f"{sign}{_decimal(Fraction(microseconds, 1000))}ms"
    minutes, rest = divmod(microseconds, 60_000_000)
    seconds = f"{_decimal(Fraction(rest, 1_000_000))}s"
    if not minutes:
        return sign + seconds
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes}m{seconds}" if hours else f"{sign}{minutes}m{seconds}"


def _decimal(value: Fraction) -> str:
    return f"{float(value):.6f}".rstrip("0").rstrip(".")
