"""An application from end to end: it sends, and is told what becomes of it and what comes in (spec/webapi.md 10-15)."""

import smtplib
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mox.webapi.webhooks import SIGNATURE_HEADER, verify_signature
from tests.server_process import PASSWORD, USER, MoxProcess
from tests.web.receiver import Receiver
from tests.web.test_webapi_server import change, webapi

KEY = "a signing key"


def hooks(receiver: Receiver) -> str:
    return (
        f"\t\tOutgoingWebhook:\n\t\t\tURL: {receiver.url('/out')}\n\t\t\tAuthorization: Basic b3V0OnB3\n"
        f"\t\t\tSigningKey: {KEY}\n"
        f"\t\tIncomingWebhook:\n\t\t\tURL: {receiver.url('/in')}\n\t\t\tAuthorization: Bearer in\n"
        "\t\tFromIDLoginAddresses:\n\t\t\t- mox+send@localhost\n"
    )


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def server(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoxProcess]:
    server = MoxProcess(tmp_path_factory.mktemp("hooks") / "mox")
    change(server, "domains.conf", lambda text: text.replace("\tmox:\n", "\tmox:\n" + hooks(receiver)))
    server.start()
    yield server
    server.stop()


def send(server: MoxProcess, user: str = USER, **request: Any) -> tuple[str, list[dict[str, Any]]]:
    response = webapi(server, "Send", {"Text": "x", **request}, user=user)
    assert response.status_code == 200, response.text
    result = response.json()
    return result["MessageID"], result["Submissions"]


def test_delivered(server: MoxProcess, receiver: Receiver) -> None:
    message_id, [submission] = send(
        server, To=[{"Address": "someone@remote.example"}], Subject="Invoice & more", Extra={"orderid": "77"}
    )
    call = receiver.event("delivered", submission["QueueMsgID"])
    assert call.path == "/out"
    assert call.headers["authorization"] == "Basic b3V0OnB3"
    assert call.headers["content-type"] == "application/json; charset=utf-8"
    assert call.headers["user-agent"].startswith("mox/") and call.headers["user-agent"].endswith(" (webhook)")
    assert call.headers["x-mox-webhook-attempt"] == "1" and "content-length" in call.headers
    payload = call.payload
    datetime.fromisoformat(payload.pop("WebhookQueued"))
    assert payload == {
        "Version": 0,
        "Event": "delivered",
        "DSN": False,
        "Suppressing": False,
        "QueueMsgID": submission["QueueMsgID"],
        "FromID": "",
        "MessageID": message_id,
        "Subject": "Invoice & more",
        "SMTPCode": payload["SMTPCode"],
        "SMTPEnhancedCode": payload["SMTPEnhancedCode"],
        "Error": "",
        "Extra": {"orderid": "77"},
    }
    assert b"Invoice \\u0026 more" in call.body
    number = int(call.headers["x-mox-webhook-id"])
    signed = call.headers[SIGNATURE_HEADER.lower()]
    assert verify_signature(KEY, signed, number, call.body, int(time.time()))
    assert not verify_signature(KEY, signed, number, call.body + b" ", int(time.time()))
    assert not verify_signature("other", signed, number, call.body, int(time.time()))
    assert not verify_signature(KEY, signed, number, call.body, int(time.time()) + 1000)


def test_failure_suppresses_the_address(server: MoxProcess, receiver: Receiver) -> None:
    to = [{"Address": "user550@fail.example"}]
    _, [first] = send(server, To=to)
    payload = receiver.event("failed", first["QueueMsgID"]).payload
    assert (payload["SMTPCode"], payload["SMTPEnhancedCode"], payload["Suppressing"]) == (550, "5.0.0", True)
    assert "550" in payload["Error"]
    assert webapi(server, "SuppressionPresent", {"EmailAddress": "user550@fail.example"}).json() == {"Present": True}
    _, [second] = send(server, To=to)
    payload = receiver.event("suppressed", second["QueueMsgID"]).payload
    assert payload["SMTPCode"] == 0
    assert payload["Error"] == (
        "not delivering to recipient address user550@fail.example: address is on suppression list, permanent"
    )
    assert webapi(server, "SuppressionRemove", {"EmailAddress": "user550@fail.example"}).status_code == 200


def test_delay(server: MoxProcess, receiver: Receiver) -> None:
    _, [submission] = send(server, To=[{"Address": "usertemperror@fail.example"}])
    payload = receiver.event("delayed", submission["QueueMsgID"]).payload
    assert payload["SMTPCode"] == 451 and not payload["Suppressing"] and payload["Error"]


@pytest.mark.holds("outbound-3cc20b")
def test_incoming(server: MoxProcess, receiver: Receiver) -> None:
    message_id, _ = send(
        server,
        To=[{"Name": "Móx", "Address": "mox@localhost"}],
        Subject="incoming <one>",
        Text="thanks\n",
        References=["<A@x.example>"],
        AttachedFiles=[{"Name": "a.txt", "Data": "aGVsbG8="}],
    )
    call = receiver.wait(lambda c: c.path == "/in" and c.payload["MessageID"].strip("<>") == message_id.strip("<>"))
    assert call.headers["authorization"] == "Bearer in" and b"incoming \\u003cone\\u003e" in call.body
    payload = call.payload
    assert payload["Version"] == 0 and payload["Text"] == "thanks\n" and payload["HTML"] == ""
    assert payload["From"] == [{"Name": "", "Address": "mox@localhost"}]
    assert payload["To"] == [{"Name": "Móx", "Address": "mox@localhost"}]
    assert payload["References"] == ["<A@x.example>"] and payload["InReplyTo"] == "<A@x.example>"
    assert payload["CC"] == payload["BCC"] == payload["ReplyTo"] == []
    assert [part["ContentType"] for part in payload["Structure"]["Parts"]] == ["text/plain", "text/plain"]
    meta = payload["Meta"]
    assert (meta["RcptTo"], meta["MailFrom"], meta["MailboxName"]) == ("mox@localhost", "mox@localhost", "Inbox")
    assert set(meta) == {
        "MsgID", "MailFrom", "MailFromValidated", "MsgFromValidated", "RcptTo", "DKIMVerifiedDomains", "RemoteIP",
        "Received", "MailboxName", "Automated",
    }  # fmt: skip
    got = webapi(server, "MessageGet", {"MsgID": meta["MsgID"]}).json()
    assert got["Message"]["Text"] == "thanks\n" and got["Structure"] == payload["Structure"]


DSN = """From: postmaster@remote.example
To: <{address}>
Subject: report
Message-Id: <dsn-{name}@remote.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

words
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; remote.example

{recipients}
--b--
"""


def recipient(action: str, status: str, diagnostic: str = "") -> str:
    lines = ["Final-Recipient: rfc822; x@remote.example", f"Action: {action}", f"Status: {status}"]
    return "\n".join([*lines, *([f"Diagnostic-Code: smtp; {diagnostic}"] if diagnostic else []), ""])


def deliver(server: MoxProcess, address: str, message: str, sender: str = "") -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as client:
        client.sendmail(sender, [address], message.replace("\n", "\r\n").encode())


CASES = [
    ("failed", recipient("failed", "5.1.1", "550 5.1.1 no such user"), "failed", True, 550, "5.1.1"),
    ("no enhanced code", recipient("failed", "5.1.1", "554 no such user"), "failed", True, 554, ""),
    ("one word", recipient("failed", "5.1.1", "550"), "failed", True, 500, "5.1.1"),
    ("by status", recipient("delayed", "4.4.1"), "delayed", True, 400, "4.4.1"),
    ("delivered", recipient("delivered", "2.0.0"), "delivered", True, 0, ""),
    ("relayed", recipient("relayed", "2.0.0", "250 2.0.0 ok"), "relayed", True, 250, ""),
    ("expanded", recipient("expanded", "2.0.0"), "expanded", True, 0, ""),
    ("unknown action", recipient("lost", "5.0.0"), "unrecognized", True, 0, ""),
    ("two recipients", recipient("failed", "5.1.1") + "\n" + recipient("failed", "5.1.1"), "unrecognized", True, 0, ""),
]


@pytest.mark.holds("webapi-7447d0")
@pytest.mark.holds("outbound-3cc20b")
@pytest.mark.parametrize(
    ("name", "recipients", "event", "is_dsn", "code", "enhanced"), CASES, ids=[c[0] for c in CASES]
)
def test_report_about_a_sent_message(
    server: MoxProcess,
    receiver: Receiver,
    name: str,
    recipients: str,
    event: str,
    is_dsn: bool,
    code: int,
    enhanced: str,
) -> None:
    to = f"x{name.replace(' ', '')}@remote.example"
    message_id, [submission] = send(server, "mox+send@localhost", To=[{"Address": to}], Extra={"a": "b"})
    receiver.event("delivered", submission["QueueMsgID"])
    address = f"mox+{submission['FromID']}@localhost"
    deliver(server, address, DSN.format(address=address, name=name.replace(" ", ""), recipients=recipients))
    call = receiver.wait(
        lambda c: (
            c.payload.get("QueueMsgID") == submission["QueueMsgID"]
            and c.payload["DSN"] == is_dsn
            and c.payload["Event"] == event
            and (c.payload["DSN"] or c.payload["Event"] != "delivered")
        )
    )
    payload = call.payload
    assert (payload["SMTPCode"], payload["SMTPEnhancedCode"]) == (code, enhanced)
    assert (payload["MessageID"], payload["FromID"]) == (message_id, submission["FromID"])
    assert payload["Suppressing"] == (event == "failed" and (code == 550 or enhanced == "5.1.1"))
    # mox leaves these empty.
    assert bool(payload["Error"]) == (event in ("failed", "delayed", "unrecognized"))
    assert payload["Extra"] == {"a": "b"}


@pytest.mark.holds("webapi-7447d0")
@pytest.mark.holds("outbound-3cc20b")
def test_reply_to_a_unique_address(server: MoxProcess, receiver: Receiver) -> None:
    _, [submission] = send(server, "mox+send@localhost", To=[{"Address": "y@remote.example"}])
    receiver.event("delivered", submission["QueueMsgID"])
    address = f"mox+{submission['FromID']}@localhost"
    deliver(server, address, f"From: a@remote.example\nTo: {address}\nSubject: re\n\nhi\n", "a@remote.example")
    payload = receiver.event("unrecognized", submission["QueueMsgID"]).payload
    assert payload["DSN"] is False and payload["Error"]


@pytest.mark.holds("webapi-7447d0")
def test_report_for_an_unknown_id_is_incoming(server: MoxProcess, receiver: Receiver) -> None:
    address = "mox+unknownunknownunknown1@localhost"
    deliver(server, address, DSN.format(address=address, name="unknownid", recipients=recipient("failed", "5.0.0")))
    call = receiver.wait(lambda c: c.path == "/in" and "dsn-unknownid" in c.payload["MessageID"])
    assert call.payload["Meta"]["Automated"] is True and call.payload["Meta"]["MailFrom"] == ""


def test_simulated_failure_in_the_queue(server: MoxProcess, receiver: Receiver) -> None:
    """Localparts that start with "queue" are accepted by submission, and fail later (mox only announces that)."""
    with smtplib.SMTP("127.0.0.1", server.ports["submission"]) as client:
        client.login(USER, PASSWORD)
        client.sendmail(USER, ["queue550@x.example"], f"From: <{USER}>\r\nSubject: simulated later\r\n\r\nx\r\n")
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail(USER, ["rcpt550@x.example"], f"From: <{USER}>\r\nSubject: at once\r\n\r\nx\r\n")
    payload = receiver.wait(lambda c: c.path == "/out" and c.payload["Subject"] == "simulated later").payload
    assert (payload["Event"], payload["SMTPCode"]) == ("failed", 550)


def test_broken_header(server: MoxProcess, receiver: Receiver) -> None:
    """mox sends null for what it cannot parse, and References in lower case."""
    message = (
        "From: broken <<\nTo: @@, <\nSubject: broken header\nno field\nMessage-Id: <Broken@x.example>\n"
        "References: <Upper@X.example>\nDate: nonsense\n\nhi\n"
    )
    deliver(server, "mox@localhost", message, "a@remote.example")
    payload = receiver.wait(lambda c: c.path == "/in" and "Broken@x" in c.payload["MessageID"]).payload
    assert all(isinstance(payload[name], list) for name in ("From", "To", "CC", "BCC", "ReplyTo", "References"))
    assert payload["References"] == ["<Upper@X.example>"] and payload["Date"] is None
    assert isinstance(payload["Structure"]["Parts"], list)
    assert isinstance(payload["Meta"]["DKIMVerifiedDomains"], list)
    assert webapi(server, "MessageGet", {"MsgID": payload["Meta"]["MsgID"]}).status_code == 200


@pytest.mark.holds("webapi-7447d0")
@pytest.mark.holds("outbound-3cc20b")
def test_without_webhooks_none_are_made(tmp_path: Path) -> None:
    server = MoxProcess(tmp_path / "mox").start()
    try:
        send(server, To=[{"Address": USER}])
        deadline = time.monotonic() + 20
        while webapi(server, "MessageGet", {"MsgID": 1}).status_code != 200:
            assert time.monotonic() < deadline
        assert "webhook call" not in server.log()
    finally:
        server.stop()
