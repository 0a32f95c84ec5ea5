"""Delivery status notifications: round trips in every form, tolerance and refusals of the parser."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mox._rust import header_values, parse_message
from mox.message.dsn import Action, Dsn, DsnError, Mta, RecipientStatus, compose, parse

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
FULL = Dsn(
    from_="postmaster@mox.example",
    to="mjl@mox.example",
    subject="mail delivery failed",
    message_id="<new@mox.example>",
    text="it failed\nfor good\n",
    recipients=(
        RecipientStatus(
            "other@remote.example",
            Action.FAILED,
            "5.1.1",
            "no such user",
            original_recipient="rfc822;alias@remote.example",
            remote_mta=Mta("mx.remote.example", "2001:db8::1"),
            diagnostic="550 5.1.1 unknown",
            last_attempt=WHEN,
            final_log_id="17",
            will_retry_until=WHEN,
        ),
        RecipientStatus("two@remote.example", Action.DELAYED, "4.4.1", remote_mta=Mta("mx.remote.example")),
    ),
    reporting_mta="mail.mox.example",
    references="<orig@mox.example>",
    original_envelope_id="env-1",
    dsn_gateway="gw.mox.example",
    received_from=Mta("client.example", "10.0.0.1"),
    arrival_date=WHEN,
    future_release_request="for;10",
    original=b"Subject: x\r\nFrom: <mjl@mox.example>\r\n",
)
INTERNATIONAL = replace(
    FULL,
    to="ä@mox.example",
    recipients=(RecipientStatus("øther@ü.example", Action.FAILED, "5.0.0"),),
    original="Subject: ünïcode\r\n".encode(),
    original_is_smtputf8=True,
)


@pytest.mark.parametrize(
    "dsn",
    [FULL, replace(FULL, original=b""), replace(FULL, future_release_request="", received_from=None)],
    ids=["everything", "no third part", "fewer fields"],
)
@pytest.mark.holds("smtp-in-982179")
def test_ascii_round_trip(dsn: Dsn) -> None:
    whole = compose(dsn, smtputf8=False, date=WHEN)
    assert whole.isascii()
    assert parse(whole) == replace(dsn, text=dsn.text.replace("\n", "\r\n"))


def test_utf8_round_trip() -> None:
    whole = compose(INTERNATIONAL, smtputf8=True)
    assert b"message/global-delivery-status" in whole and b"message/global-headers" in whole
    assert parse(whole) == replace(INTERNATIONAL, text="it failed\r\nfor good\r\n")


def test_utf8_message_for_an_ascii_receiver() -> None:
    whole = compose(INTERNATIONAL, smtputf8=False)
    assert whole.isascii()
    assert b"Final-Recipient: utf-8;\\x{f8}ther@xn--tda.example" in whole
    assert b"text/rfc822-headers; charset=utf-8" in whole
    report = parse(whole)
    assert report.recipients[0].final_recipient == "øther@xn--tda.example"
    assert report.original == INTERNATIONAL.original


def test_no_utf8_forms_for_an_ascii_message() -> None:
    assert b"global" not in compose(FULL, smtputf8=True)


def test_only_the_header_comes_back_unless_asked() -> None:
    dsn = replace(FULL, original=b"Subject: x\r\n\r\nsecret body\r\n")
    assert b"secret body" not in compose(dsn, smtputf8=False)
    full = compose(replace(dsn, return_full=True), smtputf8=False)
    assert b"message/rfc822" in full and b"secret body" in full


def test_header_of_the_report() -> None:
    header = parse_message(compose(FULL, False, prefix=b"Return-Path: <p@x>\r\n", date=WHEN)).header
    names = [line.split(b":")[0].decode() for line in header.split(b"\r\n") if line and not line.startswith(b"\t")]
    assert names[:8] == ["Return-Path", "From", "To", "Subject", "Message-Id", "References", "Date", "MIME-Version"]
    assert header_values(header, "References") == ["<orig@mox.example>"]


def test_null_sender_gives_a_valid_to() -> None:
    header = parse_message(compose(replace(FULL, to=""), False)).header
    assert header_values(header, "To") == ["undisclosed-recipients:;"]


@pytest.mark.parametrize(
    ("action", "status"), [(Action.FAILED, "5.0.0"), (Action.DELAYED, "4.0.0"), (Action.DELIVERED, "2.0.0")]
)
def test_status_by_action(action: Action, status: str) -> None:
    whole = compose(replace(FULL, recipients=(RecipientStatus("a@b", action),)), False)
    assert parse(whole).recipients[0].status == status


def test_what_a_peer_said_stays_on_one_line() -> None:
    bad = RecipientStatus(
        "a@b", Action.FAILED, "5.0.0", "x\r\nAction: delivered", diagnostic="550 a\r\n\r\nFinal-Recipient: x"
    )
    report = parse(compose(replace(FULL, recipients=(bad,)), False))
    assert len(report.recipients) == 1 and report.recipients[0].action is Action.FAILED


GENERAL = "Reporting-MTA: dns; mx.example (a comment)\r\nX-Unknown: kept\r\n"
RECIPIENT = "Final-Recipient: RFC822; a@b.example\r\nAction: Failed\r\nStatus: 5.1.1 (gone)\r\n"


def report_with(status: str, kind: str = "message/delivery-status", outer: str = "multipart/report") -> bytes:
    return (
        f'From: <a@b>\r\nContent-Type: {outer}; boundary="x"\r\n\r\n--x\r\n\r\ntext\r\n--x\r\n'
        f"Content-Type: {kind}\r\n\r\n{status}\r\n--x--\r\n"
    ).encode()


@pytest.mark.parametrize(
    "extra",
    [
        "Last-Attempt-Date: Wed, 4 Mar 2026 05:06:07 +0000\r\n",
        "Last-Attempt-Date: 4 Mar 2026 05:06:07 +0000 (UTC)\r\n",
        "Last-Attempt-Date: Wed,\r\n 4 Mar 2026\r\n\t05:06:07 +0000\r\n",
        "Last-Attempt-Date: 4 Mar 2026 05:06:07 +0000\r\nWill-Retry-Until: soon\r\n",
    ],
    ids=["weekday", "comment", "folded", "bad retry date"],
)
def test_dates_as_others_write_them(extra: str) -> None:
    report = parse(report_with(f"{GENERAL}\r\n{RECIPIENT}{extra}"))
    assert report.recipients[0].last_attempt == WHEN
    assert report.other == {"x-unknown": "kept"}


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (GENERAL, "no recipient"),
        (f"X: y\r\n\r\n{RECIPIENT}", "Reporting-MTA"),
        (f"{GENERAL}Reporting-MTA: dns; x\r\n\r\n{RECIPIENT}", "duplicate"),
        (f"{GENERAL}\r\n{RECIPIENT}Action: failed\r\n", "duplicate"),
        (f"{GENERAL}\r\nAction: failed\r\nStatus: 5.0.0\r\n", "Final-Recipient"),
        (f"{GENERAL}\r\n{RECIPIENT.replace('Failed', 'Eaten')}", "Action"),
        (f"{GENERAL}\r\n{RECIPIENT.replace('5.1.1', '5.1')}", "Status"),
        (f"{GENERAL}\r\n{RECIPIENT}Remote-MTA: x400; y\r\n", "MTA"),
        (f"{GENERAL}\r\n{RECIPIENT}Diagnostic-Code: x400; y\r\n", "Diagnostic"),
        (f"{GENERAL}\r\n{RECIPIENT}Last-Attempt-Date: never\r\n", "date"),
        (f"{GENERAL}\r\n{RECIPIENT.replace('RFC822', 'utf-8').replace('a@', chr(92) + 'x{ffffff}@')}", "escape"),
        (f"{GENERAL}\r\nnonsense\r\n", "malformed"),
    ],
)
def test_refusals(status: str, why: str) -> None:
    with pytest.raises(DsnError, match=why):
        parse(report_with(status))


@pytest.mark.parametrize(
    "whole",
    [
        b"Subject: plain\r\n\r\nhello\r\n",
        b"",
        report_with(GENERAL + "\r\n" + RECIPIENT, kind="text/plain"),
        report_with(GENERAL + "\r\n" + RECIPIENT, outer="multipart/mixed"),
        report_with(GENERAL + "\r\n" + RECIPIENT).replace(b"--x--", b"--x\r\n\r\na\r\n--x\r\n\r\nb\r\n--x--"),
    ],
    ids=["plain", "empty", "wrong second part", "not a report", "four parts"],
)
def test_not_a_report(whole: bytes) -> None:
    with pytest.raises(DsnError):
        parse(whole)
