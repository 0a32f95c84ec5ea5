"""A very small HTTP/1.1 responder for the metrics port and for HTTP ports without configured services.

It answers GET and HEAD for a table of paths, one request a connection. The full HTTP front (DESIGN section 7) is
another module; this one has no routing, bodies or keep-alive by intention.
"""

from collections.abc import Callable

from mox.net.conn import Connection

MAX_REQUEST_BYTES = 16 * 1024
TIMEOUT_S = 30.0

# Path to (content type, function that makes the body).
Routes = dict[str, tuple[str, Callable[[], bytes]]]

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 431: "Header Too Large"}


def _respond(status: int, content_type: str, body: bytes, head_only: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else body)


def answer(request: bytes, routes: Routes) -> bytes:
    """The response to a request head (RFC 9112 §3). Pure."""
    line = request.split(b"\r\n", 1)[0].decode("latin-1")
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return _respond(400, "text/plain; charset=utf-8", b"this is not an HTTP/1.1 request\n")
    method, target, _ = words
    if method not in ("GET", "HEAD"):
        return _respond(405, "text/plain; charset=utf-8", b"only GET and HEAD are possible here\n")
    route = routes.get(target.split("?", 1)[0])
    if route is None:
        return _respond(404, "text/plain; charset=utf-8", b"no such page\n", method == "HEAD")
    return _respond(200, route[0], route[1](), method == "HEAD")


async def serve_connection(conn: Connection, routes: Routes) -> None:
    """Read one request head, answer it, close."""
    request = b""
    while b"\r\n\r\n" not in request:
        data = await conn.read(TIMEOUT_S)
        if not data:
            return
        request += data
        if len(request) > MAX_REQUEST_BYTES:
            conn.write(_respond(431, "text/plain; charset=utf-8", b"request header too large\n"))
            await conn.drain(TIMEOUT_S)
            return
    conn.write(answer(request, routes))
    await conn.drain(TIMEOUT_S)
