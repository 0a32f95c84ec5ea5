"""JSON requests into types: the rules of spec/webapi.md section 3."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.web.webapi.decode import DecodeError, decode, parse_time
from mox.webapi.types import METHODS, MessageGetRequest, MessagePartGetRequest, NameAddress, SendRequest


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ('{"Subject":"a"}', "Subject", "a"),
        ('{"subject":"a"}', "Subject", "a"),
        ('{"SUBJECT":"a"}', "Subject", "a"),
        ('{"subject":"a","Subject":"b"}', "Subject", "b"),
        ('{"Subject":null}', "Subject", ""),
        ('{"To":null}', "To", []),
        ('{"To":[{"name":"x","address":"y"}]}', "To", [NameAddress("x", "y")]),
        ('{"To":[null]}', "To", [NameAddress()]),
        ('{"References":["a",null]}', "References", ["a", ""]),
        ('{"Extra":{"a":"b","c":null}}', "Extra", {"a": "b", "c": ""}),
        ('{"Headers":[["a","b"],["c"],[],["d","e","f"]]}', "Headers", [("a", "b"), ("c", ""), ("", ""), ("d", "e")]),
        ('{"RequireTLS":true}', "RequireTLS", True),
        ('{"RequireTLS":null}', "RequireTLS", None),
        ('{"Date":null}', "Date", None),
        ('{"Date":"2024-04-04T14:29:42+02:00"}', "Date", datetime(2024, 4, 4, 12, 29, 42, tzinfo=UTC)),
        ('{"Text":"\\ud83d\\ude00"}', "Text", "\U0001f600"),
        ('{"Text":"\\ud83d"}', "Text", "\ufffd"),
        (' {"Text":"a"} {"Text":"b"}', "Text", "a"),
    ],
)
def test_values(text: str, field: str, value: Any) -> None:
    assert getattr(decode(text, SendRequest), field) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "x",
        "[]",
        '"a"',
        "1",
        "{",
        '{"Unknown":1}',
        '{"To":[{"Unknown":1}]}',
        '{"Subject":1}',
        '{"To":{}}',
        '{"To":["a"]}',
        '{"RequireTLS":"true"}',
        '{"RequireTLS":1}',
        '{"Extra":{"a":1}}',
        '{"Headers":["a"]}',
        '{"Date":1}',
        '{"Date":""}',
        '{"Subject":NaN}',
        '{"Subject":"a\nb"}',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_errors(text: str) -> None:
    with pytest.raises(DecodeError):
        decode(text, SendRequest)


@pytest.mark.parametrize(
    ("text", "value"), [("7", 7), ("-7", -7), (str(2**63 - 1), 2**63 - 1), ("1.5", None), ("1.0", None),
                        (str(2**63), None), ("true", None), ('"7"', None), ("1e3", None), ("9" * 5000, None)],
)  # fmt: skip
def test_integers(text: str, value: int | None) -> None:
    if value is None:
        with pytest.raises(DecodeError):
            decode(f'{{"MsgID":{text}}}', MessageGetRequest)
    else:
        assert decode(f'{{"MsgID":{text}}}', MessageGetRequest).MsgID == value


def test_list_of_integers() -> None:
    assert decode('{"PartPath":[0,1]}', MessagePartGetRequest).PartPath == [0, 1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-04-04T14:29:42Z", datetime(2024, 4, 4, 14, 29, 42, tzinfo=UTC)),
        ("2024-04-04t14:29:42.5z", datetime(2024, 4, 4, 14, 29, 42, 500000, tzinfo=UTC)),
        ("2024-04-04T14:29:42.123456789-01:30", datetime(2024, 4, 4, 14, 29, 42, 123456,
                                                          tzinfo=timezone(-timedelta(minutes=90)))),
        ("2024-02-30T00:00:00Z", None),
        ("2024-04-04T14:29:42", None),
        ("2024-04-04 14:29:42Z", None),
        ("2024-04-04T25:00:00Z", None),
        ("2024-04-04T14:29:42+99:00", None),
        ("٢٠٢٤-04-04T14:29:42Z", None),
    ],
)  # fmt: skip
def test_times(text: str, value: datetime | None) -> None:
    if value is None:
        with pytest.raises(DecodeError):
            parse_time(text)
    else:
        assert parse_time(text) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["To", "MsgID", "Extra", "x", "Headers"]), inner),
)


@given(JSON, st.sampled_from(sorted(METHODS)))
def test_anything_decodes_or_is_refused(value: Any, name: str) -> None:
    kind = METHODS[name].request
    try:
        assert isinstance(decode(json.dumps(value), kind), kind)
    except DecodeError as err:
        assert str(err)
