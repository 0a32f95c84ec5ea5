"""The MIME parser through its Python face: what the specification demands, public corpora, Python's email package."""

import base64
import email
import email.message
import json
import quopri
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mox._rust import (
    ParsedMessage,
    base_subject,
    decode_part,
    junk_words,
    parse_address_list,
    parse_date,
    parse_message,
    part_info,
    search_message,
    section_range,
)
from tests.conftest import DATA

Range = tuple[int, int]


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def leaves(structure: bytes, numbers: Sequence[int] = ()) -> list[tuple[Range, str, str]]:
    """Range, media type and encoding of every leaf, in order."""
    found = []
    number = 1
    while (info := part_info(structure, [*numbers, number])) is not None:
        if info.is_leaf:
            media_type = f"{info.media_type}/{info.media_subtype}".lower()
            found.append(((info.start, info.end), media_type, info.encoding))
        else:
            found += leaves(structure, [*numbers, number])
        number += 1
    return found


def types(message: ParsedMessage) -> list[str]:
    return [media_type for _, media_type, _ in leaves(message.structure)]


@pytest.mark.holds("store-c64101")
@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (None, "/"),
        ("text/html;;", "text/html"),
        ("not a content type;;", "application/octet-stream"),
        ("multipart/mixed;;", "application/octet-stream"),
        ("TEXT / html ; charset=utf-8 (comment)", "text/html"),
        ('application/pdf name="a.pdf"', "application/pdf"),
        ("text", "text/plain"),
        ("", "application/octet-stream"),
        ("text/plain; charset=a; charset=b", "text/plain"),
    ],
)
def test_content_types(content_type: str | None, expected: str) -> None:
    header = "" if content_type is None else f"Content-Type: {content_type}\n"
    data = crlf(f"{header}\nbody\n")
    message = parse_message(data)
    assert types(message) == [expected]
    assert data[slice(*leaves(message.structure)[0][0])] == b"body\r\n"


@pytest.mark.holds("store-12108a")
def test_bare_cr_and_lf_are_text() -> None:
    """Writers convert bare LF before storing; the parser takes either as it comes, and offsets stay exact."""
    data = b"Subject: a\rb\nX: y\r\n\r\none\rtwo\nthree\r\n"
    message = parse_message(data)
    assert message.header_size == data.index(b"one")
    assert section_range(message.structure, [1], "") == (message.header_size, len(data))


@pytest.mark.holds("store-2849d8")
def test_rfc_examples() -> None:
    """RFC 2049 appendix A: five parts, the last an embedded message."""
    data = crlf(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=unique-boundary-1\n\npreamble\n"
        "--unique-boundary-1\n\n  ...Some text appears here...\n--unique-boundary-1\n"
        "Content-type: text/plain; charset=US-ASCII\n\nThis could have been part of the previous part.\n"
        "--unique-boundary-1\nContent-Type: multipart/parallel; boundary=unique-boundary-2\n\n--unique-boundary-2\n"
        "Content-Type: audio/basic\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n--unique-boundary-2\n"
        "Content-Type: image/jpeg\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n--unique-boundary-2--\n"
        "--unique-boundary-1\nContent-type: text/enriched\n\nThis is <bold>enriched.</bold>\n--unique-boundary-1\n"
        "Content-Type: message/rfc822\n\nFrom: (mailbox in US-ASCII)\nSubject: (subject in US-ASCII)\n"
        "Content-Type: Text/plain; charset=ISO-8859-1\nContent-Transfer-Encoding: Quoted-printable\n\n"
        "  ... Additional text =\nhere\n--unique-boundary-1--\n"
    )
    message = parse_message(data)
    assert types(message) == ["/", "text/plain", "audio/basic", "image/jpeg", "text/enriched", "text/plain"]
    body = section_range(message.structure, [5, 1], "")
    assert body is not None
    assert decode_part(data[slice(*body)], "QUOTED-PRINTABLE") == b"  ... Additional text here"
    header = section_range(message.structure, [5], "HEADER")
    assert header is not None and data[slice(*header)].startswith(b"From: (mailbox")
    assert section_range(message.structure, [6], "") is None


def test_part_without_final_line_end_keeps_none() -> None:
    message = parse_message(b"Content-Type: text/plain\r\n\r\none\r\ntwo")
    assert b' "7bit" 8 2 ' in message.bodystructure


@pytest.mark.holds("store-59bdcc")
def test_long_lines_and_missing_ends_hide_nothing() -> None:
    """Lines of any length are taken; a multipart that is cut off keeps its parts."""
    data = crlf(
        "Content-Type: multipart/mixed; boundary=x\n\n--x\n\n" + "a" * 8193 + "\n--x\nContent-Type: image/png\n\nb"
    )
    message = parse_message(data)
    assert types(message) == ["/", "image/png"]
    assert message.preview == "a" * 256


@pytest.mark.holds("store-ed8488")
def test_inner_boundary_with_the_outer_as_prefix() -> None:
    data = crlf(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n"
        "--bb\n\none\n--bb\n\ntwo\n--bb--\n--b\n\nthree\n--b--\n"
    )
    found = [data[slice(*span)] for span, _, _ in leaves(parse_message(data).structure)]
    assert found == [b"one", b"two", b"three"]


@pytest.mark.holds("store-190213")
def test_addresses() -> None:
    assert parse_address_list(b'" "@example.com') == [("", " ", "example.com")]
    assert parse_message(b"From: =?iso-8859-2?q?Ond=F8ej?= <o@example.com>\r\n\r\n").from_ == [
        ("Ondřej", "o", "example.com")
    ]
    # A broken one does not take its neighbours along.
    assert parse_address_list(b"broken, a@b.example, <c") == [
        ("broken", "", ""),
        ("", "a", "b.example"),
        ("", "c", ""),
    ]


@pytest.mark.holds("store-85d75b")
@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("test (fwd) (fwd) ", ("test", True)),
        ("fwd [tag] Test", ("fwd [tag] test", False)),
        ("[list] re: [list] fwd: a b c", ("a b c", True)),
        ("[nonlist]", ("[nonlist]", False)),
        ("fwd [list]:", ("", True)),
        ("[fwd: Re: [x] inner (fwd)]", ("inner", True)),
    ],
)
def test_base_subjects(subject: str, expected: tuple[str, bool]) -> None:
    assert base_subject(subject) == expected


@pytest.mark.holds("store-85d75b")
def test_thread_keys() -> None:
    message = parse_message(
        b"Message-ID: <A.b@Example.org> (x)\r\nReferences: <a@b> junk <cut <C @d>\r\nReferences: <e@f>\r\n"
        b"In-Reply-To: <g@h>\r\n\r\n"
    )
    assert message.message_id == "a.b@example.org"
    assert message.references == ["a@b", "c@d", "e@f"]
    assert parse_message(b"In-Reply-To: <g@h> x\r\n\r\n").references == ["g@h"]
    assert parse_message(b"In-Reply-To: text <g@h>\r\n\r\n").references == []


@pytest.mark.holds("store-85d75b")
@pytest.mark.parametrize(
    ("body", "preview"),
    [
        ("hello\n\n  world\n", "hello\nworld\n"),
        ("On Mon, 1 May, X wrote:\n> a\n> b\nme\n", "[...]\nme\n"),
        ("a\n> q\n[...]\nb\n-- \nname\nphone\n", "a\n[...]\nb\n"),
        ("On 1 May 2020\nSomebody wrote:\n\n> q\nown\n", "[...]\nown\n"),
        ("a\n--\none\ntwo\nthree\nfour\nfive\n", "a\n--\none\ntwo\nthree\nfour\nfive\n"),
    ],
)
def test_previews(body: str, preview: str) -> None:
    assert parse_message(crlf("\n" + body)).preview == preview


@pytest.mark.holds("store-b447da")
@pytest.mark.parametrize(
    ("charset", "octet", "text"), [("iso-8859-1", b"\xa9", "\u00a9"), ("iso-8859-5", b"\xd0", "\u0430")]
)
def test_charsets(charset: str, octet: bytes, text: str) -> None:
    message = parse_message(b"Content-Type: text/plain; charset=%s\r\n\r\n%s\r\n" % (charset.encode(), octet))
    assert message.preview == text + "\n"


def test_one_undecodable_line_of_70000_octets_is_no_error() -> None:
    """spec/store.md section 30: a long decoded line must not stop a delivery."""
    for subtype in ("plain", "html"):
        body = "YWFh" * 23_334
        message = parse_message(crlf(f"Content-Type: text/{subtype}\nContent-Transfer-Encoding: base64\n\n{body}\n"))
        assert message.preview == "a" * 256


def test_dates() -> None:
    message = parse_message(b"Date: Mon, 2 Jan 2006 15:04:05 -0700 (MST)\r\n\r\n")
    assert message.sent == (1_136_239_445, -420)
    assert parse_date(b"Mon Jan  2 22:04:05 2006") == (1_136_239_445, 0)
    assert parse_message(b"Date: yesterday\r\n\r\n").sent is None


def test_a_missing_content_type_is_described_by_its_default() -> None:
    """RFC 2045 §5.2; a Content-Type without charset is described as it stands."""
    assert parse_message(b"\r\none\r\n").body == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 1)'
    plain = parse_message(b"Content-Type: text/plain\r\n\r\none\r\n")
    assert plain.body == b'("text" "plain" NIL NIL NIL "7bit" 5 1)'


@pytest.mark.parametrize("media_type", ["message/rfc822", "message/global"])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_encoded_embedded_message_is_opaque_to_imap_and_found_by_search(media_type: str, encoding: str) -> None:
    """docs/mime.md: RFC 2045 §6.4 forbids it, RFC 6532 §3.7 allows it for message/global."""
    inner = crlf(
        "Subject: =?utf-8?q?inner_gr=C3=BC=C3=9Fe?=\nContent-Type: multipart/mixed; boundary=y\n\n--y\n"
        "Content-Transfer-Encoding: x-unknown\n\nlost\n--y\nContent-Type: text/html\n\n<p>deep</p>\n--y--\n"
    )
    encode = base64.encodebytes if encoding == "base64" else quopri.encodestring
    head = crlf(
        "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nouter\n--x\n"
        f"Content-Type: {media_type}\nContent-Transfer-Encoding: {encoding}\n\n"
    )
    data = head + encode(inner).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"--x--\r\n"
    message = parse_message(data)
    assert b'("application" "octet-stream" NIL NIL NIL "%s" ' % encoding.encode() in message.bodystructure
    assert section_range(message.structure, [2, 1], "") is None
    assert message.preview == "outer\n"
    needles = ["outer", "deep", "grüße", "lost"]
    assert search_message(data, message.structure, needles, False) == [True, True, True, False]
    assert {"outer", "deep"} <= set(junk_words(data))
    info = part_info(message.structure, [2])
    assert info is not None and info.is_leaf
    decoded = decode_part(data[info.start : info.end], info.encoding)
    assert decoded is not None and decoded.rstrip(b"\r\n") == inner.rstrip(b"\r\n")


def test_8bit_headers_need_smtputf8() -> None:
    part = "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Description: {}\n\n\u00e9\n--x--\n"
    assert parse_message(crlf(part.format("\u00e9"))).needs_smtputf8
    assert not parse_message(crlf(part.format("e"))).needs_smtputf8


# Messages of the corpus that we see otherwise than its author, and why (docs/mime.md).
DEVIATIONS = {
    "malformed/000": "parts without an empty line are parts with an empty body",
    "malformed/004": "a line that only begins like the boundary is text",
    "malformed/012": "an outer boundary ends inner parts (RFC 2046 §5.1.2)",
    "malformed/021": "text before the first boundary is preamble",
}


def theirs(parts: list[dict[str, object]]) -> list[Range]:
    found: list[Range] = []
    for part in parts:
        body = part["body"]
        assert isinstance(body, dict)
        if "Message" in body:
            found += theirs(body["Message"]["parts"])
        elif "Multipart" not in body:
            found.append((part["offset_body"], part["offset_end"]))  # type: ignore[arg-type]
    return found


def test_structure_agrees_with_the_corpus_of_mail_parser() -> None:
    folder = DATA / "mime-mail-parser"
    expected = sorted(folder.rglob("*.json"))
    if not expected:
        pytest.skip("shared/data is not here: no MIME corpora to test with")
    deviating = set()
    for path in expected:
        stem = re.sub(r"(\.crlf)?\.json$", "", str(path.relative_to(folder)))
        data = (folder / f"{stem}.eml").read_bytes().replace(b"\r\n", b"\n")
        if path.name.endswith(".crlf.json"):
            data = data.replace(b"\n", b"\r\n")
        ours = [span for span, _, _ in leaves(parse_message(data).structure)]
        if ours != theirs(json.loads(path.read_text())["parts"]):
            deviating.add(stem)
    assert deviating == set(DEVIATIONS)


# Likewise for header values.
HEADER_DEVIATIONS = {
    "legacy/010": "8-bit octets in a header are text, not replacement characters",
    "legacy/017": "likewise",
    "malformed/019": "of repeated Date fields the first counts, also when it is broken",
}


def their_addresses(value: dict[str, dict[str, list[dict[str, Any]]]] | str) -> list[tuple[str, str]]:
    """Name and address, groups flattened."""
    if isinstance(value, str):
        return []
    entries = [entry for entries in value["Address"].values() for entry in entries]
    members = [m for entry in entries for m in (entry["addresses"] if "addresses" in entry else [entry])]
    return [(m["name"] or "", m["address"] or "") for m in members]


def their_date(value: dict[str, dict[str, int | bool]] | str) -> float | None:
    if isinstance(value, str):
        return None
    found = value["DateTime"]
    minutes = found["tz_hour"] * 60 + found["tz_minute"]
    zone = timezone(timedelta(minutes=-minutes if found["tz_before_gmt"] else minutes))
    parts = [found[name] for name in ("year", "month", "day", "hour", "minute", "second")]
    return datetime(*parts, tzinfo=zone).timestamp()  # type: ignore[arg-type,misc]


def header_differences(data: bytes, headers: list[dict[str, Any]]) -> list[str]:
    """Names of the fields that we read otherwise."""
    message = parse_message(data)
    values: dict[str, list[Any]] = {}
    for header in headers:
        if isinstance(header["name"], str):
            values.setdefault(header["name"], []).append(header["value"])
    different = []
    for name, ours in (("from", message.from_), ("to", message.to), ("cc", message.cc)):
        shown = [(display, f"{local}@{domain}" if domain else local) for display, local, domain in ours]
        if shown != [address for value in values.get(name, []) for address in their_addresses(value)]:
            different.append(name)
    if "subject" in values:
        subject = values["subject"][0]
        if message.subject != (subject["Text"] if isinstance(subject, dict) else ""):
            different.append("subject")
    if "date" in values and (message.sent[0] if message.sent else None) != their_date(values["date"][0]):
        different.append("date")
    return different


def test_headers_agree_with_the_corpus_of_mail_parser(corpus: list[Path]) -> None:
    folder = DATA / "mime-mail-parser"
    assert corpus
    deviating = set()
    for path in sorted(folder.rglob("*.json")):
        stem = re.sub(r"(\.crlf)?\.json$", "", str(path.relative_to(folder)))
        data = (folder / f"{stem}.eml").read_bytes()
        if header_differences(data, json.loads(path.read_text())["parts"][0]["headers"]):
            deviating.add(stem)
    assert deviating == set(HEADER_DEVIATIONS)


def python_leaves(message: "email.message.Message[str, str]") -> list[tuple[str, bytes]]:
    if message.is_multipart():
        parts = message.get_payload()
        assert isinstance(parts, list)
        return [leaf for part in parts for leaf in python_leaves(part)]  # type: ignore[arg-type]
    payload = message.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return [(message.get_content_type(), payload)]


MEDIA_TYPE = re.compile(r"\s*[\w.+-]+/[\w.+-]+\s*(;|$)")
BASE64 = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def is_comparable(message: "email.message.Message[str, str]") -> bool:
    """Python saw no defect, nor is there one of those that it does not see; and it parses inside every message/*."""
    for part in message.walk():
        encoding = str(part.get("content-transfer-encoding", "7bit")).strip(" ").lower()
        is_valid = (
            not part.defects
            and MEDIA_TYPE.match(str(part.get("content-type", "text/plain"))) is not None
            and (part.get_content_maintype() != "message" or part.get_content_type() == "message/rfc822")
            and encoding in {"7bit", "8bit", "binary", "quoted-printable", "base64"}
        )
        if not is_valid:
            return False
        if encoding == "base64" and BASE64.fullmatch(re.sub(r"\s", "", str(part.get_payload()))) is None:
            return False
    return True


def test_agrees_with_pythons_email(corpus: list[Path]) -> None:
    compared = 0
    for path in corpus:
        data = re.sub(rb"\r?\n", b"\r\n", path.read_bytes())
        message = email.message_from_bytes(data)
        if path.parent.name + "/" + path.stem in DEVIATIONS or not is_comparable(message):
            continue
        ours = []
        for (start, end), media_type, encoding in leaves(parse_message(data).structure):
            content = decode_part(data[start:end], encoding)
            assert content is not None
            ours.append(("text/plain" if media_type == "/" else media_type, content.rstrip(b"\r\n")))
        expected = [(t, content.rstrip(b"\r\n")) for t, content in python_leaves(message)]
        assert ours == expected, path
        compared += 1
    assert compared > 50
