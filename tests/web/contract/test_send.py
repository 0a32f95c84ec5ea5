"""Send, and MessageGet of what was sent: spec/webapi.md sections 5, 6 and 8."""

import base64
import email
import email.policy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.web.contract.conftest import Api

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
PDF = b"%PDF-1.4 and so on"
ICS = b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def raw(api: Api, number: int) -> bytes:
    response = api.post("MessageRawGet", {"MsgID": number})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return response.content


@pytest.mark.holds("webapi-62b368")
def test_submissions_in_order(api: Api) -> None:
    result = api.call(
        "Send",
        {
            "To": [{"Name": "One", "Address": "to1@remote.example"}, {"Address": "to2@Remote.Example"}],
            "CC": [{"Address": "cc@remote.example"}],
            "BCC": [{"Address": "bcc@remote.example"}],
            "MessageID": "<given@remote.example>",
            "Text": "hello",
        },
    )
    assert result["MessageID"] == "<given@remote.example>"
    given = ["to1@remote.example", "to2@Remote.Example", "cc@remote.example", "bcc@remote.example"]
    assert [s["Address"] for s in result["Submissions"]] == given
    ids = [s["QueueMsgID"] for s in result["Submissions"]]
    assert ids == list(range(ids[0], ids[0] + 4))
    assert [s["FromID"] for s in result["Submissions"]] == [""] * 4


def test_message_id_is_made(api: Api) -> None:
    result = api.call("Send", {"To": [{"Address": "a@remote.example"}], "Text": "x"})
    assert result["MessageID"].startswith("<") and result["MessageID"].endswith(">")


@pytest.mark.holds("webapi-bad6a5")
@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"To": [{"Address": "a@x.example"}]}, "missingBody"),
        ({"Text": "x"}, "noRecipients"),
        ({"Text": "x", "From": [{"Address": "a@x.example"}]}, "badFrom"),
        ({"Text": "x", "From": [{"Address": "a@x.example"}], "To": [{"Address": "b@x.example"}]}, "badFrom"),
        (
            {"Text": "x", "From": [{"Address": "a@x.example"}] * 2, "To": [{"Address": "b@x.example"}]},
            "multipleFrom",
        ),
        ({"Text": "x", "To": [{"Address": "b@x.example"}], "MessageID": "plain@x.example"}, "malformedMessageID"),
        ({"Text": "x", "To": [{"Address": "b"}]}, "badAddress"),
        ({"Text": "x", "To": [{"Address": "b@x.example, c@x.example"}]}, "badAddress"),
        ({"Text": "x", "To": [{"Name": "a\r\nBcc: x", "Address": "b@x.example"}]}, "user"),
        ({"Text": "x", "To": [{"Address": "b@x.example"}], "Subject": "a\r\nBcc: x@x.example"}, "user"),
        ({"Text": "x", "To": [{"Address": "b@x.example"}], "Headers": [["X-A", "a\r\nBcc: x"]]}, "user"),
        ({"Text": "x", "To": [{"Address": "b@x.example"}], "Headers": [["X-A\r\nBcc", "x"]]}, "user"),
        ({"Text": "x", "To": [{"Address": "b@x.example"}], "References": ["<a>\r\nX: y"]}, "user"),
        ({"Text": "x", "To": [{"Address": "b@x.example"}], "AttachedFiles": [{"Data": "%%%"}]}, "user"),
        (
            {
                "Text": "x",
                "To": [{"Address": "b@x.example"}],
                "AttachedFiles": [{"ContentType": "a/b\r\nX: y", "Data": "eA=="}],
            },
            "user",
        ),
        (
            {
                "Text": "x",
                "To": [{"Address": "b@x.example"}],
                "InlineFiles": [{"ContentID": "<a>\r\nX: y", "Data": "eA=="}],
            },
            "user",
        ),
        ({"Text": "x", "To": [{"Address": "b@x.example"}], "FutureRelease": "2999-01-01T00:00:00Z"}, "user"),
        ({"Text": "x", "To": [{"Address": "b@x.example"}], "FutureRelease": "tomorrow"}, "protocol"),
        ({"Text": "x", "To": [{"Address": "b@x.example"}], "Date": "2024-04-04T14:29:42"}, "protocol"),
    ],
)
def test_refused(api: Api, request_: dict[str, Any], code: str) -> None:
    assert api.error("Send", request_)[0] == code


# To be completed with addresses of the account, see `full`.
FULL: dict[str, Any] = {
    "BCC": [{"Name": "Blind", "Address": "bcc@remote.example"}],
    "ReplyTo": [{"Name": "reply ünïcode", "Address": "reply@xn--74h.example"}],
    "References": ["<1@x.example>", "<2@x.example>"],
    "Date": "2024-04-04T14:29:42+02:00",
    "Subject": "¡hello world! and a long line of words that must be folded because it is longer than allowed",
    "Text": "text with ☺\nsecond line\n",
    "HTML": '<p>html <img src="cid:image" /></p>',
    "AlternativeFiles": [{"Name": "x.ics", "ContentType": "text/calendar", "Data": b64(ICS)}],
    "InlineFiles": [{"Name": "i.png", "ContentType": "image/png", "ContentID": "<image>", "Data": b64(PNG)}],
    "AttachedFiles": [{"Name": "döc.pdf", "Data": b64(PDF)}],
    "Headers": [["X-Custom", "value"], ["User-Agent", "tests/1"]],
    "SaveSent": True,
}


def full(user: str) -> dict[str, Any]:
    localpart, _, domain = user.rpartition("@")
    return {
        **FULL,
        "From": [{"Name": "móx", "Address": user}],
        "To": [{"Name": "To, indeed", "Address": f"{localpart}+to@{domain}"}],
        "CC": [{"Name": "", "Address": f"{localpart}+cc@{domain}"}],
    }


@pytest.fixture(scope="module")
def received(api: Api) -> int:
    return api.delivered(full(api.user))


def shape(structure: dict[str, Any]) -> Any:
    kind = structure["ContentType"].removeprefix("multipart/")
    return (kind, *(shape(part) for part in structure["Parts"])) if structure["Parts"] else kind


@pytest.mark.holds("webapi-31900e")
def test_structure(api: Api, received: int) -> None:
    got = api.call("MessageGet", {"MsgID": received})
    assert shape(got["Structure"]) == (
        "mixed",
        ("related", ("alternative", "text/plain", "text/html", "text/calendar"), "image/png"),
        "application/pdf",
    )
    related, pdf = got["Structure"]["Parts"]
    alternative, png = related["Parts"]
    assert png["ContentID"] == "<image>" and png["ContentDisposition"] == "inline" and png["Filename"] == "i.png"
    assert png["DecodedSize"] == len(PNG)
    assert pdf["ContentDisposition"] == "attachment" and pdf["Filename"] == "döc.pdf"
    assert alternative["Parts"][0]["ContentTypeParams"]["charset"] == "utf-8"


@pytest.mark.holds("webapi-31900e")
def test_message_comes_back_as_sent(api: Api, received: int) -> None:
    message = api.call("MessageGet", {"MsgID": received})["Message"]
    for field in ("From", "To", "CC", "References", "Date", "Text"):
        assert message[field] == full(api.user)[field], field
    assert message["HTML"] == FULL["HTML"] + "\n"
    assert message["Subject"].startswith(FULL["Subject"])
    assert message["ReplyTo"] == [{"Name": "reply ünïcode", "Address": "reply@☺.example"}]
    # A recipient does not see blind copies.
    assert message["BCC"] == []


@pytest.mark.holds("webapi-31900e")
def test_copy_in_sent_has_blind_copies(api: Api, received: int) -> None:
    # The copy in Sent was stored before or after the delivery, with a neighbouring id.
    for number in range(max(1, received - 3), received + 4):
        response = api.post("MessageGet", {"MsgID": number})
        if response.status_code == 200 and response.json()["Meta"]["MailboxName"] == "Sent":
            got = response.json()
            assert got["Message"]["BCC"] == FULL["BCC"]
            assert {"$notjunk", "\\seen"} <= set(got["Meta"]["Flags"])
            assert got["Meta"]["MailFrom"] == got["Meta"]["RcptTo"] == ""
            return
    raise AssertionError("no copy in Sent")


@pytest.mark.holds("webapi-45622c")
def test_raw_parses_to_the_same_structure(api: Api, received: int) -> None:
    parsed = email.message_from_bytes(raw(api, received), policy=email.policy.default)

    def tree(part: Any) -> Any:
        kind = part.get_content_type().removeprefix("multipart/")
        return (kind, *(tree(child) for child in part.iter_parts())) if part.is_multipart() else kind

    assert tree(parsed) == shape(api.call("MessageGet", {"MsgID": received})["Structure"])
    assert parsed["X-Custom"] == "value" and parsed["User-Agent"] == "tests/1"
    assert parsed["In-Reply-To"] == "<2@x.example>"
    assert parsed.get_all("MIME-Version") == ["1.0"]


@pytest.mark.holds("webapi-fa48c9")
def test_parts(api: Api, received: int) -> None:
    response = api.post("MessagePartGet", {"MsgID": received, "PartPath": [0, 0, 1]})
    assert response.status_code == 200
    assert response.content == (FULL["HTML"] + "\r\n").encode()
    image = api.post("MessagePartGet", {"MsgID": received, "PartPath": [0, 1]})
    assert image.content == PNG and image.headers["content-type"] == "image/png"
    for path, index, at in (([2], 2, 0), ([0, 0, 7], 7, 2), ([-1], -1, 0)):
        code, message = api.error("MessagePartGet", {"MsgID": received, "PartPath": path})
        assert (code, message) == ("partNotFound", f"part {index} at index {at} not found")


@pytest.mark.holds("webapi-fa48c9")
@pytest.mark.parametrize("name", ["MessageGet", "MessageRawGet", "MessagePartGet"])
@pytest.mark.parametrize("number", [999_999, -1])
def test_unknown_message(api: Api, name: str, number: int) -> None:
    assert api.error(name, {"MsgID": number}) == ("messageNotFound", "message not found")


def test_uploaded_files(api: Api) -> None:
    marker = "upload-test"
    files = [
        ("request", (None, json.dumps({"To": [{"Address": api.user}], "Subject": marker, "HTML": "<p>"}))),
        ("inlinefile", ("logo.png", PNG, "image/png", {"Content-ID": "<logo>"})),
        ("attachedfile", ("a b.bin", bytes(range(256)), "application/x-thing")),
        ("attachedfile", ("unknown", PDF, "")),
    ]
    response = api.raw("POST", "/v0/Send", files=files, auth=(api.user, api.password))
    assert response.status_code == 200, response.text
    number = api.delivered({"Subject": "after the upload"})
    found = None
    for candidate in range(number, 0, -1):
        answer = api.post("MessageGet", {"MsgID": candidate})
        if answer.status_code == 200 and answer.json()["Message"]["Subject"] == marker:
            found = answer.json()
            break
    assert found is not None
    related, first, second = found["Structure"]["Parts"]
    assert related["ContentType"] == "multipart/related"
    assert related["Parts"][1]["ContentID"] == "<logo>"
    assert (first["Filename"], first["ContentType"], first["DecodedSize"]) == ("a b.bin", "application/x-thing", 256)
    assert second["ContentType"] == "application/pdf"


def test_future_release_is_not_delivered_now(api: Api) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    result = api.call("Send", {"To": [{"Address": api.user}], "Text": "x", "FutureRelease": later})
    assert result["Submissions"][0]["QueueMsgID"] > 0


def test_past_future_release_is_fine(api: Api) -> None:
    api.call("Send", {"To": [{"Address": api.user}], "Text": "x", "FutureRelease": "2020-01-01T00:00:00Z"})


def test_only_blind_copies(api: Api) -> None:
    number = api.delivered({"To": [], "BCC": [{"Address": api.user}]})
    parsed = email.message_from_bytes(raw(api, number))
    assert parsed["To"] is None and parsed["Bcc"] is None


@pytest.mark.parametrize("require_tls", [None, False])
def test_require_tls_values(api: Api, require_tls: bool | None) -> None:
    api.call("Send", {"To": [{"Address": api.user}], "Text": "x", "RequireTLS": require_tls})
