"""Addresses of commands. RFC 5321 §4.1.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.smtp.address import (
    NULL_PATH,
    AddressError,
    NotAsciiError,
    Path,
    encode_localpart,
    literal,
    parse_address,
    parse_domain,
    parse_forward_path,
    parse_literal,
    parse_mailbox,
    parse_reverse_path,
)


@pytest.mark.parametrize(
    "text",
    ["user@@d", "user", "@d", '"@d', "us\x01er@d", "user@d\x7f", '""x@d', "a..b@d", "a.@d", "user@d.", "user@-d",
     "user@", "u" * 129 + "@d", "user@" + "d" * 64, "user@" + ".".join(["d" * 60] * 5), "user@[1.2.3.4]", "",
     "a\ud800@d"],
)  # fmt: skip
@pytest.mark.holds("smtp-in-d0bd83")
def test_not_an_address(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text)


@pytest.mark.parametrize(
    ("localpart", "encoded"),
    [("", '""'), ("a.", '"a."'), ("a b", '"a b"'), ('a"\\', '"a\\"\\\\"'), ("a.b", "a.b"),
     ("!#$%&'*+-/=?^_`{|}~", "!#$%&'*+-/=?^_`{|}~"), ("ö", "ö")],
)  # fmt: skip
@pytest.mark.holds("smtp-in-d0bd83")
def test_localpart_encoding(localpart: str, encoded: str) -> None:
    assert encode_localpart(localpart) == encoded
    assert parse_address(f"{encoded}@d.example") == Path(localpart, "d.example")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20))
def test_encoding_is_inverse(localpart: str) -> None:
    try:
        found = parse_address(f"{encode_localpart(localpart)}@d.example")
    except AddressError:
        return
    assert parse_address(str(found)) == found


def test_forms() -> None:
    assert parse_mailbox("a@Ö.Example").domain == "xn--nda.example"
    assert parse_mailbox("a@xn--nda.example").unicode() == "a@ö.example"
    assert parse_mailbox("o\u0308@x").localpart == "ö"
    assert str(NULL_PATH) == ""
    assert str(parse_mailbox('"a b"@X.y')) == '"a b"@x.y'
    with pytest.raises(NotAsciiError):
        parse_mailbox("ö@x", allow_utf8=False)
    with pytest.raises(AddressError):
        parse_domain("ö.example", allow_utf8=False)


@pytest.mark.parametrize("text", ["[1.2.3.4]", "[IPv6:2001:db8::1]"])
def test_literals(text: str) -> None:
    assert parse_literal(text.lower()) == text
    assert literal(text[1:-1].removeprefix("IPv6:")) == text


@pytest.mark.parametrize(
    "text", ["[1.2.3]", "[1.2.3.4", "[2001:db8::1]", "[IPv6:1.2.3.4]", "[IPv6:::ffff:1.2.3.4]", "[tag:x]", "[]", "x"]
)
def test_bad_literals(text: str) -> None:
    with pytest.raises(AddressError):
        parse_literal(text)


def test_paths() -> None:
    assert parse_reverse_path("", allow_utf8=False) == NULL_PATH
    assert parse_forward_path("POSTMASTER", allow_utf8=False) == Path("postmaster", "")
    assert parse_forward_path("@a,@b.c:x@y", allow_utf8=False) == Path("x", "y")
    with pytest.raises(AddressError):
        parse_forward_path("a" * 100 + "@" + ".".join(["b" * 60] * 3), allow_utf8=False)
