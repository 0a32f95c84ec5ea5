"""queue …: messages and webhook calls that wait, hold rules, suppression lists, of the running server."""

import sys
from collections.abc import Callable

from mox.cli import queue_filters as filters
from mox.cli.command import Command, Flag, Invocation


def _printed(name: str, *parameters: Callable[[Invocation], str]) -> Callable[[Invocation], None]:
    """Print the answer of a command of the server."""

    def run(invocation: Invocation) -> None:
        print(invocation.call(name, *(parameter(invocation) for parameter in parameters)), end="")

    return run


def _counted(text: str, name: str, *parameters: Callable[[Invocation], str]) -> Callable[[Invocation], None]:
    """Print how many the command of the server changed."""

    def run(invocation: Invocation) -> None:
        count = invocation.call(name, *(parameter(invocation) for parameter in parameters)).strip()
        print(f"{count} {text}")

    return run


def _argument(number: int) -> Callable[[Invocation], str]:
    return lambda invocation: invocation.argument(number)


def _flag(name: str) -> Callable[[Invocation], str]:
    return lambda invocation: invocation.text(name)


def _hooks_order(invocation: Invocation) -> str:
    return filters.order(invocation, "Submitted")


def _is_now(invocation: Invocation) -> str:
    return "true" if invocation.switch("now") else "false"


def _dump(invocation: Invocation) -> None:
    for chunk in invocation.stream("queuedump", invocation.argument(0)):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


_NOW = Flag("now", "count from now instead of from the time that was set", False)
_ACCOUNT = Flag("account", "only of this account", "", "account")
_ALL = "Without filters, all messages are meant."

COMMANDS = [
    Command(
        ("queue", "holdrules", "list"),
        _printed("queueholdruleslist"),
        "List the rules by which new messages in the queue are put on hold.",
    ),
    Command(
        ("queue", "holdrules", "add"),
        _printed("queueholdrulesadd", _flag("account"), _flag("senderdom"), _flag("recipientdom")),
        """Put messages that match, queued and new ones, on hold: they stay in the queue until `mox queue unhold`.

A rule without conditions matches every message.

Example: mox queue holdrules add -recipientdom example.org
""",
        "[-account a] [-senderdom d] [-recipientdom d]",
        flags=(
            _ACCOUNT,
            Flag("senderdom", "domain of the sender", "", "domain"),
            Flag("recipientdom", "domain of the recipient", "", "domain"),
        ),
    ),
    Command(
        ("queue", "holdrules", "remove"),
        _printed("queueholdrulesremove", _argument(0)),
        "Remove a hold rule. What it put on hold stays so.",
        "$ruleid",
        1,
        1,
    ),
    Command(
        ("queue", "list"),
        _printed("queuelist", filters.which, filters.order),
        """List messages in the queue: id, time, addresses, next and last attempt, last error.

Example: mox queue list -to @example.org -submitted '<-1h'
""",
        "[filtersortflags]",
        flags=filters.MESSAGES_SORT,
    ),
    Command(
        ("queue", "hold"),
        _counted("messages changed", "queueholdset", filters.which, lambda _: "true"),
        f"Put messages on hold. {_ALL}",
        "[filterflags]",
        flags=filters.MESSAGES,
    ),
    Command(
        ("queue", "unhold"),
        _counted("messages changed", "queueholdset", filters.which, lambda _: "false"),
        f"Take messages from hold, and deliver what is due. {_ALL}",
        "[filterflags]",
        flags=filters.MESSAGES,
    ),
    Command(
        ("queue", "schedule"),
        _counted("message(s) rescheduled", "queueschedule", filters.which, _is_now, _argument(0)),
        f"""Shift the next attempt of messages, or with -now set it relative to now. {_ALL}

Example: mox queue schedule -now 1m
""",
        "[filterflags] [-now] $duration",
        1,
        1,
        (*filters.MESSAGES, _NOW),
    ),
    Command(
        ("queue", "transport"),
        _counted("message(s) changed", "queuetransport", filters.which, _argument(0)),
        f"Deliver messages by a transport of mox.conf; an empty name goes back to routes. {_ALL}",
        "[filterflags] $transport",
        1,
        1,
        filters.MESSAGES,
    ),
    Command(
        ("queue", "requiretls"),
        _counted("message(s) changed", "queuerequiretls", filters.which, _argument(0)),
        f"""Set how messages are protected on the way. {_ALL}

yes: as with REQUIRETLS, verified TLS and REQUIRETLS at the other side. no: as with `TLS-Required: No`, failures of
verification are ignored. default: what MTA-STS and DANE say.
""",
        "[filterflags] {yes | no | default}",
        1,
        1,
        filters.MESSAGES,
    ),
    Command(
        ("queue", "fail"),
        _counted("message(s) marked as failed", "queuefail", filters.which),
        f"Fail messages, and tell their senders. {_ALL}",
        "[filterflags]",
        flags=filters.MESSAGES,
    ),
    Command(
        ("queue", "drop"),
        _counted("message(s) dropped", "queuedrop", filters.which),
        f"Remove messages without telling anyone. {_ALL}",
        "[filterflags]",
        flags=filters.MESSAGES,
    ),
    Command(("queue", "dump"), _dump, "Print a message of the queue as it would be sent.", "$id", 1, 1),
    Command(
        ("queue", "retired", "list"),
        _printed("queueretiredlist", filters.which, filters.order),
        "List messages that left the queue, as far as they are kept (KeepRetiredMessagePeriod of the account).",
        "[filtersortflags]",
        flags=filters.RETIRED_SORT,
    ),
    Command(
        ("queue", "retired", "print"),
        _printed("queueretiredprint", _argument(0)),
        "Print what is known of a retired message, as JSON.",
        "$id",
        1,
        1,
    ),
    Command(
        ("queue", "suppress", "list"),
        _printed("queuesuppresslist", _flag("account")),
        "List addresses that accounts do not send to any more.",
        "[-account account]",
        flags=(_ACCOUNT,),
    ),
    Command(
        ("queue", "suppress", "add"),
        _printed("queuesuppressadd", _argument(0), _argument(1)),
        """Do not send messages of an account to an address, in any of its variants.

Example: mox queue suppress add mjl nobody@example.org
""",
        "$account $address",
        2,
        2,
    ),
    Command(
        ("queue", "suppress", "remove"),
        _printed("queuesuppressremove", _argument(0), _argument(1)),
        "Send messages of an account to an address again.",
        "$account $address",
        2,
        2,
    ),
    Command(
        ("queue", "suppress", "lookup"),
        _printed("queuesuppresslookup", _flag("account"), _argument(0)),
        "Print whether an address is suppressed, and why.",
        "[-account account] $address",
        1,
        1,
        (_ACCOUNT,),
    ),
    Command(
        ("queue", "webhook", "list"),
        _printed("queuehooklist", filters.which, _hooks_order),
        "List webhook calls in the queue.",
        "[filtersortflags]",
        flags=filters.HOOKS_SORT,
    ),
    Command(
        ("queue", "webhook", "schedule"),
        _counted("webhook(s) rescheduled", "queuehookschedule", filters.which, _is_now, _argument(0)),
        "Shift the next attempt of webhook calls, or with -now set it relative to now. Without filters, of all.",
        "[filterflags] [-now] $duration",
        1,
        1,
        (*filters.HOOKS, _NOW),
    ),
    Command(
        ("queue", "webhook", "cancel"),
        _counted("webhook(s) marked as canceled", "queuehookcancel", filters.which),
        "Cancel webhook calls. Without filters, all.",
        "[filterflags]",
        flags=filters.HOOKS,
    ),
    Command(
        ("queue", "webhook", "print"),
        _printed("queuehookprint", _argument(0)),
        "Print what is known of a webhook call in the queue, as JSON.",
        "$id",
        1,
        1,
    ),
    Command(
        ("queue", "webhook", "retired", "list"),
        _printed("queuehookretiredlist", filters.which, _hooks_order),
        "List webhook calls that are over, as far as they are kept (KeepRetiredWebhookPeriod of the account).",
        "[filtersortflags]",
        flags=filters.HOOKS_RETIRED_SORT,
    ),
    Command(
        ("queue", "webhook", "retired", "print"),
        _printed("queuehookretiredprint", _argument(0)),
        "Print what is known of a webhook call that is over, as JSON.",
        "$id",
        1,
        1,
    ),
]
