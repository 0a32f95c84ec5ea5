"""An application with a real peer: Postfix's smtp-sink takes its mail, or refuses it; webhooks tell of both."""

import shutil
import smtplib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server_process import PASSWORD, USER, MoxProcess, free_ports
from tests.web.receiver import Receiver
from tests.web.test_webapi_server import change, webapi

pytestmark = pytest.mark.interop

SINK = shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin:/usr/bin")


@contextmanager
def sink(*options: str) -> Iterator[int]:
    """A server for mail; its port."""
    if SINK is None:
        pytest.skip("smtp-sink is not installed: it is part of postfix")
    (port,) = free_ports(1)
    process = subprocess.Popen([SINK, "-u", "nobody", *options, f"127.0.0.1:{port}", "100"])
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                smtplib.SMTP("127.0.0.1", port, timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def dump() -> Iterator[Path]:
    """A folder that every user may write to."""
    with tempfile.TemporaryDirectory(prefix="mox-sink-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


def transport(name: str, port: int) -> str:
    return f"\t{name}:\n\t\tSMTP:\n\t\t\tHost: localhost\n\t\t\tPort: {port}\n\t\t\tNoSTARTTLS: true\n"


def route(domain: str, name: str) -> str:
    return f"\t-\n\t\tToDomain:\n\t\t\t- {domain}\n\t\tTransport: {name}\n"


def test_from_send_to_reply(tmp_path: Path, dump: Path) -> None:
    server = MoxProcess(tmp_path / "mox")
    with Receiver() as receiver, sink("-d", f"{dump}/%M.") as good, sink("-f", "RCPT") as bad:
        hooks = (
            f"\t\tOutgoingWebhook:\n\t\t\tURL: {receiver.url('/out')}\n"
            f"\t\tIncomingWebhook:\n\t\t\tURL: {receiver.url('/in')}\n"
        )
        change(
            server,
            "domains.conf",
            lambda text: (
                text.replace("\tmox:\n", "\tmox:\n" + hooks)
                + "Routes:\n"
                + route("good.example", "good")
                + route("bad.example", "bad")
            ),
        )
        transports = "Transports:\n" + transport("good", good) + transport("bad", bad)
        change(server, "mox.conf", lambda text: text + transports)
        server.start()
        try:
            request = {"Subject": "order", "Text": "hello\n", "Extra": {"order": "1"}}
            sent = webapi(server, "Send", {**request, "To": [{"Address": "ann@good.example"}]}).json()
            delivered = receiver.event("delivered", sent["Submissions"][0]["QueueMsgID"]).payload
            assert delivered["Extra"] == {"order": "1"} and delivered["MessageID"] == sent["MessageID"]
            (file,) = dump.iterdir()
            received = file.read_text()
            assert sent["MessageID"] in received and "Subject: order" in received and "DKIM-Signature:" in received

            refused = webapi(server, "Send", {**request, "To": [{"Address": "ann@bad.example"}]}).json()
            failed = receiver.event("failed", refused["Submissions"][0]["QueueMsgID"]).payload
            assert failed["SMTPCode"] // 100 == 5 and failed["Error"]
            listed = webapi(server, "SuppressionList", {}).json()["Suppressions"]
            assert failed["Suppressing"] == bool(listed)

            with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as client:
                reply = (
                    f"From: Ann <ann@good.example>\r\nTo: {USER}\r\nSubject: Re: order\r\n"
                    f"Message-Id: <r@good.example>\r\nIn-Reply-To: {sent['MessageID']}\r\n\r\nthank you\r\n"
                )
                client.sendmail("ann@good.example", [USER], reply)
            incoming = receiver.wait(
                lambda call: call.path == "/in" and call.payload["MessageID"] == "<r@good.example>"
            )
            assert incoming.payload["InReplyTo"] == sent["MessageID"]
            number = incoming.payload["Meta"]["MsgID"]
            got = webapi(server, "MessageGet", {"MsgID": number}, password=PASSWORD).json()
            assert got["Message"]["Text"] == "thank you\n"
        finally:
            server.stop()
