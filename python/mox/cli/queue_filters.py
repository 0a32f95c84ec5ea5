"""Flags that choose and sort messages and webhook calls of the queue."""

import json

from mox.cli.command import CommandError, Flag, Invocation

_COMMON = (
    Flag("ids", "comma-separated ids", "", "ids"),
    Flag("n", "how many at most; 0 is all", "0", "number"),
    Flag("account", "account that queued it", "", "account"),
    Flag("submitted", "time of submission relative to now, < before or > after, such as '<-1h'", "", "filter"),
)
_ADDRESSES = (
    Flag("from", "part of the sender address, such as @example.org; with -to, either may match", "", "text"),
    Flag("to", "part of the recipient address", "", "text"),
    # A name that no transport has tells a missing flag from an empty one.
    Flag("transport", "transport; an empty one is for messages without", "\0", "transport"),
)
_NEXT = Flag("nextattempt", "time of the next attempt, as -submitted", "", "filter")
_LAST = Flag("lastactivity", "time of the last activity, as -submitted", "", "filter")
_EVENT = Flag("event", "incoming, delivered, suppressed, delayed, failed, relayed, expanded, canceled, …", "", "event")
_ASCENDING = Flag("asc", "oldest first", False)

MESSAGES = (*_COMMON, *_ADDRESSES, _NEXT, Flag("hold", "true or false: whether it is on hold", "", "bool"))
MESSAGES_SORT = (*MESSAGES, Flag("sort", "nextattempt or queued", "nextattempt", "field"), _ASCENDING)
RETIRED_SORT = (
    *_COMMON,
    *_ADDRESSES,
    _LAST,
    Flag("result", "success or failure", "", "result"),
    Flag("sort", "lastactivity or queued", "lastactivity", "field"),
    _ASCENDING,
)
HOOKS = (*_COMMON, _NEXT, _EVENT)
HOOKS_SORT = (*HOOKS, Flag("sort", "nextattempt or queued", "nextattempt", "field"), _ASCENDING)
HOOKS_RETIRED_SORT = (
    *_COMMON,
    _LAST,
    _EVENT,
    Flag("sort", "lastactivity or queued", "lastactivity", "field"),
    _ASCENDING,
)

_FIELDS = {"nextattempt": "NextAttempt", "lastactivity": "LastActivity", "queued": "Queued"}


def which(invocation: Invocation) -> str:
    """The filter as JSON. Raises CommandError."""
    chosen: dict[str, object] = {}
    for flag, field in (
        ("account", "account"),
        ("from", "from_"),
        ("to", "to"),
        ("submitted", "submitted"),
        ("nextattempt", "next_attempt"),
        ("lastactivity", "last_activity"),
        ("event", "event"),
    ):
        if invocation.flags.get(flag):
            chosen[field] = invocation.text(flag)
    if invocation.text("ids"):
        chosen["ids"] = [_number(text) for text in invocation.text("ids").split(",")]
    chosen["max"] = _number(invocation.text("n"))
    if invocation.flags.get("transport", "\0") != "\0":
        chosen["transport"] = invocation.text("transport")
    if invocation.flags.get("hold"):
        chosen["hold"] = _choice(invocation, "hold", {"true": True, "false": False})
    if invocation.flags.get("result"):
        chosen["success"] = _choice(invocation, "result", {"success": True, "failure": False})
    return json.dumps(chosen)


def order(invocation: Invocation, queued: str = "Queued") -> str:
    """The sorting as JSON; `queued` is the name of the field that -sort queued stands for. Raises CommandError."""
    text = invocation.text("sort")
    if text not in _FIELDS:
        raise CommandError(f"cannot sort by {text!r}")
    field = queued if text == "queued" else _FIELDS[text]
    return json.dumps({"field": field, "ascending": invocation.switch("asc")})


def _number(text: str) -> int:
    if not text.strip().isdecimal():
        raise CommandError(f"{text!r} is not a number")
    return int(text)


def _choice(invocation: Invocation, name: str, choices: dict[str, bool]) -> bool:
    text = invocation.text(name)
    if text not in choices:
        raise CommandError(f"-{name} is {' or '.join(choices)}, not {text!r}")
    return choices[text]
