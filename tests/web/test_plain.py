"""The small responder: statuses by request line."""

import pytest

from mox.web.plain import answer

ROUTES = {"/x": ("text/plain", lambda: b"hello")}


@pytest.mark.parametrize(
    ("line", "status", "body"),
    [
        (b"GET /x HTTP/1.1", 200, b"hello"),
        (b"GET /x?y=1 HTTP/1.1", 200, b"hello"),
        (b"HEAD /x HTTP/1.1", 200, b""),
        (b"GET /y HTTP/1.1", 404, b"no such page\n"),
        (b"POST /x HTTP/1.1", 405, b"only GET and HEAD are possible here\n"),
        (b"EHLO example.org", 400, b"this is not an HTTP/1.1 request\n"),
        (b"\xff\xfe", 400, b"this is not an HTTP/1.1 request\n"),
    ],
)
def test_answer(line: bytes, status: int, body: bytes) -> None:
    response = answer(line + b"\r\nHost: x\r\n\r\n", ROUTES)
    head, _, rest = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert rest == body
    assert b"Content-Security-Policy: default-src 'none'" in head
