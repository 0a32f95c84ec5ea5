"""Example values of the webapi's types: for the pages where methods are tried out, and for the documentation."""

import types
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

EXAMPLE_TIME = datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC)
MAX_DEPTH = 2

# By the name of a field, where the type says too little. The rest is empty, 0 or false.
_VALUES: dict[str, Any] = {
    "Name": "Ann",
    "Address": "ann@example.org",
    "EmailAddress": "ann@example.org",
    "MessageID": "<Jx0c0T8mTnqBq2b3gYv8bA@mail.example>",
    "References": ["<0@mail.example>"],
    "Subject": "Invoice",
    "Text": "See the attached invoice.\n",
    "HTML": "<p>See the attached invoice.</p>\n",
    "Extra": {"orderid": "77"},
    "Headers": [("X-Order", "77")],
    "ContentType": "text/plain",
    "ContentID": "<logo>",
    "Data": "aGVsbG8K",
    "QueueMsgID": 12,
    "MsgID": 201,
    "PartPath": [0],
    "Flags": ["\\seen", "todo"],
    "DestMailboxName": "Archive",
    "MailboxName": "Inbox",
    "Reason": "asked by phone",
    "Account": "mjl",
    "BaseAddress": "ann@example.org",
    "OriginalAddress": "ann+news@example.org",
    "ID": 1,
    "Size": 812,
    "MailFrom": "ann@example.org",
    "RcptTo": "mjl@mail.example",
    "MsgFrom": "ann@example.org",
    "RemoteIP": "192.0.2.1",
    "DKIMVerifiedDomains": ["example.org"],
    "IdempotencyKey": "order-77-invoice",
    "ContentTypeParams": {"charset": "us-ascii"},
    "DecodedSize": 24,
    "FromID": "q1NfJ1Zk2mQw0W0m5W5hOQ",
    "Code": "user",
    "Message": "the reason",
}


@cache
def example(kind: type[Struct], depth: int = 0) -> Struct:
    """A value of `kind` in which every list and map has an element."""
    return kind(**{name: _value(name, hint, depth) for name, hint in get_type_hints(kind).items()})


def _value(name: str, hint: Any, depth: int) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _value(name, arguments[0], depth)
    if origin in (Union, types.UnionType):
        return _value(name, next(a for a in arguments if a is not type(None)), depth)
    if isinstance(hint, type) and issubclass(hint, Struct):
        return example(hint, depth + 1)
    if origin is list and isinstance(arguments[0], type) and issubclass(arguments[0], Struct):
        return [example(arguments[0], depth + 1)] if depth < MAX_DEPTH else []
    if name in _VALUES:
        return _VALUES[name]
    if hint is datetime:
        return EXAMPLE_TIME
    return hint() if isinstance(hint, type) else origin()
