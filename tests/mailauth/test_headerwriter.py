"""Folding of header fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.mailauth.headerwriter import HeaderWriter


def test_tokens_stay_whole_and_lines_short() -> None:
    writer = HeaderWriter("X-Field:")
    writer.add(" ", *(f"token{i:02};" for i in range(20)))
    lines = str(writer).split("\r\n")
    assert all(len(line) <= 76 for line in lines)
    assert "".join(lines).replace("\t", " ").split() == ["X-Field:", *(f"token{i:02};" for i in range(20))]


def test_a_token_that_fits_exactly_stays_on_its_line() -> None:
    for extra, lines in ((0, 1), (1, 2)):
        writer = HeaderWriter("X:")
        writer.add(" ", "a" * 36, "b" * (36 + extra))
        assert str(writer).count("\r\n") == lines


def test_separator_with_text_stays_at_the_end_of_the_line() -> None:
    writer = HeaderWriter("h:")
    writer.add(", ", "a" * 70, "b" * 70)
    assert str(writer) == "h:, " + "a" * 70 + ",\r\n\t" + "b" * 70 + "\r\n"


def test_data_is_cut_anywhere() -> None:
    writer = HeaderWriter("b=")
    writer.wrap("x" * 200)
    lines = str(writer).removesuffix("\r\n").split("\r\n")
    assert [len(line) for line in lines] == [76, 76, 52]
    assert "".join(lines).replace("\t", "") == "b=" + "x" * 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short text", "X: short text\r\n"),
        ("a" * 40 + " " + "b" * 40, "X: " + "a" * 40 + "\r\n\t " + "b" * 40 + "\r\n"),
        ("a" * 90 + " b", "X: " + "a" * 90 + "\r\n\t b\r\n"),
        ("a" * 100, "X: " + "a" * 73 + "\r\n\t" + "a" * 27 + "\r\n"),
    ],
    ids=["fits", "at-the-last-space-that-fits", "at-the-first-space-after", "anywhere"],
)
def test_text_is_cut_at_spaces_which_are_kept(text: str, expected: str) -> None:
    writer = HeaderWriter("X: ")
    writer.wrap_text(text)
    assert str(writer) == expected


@given(st.text("ab \t", max_size=400), st.integers(0, 90))
def test_unfolding_gives_the_text_back(text: str, start: int) -> None:
    writer = HeaderWriter("X" * start)
    writer.wrap_text(text)
    assert str(writer).replace("\r\n\t", "") == "X" * start + text + "\r\n"
