"""Hosts, paths and the order of handlers: spec/web-tls.md sections 3, 4, 6 and 13."""

from typing import Any

import pytest

from mox.net.front import Peer, Site
from mox.web.compress import is_compressible
from mox.web.hosts import Host, account_names, local_names, parse_host
from mox.web.messages import Answer, Request, Response, clean_path, forwarded_ip
from mox.web.router import Route, Router, ordered, service
from mox.web.sniff import sniff


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("mox.example", Host("mox.example")),
        ("MOX.example:8080", Host("mox.example")),
        ("mox.example.", Host("mox.example")),
        ("b\u00fccher.example", Host("xn--bcher-kva.example")),
        ("192.0.2.1", Host(ip="192.0.2.1")),
        ("192.0.2.1:80", Host(ip="192.0.2.1")),
        ("[2001:db8::1]:443", Host(ip="2001:db8::1")),
        ("localhost:1080", Host("localhost")),
        ("", Host()),
        ("a b", Host()),
        ("-x-.example", Host()),
        ("a..b", Host()),
    ],
)
def test_host(value: str, host: Host) -> None:
    assert parse_host(value) == host


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("/a//b/", "/a/b/"),
        ("/a/../b", "/b"),
        ("/../../etc", "/etc"),
        ("/a/./", "/a/"),
        ("//a/../c/d", "/c/d"),
    ],
)
def test_clean_path(path: str, cleaned: str) -> None:
    assert clean_path(path) == cleaned


@pytest.mark.parametrize(
    ("value", "address"),
    [("192.0.2.1", "192.0.2.1"), (" 2001:db8::1 , x", "2001:db8::1"), ("x, 192.0.2.1", None), ("", None)],
)
def test_forwarded_ip(value: str, address: str | None) -> None:
    assert forwarded_ip(value) == address


HOSTS = {
    "mox.example": (True, True),
    "localhost": (True, True),
    "mail.example": (False, True),
    "x.example": (False, False),
}


@pytest.mark.parametrize("name", HOSTS)
def test_who_answers_a_host(name: str) -> None:
    admin, account = local_names("mox.example"), account_names("mox.example", lambda: {"mail.example"})
    assert (admin(Host(name)), account(Host(name))) == HOSTS[name]
    assert admin(Host(ip="192.0.2.1")) and account(Host(ip="::1"))
    assert not admin(Host()) and not account(Host())


def request(path: str, host: str = "mox.example") -> Request:
    peer = Peer(1, ("192.0.2.1", 1), ("192.0.2.2", 80), None, Site("local", 80))
    return Request(1, "GET", path, "", parse_host(host), {}, peer, "192.0.2.1", None)


def answering(text: str) -> Any:
    async def handle(request: Request) -> Answer:
        return Response(body=f"{text} {request.mount} {request.path}".encode())

    return handle


async def ask(router: Router, path: str, host: str = "mox.example") -> tuple[str, int, str]:
    name, answer = await router.answer(request(path, host))
    assert isinstance(answer, Response)
    return name, answer.status, answer.body.decode()


async def test_order_of_handlers() -> None:
    hosts = local_names("mox.example")

    async def webserver(request: Request) -> tuple[str, Answer] | None:
        return ("web", Response()) if request.path.startswith("/webmail/static") else None

    router = Router(
        system=ordered([Route("acme", "/.well-known/acme-challenge/", answering("acme"))]),
        webserver=webserver,
        services=ordered(
            [
                *service("account", "/", answering("account"), hosts),
                *service("webapi", "/webapi/", answering("webapi"), hosts),
                *service("webmail", "/webmail/", answering("webmail"), hosts),
            ]
        ),
    )
    assert (await ask(router, "/.well-known/acme-challenge/x", "other.example"))[0] == "acme"
    assert (await ask(router, "/webmail/static/x"))[0] == "web"
    assert await ask(router, "/webapi/v0/Send") == ("webapi", 200, "webapi /webapi /v0/Send")
    assert await ask(router, "/webapi/") == ("webapi", 200, "webapi /webapi /")
    assert (await ask(router, "/webapi"))[:2] == ("webapi", 303)
    # What no longer path covers is the account's, which is at the top.
    assert await ask(router, "/webapix") == ("account", 200, "account  /webapix")
    assert await ask(router, "/x", "other.example") == ("(nomatch)", 404, "404 page not found\n")


def test_compressible() -> None:
    assert all(map(is_compressible, ("text/html; charset=utf-8", "application/json", "image/svg+xml")))
    assert not any(map(is_compressible, ("image/png", "application/zip", "", "application/octet-stream")))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "text/plain; charset=utf-8"),
        (b"hello", "text/plain; charset=utf-8"),
        ("h\u00e9".encode(), "text/plain; charset=utf-8"),
        (b"\x00\x01", "application/octet-stream"),
        (b"%PDF-1.4", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a...", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"  <!doctype html><x", "text/html; charset=utf-8"),
        (b"<p>hi", "text/html; charset=utf-8"),
        (b"<pre>hi", "text/plain; charset=utf-8"),
        (b"<!-- x", "text/html; charset=utf-8"),
        (b"<?xml version", "text/xml; charset=utf-8"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42", "video/mp4"),
    ],
)
def test_sniff(data: bytes, kind: str) -> None:
    assert sniff(data) == kind
