"""Send and SendBatch (spec/webapi.md section 6), and what mox does not have: requests that are carried out once."""

import asyncio
import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from mox import log, metrics
from mox._rust import stage_bytes
from mox.config.addresses import Address, AddressError, parse_address
from mox.config.live import Config
from mox.config.tables import DomainDisabled
from mox.message.compose import now
from mox.outbound import idempotency
from mox.outbound.composed import Composed as Outgoing
from mox.outbound.composed import Submitted
from mox.outbound.idempotency import AlreadyDone, Key, OtherRequest, Remembered
from mox.outbound.queue import FromIdError
from mox.outbound.signing import SigningError
from mox.store import mailboxes, messages, rejects
from mox.store.engine import Tx
from mox.store.errors import MessageLimit, OverQuota, RecipientLimit
from mox.store.types import Flag, SpecialUse
from mox.web.forms import UploadedFile
from mox.web.webapi.api import Call
from mox.web.webapi.compose import Addresses, Composed, Files, check_fields, compose, decode_files, read_uploads
from mox.web.webapi.errors import ApiError, user_error
from mox.webapi.types import (
    Code,
    Error,
    NameAddress,
    SendBatchItem,
    SendBatchRequest,
    SendBatchResult,
    SendRequest,
    SendResult,
    Submission,
)

MAX_FUTURE = timedelta(days=60)
MAX_BATCH = 100
MAX_KEY = 200
# Larger messages are composed in a thread, and only so many of them at a time: they are held in memory.
LARGE_BYTES = 256 << 10
MAX_LARGE = 4

_logger = log.get("webapi")
_large = asyncio.Semaphore(MAX_LARGE)
_RESULTS = {
    Code.BAD_FROM: "badfrom",
    Code.DOMAIN_DISABLED: "domaindisabled",
    Code.MESSAGE_LIMIT_REACHED: "messagelimiterror",
    Code.RECIPIENT_LIMIT_REACHED: "recipientlimiterror",
    Code.SENT_OVER_QUOTA: "storesenterror",
}


async def send(call: Call, request: SendRequest) -> SendResult:
    """Send"""
    return await _counted(call, request, request.IdempotencyKey or call.request.header("idempotency-key"))


async def send_batch(call: Call, batch: SendBatchRequest) -> SendBatchResult:
    """SendBatch. Files come in the JSON of each request; keys are per message, or derived from that of the request."""
    if not 0 < len(batch.Requests) <= MAX_BATCH:
        raise user_error("checking batch", f"between 1 and {MAX_BATCH} requests are possible")
    if call.form.files:
        raise user_error("checking batch", "files belong into the JSON of the requests")
    key = call.request.header("idempotency-key")
    items = []
    for number, request in enumerate(batch.Requests):
        own = request.IdempotencyKey or (f"{key[:MAX_KEY]}#{number}" if key else "")
        try:
            items.append(SendBatchItem(Result=await _counted(call, request, own)))
        except ApiError as err:
            items.append(SendBatchItem(Error=Error(Code=err.code, Message=err.text)))
    return SendBatchResult(items)


async def _counted(call: Call, request: SendRequest, key_text: str) -> SendResult:
    """Send one message, and count what became of it."""
    try:
        result = await _send(call, request, key_text)
    except ApiError as err:
        if err.code in _RESULTS:
            metrics.webapi_submissions.labels(_RESULTS[err.code]).inc()
        raise
    metrics.webapi_submissions.labels("ok").inc()
    return result


async def _send(call: Call, request: SendRequest, key_text: str) -> SendResult:
    addresses = check_request(call.context.config, call.account, call.login, request)
    size = _size(request) + sum(file.size for listed in call.form.files.values() for file in listed)
    if size > call.max_message_size * 3 // 2:
        raise ApiError(Code.MESSAGE_TOO_LARGE, "message too large")
    key = await _key(call, request, key_text)
    if key is not None:
        before = await _find(call, key)
        if before is not None:
            return await _again(call, request, addresses, key, before)
    if size <= LARGE_BYTES:
        return await _compose_and_queue(call, request, addresses, key)
    async with _large:
        return await _compose_and_queue(call, request, addresses, key)


def check_request(config: Config, account: str, login: str, request: SendRequest) -> Addresses:
    """Steps 1 to 5, and what else can be told from the request alone. Raises ApiError."""
    if not request.Text and not request.HTML:
        raise ApiError(Code.MISSING_BODY, "at least text or html body required")
    if len(request.From) > 1:
        raise ApiError(Code.MULTIPLE_FROM, "multiple from-addresses not allowed")
    sender = request.From or [NameAddress(config.account(account).FullName, login)]
    parsed_from = _parse(sender, "From")
    to, cc, bcc = (
        _parse(found, name) for found, name in ((request.To, "To"), (request.CC, "CC"), (request.BCC, "BCC"))
    )
    address = parsed_from[0][1]
    try:
        may_use = config.may_use_from(account, address.localpart, address.domain.ascii)
    except DomainDisabled as err:
        raise ApiError(Code.DOMAIN_DISABLED, "domain of from-address is disabled") from err
    if not may_use:
        raise ApiError(Code.BAD_FROM, "from-address not configured for account")
    if not (to or cc or bcc):
        raise ApiError(Code.NO_RECIPIENTS, "no recipients")
    reply_to = _parse(request.ReplyTo, "ReplyTo")
    check_fields(request)
    if request.FutureRelease is not None and request.FutureRelease > now() + MAX_FUTURE:
        raise user_error("checking future release", "date/time can be at most 60 days in the future")
    return Addresses(parsed_from[0], to, cc, bcc, reply_to)


def _parse(addresses: Iterable[NameAddress], what: str) -> list[tuple[str, Address]]:
    found = []
    for given in addresses:
        if any(c < " " for c in given.Name):
            raise user_error(f"checking {what} address", "display name has control characters")
        try:
            found.append((given.Name, parse_address(given.Address)))
        except AddressError as err:
            raise ApiError(Code.BAD_ADDRESS, f"parsing {what} address {given.Address[:300]!r}: {err}") from err
    return found


def _size(request: SendRequest) -> int:
    """About how large the message will be."""
    files = (*request.AlternativeFiles, *request.InlineFiles, *request.AttachedFiles)
    return len(request.Text) + len(request.HTML) + sum(len(file.Data) for file in files)


async def _key(call: Call, request: SendRequest, text: str) -> Key | None:
    """The idempotency key of the request, with a digest of all that is sent. Raises ApiError."""
    if not text:
        return None
    if len(text) > MAX_KEY + 4 or not text.isprintable():
        raise user_error("checking idempotency key", f"at most {MAX_KEY} printable characters are possible")
    # The key may come in the request or beside it.
    content = msgspec.json.encode(msgspec.structs.replace(request, IdempotencyKey=""))
    if not call.form.files:
        return Key(call.account, text, hashlib.sha256(content).digest())
    return Key(call.account, text, await asyncio.to_thread(_digest, content, call.form.files))


def _digest(content: bytes, uploads: Mapping[str, Sequence[UploadedFile]]) -> bytes:
    digest = hashlib.sha256(content)
    for name in sorted(uploads):
        for file in uploads[name]:
            digest.update(f"\0{name}\0{file.name}\0{file.content_type}\0{file.content_id}\0{file.size}\0".encode())
            digest.update(file.read())
    return digest.digest()


async def _find(call: Call, key: Key) -> Remembered | None:
    try:
        return await call.context.queue.read(lambda tx: idempotency.find(tx, key))
    except OtherRequest as err:
        raise ApiError(Code.IDEMPOTENCY_MISMATCH, str(err)) from err


async def _compose(call: Call, request: SendRequest, addresses: Addresses, message_id: str = "") -> Composed:
    uploads = call.form.files

    def make() -> Composed:
        files = Files(
            [*decode_files(request.AlternativeFiles, "alternative"), *read_uploads(uploads.get("alternativefile", ()))],
            [*decode_files(request.InlineFiles, "inline"), *read_uploads(uploads.get("inlinefile", ()))],
            [*decode_files(request.AttachedFiles, "attached"), *read_uploads(uploads.get("attachedfile", ()))],
        )
        return compose(request, addresses, files, call.context.config.static.Hostname, message_id)

    composed = await asyncio.to_thread(make) if uploads or _size(request) > LARGE_BYTES else make()
    if len(composed.content) > call.max_message_size:
        raise ApiError(Code.MESSAGE_TOO_LARGE, "message too large")
    return composed


async def _compose_and_queue(call: Call, request: SendRequest, addresses: Addresses, key: Key | None) -> SendResult:
    composed = await _compose(call, request, addresses)
    signatures = await _sign(call, addresses, composed)
    outbox = call.context.outbox
    try:
        await outbox.check_and_record(call.account, addresses.recipients)
    except MessageLimit as err:
        raise ApiError(Code.MESSAGE_LIMIT_REACHED, str(err)) from err
    except RecipientLimit as err:
        raise ApiError(Code.RECIPIENT_LIMIT_REACHED, str(err)) from err
    release = request.FutureRelease
    outgoing = Outgoing(
        account=call.account,
        login=call.login,
        sender=addresses.sender[1],
        recipients=addresses.recipients,
        content=composed.content,
        signatures=signatures,
        message_id=composed.message_id,
        subject=request.Subject,
        session=f"{call.request.cid:x}-{time.time_ns():x}",
        smtputf8=composed.smtputf8,
        require_tls=request.RequireTLS,
        next_ms=int(release.timestamp() * 1000) if release is not None else 0,
        future_release=f"until;{release.isoformat()}" if release is not None else "",
        extra=request.Extra,
        tls=call.request.peer.tls,
    )

    def result(submitted: Sequence[Submitted]) -> SendResult:
        given = [named.Address for named in (*request.To, *request.CC, *request.BCC)]
        pairs = zip(given, submitted, strict=True)
        return SendResult(composed.message_id, [Submission(a, s.queue_id, s.from_id) for a, s in pairs])

    def remember(tx: Tx, submitted: list[Submitted]) -> None:
        if key is not None:
            idempotency.remember(tx, key, _json(result(submitted)), request.SaveSent)

    try:
        sent = result(await outbox.send(outgoing, remember))
    except AlreadyDone as err:
        return await _again(call, request, addresses, key, err.remembered)
    except OtherRequest as err:
        raise ApiError(Code.IDEMPOTENCY_MISMATCH, str(err)) from err
    except (OSError, FromIdError) as err:
        metrics.webapi_errors.labels("submit").inc()
        metrics.webapi_submissions.labels("queueerror").inc()
        raise ApiError(Code.SERVER, f"adding messages to the delivery queue: {err}") from err
    if request.SaveSent:
        await _finish(call, key, composed, signatures, sent)
    return sent


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def _sign(call: Call, addresses: Addresses, composed: Composed) -> bytes:
    domain = call.context.outbox.signer.signing_domain(addresses.sender[1].domain.ascii)
    if domain is None:
        return b""
    try:
        return await call.context.outbox.signer.sign(domain, composed.content)
    except SigningError as err:
        metrics.webapi_errors.labels("dkimsign").inc()
        raise ApiError(Code.SERVER, f"signing message: {err}") from err


async def _again(
    call: Call, request: SendRequest, addresses: Addresses, key: Key | None, before: Remembered
) -> SendResult:
    """The answer of a request that was carried out; its copy in Sent is made up for when a crash prevented it."""
    try:
        sent = msgspec.json.decode(before.result, type=SendResult)
    except msgspec.ValidationError:
        error = msgspec.json.decode(before.result, type=Error)
        raise ApiError(Code(error.Code), error.Message) from None
    if before.unfinished:
        composed = await _compose(call, request, addresses, sent.MessageID)
        await _finish(call, key, composed, await _sign(call, addresses, composed), sent)
    return sent


async def _finish(call: Call, key: Key | None, composed: Composed, signatures: bytes, sent: SendResult) -> None:
    """Save the copy in Sent and say so in the record of the request. Raises ApiError; the mail is queued anyway."""
    error: ApiError | None = None
    try:
        await _save_sent(call, composed, signatures, once=key is not None)
    except OverQuota as err:
        text = f"message was queued for delivery, but not stored in the sent mailbox: {err}"
        error = ApiError(Code.SENT_OVER_QUOTA, text)
    except OSError as err:
        raise ApiError(Code.SERVER, f"message was queued, but storing it in the sent mailbox failed: {err}") from err
    if key is not None:
        answer = _json(sent) if error is None else _json(Error(Code=error.code, Message=error.text))
        await call.context.queue.record(lambda tx: idempotency.finish(tx, key, answer))
    if error is not None:
        raise error


async def _save_sent(call: Call, composed: Composed, signatures: bytes, once: bool) -> None:
    """A copy for the sender, who sees who got blind copies; with `once` not when there is one, because a crash between
    the copy and its record made this a second try. Raises OverQuota, OSError."""
    account = await call.context.store.open(call.account)
    prepared = await account.prepare(stage_bytes(composed.content), composed.bcc_field + signatures)
    new = account.new_message(prepared, flags=int(Flag.SEEN | Flag.NOTJUNK))

    def add(tx: Tx) -> bool:
        sent = next((box for box in mailboxes.list_mailboxes(tx) if box.special_use & SpecialUse.SENT), None)
        if sent is None or (once and rejects.has_copy(tx, sent.id, prepared.parsed.message_id, None)):
            return False
        messages.add(tx, sent.id, [new])
        return True

    try:
        is_stored = await account.write(add)
    except OverQuota:
        await account.discard(prepared.blob_id)
        raise
    if not is_stored:
        await account.discard(prepared.blob_id)
