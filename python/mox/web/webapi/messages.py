"""Methods on stored messages (spec/webapi.md section 8)."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from mox.message.tree import PartNotFound, TreePart, build
from mox.outbound.parsed import message_of, structure_of
from mox.store import lookup, mailboxes, messages
from mox.store.engine import Tx
from mox.store.errors import NoUidsLeft
from mox.store.lookup import MessageRemoved, NoSuchMessage, Whole
from mox.store.types import FLAG_NAMES, parse_flags
from mox.web.messages import TEXT, Stream
from mox.web.sniff import sniff
from mox.web.webapi.api import Call
from mox.web.webapi.errors import ApiError, user_error
from mox.webapi import types
from mox.webapi.types import Code, Empty, MessageMeta

CHUNK_BYTES = 256 << 10

_KEYWORD = re.compile(r"""[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+""")
T = TypeVar("T")


async def _read(call: Call, message_id: int) -> tuple[Whole, Path]:
    """The message and its file. Raises ApiError."""
    if not message_id:
        raise ApiError(Code.SERVER, "getting message: invalid zero message id")
    account = await call.context.store.open(call.account)
    try:
        whole = await account.read(lambda tx: lookup.whole(tx, message_id))
    except (NoSuchMessage, MessageRemoved) as err:
        raise ApiError(Code.MESSAGE_NOT_FOUND, "message not found") from err
    return whole, Path(account.blob_path(whole.blob_id))


async def _content(call: Call, message_id: int) -> tuple[Whole, bytes]:
    whole, path = await _read(call, message_id)
    try:
        return whole, whole.prefix + await asyncio.to_thread(path.read_bytes)
    except FileNotFoundError as err:
        # Removed and erased in between.
        raise ApiError(Code.MESSAGE_NOT_FOUND, "message not found") from err


async def message_get(call: Call, request: types.MessageGetRequest) -> types.MessageGetResult:
    """MessageGet"""
    whole, data = await _content(call, request.MsgID)
    tree, message = await asyncio.to_thread(_parse, whole, data)
    structure = await asyncio.to_thread(structure_of, tree, data)
    return types.MessageGetResult(message, structure, _meta(whole))


def _parse(whole: Whole, data: bytes) -> tuple[TreePart, types.Message]:
    tree = build(data, whole.structure)
    return tree, message_of(tree, data)


def flag_names(flags: int, keywords: str) -> list[str]:
    """In the order of the webapi: by name, and then the keywords."""
    return [*sorted(name for name, flag in FLAG_NAMES.items() if flags & flag), *keywords.split()]


def _meta(whole: Whole) -> MessageMeta:
    has_from = bool(whole.msg_from_domain)
    return MessageMeta(
        Size=whole.size,
        DSN=whole.is_dsn,
        Flags=flag_names(whole.place.flags, whole.place.keywords),
        MailFrom=whole.mail_from,
        MailFromValidated=whole.mail_from_validated,
        RcptTo=whole.rcpt_to,
        MsgFrom=f"{whole.msg_from_localpart}@{whole.msg_from_domain}" if has_from else "",
        MsgFromValidated=whole.msg_from_validated,
        DKIMVerifiedDomains=list(whole.dkim_domains),
        RemoteIP=whole.remote_ip,
        MailboxName=whole.mailbox_name,
    )


async def message_raw_get(call: Call, request: types.MessageRawGetRequest) -> Stream:
    """MessageRawGet"""
    whole, path = await _read(call, request.MsgID)
    try:
        # Open already, so that the message can be removed meanwhile.
        file = await asyncio.to_thread(path.open, "rb")
    except FileNotFoundError as err:
        raise ApiError(Code.MESSAGE_NOT_FOUND, "message not found") from err
    return Stream(_chunks(whole.prefix, file), TEXT.partition(";")[0])


async def _chunks(first: bytes, file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        yield first
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


async def message_part_get(call: Call, request: types.MessagePartGetRequest) -> Stream:
    """MessagePartGet"""
    whole, data = await _content(call, request.MsgID)
    tree = await asyncio.to_thread(build, data, whole.structure)
    try:
        body = await asyncio.to_thread(tree.child(request.PartPath).decoded, data)
    except PartNotFound as err:
        raise ApiError(Code.PART_NOT_FOUND, str(err)) from err
    return Stream(_slices(body), sniff(body))


async def _slices(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), CHUNK_BYTES):
        yield body[at : at + CHUNK_BYTES]


async def _change(call: Call, message_id: int, fn: Callable[[Tx], T]) -> T:
    """Run `fn` in a transaction of the account; what the store refuses becomes an ApiError."""
    if not message_id:
        raise user_error("getting message", "invalid zero message id")
    account = await call.context.store.open(call.account)
    try:
        return await account.write(fn)
    except NoSuchMessage as err:
        raise ApiError(Code.MESSAGE_NOT_FOUND, f"getting message: {err}") from err
    except MessageRemoved as err:
        raise user_error("getting message", err) from err
    except NoUidsLeft as err:
        raise user_error("moving message", err) from err


async def message_delete(call: Call, request: types.MessageDeleteRequest) -> Empty:
    """MessageDelete"""

    def delete(tx: Tx) -> None:
        where = lookup.place(tx, request.MsgID)
        messages.expunge(tx, where.mailbox_id, [where.uid], messages.MAX_UID + 1, only_deleted=False)

    await _change(call, request.MsgID, delete)
    return Empty()


def _flags(names: list[str]) -> tuple[int, frozenset[str]]:
    """Raises ApiError for what is no keyword."""
    for name in names:
        if name.lower() not in FLAG_NAMES and not _KEYWORD.fullmatch(name):
            raise user_error("parsing flags", f"invalid keyword {name.lower()}")
    return parse_flags(names)


async def _set_flags(call: Call, message_id: int, names: list[str], mode: str) -> Empty:
    flags, keywords = _flags(names)

    def change(tx: Tx) -> None:
        where = lookup.place(tx, message_id)
        messages.set_flags(tx, where.mailbox_id, [where.uid], mode, flags, keywords)

    await _change(call, message_id, change)
    return Empty()


async def message_flags_add(call: Call, request: types.MessageFlagsAddRequest) -> Empty:
    """MessageFlagsAdd"""
    return await _set_flags(call, request.MsgID, request.Flags, "+")


async def message_flags_remove(call: Call, request: types.MessageFlagsRemoveRequest) -> Empty:
    """MessageFlagsRemove"""
    return await _set_flags(call, request.MsgID, request.Flags, "-")


async def message_move(call: Call, request: types.MessageMoveRequest) -> Empty:
    """MessageMove"""
    now_ms = time.time_ns() // 1_000_000
    if not request.DestMailboxName:
        raise user_error("looking up mailbox name", "mailbox name is empty")

    def move(tx: Tx) -> None:
        target = mailboxes.find(tx, request.DestMailboxName)
        if target is None:
            raise user_error("looking up mailbox name", "not found")
        if not request.MsgID:
            raise user_error("getting message", "invalid zero message id")
        where = lookup.place(tx, request.MsgID)
        if where.mailbox_id == target.id:
            raise user_error("moving message", "already in destination mailbox")
        messages.move(tx, where.mailbox_id, [where.uid], target.id, now_ms)

    await _change(call, request.MsgID or -1, move)
    return Empty()
