"""Composed headers and parts are read back by the parser as what was given, and keep the limits of RFC 5322."""

import quopri
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox._rust import header_values, parse_address_list
from mox.message.compose import (
    ComposeError,
    Header,
    NamedAddress,
    format_date,
    message,
    multipart,
    new_message_id,
    text_part,
)

PRINTABLE = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")), max_size=300)


@given(PRINTABLE)
def test_subject_reads_back(text: str) -> None:
    header = Header()
    header.subject(text)
    raw = header.render()
    assert raw.isascii()
    read = header_values(raw + b"\r\n", "Subject")[0]
    assert read.split() == text.split() or read.strip() == text.strip()


@given(st.lists(st.text("äöü€ abc", min_size=1, max_size=40), min_size=1, max_size=30))
def test_lines_stay_short(words: list[str]) -> None:
    header = Header()
    header.subject(" ".join(words))
    assert all(len(line) <= 78 for line in header.render().split(b"\r\n"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", b"From: <a@b.example>\r\n"),
        ("Ann Bee", b"From: Ann Bee <a@b.example>\r\n"),
        ("Bee, Ann", b'From: "Bee, Ann" <a@b.example>\r\n'),
        ('a"b\\c', b'From: "a\\"b\\\\c" <a@b.example>\r\n'),
        ("Jürgen", b"From: =?utf-8?q?J=C3=BCrgen?= <a@b.example>\r\n"),
    ],
    ids=["no name", "atoms", "quoted", "escaped", "encoded word"],
)
def test_display_names(name: str, expected: bytes) -> None:
    header = Header()
    header.addresses("From", [NamedAddress(name, "a@b.example")])
    assert header.render() == expected
    assert parse_address_list(expected[6:]) == [(name, "a", "b.example")]


def test_many_addresses_fold() -> None:
    header = Header()
    header.addresses("To", [NamedAddress("", f"user{n}@example.org") for n in range(20)])
    lines = header.render().split(b"\r\n")
    assert len(lines) > 4 and all(len(line) <= 77 for line in lines)
    assert all(line.startswith(b"\t") for line in lines[1:-1])


def test_domains_become_a_labels_without_smtputf8() -> None:
    for utf8, expected in ((False, "To: <a@xn--tda.example>\r\n"), (True, "To: <a@ü.example>\r\n")):
        header = Header(utf8)
        header.addresses("To", [NamedAddress("", "a@ü.example")])
        assert header.render().decode() == expected


def test_international_localpart_needs_smtputf8() -> None:
    with pytest.raises(ComposeError, match="SMTPUTF8"):
        Header().addresses("To", [NamedAddress("", "ü@x.example")])


@pytest.mark.parametrize("value", ["a\r\nBcc: x", "a\nb", "a\x00b"])
def test_header_injection_is_refused(value: str) -> None:
    header = Header()
    for write in (header.subject, lambda v: header.add("X", v)):
        with pytest.raises(ComposeError):
            write(value)
    with pytest.raises(ComposeError):
        header.addresses("To", [NamedAddress(value, "a@b")])
    with pytest.raises(ComposeError):
        header.addresses("To", [NamedAddress("", f"{value}@b")])


@pytest.mark.parametrize(
    ("text", "charset", "encoding", "body"),
    [
        ("a\nb", "us-ascii", "7bit", b"a\r\nb\r\n"),
        ("a\r\nb\r\n", "us-ascii", "7bit", b"a\r\nb\r\n"),
        ("ä\n", "utf-8", "8bit", b"\xc3\xa4\r\n"),
        ("a\rb\n", "us-ascii", "quoted-printable", b"a=0Db\r\n"),
        ("", "us-ascii", "7bit", b"\r\n"),
    ],
    ids=["lf", "crlf", "8bit", "bare cr", "empty"],
)
def test_text_parts(text: str, charset: str, encoding: str, body: bytes) -> None:
    part = text_part(text)
    assert (part.content_type, part.encoding, part.body) == (f"text/plain; charset={charset}", encoding, body)


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=400))
def test_quoted_printable_reads_back(text: str) -> None:
    part = text_part("x" * 77 + text)
    assert part.encoding == "quoted-printable"
    assert all(len(line) <= 76 for line in part.body.split(b"\r\n"))
    expected = ("x" * 77 + text).replace("\r\n", "\n").removesuffix("\n") + "\n"
    assert quopri.decodestring(part.body.replace(b"\r\n", b"\n")).decode() == expected


def test_seven_bit_text_on_request() -> None:
    part = text_part("ä", allow_8bit=False)
    assert (part.encoding, part.body) == ("quoted-printable", b"=C3=A4\r\n")


def test_multipart_is_8bit_when_a_part_is() -> None:
    assert multipart("mixed", [text_part("a"), text_part("ä")]).encoding == "8bit"
    assert multipart("mixed", [text_part("a")]).encoding == "7bit"


def test_whole_message() -> None:
    header = Header()
    header.subject("hi")
    whole = message(header, text_part("x"))
    assert whole == (
        b"Subject: hi\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n\r\nx\r\n"
    )


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2 Jan 2026 03:04:05 +0000"),
        (
            datetime(2026, 12, 31, 23, 0, 0, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
            "31 Dec 2026 23:00:00 -0330",
        ),
    ],
)
def test_dates(when: datetime, expected: str) -> None:
    assert format_date(when) == expected


def test_message_ids_differ() -> None:
    first, second = new_message_id("x.example"), new_message_id("x.example")
    assert first != second and first.endswith("@x.example>") and first.startswith("<")
