"""Methods on stored messages: spec/webapi.md section 8."""

import pytest

from tests.web.contract.conftest import Api


@pytest.fixture
def message(api: Api) -> int:
    return api.delivered({"Subject": "for changes"})


def flags(api: Api, number: int) -> set[str]:
    return set(api.call("MessageGet", {"MsgID": number})["Meta"]["Flags"])


@pytest.mark.holds("webapi-91694e")
def test_flags(api: Api, message: int) -> None:
    for _ in range(2):
        assert api.call("MessageFlagsAdd", {"MsgID": message, "Flags": ["\\Answered", "$Forwarded", "Custom"]}) == {}
        assert {"\\answered", "$forwarded", "custom"} <= flags(api, message)
    for _ in range(2):
        assert api.call("MessageFlagsRemove", {"MsgID": message, "Flags": ["\\ANSWERED", "CUSTOM"]}) == {}
        assert "custom" not in flags(api, message) and "$forwarded" in flags(api, message)
    assert api.call("MessageFlagsAdd", {"MsgID": message, "Flags": []}) == {}


@pytest.mark.holds("webapi-91694e")
@pytest.mark.parametrize("name", ["MessageFlagsAdd", "MessageFlagsRemove"])
def test_flags_of_unknown_message(api: Api, name: str) -> None:
    code, text = api.error(name, {"MsgID": 999_999, "Flags": ["\\seen"]})
    assert (code, text) == ("messageNotFound", "getting message: no such message")


@pytest.mark.parametrize("flag", ["", "\\recent", "a b", "a(b", "a%", 'a"', "a]", "ü", "a\\b", "{", "*"])
@pytest.mark.parametrize("name", ["MessageFlagsAdd", "MessageFlagsRemove"])
def test_bad_flags(api: Api, name: str, flag: str) -> None:
    code, text = api.error(name, {"MsgID": 999_999, "Flags": [flag.upper()]})
    assert (code, text) == ("user", f"parsing flags: invalid keyword {flag.lower()}")


@pytest.mark.holds("webapi-b5efcd")
@pytest.mark.parametrize(
    ("name", "request_", "code"),
    [
        ("MessageGet", {}, "server"),
        ("MessageRawGet", {"MsgID": 0}, "server"),
        ("MessagePartGet", {"MsgID": 0}, "server"),
        ("MessageDelete", {"MsgID": 0}, "user"),
        ("MessageFlagsAdd", {"MsgID": 0, "Flags": ["\\seen"]}, "user"),
        ("MessageFlagsRemove", {"MsgID": 0, "Flags": ["\\seen"]}, "user"),
        ("MessageMove", {"MsgID": 0, "DestMailboxName": "Inbox"}, "user"),
    ],
)
def test_message_zero(api: Api, name: str, request_: dict[str, object], code: str) -> None:
    assert api.error(name, request_)[0] == code


@pytest.mark.holds("webapi-b5efcd")
@pytest.mark.parametrize("mailbox", ["inbox", "Nowhere", ""])
def test_move_to_unknown_mailbox(api: Api, message: int, mailbox: str) -> None:
    assert api.error("MessageMove", {"MsgID": message, "DestMailboxName": mailbox})[0] == "user"


def test_move(api: Api, message: int) -> None:
    assert api.call("MessageMove", {"MsgID": message, "DestMailboxName": "Archive"}) == {}
    assert api.call("MessageGet", {"MsgID": message})["Meta"]["MailboxName"] == "Archive"
    assert api.error("MessageMove", {"MsgID": message, "DestMailboxName": "Archive"})[0] == "user"
    code, _ = api.error("MessageMove", {"MsgID": 999_999, "DestMailboxName": "Archive"})
    assert code == "messageNotFound"


@pytest.mark.holds("webapi-b5efcd")
def test_delete(api: Api, message: int) -> None:
    assert api.call("MessageDelete", {"MsgID": message}) == {}
    for name in ("MessageGet", "MessageRawGet", "MessagePartGet"):
        assert api.error(name, {"MsgID": message})[0] == "messageNotFound"
    code, text = api.error("MessageDelete", {"MsgID": message})
    assert (code, text) == ("user", "getting message: message was removed")
    assert api.error("MessageFlagsAdd", {"MsgID": message, "Flags": ["\\seen"]})[0] == "user"
    assert api.error("MessageMove", {"MsgID": message, "DestMailboxName": "Archive"})[0] == "user"
    code, text = api.error("MessageDelete", {"MsgID": 999_999})
    assert (code, text) == ("messageNotFound", "getting message: no such message")


def test_meta_of_a_delivered_message(api: Api, message: int) -> None:
    got = api.call("MessageGet", {"MsgID": message})
    assert set(got) == {"Message", "Structure", "Meta"}
    meta = got["Meta"]
    assert set(meta) == {
        "Size", "DSN", "Flags", "MailFrom", "MailFromValidated", "RcptTo", "MsgFrom", "MsgFromValidated",
        "DKIMVerifiedDomains", "RemoteIP", "MailboxName",
    }  # fmt: skip
    raw = api.post("MessageRawGet", {"MsgID": message}).content
    assert meta["Size"] == len(raw)
    assert meta["RcptTo"] == api.user and meta["MailFrom"] == api.user
    assert meta["DSN"] is False
