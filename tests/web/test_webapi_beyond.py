"""Where mox falls short (spec/webapi.md section 20), and the frame around the webapi: limits, log, metrics, gzip."""

import email
import re
import smtplib
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server_process import USER, MoxProcess
from tests.web.test_webapi_server import FROM_ID, change, webapi


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoxProcess]:
    server = MoxProcess(tmp_path_factory.mktemp("beyond") / "mox")
    second = "\tplain.example:\n\t\tDescription: without separator\n"
    change(server, "domains.conf", lambda text: text.replace("Domains:\n", "Domains:\n" + second))
    change(
        server,
        "domains.conf",
        lambda text: text.replace("\tmox:\n", "\tmox:\n" + FROM_ID).replace(
            "\t\t\tmox@localhost: nil\n", "\t\t\tmox@localhost: nil\n\t\t\tme@plain.example: nil\n"
        ),
    )
    change(server, "mox.conf", lambda text: text.replace("LogLevel: info", "LogLevel: debug"))
    server.start()
    yield server
    server.stop()


def latest(server: MoxProcess, subject: str) -> tuple[int, str]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for number in range(1, 30):
            response = webapi(server, "MessageRawGet", {"MsgID": number})
            if response.status_code == 200 and f"Subject: {subject}" in response.text:
                return number, response.text
    raise AssertionError(f"no message with subject {subject}")


@pytest.mark.parametrize(
    "headers",
    [
        [["From", "other@x.example"]],
        [["date", "now"]],
        [["To", "x@x.example"]],
        [["Bcc", "x@x.example"]],
        [["Content-Type", "text/html"]],
        [["DKIM-Signature", "v=1"]],
        [["Sender", "a@x.example"], ["sender", "b@x.example"]],
        [["Not A Name", "x"]],
        [["Colon:", "x"]],
        [["", "x"]],
        [["X-\u00fc", "x"]],
    ],
)
def test_header_fields_that_make_no_sense(server: MoxProcess, headers: list[list[str]]) -> None:
    request = {"To": [{"Address": USER}], "Text": "x", "Headers": headers}
    response = webapi(server, "Send", request)
    assert response.status_code == 400 and response.json()["Code"] == "user"


def test_from_id_without_separator_sends_without(server: MoxProcess) -> None:
    request = {"From": [{"Address": "me@plain.example"}], "To": [{"Address": USER}], "Text": "x"}
    response = webapi(server, "Send", request, user="mox+send@localhost")
    assert response.status_code == 200
    assert [s["FromID"] for s in response.json()["Submissions"]] == [""]


def test_trace_field_of_several_recipients(server: MoxProcess) -> None:
    webapi(server, "Send", {"To": [{"Address": USER}, {"Address": "x@localhost"}], "Text": "x", "Subject": "several"})
    _, raw = latest(server, "several")
    received = [v for v in email.message_from_string(raw).get_all("Received", []) if " id " in v]
    assert received and not any("for <>" in value for value in received)


def test_file_of_unknown_type(server: MoxProcess) -> None:
    request: dict[str, Any] = {
        "To": [{"Address": USER}],
        "Text": "x",
        "Subject": "unknown type",
        "AttachedFiles": [{"Name": "x", "Data": "AAECAw=="}],
    }
    assert webapi(server, "Send", request).status_code == 200
    number, _ = latest(server, "unknown type")
    parts = webapi(server, "MessageGet", {"MsgID": number}).json()["Structure"]["Parts"]
    assert parts[1]["ContentType"] == "application/octet-stream"


def test_message_with_broken_addresses(server: MoxProcess) -> None:
    message = (
        "From: a@b.example\r\nTo: undisclosed recipients:;\r\nCc: broken <<, ok@x.example\r\n"
        "Subject: broken addresses\r\nDate: nonsense\r\n\r\nhi\r\n"
    )
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as client:
        client.sendmail("a@b.example", [USER], message)
    number, _ = latest(server, "broken addresses")
    got = webapi(server, "MessageGet", {"MsgID": number})
    assert got.status_code == 200
    assert got.json()["Message"]["Date"] is None
    assert got.json()["Message"]["CC"] == [
        {"Name": "broken", "Address": "<"},
        {"Name": "", "Address": "ok@x.example"},
    ]


def test_pages_are_compressed_for_those_who_want_it(server: MoxProcess) -> None:
    url = f"http://127.0.0.1:{server.ports['http']}/webapi/v0/"
    packed = httpx.get(url, headers={"accept-encoding": "gzip;q=0.5"})
    plain = httpx.get(url, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


def test_access_log_and_metrics(server: MoxProcess) -> None:
    webapi(server, "SuppressionList", {})
    lines = [line for line in server.log().splitlines() if 'msg="http request"' in line and "SuppressionList" in line]
    assert lines
    fields = ("httpaccess=", "handler=webapi", "method=post", "url=/webapi/v0/SuppressionList", "statuscode=200",
              "proto=http/1.1", "tlsinfo=plain", "useragent=", "account=mox", "size=",
              "remoteaddr=127.0.0.1:")  # fmt: skip
    for field in fields:
        assert field in lines[-1], field
    assert "moxmoxmox" not in server.log().split("\n\n", 3)[-1].replace("password moxmoxmox", "")
    metrics = httpx.get(f"http://127.0.0.1:{server.ports['metrics']}/metrics").text
    assert re.search(r'mox_webapi_results_total\{method="SuppressionList",result="ok"\} [1-9]', metrics)
    assert (
        'mox_httpserver_request_duration_seconds_count{code="200",handler="webapi",method="post",proto="http"}'
        in metrics
    )
    assert "mox_webapi_duration_seconds_bucket" in metrics


def test_requests_are_limited(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = MoxProcess(tmp_path_factory.mktemp("limited") / "mox")
    few = "\tHTTPRequestsPerMinute:\n\t\t- 5\n\t\t- 5\n\t\t- 5\n"
    change(
        server,
        "mox.conf",
        lambda text: re.sub(r"\tHTTPRequestsPerMinute:\n(\t\t- \d+\n){3}", few.replace("\\", ""), text),
    )
    server.start()
    try:
        url = f"http://127.0.0.1:{server.ports['http']}/webapi/v0/"
        statuses = [httpx.get(url).status_code for _ in range(12)]
        assert statuses[:5] == [200] * 5 and 429 in statuses
    finally:
        server.stop()
