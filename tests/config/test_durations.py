"""Durations (spec/config.md sections 2.3 and 2.5)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.config import durations


@pytest.mark.parametrize(
    ("text", "value", "normal"),
    [
        ("72h", timedelta(hours=72), "72h0m0s"),
        ("1m30s", timedelta(seconds=90), "1m30s"),
        ("1.5s", timedelta(seconds=1.5), "1.5s"),
        ("0", timedelta(), "0s"),
        ("-1h30m", timedelta(minutes=-90), "-1h30m0s"),
        ("+.5h", timedelta(minutes=30), "30m0s"),
        ("250ms", timedelta(milliseconds=250), "250ms"),
        ("1500us", timedelta(milliseconds=1.5), "1.5ms"),
        ("3µs", timedelta(microseconds=3), "3µs"),
        ("1000ns", timedelta(microseconds=1), "1µs"),
    ],
)
def test_reading_and_normal_form(text: str, value: timedelta, normal: str) -> None:
    assert durations.parse(text) == value
    assert durations.render(value) == normal


@pytest.mark.parametrize("text", ["", "-", "1", "3d", "1h 2m", "h", "1.h.", "1h-2m", "٣h", "9" * 30 + "h"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(durations.DurationError):
        durations.parse(text)


@given(st.timedeltas(timedelta(days=-9999), timedelta(days=9999)))
def test_normal_form_reads_back(value: timedelta) -> None:
    assert durations.parse(durations.render(value)) == value
