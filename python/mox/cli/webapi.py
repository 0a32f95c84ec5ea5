"""webapi: the methods of the HTTP interface, what they take and give, and calling them."""

import sys
import types
import typing
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from mox.cli.command import Command, CommandError, Invocation
from mox.webapi.types import METHODS, Bytes

TIMEOUT_S = 60.0


def _webapi(invocation: Invocation) -> int:
    if not invocation.arguments:
        print("\n".join(sorted(METHODS)))
        return 0
    name = invocation.argument(0)
    if name not in METHODS:
        raise CommandError(f"unknown method {name!r}; `mox webapi` lists them")
    return _call(name, invocation.argument(1)) if len(invocation.arguments) > 1 else _show(name)


def _show(name: str) -> int:
    method = METHODS[name]
    print(f"# Example request\n\n{_json(example(method.request))}\n")
    if method.result is Bytes:
        print("# The response is not JSON")
    else:
        print(f"# Example response\n\n{_json(example(method.result))}")
    return 0


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=4).decode()


def example(hint: Any, inside: tuple[Any, ...] = ()) -> Any:
    """A value of a type with something in every field; `inside` are the structs around it, which end a recursion."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return example(arguments[0], inside)
    if origin in (typing.Union, types.UnionType):
        return example(next(kind for kind in arguments if kind is not type(None)), inside)
    if origin in (list, tuple):
        kinds = [kind for kind in arguments if kind is not Ellipsis]
        return [] if inside.count(kinds[0]) else [example(kind, inside) for kind in kinds]
    if origin is dict:
        return {example(arguments[0], inside): example(arguments[1], inside)}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        hints = typing.get_type_hints(hint, include_extras=True)
        return {name: example(kind, (*inside, hint)) for name, kind in hints.items()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint)).value
    plain = {str: "text", bool: True, int: 1, float: 1.5, bytes: b"data", datetime: datetime(2026, 1, 2, tzinfo=UTC)}
    return plain.get(hint, "text")


def _call(name: str, base: str) -> int:
    url = urlsplit(base)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise CommandError(f"{base!r} is not a URL such as https://user:password@host/webapi/v0/")
    try:
        request = sys.stdin.read()
        msgspec.json.decode(request, type=METHODS[name].request)
    except msgspec.DecodeError as err:
        raise CommandError(f"parsing request: {err}") from err
    try:
        response = httpx.post(f"{base.rstrip('/')}/{name}", data={"request": request}, timeout=TIMEOUT_S)
    except httpx.HTTPError as err:
        raise CommandError(f"calling {name}: {err or type(err).__name__}") from err
    if response.status_code == 200:
        sys.stdout.buffer.write(response.content)
        return 0
    if response.status_code == 400:
        print(response.text)
    else:
        print(f"status {response.status_code}: {response.text}", file=sys.stderr)
    return 1


COMMANDS = [
    Command(
        ("webapi",),
        _webapi,
        """List the methods of the webapi, show what one takes and gives, or call one with the JSON on standard input.

Examples:
	mox webapi
	mox webapi Send
	mox webapi MessageGet http://mox%40localhost:moxmoxmox@localhost:1080/webapi/v0/ <request.json
""",
        "[$method [$baseurl-with-credentials]]",
        0,
        2,
    )
]
