"""Makes the HTTP calls of webhooks: with deadlines, verified TLS, and only the start of an answer (spec/webapi.md
section 13)."""

import asyncio
import ssl
import time
from http import HTTPStatus

import httpx

from mox import __version__, metrics
from mox.config.live import Config
from mox.outbound.hooks import CallOutcome
from mox.outbound.records import Hook
from mox.webapi.webhooks import SIGNATURE_HEADER, signature

MAX_RESPONSE_BYTES = 512
MAX_REDIRECTS = 10
# Of the parts of a call; `hookrunner` bounds the whole.
STEP_S = 30.0
IDLE_S = 5.0
# These keep method and body (RFC 9110 §15.4.8 and §15.4.9); the others would lose the payload.
_REDIRECTS = frozenset((HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT))


class BadUrl(ValueError):
    """Not a URL that can be called."""


def check_url(url: str) -> None:
    """Raises BadUrl."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as err:
        raise BadUrl(f"parsing url: {err}") from err
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise BadUrl("url must start with http:// or https://, and have a host")


class HookCaller:
    """Calls webhooks; one for a process."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close idle connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _open(self) -> httpx.AsyncClient:
        """The client, made for the first call: reading all authorities takes a while."""
        async with self._opening:
            if self._client is None:
                self._client = httpx.AsyncClient(
                    verify=await asyncio.to_thread(tls_context, self._config),
                    timeout=STEP_S,
                    limits=httpx.Limits(max_keepalive_connections=20, keepalive_expiry=IDLE_S),
                    headers={"User-Agent": f"mox/{__version__} (webhook)", "Accept-Encoding": "gzip"},
                )
        return self._client

    async def call(self, hook: Hook) -> CallOutcome:
        """Make the call of a queued hook."""
        key = self._signing_key(hook.account, hook.is_incoming)
        return await self.post(hook.url, hook.authorization, hook.payload, hook.id, hook.attempts, key)

    def _signing_key(self, account: str, is_incoming: bool) -> str:
        options = self._config.dynamic.Accounts.get(account)
        if options is None:
            return ""
        hook = options.IncomingWebhook if is_incoming else options.OutgoingWebhook
        return hook.SigningKey if hook is not None else ""

    async def post(
        self, url: str, authorization: str, payload: str, hook_id: int = 1, attempt: int = 1, signing_key: str = ""
    ) -> CallOutcome:
        """POST a payload now. Failures of network and receiver are in the outcome."""
        body = payload.encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-Mox-Webhook-ID": str(hook_id),
            "X-Mox-Webhook-Attempt": str(attempt),
        }
        if authorization:
            headers["Authorization"] = authorization
        if signing_key:
            headers[SIGNATURE_HEADER] = signature(signing_key, int(time.time()), hook_id, body)
        started = time.monotonic()
        try:
            code, response = await self._post(url, headers, body)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError, OSError) as err:
            metrics.webhook_results.labels("error").inc()
            return CallOutcome(0, f"http request: {err or type(err).__name__}", "", _ms_since(started))
        metrics.webhook_seconds.observe(time.monotonic() - started)
        metrics.webhook_results.labels(_code_label(code)).inc()
        error = "" if 200 <= code < 300 else f'http status "{code} {_phrase(code)}", expected 200 ok'
        return CallOutcome(code, error, response, _ms_since(started))

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """(status, start of the answer)"""
        client = await self._open()
        for _ in range(MAX_REDIRECTS + 1):
            check_url(url)
            async with client.stream("POST", url, headers=headers, content=body) as response:
                target = response.headers.get("location", "")
                if response.status_code in _REDIRECTS and target:
                    joined = response.url.join(target)
                    if (joined.scheme, joined.host, joined.port) != (
                        response.url.scheme,
                        response.url.host,
                        response.url.port,
                    ):
                        # Credentials are for the server they were configured for.
                        headers = {name: value for name, value in headers.items() if name != "Authorization"}
                    url = str(joined)
                    continue
                return response.status_code, await _start(response)
        raise BadUrl(f"more than {MAX_REDIRECTS} redirects")


async def _start(response: httpx.Response) -> str:
    found = b""
    async for chunk in response.aiter_bytes(MAX_RESPONSE_BYTES):
        found += chunk
        if len(found) >= MAX_RESPONSE_BYTES:
            break
    return found[:MAX_RESPONSE_BYTES].decode("utf-8", "replace")


def tls_context(config: Config) -> ssl.SSLContext:
    """With the authorities of the configuration (TLS.CA)."""
    tls = config.static.TLS
    ca = tls.CA if tls is not None else None
    context = ssl.create_default_context() if ca is None or ca.AdditionalToSystem else _empty_context()
    for file in ca.CertFiles if ca is not None else ():
        context.load_verify_locations(config.path.parent / file)
    return context


def _empty_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""


def _code_label(code: int) -> str:
    return str(code) if _phrase(code) else f"{code // 100}xx"


def _ms_since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
