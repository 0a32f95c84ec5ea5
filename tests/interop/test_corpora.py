"""Every message of the MIME corpora goes in and comes back byte for byte, and no FETCH of it fails."""

import re
from pathlib import Path

from tests.raw_clients import Imap, Smtp
from tests.server_process import MoxProcess

FETCHES = ("ALL", "FULL", "(BODYSTRUCTURE)", "(BODY.PEEK[1.MIME])", "(BODY.PEEK[HEADER])", "(PREVIEW)")


def crlf(data: bytes) -> bytes:
    """What a well-behaved client sends: every line ends in CRLF, the last one too."""
    data = re.sub(rb"\r?\n", b"\r\n", data)
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def smtp_refuses(data: bytes) -> bool:
    """SMTP must not take a bare CR (RFC 5321 §2.3.8)."""
    return re.search(rb"\r(?!\n)", data) is not None


def test_corpora_survive_delivery(shared_mox: MoxProcess, corpus: list[Path]) -> None:
    smtp, imap = Smtp(shared_mox.ports["smtp"]), Imap(shared_mox.ports["imap"])
    imap.ok("CREATE corpora")
    imap.ok("SELECT INBOX")
    sent: list[tuple[Path, bytes]] = []
    appended: list[tuple[Path, bytes]] = []
    for path in corpus:
        data = crlf(path.read_bytes())
        if smtp_refuses(data) or not data.strip():
            result = imap.append("corpora", data)
            assert result.startswith(b"OK"), f"{path}: {result!r}"
            appended.append((path, data))
        else:
            code, text = smtp.deliver(data)
            assert code == 250, f"{path}: {code} {text}"
            sent.append((path, data))
    first = _uids(imap, "INBOX")[-len(sent) :]
    for uid, (path, data) in zip(first, sent, strict=True):
        body = imap.body(uid)
        assert body.endswith(data), f"{path}: not the same octets"
        trace = body[: -len(data)]
        assert trace.startswith(b"X-Mox-Reason:") and b"\r\nReturn-Path: <" in trace, f"{path}: {trace[:80]!r}"
    _fetch_all(imap, first, [p for p, _ in sent])
    uids = _uids(imap, "corpora")
    for uid, (path, data) in zip(uids, appended, strict=True):
        assert imap.body(uid) == data, f"{path}: not the same octets"
    _fetch_all(imap, uids, [p for p, _ in appended])


def _uids(imap: Imap, mailbox: str) -> list[int]:
    imap.ok(f"SELECT {mailbox}")
    lines = [line for line, _ in imap.ok("UID SEARCH ALL") if line.startswith(b"* SEARCH")]
    return [int(word) for line in lines for word in line.split()[2:]]


def _fetch_all(imap: Imap, uids: list[int], paths: list[Path]) -> None:
    for uid, path in zip(uids, paths, strict=True):
        for items in FETCHES:
            result, untagged = imap.command(f"UID FETCH {uid} {items}")
            if "1.MIME" in items and result.startswith(b"NO"):
                raise AssertionError(f"{path}: {items}: {result!r}")
            assert result.startswith(b"OK"), f"{path}: {items}: {result!r}"
            assert any(b"FETCH" in text for text, _ in untagged), f"{path}: {items}: nothing fetched"
