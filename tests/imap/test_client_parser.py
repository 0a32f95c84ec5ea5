"""What the client library makes of responses: each kind, by tables; and that nothing breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap.client.parser import parse_response
from mox.imap.client.reader import ProtocolError, ResponseReader
from mox.imap.client.types import (
    Address,
    Capability,
    Code,
    Continuation,
    Envelope,
    Esearch,
    Exists,
    Expunge,
    Extension,
    Fetch,
    Id,
    ListEntry,
    Metadata,
    Multipart,
    Namespace,
    Part,
    Quota,
    QuotaRoot,
    Result,
    Search,
    Status,
    Thread,
    Vanished,
)

TABLE = [
    (b"* OK hi there", Result("*", "OK", None, "hi there")),
    (b"a1 NO [OVERQUOTA] full", Result("a1", "NO", Code("OVERQUOTA"), "full")),
    (b"x OK [APPENDUID 1 4:5] appended", Result("x", "OK", Code("APPENDUID", (1, [4, 5])), "appended")),
    (b"* OK [COPYUID 1 3:4 1:2] moved", Result("*", "OK", Code("COPYUID", (1, [3, 4], [1, 2])), "moved")),
    (b"x OK [MODIFIED 7,9] y", Result("x", "OK", Code("MODIFIED", ([7, 9],)), "y")),
    (b'* OK [INPROGRESS ("x1" 400 1200)] z', Result("*", "OK", Code("INPROGRESS", ("x1", 400, 1200)), "z")),
    (b"* OK [INPROGRESS (NIL 1 NIL)] z", Result("*", "OK", Code("INPROGRESS", (None, 1, None)), "z")),
    (b"x NO [METADATA (MAXSIZE 5)] z", Result("x", "NO", Code("METADATA", ("MAXSIZE", 5)), "z")),
    (b"x NO [METADATA TOOMANY] z", Result("x", "NO", Code("METADATA", ("TOOMANY",)), "z")),
    (b"x NO [BADCHARSET (US-ASCII UTF-8)] z", Result("x", "NO", Code("BADCHARSET", ("US-ASCII", "UTF-8")), "z")),
    (b"x OK [MAILBOXID (F5)] z", Result("x", "OK", Code("MAILBOXID", ("F5",)), "z")),
    (b"x BAD [STRANGE thing] z", Result("x", "BAD", Code("STRANGE", ("thing",)), "z")),
    (b"+ aGk=", Continuation(b"aGk=")),
    (b"+ ", Continuation(b"")),
    (b"* CAPABILITY IMAP4rev1 IDLE", Capability(("IMAP4rev1", "IDLE"))),
    (b"* 3 EXISTS", Exists(3)),
    (b"* 3 EXPUNGE", Expunge(3)),
    (b"* VANISHED (EARLIER) 1,5:8", Vanished((1, 5, 6, 7, 8), True)),
    (b"* VANISHED 9", Vanished((9,), False)),
    (b'* LIST (\\Subscribed) "/" a/b', ListEntry(("\\Subscribed",), "/", "a/b")),
    (b'* LIST () "/" y ("OLDNAME" (z))', ListEntry((), "/", "y", "z")),
    (
        b'* LIST () "/" INBOX ("CHILDINFO" ("SUBSCRIBED"))',
        ListEntry((), "/", "Inbox", None, ("SUBSCRIBED",)),
    ),
    (b'* LSUB (\\NoSelect) NIL "&Jjo-"', ListEntry(("\\NoSelect",), None, "\u263a", lsub=True)),
    (
        b"* STATUS x (MESSAGES 1 APPENDLIMIT NIL MAILBOXID (F3))",
        Status("x", {"MESSAGES": 1, "APPENDLIMIT": None, "MAILBOXID": "F3"}),
    ),
    (b"* SEARCH 2 5 (MODSEQ 917)", Search((2, 5), 917)),
    (b"* SEARCH", Search(())),
    (b"* SORT 3 1", Search((3, 1), sort=True)),
    (
        b'* ESEARCH (TAG "x1" MAILBOX Archive UIDVALIDITY 1) UID MIN 5 MAX 7 COUNT 3 ALL 5:7 MODSEQ 8',
        Esearch("x1", "Archive", 1, True, 5, 7, 3, (5, 6, 7), None, 8),
    ),
    (
        b'* ESEARCH (TAG "a") PARTIAL (-1:-2 NIL)',
        Esearch("a", None, None, False, None, None, None, None, ("-1:-2", ()), None),
    ),
    (b"* THREAD (1)(2 3 (4)(5))", Thread([[1], [2, 3, [4], [5]]])),
    (
        b'* METADATA Inbox (/private/comment "text" /shared/x NIL /p ~{2}\r\n\x00a)',
        Metadata("Inbox", {"/private/comment": b"text", "/shared/x": None, "/p": b"\0a"}),
    ),
    (b'* METADATA "" /private/x /shared/y', Metadata("", {}, ("/private/x", "/shared/y"))),
    (b'* NAMESPACE (("" "/")) NIL NIL', Namespace((("", "/"),), (), ())),
    (b'* QUOTAROOT Inbox ""', QuotaRoot("Inbox", ("",))),
    (b'* QUOTA "" (STORAGE 12 1024)', Quota("", {"STORAGE": (12, 1024)})),
    (b'* ID ("name" "mox" "x" NIL)', Id({"name": "mox", "x": None})),
    (b"* ID NIL", Id(None)),
    (
        b'* 3 FETCH (UID 7 FLAGS (\\Seen work) MODSEQ (42) PREVIEW "hi" SAVEDATE NIL EMAILID (E1) THREADID NIL)',
        Fetch(
            3,
            {"UID": 7, "FLAGS": ("\\Seen", "work"), "MODSEQ": 42, "PREVIEW": "hi", "SAVEDATE": None, "EMAILID": "E1",
             "THREADID": None},
        ),
    ),
    (b"* 7 UIDFETCH (RFC822.SIZE 5)", Fetch(None, {"UID": 7, "RFC822.SIZE": 5})),
    (
        b"* 1 FETCH (BODY[HEADER.FIELDS (Date \"x y\")]<5> {3}\r\na\r\n BINARY.SIZE[1.2] 9 BODY[] NIL)",
        Fetch(1, {'BODY[HEADER.FIELDS (DATE "X Y")]<5>': b"a\r\n", "BINARY.SIZE[1.2]": 9, "BODY[]": None}),
    ),
    (
        b'* 1 FETCH (ENVELOPE ("d" NIL (("n" NIL "a" "b")) NIL NIL NIL NIL NIL NIL "<i>"))',
        Fetch(
            1, {"ENVELOPE": Envelope("d", None, (Address("n", None, "a", "b"),), (), (), (), (), (), None, "<i>")}
        ),
    ),
    (
        b'* 1 FETCH (BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" 5 1 NIL ("inline" NIL) "en" NIL)'
        b'("IMAGE" "PNG" NIL NIL NIL "BASE64" 9) "MIXED" ("BOUNDARY" "x") NIL NIL NIL))',
        Fetch(
            1,
            {
                "BODYSTRUCTURE": Multipart(
                    (
                        Part("TEXT", "PLAIN", {"CHARSET": "utf-8"}, None, None, "7BIT", 5, 1,
                             extension=Extension(None, ("inline", {}), ("en",), None)),
                        Part("IMAGE", "PNG", {}, None, None, "BASE64", 9),
                    ),
                    "MIXED", {"BOUNDARY": "x"}, Extension(),
                )
            },
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "value"), TABLE, ids=[str(w[:40]) for w, _ in TABLE])
def test_responses(wire: bytes, value: object) -> None:
    found = parse_response(wire)
    if isinstance(found, Fetch) and isinstance(value, Fetch):
        # Field names come as the server spells them.
        found = Fetch(found.seq, {k.upper() if "[" in k else k: v for k, v in found.items.items()})
    assert found == value


@pytest.mark.parametrize(
    "wire",
    [b"", b"* ", b"* BOGUS", b"* ID (\"a\")", b"* QUOTA x (STORAGE 1)", b"* 3 BOGUS", b"* SEARCH x",
     b"* LIST x", b"* 1 FETCH (UID x)", b"* VANISHED *", b"a DONE",
     b"* 1 FETCH (BODY " + b"(" * 500 + b")", b"* THREAD " + b"(" * 500, b'* LIST () "/" "&x"'],
)  # fmt: skip
def test_bad_responses(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_response(wire)


@given(data=st.binary(max_size=200), wire=st.sampled_from([w for w, _ in TABLE]), at=st.integers(0, 60))
def test_nothing_breaks_it(data: bytes, wire: bytes, at: int) -> None:
    for response in (data, wire[:at] + data[:5] + wire[at + 3 :]):
        try:
            parse_response(response)
        except ProtocolError:
            continue


@given(chunk=st.integers(1, 40))
def test_any_way_to_cut_the_stream(chunk: int) -> None:
    stream = b"".join(w + b"\r\n" for w, _ in TABLE)
    reader, found = ResponseReader(), []
    for start in range(0, len(stream), chunk):
        reader.feed(stream[start : start + chunk])
        while (response := reader.next()) is not None:
            found.append(response)
    assert found == [w for w, _ in TABLE]
