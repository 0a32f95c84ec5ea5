"""message parse (spec/cli.md section 15)."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mox.cli.main import run
from mox.cli.message_tools import describe

INNER = b"From: <in@b.example>\r\nSubject: in\r\n\r\nhello\r\n"
MESSAGE = (
    b'Content-Type: multipart/mixed; boundary="x"\r\nFrom: A B <a@b.example>\r\nReply-To: c@d.example\r\n'
    b"Subject: =?utf-8?q?caf=C3=A9?=\r\nDate: Mon, 1 Jan 2024 00:00:00 +0100\r\nMessage-ID: <m@x>\r\n\r\n"
    b"--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <p@x>\r\n\r\n"
    b"aGVsbG8K\r\n"
    b"--x\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n--x--\r\n"
)


def test_parts_and_offsets() -> None:
    top: Any = describe(MESSAGE)
    assert (top["MediaType"], top["MediaSubType"], top["ContentTypeParams"]) == (
        "MULTIPART",
        "MIXED",
        {"boundary": "x"},
    )
    assert MESSAGE[top["BodyOffset"] :].startswith(b"--x\r\n") and top["EndOffset"] == len(MESSAGE)
    text, message = top["Parts"]
    assert MESSAGE[text["BoundaryOffset"] :].startswith(b"--x\r\nContent-Type: text/plain")
    assert MESSAGE[text["HeaderOffset"] :].startswith(b"Content-Type: text/plain")
    assert MESSAGE[text["BodyOffset"] : text["EndOffset"]] == b"aGVsbG8K"
    assert (text["RawLineCount"], text["DecodedSize"], text["ContentID"]) == (1, 6, "<p@x>")
    assert text["ContentTransferEncoding"] == "base64" and "ContentDisposition" not in text
    inner = message["Message"]
    assert MESSAGE[inner["HeaderOffset"] : inner["EndOffset"]] == INNER
    assert MESSAGE[inner["BodyOffset"] : inner["EndOffset"]] == b"hello\r\n"
    assert inner["Envelope"]["Subject"] == "in"


def test_envelope() -> None:
    envelope: Any = describe(MESSAGE)["Envelope"]
    assert envelope["From"] == [{"Name": "A B", "User": "a", "Host": "b.example"}]
    assert envelope["ReplyTo"] == [{"Name": "", "User": "c", "Host": "d.example"}]
    assert (envelope["Subject"], envelope["Date"]) == ("café", "2024-01-01T00:00:00+01:00")
    assert envelope["MessageID"] == "<m@x>" and envelope["Sender"] == envelope["BCC"] == []


def test_messages_within_messages_end() -> None:
    described: Any = describe(b"Content-Type: message/rfc822\r\n\r\n" * 500 + INNER)
    depth = 0
    while described["Message"] is not None:
        described, depth = described["Message"], depth + 1
    assert 0 < depth <= 64


@pytest.mark.parametrize(
    ("subject", "needs"), [(b"x", "false"), ("é".encode(), "true")], ids=["ascii header", "header in UTF-8"]
)
def test_the_command(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    subject: bytes,
    needs: str,
) -> None:
    content = b"Content-Type: text/plain\r\nSubject: " + subject + b"\r\n\r\nbody\r\n"
    (tmp_path / "m.eml").write_bytes(content)
    assert run(["message", "parse", "-smtputf8", str(tmp_path / "m.eml")]) == 0
    text, _, last = capsys.readouterr().out.rpartition("message needs smtputf8: ")
    assert last == f"{needs}\n" and '\n\t"MediaType": "TEXT",\n' in text
    assert json.loads(text)["Envelope"]["Subject"] == subject.decode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run(["message", "parse", "-"]) == 0
    assert capsys.readouterr().out == text
