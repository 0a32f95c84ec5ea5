"""Received fields and session ids."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from mox.smtp.trace import ReceivedIds, TraceFacts, received

FACTS = TraceFacts(
    client_name="client.example",
    client_ip="192.0.2.1",
    reverse_name="rev.example",
    hostname="mox.example",
    local_ip="192.0.2.9",
    is_extended=True,
    is_authenticated=False,
    needs_utf8=False,
    require_tls=False,
    tls_version="TLS1.3",
    cipher_suite="TLS_AES_128_GCM_SHA256",
    session_id="ID",
    at=datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC),
)


def one_line(text: str) -> str:
    assert text.endswith("\r\n")
    assert all(len(line) <= 78 for line in text.split("\r\n"))
    return text.removesuffix("\r\n").replace("\r\n\t", " ")


def test_of_another_server() -> None:
    assert one_line(received(FACTS, "mjl@mox.example")) == (
        "Received: from client.example (rev.example [192.0.2.1]) by mox.example ([192.0.2.9]) via tcp with ESMTPS id "
        "ID (TLS1.3 TLS_AES_128_GCM_SHA256) for <mjl@mox.example>; Tue, 24 Nov 2026 12:00:00 +0000"
    )


def test_of_several_recipients_has_the_semicolon_too() -> None:
    assert one_line(received(FACTS)).endswith("TLS_AES_128_GCM_SHA256); Tue, 24 Nov 2026 12:00:00 +0000")


def test_of_a_user_says_not_where_from() -> None:
    submitted = replace(FACTS, client_name="mox.example", client_ip="", is_authenticated=True)
    assert "Received: from mox.example by mox.example ([192.0.2.9])" in one_line(received(submitted))


@pytest.mark.parametrize(
    ("changes", "protocol"),
    [
        ({"is_extended": False}, "SMTP"),
        ({"tls_version": ""}, "ESMTP"),
        ({}, "ESMTPS"),
        ({"is_authenticated": True}, "ESMTPSA"),
        ({"tls_version": "", "is_authenticated": True}, "ESMTPA"),
        ({"needs_utf8": True}, "UTF8SMTPS"),
        ({"needs_utf8": True, "is_authenticated": True}, "UTF8SMTPSA"),
    ],
)
def test_protocols(changes: dict[str, bool | str], protocol: str) -> None:
    """RFC 3848, RFC 6531 §4.3."""
    assert replace(FACTS, **changes).protocol == protocol  # type: ignore[arg-type]


def test_names_in_both_forms() -> None:
    utf8 = replace(FACTS, client_name="xn--nda.example", needs_utf8=True, require_tls=True)
    assert "from ö.example (rev.example [192.0.2.1]) (xn--nda.example) by" in one_line(received(utf8))
    assert "(requiretls)" in received(utf8)


def test_ids_can_be_read_here_only(tmp_path: Path) -> None:
    ids = ReceivedIds.load(tmp_path / "receivedid.key")
    again = ReceivedIds.load(tmp_path / "receivedid.key")
    shown = ids.encode(12345)
    assert (len(shown), again.decode(shown)) == (22, 12345)
    with pytest.raises(ValueError):
        ReceivedIds(os.urandom(24)).decode(shown)
    with pytest.raises(ValueError):
        ids.decode("short")
