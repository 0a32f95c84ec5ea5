# ruff: noqa: E501
"""Writes docs/webapi.md from the types: `python -m mox.webapi.document > docs/webapi.md`."""

import sys
import types
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from mox.webapi import webhooks
from mox.webapi.examples import WEBHOOKS
from mox.webapi.types import CODE_TEXTS, METHODS, Bytes, Empty, SendRequest
from mox.webapi.webhooks import EVENT_TEXTS, SIGNATURE_HEADER, Incoming, Outgoing

_INTRODUCTION = f"""# Webapi and webhooks

This page is generated from the types in `python/mox/webapi` (`python -m mox.webapi.document > docs/webapi.md`); its
examples are run by the tests.

An application sends email with one HTTP request, and is told by webhooks what becomes of it and what comes in. The
interface is that of mox: programs written for it work unchanged. What mox does not have is marked *(not in mox)*.

## Requests

- POST to `<base>v0/<Method>`, for example `https://mail.example/webapi/v0/Send`. localserve has it at
  `http://localhost:1080/webapi/` for user `mox@localhost` with password `moxmoxmox`.
- HTTP Basic authentication: an email address of the account, and its password.
- The body is a form, `application/x-www-form-urlencoded` or `multipart/form-data`. Field `request` holds JSON.
- Fields that are left out are empty. Unknown fields are errors. Times are RFC 3339 with a zone.
- Files can be part of the JSON (in base64), or of a `multipart/form-data` body as fields `alternativefile`,
  `inlinefile` and `attachedfile`, with `Content-Type` and `Content-ID` of their own.

## Answers

Status 200 with the result in JSON; clients must ignore fields they do not know. Status 400 with
`{{"Code": "...", "Message": "..."}}`. Others (401, 404, 405, 429, 500) come with a line of text.

| Code | Meaning |
|---|---|
{"".join(f"| `{code}` | {text} |{chr(10)}" for code, text in CODE_TEXTS.items())}
## Sending once

*(not in mox)* When a connection breaks, a program does not know whether its message was queued. With an idempotency key
(field `IdempotencyKey` or header `Idempotency-Key`, any text that is unique for the message) it repeats the request:
the message is queued once, and every repetition within 7 days gets the first answer, also after a crash of the server.
The same key with another request is refused with `idempotencyMismatch`.

## Examples

curl:

```sh
curl --user mox@localhost:moxmoxmox \\
  --data-urlencode request='{{"To":[{{"Name":"Ann","Address":"ann@remote.example"}}],"Subject":"Invoice","Text":"See attached.\\n","AttachedFiles":[{{"Name":"a.txt","Data":"aGVsbG8="}}],"Extra":{{"orderid":"77"}},"SaveSent":true}}' \\
  http://localhost:1080/webapi/v0/Send
```

curl, with files:

```sh
printf hello > report.txt
curl --user mox@localhost:moxmoxmox \\
  --form-string request='{{"To":[{{"Address":"ann@remote.example"}}],"Subject":"Report","HTML":"<p>See attached.</p>"}}' \\
  --form 'attachedfile=@report.txt;type=text/plain' \\
  http://localhost:1080/webapi/v0/Send
```

Python, with the client of this package:

```python
from mox.webapi.client import Client, WebapiError, file
from mox.webapi.types import NameAddress, SendRequest

with Client("http://localhost:1080/webapi/v0/", "mox@localhost", "moxmoxmox") as mail:
    message = SendRequest(
        To=[NameAddress("Ann", "ann@remote.example")],
        Subject="Invoice",
        Text="See attached.\\n",
        AttachedFiles=[file("a.txt", b"hello")],
    )
    try:
        sent = mail.send(message, key="invoice-77")
    except WebapiError as err:
        print("not sent:", err.code)
    else:
        print("sent", sent.MessageID, sent.Submissions[0].QueueMsgID)
```

JavaScript, for Node or Deno:

```js
const request = {{
	To: [{{ Name: 'Ann', Address: 'ann@remote.example' }}],
	Subject: 'Invoice',
	Text: 'Thank you for your order.\\n',
}}
const response = await fetch('http://localhost:1080/webapi/v0/Send', {{
	method: 'POST',
	headers: {{
		Authorization: 'Basic ' + btoa('mox@localhost:moxmoxmox'),
		'Idempotency-Key': 'invoice-78',
	}},
	body: new URLSearchParams({{ request: JSON.stringify(request) }}),
}})
if (response.status !== 200) {{
	throw new Error(response.status + ' ' + (await response.text()))
}}
const sent = await response.json()
console.log('sent', sent.MessageID, sent.Submissions[0].QueueMsgID)
```

There is a machine-readable description at `<base>v0/openapi.json` *(not in mox)*, and a page to try out each method at
`<base>v0/<Method>`.

## Methods
"""

_WEBHOOKS = f"""## Webhooks

An account can have one URL for what becomes of its outgoing messages, and one for incoming messages (OutgoingWebhook and
IncomingWebhook in domains.conf, or the account pages). Each event is a POST of JSON with these headers:

| Header | Value |
|---|---|
| `Content-Type` | `application/json; charset=utf-8` |
| `User-Agent` | `mox/<version> (webhook)` |
| `X-Mox-Webhook-ID` | a number, the same for every attempt |
| `X-Mox-Webhook-Attempt` | 1 for the first attempt |
| `Authorization` | as configured |
| `{SIGNATURE_HEADER}` | *(not in mox)* with a SigningKey: `t=<unix seconds>,v1=<HMAC-SHA256 in hex>` |

Answer with status 200. Anything else, and no answer within 60 seconds, is a failure; there are 12 attempts over more
than a day. Be ready to get the same event twice: its ID tells. A new event of a message takes the place of one that was
not delivered yet.

The signature is over `<t>.<X-Mox-Webhook-ID>.<body>` with the SigningKey; `mox.webapi.webhooks.verify_signature` checks
it. Refuse signatures that are older than some minutes.

| Event | When |
|---|---|
{"".join(f"| `{event}` | {text} |{chr(10)}" for event, text in EVENT_TEXTS.items())}"""

_CONTRACT = """## Compatibility, shown

`tests/web/contract` is a suite of tests that speaks nothing but HTTP, and knows no more than a URL, a user and a password. It
runs against any server of this interface, so also against mox itself:

```console
mox localserve -dir mox-data &    # the mox to compare with; its account can send to itself
pytest tests/web/contract --webapi-url http://localhost:1080/webapi/ --webapi-user mox@localhost --webapi-password moxmoxmox
```

Without these options it starts a localserve of this project. It asks for nothing that mox does not do: what is marked
*(not in mox)* has tests of its own. The account needs mailboxes Sent and Archive, and a domain with separator `+`.
"""


def _described(hint: Any) -> tuple[str, str]:
    """(type in words, description)"""
    text = ""
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        text = next((str(n.description) for n in notes if isinstance(n, Meta)), "")
    return _words(hint), text


def _words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _words(arguments[0])
    if origin in (Union, types.UnionType):
        return " or null".join([_words(next(a for a in arguments if a is not type(None))), ""])
    if origin is list:
        return f"list of {_words(arguments[0])}"
    if origin is dict:
        return "map of strings"
    if origin is tuple:
        return "pair of strings"
    if hint is datetime:
        return "time"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "event"
    if isinstance(hint, type) and issubclass(hint, Struct):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return {str: "string", int: "integer", bool: "boolean"}[hint]


def _structs(hint: Any) -> list[type[Struct]]:
    if isinstance(hint, type) and issubclass(hint, Struct):
        return [hint]
    return [found for argument in get_args(hint) for found in _structs(argument)]


def _all_structs() -> list[type[Struct]]:
    """Every type of the interface, in the order of their use."""
    waiting: list[type[Struct]] = [kind for method in METHODS.values() for kind in (method.request, method.result)]
    waiting += [Outgoing, Incoming]
    found: list[type[Struct]] = []
    while waiting:
        kind = waiting.pop(0)
        if kind in found or kind in (Bytes, Empty):
            continue
        found.append(kind)
        waiting = [k for hint in get_type_hints(kind, include_extras=True).values() for k in _structs(hint)] + waiting
    return [kind for kind in found if kind.__module__ == SendRequest.__module__]


def _json(value: Struct) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _table(kind: type[Struct]) -> str:
    hints = get_type_hints(kind, include_extras=True)
    lines = ["| Field | Type | |", "|---|---|---|"]
    for name, hint in hints.items():
        words, text = _described(hint)
        lines.append(f"| {name} | {words} | {text} |")
    return "\n".join(lines)


def _section(kind: type[Struct], level: str = "###") -> str:
    text = (kind.__doc__ or "").strip()
    body = f"\n{_table(kind)}\n" if kind.__struct_fields__ else ""
    return f"{level} {kind.__name__}\n\n{text}\n{body}"


def markdown() -> str:
    """The whole document."""
    parts = [_INTRODUCTION]
    for method in METHODS.values():
        note = " *(not in mox)*" if method.is_extension else ""
        result = "bytes" if method.result is Bytes else "`{}`" if method.result is Empty else _words(method.result)
        parts.append(f"### {method.name}\n\n{method.text}{note}\n\n{_words(method.request)} → {result}\n")
    parts.append("## Types\n")
    parts += [_section(kind) for kind in _all_structs()]
    parts.append(_WEBHOOKS)
    parts += [_section(kind) for kind in (webhooks.Outgoing, webhooks.Incoming, webhooks.IncomingMeta)]
    parts.append("### Examples of calls\n\n`mox example` prints them.\n")
    parts += [f"`{name}`:\n\n```json\n{_json(value)}\n```\n" for name, value in WEBHOOKS.items()]
    parts.append(_CONTRACT)
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(markdown())
