"""The webapi as an HTTP handler: path, method, log-in, form, JSON, in mox's order (spec/webapi.md section 2)."""

import base64
import binascii
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from mox import log, metrics
from mox.config.listener import Listener
from mox.config.live import Config
from mox.outbound.composed import Outbox
from mox.outbound.queue import Queue
from mox.store.login import Client, LoginDisabled, LoginError, Logins, describe_tls
from mox.store.store import Store
from mox.web.forms import MAX_FIELDS_BYTES, Form, FormError, media_type, parse_urlencoded, read_multipart
from mox.web.messages import HTML, JSON, Answer, HttpError, Request, Response, Stream
from mox.web.webapi import pages
from mox.web.webapi.decode import DecodeError, decode
from mox.web.webapi.errors import ApiError
from mox.webapi.types import METHODS, Code, Error

REALM = (("www-authenticate", "Basic realm=webapi"),)
_LOG_IN = "401 - unauthorized - use http basic auth with email address as username"
# Room for the texts and the encoding around the files of a form.
FORM_OVERHEAD_BYTES = MAX_FIELDS_BYTES + (1 << 20)
MAX_ERROR_TEXT = 2000
# Of what is kept with a log-in.
MAX_USER_AGENT = 256

_logger = log.get("webapi")
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class WebApiContext:
    """What the webapi works with, one for a process."""

    config: Config
    store: Store
    queue: Queue
    logins: Logins
    outbox: Outbox


@dataclass(frozen=True, slots=True)
class Call:
    """A request of a logged-in application. `login` is the address as it was given."""

    context: WebApiContext
    account: str
    login: str
    request: Request
    form: Form
    max_message_size: int


# Carries out one method: the decoded request to the result, a Struct or a Stream. Raises ApiError.
Method = Callable[[Call, Any], Awaitable["msgspec.Struct | Stream"]]


def webapi_factory(context: WebApiContext, methods: dict[str, Method]) -> Callable[[Listener], "WebApi"]:
    """Makes the handler for each listener."""
    return lambda listener: WebApi(context, methods, listener.max_message_size)


class WebApi:
    """Handles everything below the mount point."""

    def __init__(self, context: WebApiContext, methods: dict[str, Method], max_message_size: int) -> None:
        self._context = context
        self._methods = methods
        self._max_message_size = max_message_size

    async def __call__(self, request: Request) -> Answer:
        """Raises HttpError for what is answered in plain text."""
        if request.path == "/":
            if request.method != "GET":
                raise HttpError(405, "405 - method not allow")
            return Response(303, headers=[("location", f"{request.mount}/v0/")])
        if request.path == "/v0/":
            return _page(pages.index())
        if request.path == "/v0/openapi.json":
            return _get_only(request, Response(body=pages.openapi(), content_type=JSON))
        name = request.path.removeprefix("/v0/")
        if not request.path.startswith("/v0/") or name not in self._methods:
            raise HttpError(404, "404 page not found")
        request.log["apimethod"] = name
        if request.method == "GET":
            return _page(pages.method(METHODS[name]))
        if request.method != "POST":
            raise HttpError(405, "405 - method not allowed - use get or post")
        started = time.monotonic()
        answer, result = await self._post(name, request)
        metrics.webapi_results.labels(name, result).inc()
        metrics.webapi_seconds.labels(name).observe(time.monotonic() - started)
        return answer

    async def _post(self, name: str, request: Request) -> tuple[Answer, str]:
        """(answer, result for metrics and log)"""
        user, password = _credentials(request)
        try:
            account = await self._log_in(request, user, password)
        except HttpError as err:
            _logger.info("webapi log-in refused", cid=request.cid, username=user, status=err.status)
            metrics.webapi_results.labels(name, "badauth").inc()
            raise
        request.log["account"] = account
        level, text = _logger.debug, ""
        try:
            answer = await self._call(name, account, user, request)
            result = "ok"
        except ApiError as err:
            answer, result, text = _error(err), str(err.code), err.text
            level = _logger.error if err.code is Code.SERVER else _logger.info
        level("webapi call", cid=request.cid, method=name, username=user, resultcode=result, err=text)
        return answer, result

    async def _log_in(self, request: Request, user: str, password: str) -> str:
        """The account. Raises HttpError."""
        ip = request.client_ip
        if ip is None:
            raise HttpError(
                500, "500 - internal server error - no client address, the reverse proxy must set X-Forwarded-For"
            )
        logins = self._context.logins
        if not logins.may_try(ip):
            metrics.authentication_ratelimited.labels("webapi").inc()
            raise HttpError(429, "429 - too many auth attempts")
        try:
            agent = request.header("user-agent")[:MAX_USER_AGENT]
            client = Client(request.peer.local[0], describe_tls(request.peer.tls), user_agent=agent)
            return await logins.password(user, password, ip, "webapi", "httpbasic", client=client)
        except LoginDisabled as err:
            raise HttpError(401, "401 - unauthorized - login is disabled for this account", REALM) from err
        except LoginError as err:
            raise HttpError(401, _LOG_IN, REALM) from err

    async def _call(self, name: str, account: str, login: str, request: Request) -> Answer:
        form = await self._form(request)
        try:
            text = form.first("request")
            if not text:
                raise ApiError(Code.PROTOCOL, "missing/empty request")
            try:
                parameters = decode(text, METHODS[name].request)
            except DecodeError as err:
                raise ApiError(Code.PROTOCOL, f"parsing request: {err}") from err
            call = Call(self._context, account, login, request, form, self._max_message_size)
            result = await self._methods[name](call, parameters)
        except ApiError:
            raise
        except Exception as err:  # a bug in a method is told in the form that clients understand
            metrics.panics.labels("webapi").inc()
            _logger.exception("unhandled error", cid=request.cid, method=name)
            raise ApiError(Code.SERVER, "unhandled error") from err
        finally:
            form.close()
        if isinstance(result, Stream):
            return result
        return Response(body=_encoder.encode(result) + b"\n", content_type=JSON)

    async def _form(self, request: Request) -> Form:
        """The form of the request. Raises ApiError."""
        value = request.header("content-type")
        try:
            kind, parameters = media_type(value) if value else ("", {})
        except FormError as err:
            raise ApiError(Code.PROTOCOL, f"unknown content-type {value[:200]}") from err
        try:
            if kind == "multipart/form-data":
                chunks = request.chunks(self._max_message_size + FORM_OVERHEAD_BYTES)
                return await read_multipart(chunks, parameters.get("boundary", ""), self._context.store.tmp_dir)
            if kind == "application/x-www-form-urlencoded":
                return parse_urlencoded(await request.body(MAX_FIELDS_BYTES))
        except FormError as err:
            raise ApiError(Code.PROTOCOL, f"parsing form: {err}") from err
        except HttpError as err:
            if err.status != 413:
                raise
            if kind == "multipart/form-data":
                raise ApiError(Code.MESSAGE_TOO_LARGE, "message too large") from err
            text = "parsing form: request body too large; send large files as multipart/form-data"
            raise ApiError(Code.PROTOCOL, text) from err
        return Form()


def _credentials(request: Request) -> tuple[str, str]:
    """User and password of RFC 7617. Raises HttpError 401."""
    scheme, _, value = request.header("authorization").partition(" ")
    try:
        if scheme.lower() == "basic":
            user, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
            if colon:
                return user, password
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass
    raise HttpError(401, _LOG_IN, REALM)


def _error(err: ApiError) -> Response:
    body = _encoder.encode(Error(Code=err.code, Message=err.text[:MAX_ERROR_TEXT])) + b"\n"
    return Response(400, body, JSON)


def _page(page: pages.Page) -> Response:
    return Response(body=page.body, content_type=HTML, headers=[("content-security-policy", page.policy)])


def _get_only(request: Request, response: Response) -> Response:
    if request.method not in ("GET", "HEAD"):
        raise HttpError(405, "405 - method not allowed - use get")
    return response
