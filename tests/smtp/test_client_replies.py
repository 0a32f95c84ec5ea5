"""Replies and extensions as servers write them."""

import pytest

from mox.smtp.client_errors import Response, SmtpClientError
from mox.smtp.client_replies import Extensions, ReplyReader, parse_extensions, parse_limits

WHOLE = b"250-5.1.1 one\r\n250 5.1.1 two\r\n354\r\n550 5.7.1 no\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_replies_in_pieces(size: int) -> None:
    reader = ReplyReader()
    found = []
    for at in range(0, len(WHOLE), size):
        reader.feed(WHOLE[at : at + size])
        while (response := reader.next(True, "x")) is not None:
            found.append(response)
    assert found == [
        Response(250, "", ("250-5.1.1 one", "250 5.1.1 two")),
        Response(354, "", ("354",)),
        Response(550, "7.1", ("550 5.7.1 no",)),
    ]


def test_enhanced_codes_only_where_announced() -> None:
    reader = ReplyReader()
    reader.feed(b"550 5.7.1 no\r\n")
    response = reader.next(False, "x")
    assert response is not None and response.secode == ""


@pytest.mark.parametrize("line", [b"25 x\r\n", b"2500 x\r\n", b"250x\r\n", b"\r\n", b"abc\r\n", b"250_x\r\n"])
def test_no_reply(line: bytes) -> None:
    reader = ReplyReader()
    reader.feed(line)
    with pytest.raises(SmtpClientError, match="not a response line"):
        reader.next(True, "x")


def ehlo(*lines: str) -> Extensions:
    return parse_extensions(Response(250, "", ("250-mx", *(f"250-{line}" for line in lines))))


def test_extensions() -> None:
    found = ehlo("size 1000", "8bitmime", "PIPELINING", "auth PLAIN scram-sha-256", "SMTPUTF8 whatever", "XUNKNOWN 1")
    assert found == Extensions(
        eightbitmime=True,
        pipelining=True,
        smtputf8=True,
        has_size=True,
        size=1000,
        auth=("PLAIN", "SCRAM-SHA-256"),
    )
    assert ehlo("SIZE") == Extensions(has_size=True)
    assert ehlo("SIZE 0").size == 0 and ehlo("SIZE x").size == 0


@pytest.mark.holds("outbound-fa634f")
@pytest.mark.parametrize(
    ("text", "limits", "rcpt_max"),
    [
        ("RCPTMAX=10", {"RCPTMAX": "10"}, 10),
        ("rcptmax=10 MAILMAX=5", {"RCPTMAX": "10", "MAILMAX": "5"}, 10),
        ("RCPTMAX=10 RCPTMAX=11", {}, 0),
        ("RCPTMAX", {}, 0),
        ("RCPTMAX=", {}, 0),
        ("RCPT!=1", {}, 0),
        ("RCPTMAX=1;2", {}, 0),
        ("RCPTMAX=10  MAILMAX=1", {}, 0),
        ("RCPTMAX=1234567", {"RCPTMAX": "1234567"}, 0),
        ("RCPTMAX=abc OTHER_x-1=~", {"RCPTMAX": "abc", "OTHER_X-1": "~"}, 0),
        ("RCPTMAX=0", {"RCPTMAX": "0"}, 0),
    ],
)
def test_limits(text: str, limits: dict[str, str], rcpt_max: int) -> None:
    """RFC 9422 §2"""
    assert parse_limits(f" {text}") == limits
    assert ehlo(f"LIMITS {text}").rcpt_max == rcpt_max
