"""The RSGI application: every HTTP request of a process comes through here.

It finds out who asks (through the front's peers), applies the request limits, lets the port's router answer, adds the
common headers, compresses, and writes access log and metrics. It is the one place where an exception of a handler
becomes an answer. spec/web-tls.md sections 3, 6, 14, 15.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from granian._granian import RSGIProtocolClosed as ProtocolClosed

from mox import log, metrics
from mox._rust import accepts_gzip
from mox.net.front import Peer
from mox.net.limits import RateLimiter
from mox.web.compress import MIN_BYTES, compressed, is_compressible
from mox.web.hosts import parse_host
from mox.web.messages import Answer, HttpError, Request, Response, Stream, clean_path, forwarded_ip
from mox.web.router import Router

SAFETY_HEADERS = (
    ("x-frame-options", "deny"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'self' 'unsafe-inline' data:"),
    ("referrer-policy", "same-origin"),
)
# A client that takes nothing for so long is cut off.
SEND_S = 120.0
_METHODS = frozenset(
    "acl baseline-control bind checkin checkout connect copy delete get head label link lock merge mkactivity "
    "mkcalendar mkcol mkredirectref mkworkspace move options orderpatch patch post pri propfind proppatch put rebind "
    "report search trace unbind uncheckout unlink unlock update updateredirectref version-control".split()
)

_logger = log.get("http")
_numbers = itertools.count(1)

PeerOf = Callable[[str], Peer | None]


@dataclass(slots=True)
class _Sent:
    """What became of an answer."""

    status: int = 0
    size: int = 0
    uncompressed_size: int | None = None
    error: str = ""


class Application:
    """Answers requests by the router of the port they came to. `peer_of` tells who is behind a connection."""

    def __init__(self, routers: Mapping[tuple[str, int], Router], peer_of: PeerOf, limiters: list[RateLimiter]) -> None:
        self._routers = routers
        self._peer_of = peer_of
        self._limiters = limiters

    async def __call__(self, scope: Any, proto: Any) -> None:
        """One request of granian's."""
        peer = self._peer_of(scope.client)
        if peer is None:
            # Somebody on this machine found the embedded server's port.
            _logger.info("refusing request that did not come through the front", client=scope.client)
            proto.response_empty(403, [("connection", "close")])
            return
        with peer.request():
            await self._serve(scope, proto, peer)

    async def _serve(self, scope: Any, proto: Any, peer: Peer) -> None:
        started = time.monotonic()
        router = self._routers[peer.site.key]
        ip = forwarded_ip(scope.headers.get("x-forwarded-for", "")) if router.is_forwarded else peer.remote[0]
        request = Request(
            cid=next(_numbers),
            method=scope.method,
            path=clean_path(scope.path),
            query=scope.query_string,
            host=parse_host(scope.authority or scope.headers.get("host", "")),
            headers=scope.headers,
            peer=peer,
            client_ip=ip,
            proto=proto,
        )
        labels = (_scheme(peer), _method(scope.method))
        if router.is_rate_limited and ip is not None and not self._within_rate(ip):
            await _send(proto, Response(429, b"429 - too many auth attempts\n"), request, _Sent())
            metrics.http_requests.labels("(ratelimited)", *labels, "429").observe(0)
            return
        answer = await self._answer(router, request)
        metrics.http_requests.labels(request.handler, *labels, str(answer.status)).observe(time.monotonic() - started)
        sent = _Sent(answer.status)
        await _send(proto, answer, request, sent)
        seconds = time.monotonic() - started
        metrics.http_responses.labels(request.handler, *labels, str(answer.status)).observe(seconds)
        _log_access(scope, request, router, sent, seconds)

    def _within_rate(self, ip: str) -> bool:
        """Count the request, unless a limit of the address or its networks is reached (section 14)."""
        if not all(limiter.is_open(ip) for limiter in self._limiters):
            return False
        for limiter in self._limiters:
            limiter.add(ip)
        return True

    async def _answer(self, router: Router, request: Request) -> Answer:
        try:
            request.handler, answer = await router.answer(request)
        except HttpError as err:
            return Response(err.status, f"{err.text}\n".encode(), headers=list(err.headers))
        except ProtocolClosed:
            return Response(499)
        except (
            Exception
        ) as err:  # the boundary: a bug answers 500 and goes to the log, with the id that the client sees
            metrics.panics.labels("http").inc()
            _logger.exception("unhandled error", cid=request.cid, handler=request.handler, url=request.path)
            request.log["err"] = repr(err)
            return Response(500, f"500 - internal server error (id {request.cid})\n".encode())
        return answer


async def _send(proto: Any, answer: Answer, request: Request, sent: _Sent) -> None:
    names = {name for name, _ in answer.headers}
    headers = [*answer.headers, *(pair for pair in SAFETY_HEADERS if pair[0] not in names), ("server", "mox")]
    body = answer.body if isinstance(answer, Response) else b""
    if body or isinstance(answer, Stream):
        headers.append(("content-type", answer.content_type))
    if isinstance(answer, Response) and answer.status == 200 and is_compressible(answer.content_type):
        if "content-encoding" not in names:
            headers.append(("vary", "Accept-Encoding"))
        if (
            len(body) >= MIN_BYTES
            and "content-encoding" not in names
            and accepts_gzip(request.header("accept-encoding"))
        ):
            sent.uncompressed_size = len(body)
            body = await asyncio.to_thread(compressed, body)
            headers.append(("content-encoding", "gzip"))
    try:
        if isinstance(answer, Stream):
            await _send_stream(proto, answer, headers, request, sent)
        else:
            proto.response_bytes(answer.status, headers, body)
            sent.size = len(body)
    except (ProtocolClosed, TimeoutError) as err:
        sent.error = str(err) or type(err).__name__


async def _send_stream(
    proto: Any, answer: Stream, headers: list[tuple[str, str]], request: Request, sent: _Sent
) -> None:
    transport = proto.response_stream(answer.status, headers)
    async for chunk in answer.chunks:
        await request.peer.room(len(chunk), SEND_S)
        await transport.send_bytes(chunk)
        sent.size += len(chunk)


def _scheme(peer: Peer) -> str:
    return "http" if peer.tls is None else "https"


def _method(method: str) -> str:
    return method.lower() if method.lower() in _METHODS else "(other)"


def _log_access(scope: Any, request: Request, router: Router, sent: _Sent, seconds: float) -> None:
    """One line a request (section 15.1)."""
    if not log.is_enabled("http", "debug"):
        return
    peer = request.peer
    query = f"?{scope.query_string}" if scope.query_string else ""
    fields: dict[str, Any] = {
        "httpaccess": "",
        "handler": request.handler,
        "method": _method(scope.method),
        "url": scope.path + query,
        "host": scope.authority or request.header("host"),
        "duration": f"{seconds * 1000:.3f}ms",
        "statuscode": sent.status,
        "proto": f"http/{scope.http_version if '.' in scope.http_version else scope.http_version + '.0'}",
        "remoteaddr": f"{peer.remote[0]}:{peer.remote[1]}",
        "tlsinfo": peer.tls.version.lower() if peer.tls else "plain",
        "useragent": request.header("user-agent"),
        "referer": request.header("referer"),
    }
    if router.is_forwarded:
        fields["clientip"] = request.client_ip or ""
    fields["size"] = sent.size
    if sent.uncompressed_size is not None:
        fields["uncompressedsize"] = sent.uncompressed_size
    fields |= request.log
    fields["cid"] = request.cid
    if sent.error:
        fields["err"] = sent.error
    _logger.debug("http request", **fields)
