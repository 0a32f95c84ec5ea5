"""The queue of outgoing messages and of webhook calls: listing, changing, hold rules, suppression lists."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from mox.admin import applications
from mox.admin.context import Admin, RequestError, need_address, need_domain
from mox.config import durations
from mox.config.readable import readable_json
from mox.outbound import holdrules, operations, suppression
from mox.outbound.composed import to_path
from mox.outbound.listing import HOOKS, HOOKS_RETIRED, MESSAGES, RETIRED, Filter, Listing, Sort
from mox.outbound.queue import Queue
from mox.outbound.records import now_ms
from mox.server.commands import queue_text
from mox.server.commands.domains import flag
from mox.server.control import Command, Commands, Request
from mox.store.engine import Tx

T = TypeVar("T")

_REQUIRE_TLS = {"yes": True, "no": False, "default": None}


def decode_record(kind: type[T], text: str) -> T:
    """A filter or sorting as it travels over the control socket. Raises RequestError, also for unknown fields."""
    try:
        values = msgspec.json.decode(text, type=dict[str, object])
        unknown = set(values) - {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
        if unknown:
            raise RequestError(f"unknown field {min(unknown)!r}")
        return msgspec.convert(values, kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise RequestError(f"parsing parameters: {err}") from err


def _number(text: str) -> int:
    if not text.isdecimal():
        raise RequestError(f"{text!r} is not an id")
    return int(text)


def _milliseconds(text: str) -> int:
    try:
        return round(durations.parse(text) / timedelta(milliseconds=1))
    except durations.DurationError as err:
        raise RequestError(str(err)) from err


def commands(admin: Admin) -> Commands:
    """queuelist, queuehooklist, queuesuppressadd, …"""
    return {**_messages(admin), **_hooks(admin), **_hold_rules(admin), **_suppressions(admin)}


def _lists(
    queue: Queue,
    listing: Listing[T],
    show: Callable[[Sequence[T]], list[str]],
) -> Command:
    """Shows the rows of a filter in the order of a sorting."""

    async def run(request: Request) -> None:
        which, sort = decode_record(Filter, request.parameters[0]), decode_record(Sort, request.parameters[1])
        await request.print(*show(await queue.read(lambda tx: listing.select(tx, which, sort))))

    return Command(2, run)


async def _one(queue: Queue, listing: Listing[T], text: str, missing: str = "not found") -> T:
    """The row of an id. Raises RequestError."""
    which = Filter(ids=[_number(text)])
    found = await queue.read(lambda tx: listing.select(tx, which))
    if not found:
        raise RequestError(missing)
    return found[0]


def _prints(queue: Queue, listing: Listing[T], fields: Callable[[T], dict[str, Any]]) -> Command:
    """Shows all that is known of one row."""

    async def run(request: Request) -> None:
        await request.print(readable_json(fields(await _one(queue, listing, request.parameters[0]))))

    return Command(1, run)


def _changes(queue: Queue, change: Callable[[Tx, Filter, Sequence[str]], int], parameters: int = 0) -> Command:
    """Changes the rows of a filter by the parameters behind it, and shows how many."""

    async def run(request: Request) -> None:
        which, *more = request.parameters
        chosen = decode_record(Filter, which)
        count = await queue.write(lambda tx: change(tx, chosen, more))
        await queue.count_held()
        await request.print(str(count))

    return Command(1 + parameters, run)


def _schedule(
    add: Callable[[Tx, Filter, int], int], put: Callable[[Tx, Filter, int], int]
) -> Callable[[Tx, Filter, Sequence[str]], int]:
    """Shifts next attempts, or sets them relative to now."""

    def change(tx: Tx, which: Filter, more: Sequence[str]) -> int:
        span_ms = _milliseconds(more[1])
        return put(tx, which, now_ms() + span_ms) if flag(more[0]) else add(tx, which, span_ms)

    return change


def _require_tls(tx: Tx, which: Filter, more: Sequence[str]) -> int:
    if more[0] not in _REQUIRE_TLS:
        raise RequestError(f"{more[0]!r} is not yes, no or default")
    return operations.set_require_tls(tx, which, _REQUIRE_TLS[more[0]])


def _messages(admin: Admin) -> Commands:
    queue = admin.queue

    def transport(tx: Tx, which: Filter, more: Sequence[str]) -> int:
        if more[0] and more[0] not in admin.config.static.Transports:
            raise RequestError(f"no such transport {more[0]!r} in mox.conf")
        return operations.set_transport(tx, which, more[0])

    async def fail(request: Request) -> None:
        which = decode_record(Filter, request.parameters[0])
        await request.print(str(await operations.fail(queue, admin.notifier, which)))

    async def drop(request: Request) -> None:
        which = decode_record(Filter, request.parameters[0])
        await request.print(str(await operations.drop(queue, which)))

    async def dump(request: Request) -> None:
        message = await _one(queue, MESSAGES, request.parameters[0], "no such message in the queue")
        await request.write(await queue.content(message))

    return {
        "queuelist": _lists(queue, MESSAGES, queue_text.messages),
        "queueholdset": _changes(queue, lambda tx, which, more: operations.set_hold(tx, which, flag(more[0])), 1),
        "queueschedule": _changes(queue, _schedule(operations.add_to_next_attempt, operations.set_next_attempt), 2),
        "queuetransport": _changes(queue, transport, 1),
        "queuerequiretls": _changes(queue, _require_tls, 1),
        "queuefail": Command(1, fail),
        "queuedrop": Command(1, drop),
        "queuedump": Command(1, dump),
        "queueretiredlist": _lists(queue, RETIRED, queue_text.retired),
        "queueretiredprint": _prints(queue, RETIRED, queue_text.retired_fields),
    }


def _hooks(admin: Admin) -> Commands:
    queue = admin.queue
    schedule = _schedule(operations.add_to_hook_next_attempt, operations.set_hook_next_attempt)
    return {
        "queuehooklist": _lists(queue, HOOKS, queue_text.hooks),
        "queuehookschedule": _changes(queue, schedule, 2),
        "queuehookcancel": _changes(
            queue, lambda tx, which, _more: operations.cancel_hooks(tx, queue.surroundings, which)
        ),
        "queuehookprint": _prints(queue, HOOKS, queue_text.hook_fields),
        "queuehookretiredlist": _lists(queue, HOOKS_RETIRED, queue_text.retired_hooks),
        "queuehookretiredprint": _prints(queue, HOOKS_RETIRED, queue_text.hook_fields),
    }


def _hold_rules(admin: Admin) -> Commands:
    queue = admin.queue

    async def list_all(request: Request) -> None:
        await request.print(*queue_text.hold_rules(await queue.read(holdrules.list_all)))

    async def add(request: Request) -> None:
        account, sender, recipient = request.parameters
        domains = [need_domain(text).name if text else "" for text in (sender, recipient)]
        await queue.write(lambda tx: holdrules.add(tx, account, *domains))
        await queue.count_held()

    async def remove(request: Request) -> None:
        rule_id = _number(request.parameters[0])
        await queue.write(lambda tx: holdrules.remove(tx, rule_id))

    return {
        "queueholdruleslist": Command(0, list_all),
        "queueholdrulesadd": Command(3, add),
        "queueholdrulesremove": Command(1, remove),
    }


def _suppressions(admin: Admin) -> Commands:
    queue = admin.queue

    async def list_all(request: Request) -> None:
        account = request.parameters[0]
        entries = await queue.read(lambda tx: suppression.list_all(tx, account))
        await request.print(*queue_text.suppressions(entries))

    async def add(request: Request) -> None:
        account, address = request.parameters
        await applications.add_suppression(admin, account, address, True, "added through mox cli")

    async def remove(request: Request) -> None:
        await applications.remove_suppression(admin, *request.parameters)

    async def lookup(request: Request) -> None:
        account, address = request.parameters[0], to_path(need_address(request.parameters[1]))
        entries = await queue.read(lambda tx: suppression.list_all(tx, account))
        wanted = suppression.base_address(address)
        await request.print(*queue_text.lookup([entry for entry in entries if entry.base_address == wanted]))

    return {
        "queuesuppresslist": Command(1, list_all),
        "queuesuppressadd": Command(2, add),
        "queuesuppressremove": Command(2, remove),
        "queuesuppresslookup": Command(2, lookup),
    }
