"""Requests and responses as handlers see them; the RSGI side of both."""

import asyncio
import ipaddress
import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from mox.net.front import Peer
from mox.web.hosts import Host

# A client must keep sending its body: something within CHUNK_S, all of it within BODY_S.
CHUNK_S = 60.0
BODY_S = 600.0
# A body that announces no more than this is read at once: the server keeps to what was announced.
SMALL_BODY_BYTES = 64 << 10

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json; charset=utf-8"


class HttpError(Exception):
    """An answer of plain text, raised where the fault is found."""

    def __init__(self, status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers


@dataclass(slots=True)
class Response:
    """A whole answer. `headers` come before the common ones and win over them."""

    status: int = 200
    body: bytes = b""
    content_type: str = TEXT
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Stream:
    """An answer sent in pieces, at the client's speed."""

    chunks: AsyncIterator[bytes]
    content_type: str
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)


Answer = Response | Stream


@dataclass(slots=True)
class Request:
    """A request. `path` is decoded and cleaned; a mounted handler sees the rest below its mount in it."""

    cid: int
    method: str
    path: str
    query: str
    host: Host
    headers: Any
    peer: Peer
    client_ip: str | None
    proto: Any
    handler: str = ""
    # The path under which the handler is reached, without final slash.
    mount: str = ""
    log: dict[str, Any] = field(default_factory=dict)

    @property
    def is_tls(self) -> bool:
        """The connection to us is encrypted."""
        return self.peer.tls is not None

    def header(self, name: str) -> str:
        """The first header of the name (lower case), or ""."""
        return str(self.headers.get(name, ""))

    def declared_size(self) -> int | None:
        """Content-Length, where one is given."""
        value = self.header("content-length")
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else None

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body as it comes. Raises HttpError 413 over `limit` bytes, 408 when it comes too slowly."""
        if (self.declared_size() or 0) > limit:
            raise HttpError(413, "413 - request body too large")
        received = 0
        source = aiter(self.proto)
        deadline = asyncio.get_running_loop().time() + BODY_S
        while True:
            try:
                async with asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + CHUNK_S)):
                    chunk = await anext(source)
            except StopAsyncIteration:
                return
            except TimeoutError as err:
                raise _too_slow() from err
            received += len(chunk)
            if received > limit:
                raise HttpError(413, "413 - request body too large")
            yield chunk

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises as `chunks`."""
        size = self.declared_size()
        if size is None or size > min(limit, SMALL_BODY_BYTES):
            return b"".join([part async for part in self.chunks(limit)])
        try:
            async with asyncio.timeout(CHUNK_S):
                return bytes(await self.proto())
        except TimeoutError as err:
            raise _too_slow() from err


def _too_slow() -> HttpError:
    return HttpError(408, "408 - request timeout", (("connection", "close"),))


Handler = Callable[[Request], Awaitable[Answer]]


def clean_path(path: str) -> str:
    """Without `.`, `..` and doubled slashes; a final slash stays (spec/web-tls.md section 3)."""
    cleaned = posixpath.normpath("/" + path).replace("//", "/")
    return cleaned + "/" if path.endswith("/") and cleaned != "/" else cleaned


def forwarded_ip(value: str) -> str | None:
    """The client's address as a trusted reverse proxy tells it: the first of X-Forwarded-For, None when it is none."""
    first = value.split(",", 1)[0].strip()
    try:
        return str(ipaddress.ip_address(first))
    except ValueError:
        return None
