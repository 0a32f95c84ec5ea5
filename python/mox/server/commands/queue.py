"""The queue of outgoing messages and of webhook calls: listing, changing, hold rules, suppression lists."""

import dataclasses
from datetime import timedelta
from typing import TypeVar

import msgspec

from mox.admin.context import Admin, RequestError, need_domain
from mox.config import durations
from mox.outbound import holdrules, operations, suppression
from mox.outbound.listing import HOOKS, HOOKS_RETIRED, MESSAGES, RETIRED, Filter, Sort
from mox.outbound.records import now_ms
from mox.server.commands import queue_text
from mox.server.commands.domains import flag
from mox.server.control import Command, Commands, Request
from mox.smtp.address import AddressError, Path, parse_address

T = TypeVar("T")


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


def _address(text: str) -> Path:
    try:
        return parse_address(text)
    except AddressError as err:
        raise RequestError(f"{text!r} is not an address: {err}") from err


def commands(admin: Admin) -> Commands:
    """queuelist, queuehooklist, queuesuppressadd, …"""
    return {**_messages(admin), **_hooks(admin), **_hold_rules(admin), **_suppressions(admin)}


def _messages(admin: Admin) -> Commands:
    queue = admin.queue

    async def list_queued(request: Request) -> None:
        which, sort = decode_record(Filter, request.parameters[0]), decode_record(Sort, request.parameters[1])
        await request.print(*queue_text.messages(await queue.read(lambda tx: MESSAGES.select(tx, which, sort))))

    async def hold(request: Request) -> None:
        which, value = decode_record(Filter, request.parameters[0]), flag(request.parameters[1])
        count = await queue.write(lambda tx: operations.set_hold(tx, which, value))
        await queue.count_held()
        await request.print(str(count))

    async def schedule(request: Request) -> None:
        which, change = decode_record(Filter, request.parameters[0]), _milliseconds(request.parameters[2])
        if flag(request.parameters[1]):
            count = await queue.write(lambda tx: operations.set_next_attempt(tx, which, now_ms() + change))
        else:
            count = await queue.write(lambda tx: operations.add_to_next_attempt(tx, which, change))
        await request.print(str(count))

    async def transport(request: Request) -> None:
        which, name = decode_record(Filter, request.parameters[0]), request.parameters[1]
        if name and name not in admin.config.static.Transports:
            raise RequestError(f"no such transport {name!r} in mox.conf")
        await request.print(str(await queue.write(lambda tx: operations.set_transport(tx, which, name))))

    async def require_tls(request: Request) -> None:
        which, text = decode_record(Filter, request.parameters[0]), request.parameters[1]
        if text not in ("yes", "no", "default"):
            raise RequestError(f"{text!r} is not yes, no or default")
        value = {"yes": True, "no": False}.get(text)
        await request.print(str(await queue.write(lambda tx: operations.set_require_tls(tx, which, value))))

    async def fail(request: Request) -> None:
        which = decode_record(Filter, request.parameters[0])
        await request.print(str(await operations.fail(queue, admin.notifier, which)))

    async def drop(request: Request) -> None:
        which = decode_record(Filter, request.parameters[0])
        await request.print(str(await operations.drop(queue, which)))

    async def dump(request: Request) -> None:
        which = Filter(ids=[_number(request.parameters[0])])
        found = await queue.read(lambda tx: MESSAGES.select(tx, which))
        if not found:
            raise RequestError("no such message in the queue")
        await request.write(await queue.content(found[0]))

    async def list_retired(request: Request) -> None:
        which, sort = decode_record(Filter, request.parameters[0]), decode_record(Sort, request.parameters[1])
        await request.print(*queue_text.retired(await queue.read(lambda tx: RETIRED.select(tx, which, sort))))

    async def print_retired(request: Request) -> None:
        which = Filter(ids=[_number(request.parameters[0])])
        found = await queue.read(lambda tx: RETIRED.select(tx, which))
        if not found:
            raise RequestError("not found")
        await request.print(queue_text.json_text(queue_text.retired_fields(found[0])))

    return {
        "queuelist": Command(2, list_queued),
        "queueholdset": Command(2, hold),
        "queueschedule": Command(3, schedule),
        "queuetransport": Command(2, transport),
        "queuerequiretls": Command(2, require_tls),
        "queuefail": Command(1, fail),
        "queuedrop": Command(1, drop),
        "queuedump": Command(1, dump),
        "queueretiredlist": Command(2, list_retired),
        "queueretiredprint": Command(1, print_retired),
    }


def _hooks(admin: Admin) -> Commands:
    queue = admin.queue

    async def list_queued(request: Request) -> None:
        which, sort = decode_record(Filter, request.parameters[0]), decode_record(Sort, request.parameters[1])
        await request.print(*queue_text.hooks(await queue.read(lambda tx: HOOKS.select(tx, which, sort))))

    async def schedule(request: Request) -> None:
        which, change = decode_record(Filter, request.parameters[0]), _milliseconds(request.parameters[2])
        if flag(request.parameters[1]):
            count = await queue.write(lambda tx: operations.set_hook_next_attempt(tx, which, now_ms() + change))
        else:
            count = await queue.write(lambda tx: operations.add_to_hook_next_attempt(tx, which, change))
        await request.print(str(count))

    async def cancel(request: Request) -> None:
        which = decode_record(Filter, request.parameters[0])
        count = await queue.write(lambda tx: operations.cancel_hooks(tx, queue.surroundings, which))
        await request.print(str(count))

    async def print_queued(request: Request) -> None:
        which = Filter(ids=[_number(request.parameters[0])])
        found = await queue.read(lambda tx: HOOKS.select(tx, which))
        if not found:
            raise RequestError("not found")
        await request.print(queue_text.json_text(queue_text.hook_fields(found[0])))

    async def list_retired(request: Request) -> None:
        which, sort = decode_record(Filter, request.parameters[0]), decode_record(Sort, request.parameters[1])
        rows = await queue.read(lambda tx: HOOKS_RETIRED.select(tx, which, sort))
        await request.print(*queue_text.retired_hooks(rows))

    async def print_retired(request: Request) -> None:
        which = Filter(ids=[_number(request.parameters[0])])
        found = await queue.read(lambda tx: HOOKS_RETIRED.select(tx, which))
        if not found:
            raise RequestError("not found")
        await request.print(queue_text.json_text(queue_text.hook_fields(found[0])))

    return {
        "queuehooklist": Command(2, list_queued),
        "queuehookschedule": Command(3, schedule),
        "queuehookcancel": Command(1, cancel),
        "queuehookprint": Command(1, print_queued),
        "queuehookretiredlist": Command(2, list_retired),
        "queuehookretiredprint": Command(1, print_retired),
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
        account, address = request.parameters[0], _address(request.parameters[1])
        _need_account(admin, account)
        await queue.record(lambda tx: suppression.add(tx, account, address, True, "added through mox cli"))

    async def remove(request: Request) -> None:
        account, address = request.parameters[0], _address(request.parameters[1])
        _need_account(admin, account)
        await queue.record(lambda tx: suppression.remove(tx, account, address))

    async def lookup(request: Request) -> None:
        account, address = request.parameters[0], _address(request.parameters[1])
        entries = await queue.read(lambda tx: suppression.list_all(tx, account))
        wanted = suppression.base_address(address)
        await request.print(*queue_text.lookup([entry for entry in entries if entry.base_address == wanted]))

    return {
        "queuesuppresslist": Command(1, list_all),
        "queuesuppressadd": Command(2, add),
        "queuesuppressremove": Command(2, remove),
        "queuesuppresslookup": Command(2, lookup),
    }


def _need_account(admin: Admin, name: str) -> None:
    if name not in admin.config.dynamic.Accounts:
        raise RequestError(f"no such account {name!r}")
