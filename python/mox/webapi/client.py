"""A client of the webapi: `Client` for programs with threads, `AsyncClient` for asyncio; the same methods and types.

    with Client("https://mail.example/webapi/v0/", "me@mail.example", "password") as mail:
        sent = mail.send(SendRequest(To=[NameAddress("Ann", "ann@example.org")], Subject="Invoice", Text="Attached."))

Calls that change nothing are repeated when the network or the server fails. So is Send, with an idempotency key: the
message is sent once, however often the call is repeated. Servers of mox itself do not know these keys: for them,
construct the client with `repeat_sends=False`.
"""

import asyncio
import base64
import json
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import httpx
import msgspec

from mox.webapi import types
from mox.webapi.types import Error, File, SendBatchRequest, SendBatchResult, SendRequest, SendResult, Suppression

TIMEOUT_S = 60.0
ATTEMPTS = 4
FIRST_WAIT_S = 0.5
# Carried out twice, they give the same.
_REPEATABLE = frozenset(
    ("SuppressionList", "SuppressionPresent", "MessageGet", "MessageRawGet", "MessagePartGet", "MessageFlagsAdd",
     "MessageFlagsRemove")
)  # fmt: skip
_TRY_AGAIN = frozenset((500, 502, 503, 504))

T = TypeVar("T", bound=msgspec.Struct)


class WebapiError(Exception):
    """The server refuses the request; `code` is one of types.Code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class WebapiStatusError(Exception):
    """Not an answer of the webapi: wrong credentials (401), wrong address (404), too many failures (429), …"""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"status {status}: {text[:200]}")
        self.status, self.text = status, text


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send along without encoding it in JSON. `place` is alternativefile, inlinefile or attachedfile."""

    name: str
    data: bytes
    content_type: str = ""
    content_id: str = ""
    place: str = "attachedfile"


def file(name: str, data: bytes, content_type: str = "", content_id: str = "") -> File:
    """A file for SendRequest."""
    return File(name, content_type, content_id, base64.b64encode(data).decode())


def _given(request: msgspec.Struct) -> Any:
    """Only what differs from the empty value, so that servers without our extensions understand it."""
    empty = type(request)()
    fields = {name: getattr(request, name) for name in request.__struct_fields__}
    return {
        name: msgspec.to_builtins(value) if not isinstance(value, list) else [_item(item) for item in value]
        for name, value in fields.items()
        if value != getattr(empty, name)
    }


def _item(item: Any) -> Any:
    return _given(item) if isinstance(item, SendRequest) else msgspec.to_builtins(item)


class _Calls:
    """What both clients share: requests and answers, without the network between them."""

    def __init__(
        self, base_url: str, user: str, password: str, timeout_s: float = TIMEOUT_S, repeat_sends: bool = True
    ) -> None:
        """`base_url` ends in /webapi/v0/; `user` is an email address."""
        self._repeat_sends = repeat_sends
        self._options: dict[str, Any] = {
            "base_url": base_url if base_url.endswith("/") else base_url + "/",
            "auth": httpx.BasicAuth(user.encode(), password.encode()),
            "timeout": timeout_s,
        }

    def _request(
        self, name: str, request: msgspec.Struct, key: str = "", uploads: Sequence[Upload] = ()
    ) -> dict[str, Any]:
        text = json.dumps(_given(request))
        options: dict[str, Any] = {"headers": {"Idempotency-Key": key}} if key else {}
        if not uploads:
            return {**options, "data": {"request": text}}
        files: list[tuple[str, Any]] = [("request", (None, text))]
        for upload in uploads:
            headers = {"Content-ID": upload.content_id} if upload.content_id else {}
            files.append((upload.place, (upload.name, upload.data, upload.content_type, headers)))
        return {**options, "files": files}

    def _attempts(self, name: str, key: str) -> int:
        is_send = name in ("Send", "SendBatch")
        return ATTEMPTS if name in _REPEATABLE or (is_send and key and self._repeat_sends) else 1

    @staticmethod
    def _bytes(response: httpx.Response) -> bytes:
        """The body of a good answer. Raises WebapiError, WebapiStatusError."""
        if response.status_code == 400:
            try:
                error = msgspec.json.decode(response.content, type=Error)
            except msgspec.DecodeError as err:
                raise WebapiStatusError(400, response.text) from err
            raise WebapiError(error.Code, error.Message)
        if response.status_code != 200:
            raise WebapiStatusError(response.status_code, response.text)
        return response.content

    @classmethod
    def _result(cls, response: httpx.Response, kind: type[T]) -> T:
        return msgspec.json.decode(cls._bytes(response), type=kind)


def _wait_s(attempt: int) -> float:
    return float(FIRST_WAIT_S * (1 << attempt) * random.uniform(0.5, 1.5))


class Client(_Calls):
    """For programs with threads. All methods raise WebapiError, WebapiStatusError, httpx.HTTPError."""

    def __enter__(self) -> "Client":
        self._http = httpx.Client(**self._options)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def _post(
        self, name: str, request: msgspec.Struct, key: str = "", uploads: Sequence[Upload] = ()
    ) -> httpx.Response:
        attempts = self._attempts(name, key)
        options = self._request(name, request, key, uploads)
        for attempt in range(attempts):
            is_last = attempt + 1 == attempts
            try:
                response = self._http.post(name, **options)
            except httpx.TransportError:
                if is_last:
                    raise
            else:
                if is_last or response.status_code not in _TRY_AGAIN:
                    return response
            time.sleep(_wait_s(attempt))
        raise AssertionError("unreachable")

    def send(self, message: SendRequest, key: str = "", uploads: Sequence[Upload] = ()) -> SendResult:
        """Send a message. A `key` of your own also protects against a repetition by your program."""
        return self._result(self._post("Send", message, key or uuid.uuid4().hex, uploads), SendResult)

    def send_batch(self, batch: SendBatchRequest, key: str = "") -> SendBatchResult:
        """Send several messages. Not known to mox itself."""
        return self._result(self._post("SendBatch", batch, key or uuid.uuid4().hex), SendBatchResult)

    def suppression_list(self) -> list[Suppression]:
        """Addresses that are not delivered to."""
        response = self._post("SuppressionList", types.SuppressionListRequest())
        return self._result(response, types.SuppressionListResult).Suppressions

    def suppression_add(self, address: str, manual: bool = True, reason: str = "") -> None:
        """Deliver to an address no more."""
        request = types.SuppressionAddRequest(address, manual, reason)
        self._result(self._post("SuppressionAdd", request), types.Empty)

    def suppression_remove(self, address: str) -> None:
        """Deliver to an address again."""
        self._result(self._post("SuppressionRemove", types.SuppressionRemoveRequest(address)), types.Empty)

    def suppression_present(self, address: str) -> bool:
        """Whether an address is suppressed."""
        response = self._post("SuppressionPresent", types.SuppressionPresentRequest(address))
        return self._result(response, types.SuppressionPresentResult).Present

    def message_get(self, message_id: int) -> types.MessageGetResult:
        """A stored message, parsed."""
        return self._result(self._post("MessageGet", types.MessageGetRequest(message_id)), types.MessageGetResult)

    def message_raw_get(self, message_id: int) -> bytes:
        """A stored message as it is."""
        return self._bytes(self._post("MessageRawGet", types.MessageRawGetRequest(message_id)))

    def message_part_get(self, message_id: int, path: Sequence[int]) -> bytes:
        """A part of a stored message, decoded."""
        return self._bytes(self._post("MessagePartGet", types.MessagePartGetRequest(message_id, list(path))))

    def message_delete(self, message_id: int) -> None:
        """Remove a message for good."""
        self._result(self._post("MessageDelete", types.MessageDeleteRequest(message_id)), types.Empty)

    def message_flags_add(self, message_id: int, flags: Sequence[str]) -> None:
        """Set flags."""
        request = types.MessageFlagsAddRequest(message_id, list(flags))
        self._result(self._post("MessageFlagsAdd", request), types.Empty)

    def message_flags_remove(self, message_id: int, flags: Sequence[str]) -> None:
        """Clear flags."""
        request = types.MessageFlagsRemoveRequest(message_id, list(flags))
        self._result(self._post("MessageFlagsRemove", request), types.Empty)

    def message_move(self, message_id: int, mailbox: str) -> None:
        """Move a message; it keeps its id."""
        self._result(self._post("MessageMove", types.MessageMoveRequest(message_id, mailbox)), types.Empty)


class AsyncClient(_Calls):
    """For asyncio. All methods raise WebapiError, WebapiStatusError, httpx.HTTPError."""

    async def __aenter__(self) -> "AsyncClient":
        self._http = httpx.AsyncClient(**self._options)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def _post(
        self, name: str, request: msgspec.Struct, key: str = "", uploads: Sequence[Upload] = ()
    ) -> httpx.Response:
        attempts = self._attempts(name, key)
        options = self._request(name, request, key, uploads)
        for attempt in range(attempts):
            is_last = attempt + 1 == attempts
            try:
                response = await self._http.post(name, **options)
            except httpx.TransportError:
                if is_last:
                    raise
            else:
                if is_last or response.status_code not in _TRY_AGAIN:
                    return response
            await asyncio.sleep(_wait_s(attempt))
        raise AssertionError("unreachable")

    async def send(self, message: SendRequest, key: str = "", uploads: Sequence[Upload] = ()) -> SendResult:
        """As Client.send; likewise the others."""
        return self._result(await self._post("Send", message, key or uuid.uuid4().hex, uploads), SendResult)

    async def send_batch(self, batch: SendBatchRequest, key: str = "") -> SendBatchResult:
        """Send several messages. Not known to mox itself."""
        return self._result(await self._post("SendBatch", batch, key or uuid.uuid4().hex), SendBatchResult)

    async def suppression_list(self) -> list[Suppression]:
        """Addresses that are not delivered to."""
        response = await self._post("SuppressionList", types.SuppressionListRequest())
        return self._result(response, types.SuppressionListResult).Suppressions

    async def suppression_add(self, address: str, manual: bool = True, reason: str = "") -> None:
        """Deliver to an address no more."""
        request = types.SuppressionAddRequest(address, manual, reason)
        self._result(await self._post("SuppressionAdd", request), types.Empty)

    async def suppression_remove(self, address: str) -> None:
        """Deliver to an address again."""
        self._result(await self._post("SuppressionRemove", types.SuppressionRemoveRequest(address)), types.Empty)

    async def suppression_present(self, address: str) -> bool:
        """Whether an address is suppressed."""
        response = await self._post("SuppressionPresent", types.SuppressionPresentRequest(address))
        return self._result(response, types.SuppressionPresentResult).Present

    async def message_get(self, message_id: int) -> types.MessageGetResult:
        """A stored message, parsed."""
        response = await self._post("MessageGet", types.MessageGetRequest(message_id))
        return self._result(response, types.MessageGetResult)

    async def message_raw_get(self, message_id: int) -> bytes:
        """A stored message as it is."""
        return self._bytes(await self._post("MessageRawGet", types.MessageRawGetRequest(message_id)))

    async def message_part_get(self, message_id: int, path: Sequence[int]) -> bytes:
        """A part of a stored message, decoded."""
        return self._bytes(await self._post("MessagePartGet", types.MessagePartGetRequest(message_id, list(path))))

    async def message_delete(self, message_id: int) -> None:
        """Remove a message for good."""
        self._result(await self._post("MessageDelete", types.MessageDeleteRequest(message_id)), types.Empty)

    async def message_flags_add(self, message_id: int, flags: Sequence[str]) -> None:
        """Set flags."""
        request = types.MessageFlagsAddRequest(message_id, list(flags))
        self._result(await self._post("MessageFlagsAdd", request), types.Empty)

    async def message_flags_remove(self, message_id: int, flags: Sequence[str]) -> None:
        """Clear flags."""
        request = types.MessageFlagsRemoveRequest(message_id, list(flags))
        self._result(await self._post("MessageFlagsRemove", request), types.Empty)

    async def message_move(self, message_id: int, mailbox: str) -> None:
        """Move a message; it keeps its id."""
        self._result(await self._post("MessageMove", types.MessageMoveRequest(message_id, mailbox)), types.Empty)
