"""The client against a whole server, and against one that fails."""

import inspect
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from mox.webapi import client
from mox.webapi.client import AsyncClient, Client, Upload, WebapiError, WebapiStatusError, file
from mox.webapi.types import Message, NameAddress, SendBatchRequest, SendRequest, SendResult
from tests.server_process import PASSWORD, USER, MoxProcess


def url(server: MoxProcess) -> str:
    return f"http://127.0.0.1:{server.ports['http']}/webapi/v0/"


def wait_for(fetch: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while True:
        try:
            return fetch()
        except WebapiError as err:
            assert err.code == "messageNotFound" and time.monotonic() < deadline


def test_a_message_and_back(mox: MoxProcess) -> None:
    with Client(url(mox), USER, PASSWORD) as mail:
        sent = mail.send(
            SendRequest(
                To=[NameAddress("Me", USER)],
                Subject="héllo",
                Text="see attached\n",
                Date=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
                AttachedFiles=[file("a.txt", b"hello")],
                Extra={"order": "77"},
            ),
            uploads=[Upload("logo.png", b"\x89PNG\r\n\x1a\n", "image/png", "<logo>", "inlinefile")],
        )
        assert [s.Address for s in sent.Submissions] == [USER]
        got = wait_for(lambda: mail.message_get(1))
        assert isinstance(got.Message, Message)
        assert (got.Message.Subject, got.Message.Text) == ("héllo", "see attached\n")
        assert got.Message.Date == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        related, attached = got.Structure.Parts
        assert attached.Filename == "a.txt" and related.Parts[1].ContentID == "<logo>"
        assert mail.message_part_get(1, [1]) == b"hello"
        assert b"Subject: " in mail.message_raw_get(1)
        mail.message_flags_add(1, ["\\seen", "todo"])
        mail.message_flags_remove(1, ["\\seen"])
        assert mail.message_get(1).Meta.Flags == ["todo"]
        mail.message_move(1, "Archive")
        assert mail.message_get(1).Meta.MailboxName == "Archive"
        mail.message_delete(1)
        with pytest.raises(WebapiError) as error:
            mail.message_get(1)
        assert error.value.code == "messageNotFound"
        results = mail.send_batch(SendBatchRequest([SendRequest(To=[NameAddress("", USER)], Text="x"), SendRequest()]))
        assert results.Results[0].Result and results.Results[1].Error
        assert results.Results[1].Error.Code == "missingBody"


async def test_suppression_list_async(mox: MoxProcess) -> None:
    async with AsyncClient(url(mox), USER, PASSWORD) as mail:
        await mail.suppression_add("Ann+x@example.org", reason="asked")
        assert await mail.suppression_present("ann@example.org")
        assert [e.BaseAddress for e in await mail.suppression_list()] == ["ann@example.org"]
        await mail.suppression_remove("ann@example.org")
        assert await mail.suppression_list() == []
        sent = await mail.send(SendRequest(To=[NameAddress("", USER)], Text="x"))
        assert isinstance(sent, SendResult)
    async with AsyncClient(url(mox), USER, "wrong") as mail:
        with pytest.raises(WebapiStatusError) as error:
            await mail.suppression_list()
        assert error.value.status == 401


class Flaky(httpx.BaseTransport):
    """Fails some times, then answers."""

    def __init__(self, *failures: int | Exception) -> None:
        self.failures = list(failures)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return httpx.Response(failure, text="failure")
        return httpx.Response(200, json={"MessageID": "<a@b>", "Submissions": [], "Later": 1})


def flaky(transport: Flaky, **options: Any) -> Client:
    made = Client("http://x/webapi/v0", "a@b.example", "p", **options)
    made._options["transport"] = transport
    return made


def test_send_is_repeated_under_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.0)
    transport = Flaky(httpx.ReadError("reset"), 503)
    with flaky(transport) as mail:
        assert mail.send(SendRequest(Text="x")).MessageID == "<a@b>"
    keys = {request.headers["idempotency-key"] for request in transport.requests}
    assert len(transport.requests) == 3 and len(keys) == 1
    # Unknown fields of the answer do not matter; empty fields are not sent.
    sent = httpx.QueryParams(transport.requests[0].content.decode())["request"]
    assert json.loads(sent) == {"Text": "x"}


def test_not_repeated_where_it_would_send_twice() -> None:
    transport = Flaky(httpx.ReadError("reset"))
    with flaky(transport, repeat_sends=False) as mail, pytest.raises(httpx.ReadError):
        mail.send(SendRequest(Text="x"))
    transport = Flaky(500)
    with flaky(transport) as mail, pytest.raises(WebapiStatusError):
        mail.suppression_add("a@b.example")
    assert len(transport.requests) == 1


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, str]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: str(inspect.signature(fn)) for name, fn in found if not name.startswith("_")}

    assert methods(Client) == methods(AsyncClient)
