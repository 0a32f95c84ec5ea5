"""Parts as applications see them; which of them is the text to read (spec/webapi.md sections 5 and 8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox._rust import parse_message
from mox.message.tree import PartNotFound, TreePart, build, readable


def tree(text: str) -> tuple[TreePart, bytes]:
    data = text.replace("\n", "\r\n").encode()
    return build(data, parse_message(data).structure), data


def part(header: str, body: str = "x") -> str:
    return f"{header}\n\n{body}\n"


def multi(kind: str, boundary: str, *parts: str) -> str:
    inner = "".join(f"--{boundary}\n{p}" for p in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n{inner}--{boundary}--\n"


PLAIN, HTML = part("Content-Type: text/plain", "plain"), part("Content-Type: text/html", "<p>")
FILE = part('Content-Type: text/plain\nContent-Disposition: attachment; filename="a.txt"', "file")
UNTYPED_FILE = part('Content-Type:\nContent-Disposition: attachment; filename="b"', "file")

IMAGE = part("Content-Type: image/png")
LATIN1 = part('Content-Type: Text/Plain; Charset="ISO-8859-1"\nContent-Transfer-Encoding: quoted-printable', "caf=E9")


@pytest.mark.parametrize(
    ("message", "text", "html"),
    [
        ("Subject: x\n\nbody\n", "body\n", None),
        (PLAIN, "plain\n", None),
        (HTML, None, "<p>\n"),
        (multi("alternative", "a", PLAIN, HTML), "plain", "<p>"),
        (multi("mixed", "m", PLAIN, HTML), "plain", None),
        (multi("mixed", "m", multi("alternative", "a", PLAIN, HTML), FILE), "plain", "<p>"),
        (multi("mixed", "m", multi("alternative", "a", PLAIN, HTML), UNTYPED_FILE), "plain", "<p>"),
        (
            multi("related", "r", multi("alternative", "a", PLAIN, HTML), part("Content-Type: image/png")),
            "plain",
            "<p>",
        ),
        (multi("mixed", "m", UNTYPED_FILE, PLAIN), "plain", None),
        (multi("mixed", "m", UNTYPED_FILE), None, None),
        (multi("mixed", "m", FILE), None, None),
        (part("Content-Type: application/pdf"), None, None),
    ],
)
def test_readable(message: str, text: str | None, html: str | None) -> None:
    root, data = tree(message)
    found = readable(root)
    assert (found.text.text(data) if found.text else None) == text
    assert (found.html.text(data) if found.html else None) == html


def test_description_of_parts() -> None:
    root, data = tree(
        multi(
            "mixed",
            "m",
            LATIN1,
            part(
                "Content-Type: application/pdf; name=other\nContent-Id: <id@x>\n"
                "Content-Disposition: ATTACHMENT;\n filename*0*=utf-8''d%c3%b6; filename*1*=c.pdf\n"
                "Content-Transfer-Encoding: base64",
                "aGVsbG8=",
            ),
            part("Content-Type: image/png; name=\"=?utf-8?q?b=C3=A4r.png?=\"\nContent-Disposition: inline"),
        )
    )  # fmt: skip
    assert root.is_multipart and root.content_type == "multipart/mixed"
    text, pdf, image = root.parts
    assert (text.content_type, text.parameters) == ("text/plain", {"charset": "ISO-8859-1"})
    assert text.text(data) == "caf\u00e9"
    assert (pdf.filename, pdf.disposition, pdf.content_id) == ("d\u00f6c.pdf", "attachment", "<id@x>")
    assert pdf.decoded(data) == b"hello"
    assert (image.filename, image.disposition) == ("b\u00e4r.png", "inline")
    assert root.child([1]) is pdf
    with pytest.raises(PartNotFound, match="part 0 at index 1 not found"):
        root.child([1, 0])


def test_text_is_bounded_and_valid() -> None:
    root, data = tree("Content-Type: text/plain; charset=utf-8\n\n" + "\u00e9" * 100)
    assert root.text(data, 21) == "\u00e9" * 10
    root, data = tree("Content-Type: text/plain; charset=x-unknown\n\nabc")
    assert root.text(data) == "abc"
    root, data = tree("Content-Type: text/plain; charset=base64\n\nabc")
    assert root.text(data) == "abc"


@given(st.binary(max_size=400))
def test_anything_gives_a_tree(data: bytes) -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + data
    root = build(data, parse_message(data).structure)
    found = readable(root)
    for each in (found.text, found.html):
        if each is not None:
            each.text(data).encode()
