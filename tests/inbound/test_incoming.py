"""Whose message is it? The author in the From field."""

import pytest

from mox._rust import parse_message
from mox.inbound.incoming import Author, find_author


@pytest.mark.holds("smtp-in-edc48c")
@pytest.mark.parametrize(
    ("fields", "author"),
    [
        (b"From: Name <a@B.org>\r\n", Author("a", "b.org")),
        (b"From: a@b.org\r\n", Author("a", "b.org")),
        (b'From: "odd name"@b.org\r\n', Author("odd name", "b.org")),
        (b"From: =?utf-8?q?=C3=A4?= <a@xn--bcher-kva.example>\r\n", Author("a", "xn--bcher-kva.example")),
        (b"Subject: x\r\n", None),
        (b"From: a@b.org\r\nFrom: a@b.org\r\n", None),
        (b"From: a@b.org\r\nfrom : c@d.org\r\n", None),
        (b"From: a@b.org, c@d.org\r\n", None),
        (b"From: <>\r\n", None),
        (b"From: a@b..org\r\n", None),
        (b"From: nobody\r\n", None),
    ],
    ids=[
        *("name", "bare", "quoted", "idn", "none", "two-identical", "two", "two-addresses", "empty", "bad-domain"),
        "no-address",
    ],
)
def test_author(fields: bytes, author: Author | None) -> None:
    header = fields + b"\r\n"
    assert find_author(parse_message(header + b"body\r\n"), header) == author
