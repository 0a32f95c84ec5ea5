"""Handing messages of a claim to an open session: as many transactions as the server's limits take, and what each
recipient's answer means. Shared by direct delivery and relays."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mox.message.addresses import ascii_address
from mox.message.dsn import Mta
from mox.outbound.outcomes import Outcome
from mox.outbound.queue import Queue
from mox.outbound.records import Message
from mox.smtp.address import Path
from mox.smtp.client import Content, SmtpClient
from mox.smtp.client_errors import Response, SmtpClientError
from mox.smtp.client_session import AllRefused, Delivered, Envelope, Recipient

_TOO_MANY = frozenset((452, 552))


@dataclass(frozen=True, slots=True)
class Manner:
    """How transactions are made. `require_8bitmime`: fail rather than send 8-bit data to a server that does not
    announce it (many take it all the same)."""

    remote: Mta
    require_8bitmime: bool = False
    error_prefix: str = ""


def wire_address(path: Path, smtputf8: bool) -> str:
    """An address as it stands in commands; empty for the null path. Without `smtputf8` the localpart is ASCII."""
    return path.unicode() if smtputf8 else str(path)


def failure_outcome(err: SmtpClientError, manner: Manner) -> Outcome:
    """The failure of all recipients by an error of session or transaction."""
    return Outcome(
        success=False,
        permanent=err.permanent,
        code=err.code,
        secode=err.secode,
        error=f"{manner.error_prefix}{err}",
        lines=err.lines,
        remote_mta=manner.remote if err.code else None,
    )


def response_outcome(response: Response, manner: Manner) -> Outcome:
    """What a recipient's refusal means."""
    word = "permanent" if response.is_permanent else "transient"
    return Outcome(
        success=False,
        permanent=response.is_permanent,
        code=response.code,
        secode=response.secode,
        error=f"{manner.error_prefix}{word}: {response.lines[0]}",
        lines=response.lines,
        remote_mta=manner.remote,
    )


async def send(queue: Queue, client: SmtpClient, messages: Sequence[Message], manner: Manner) -> dict[int, Outcome]:
    """An outcome by id for each message. Raises SmtpClientError when nothing could be tried for any, OSError when the
    message cannot be read."""
    outcomes: dict[int, Outcome] = {}
    waiting = list(messages)
    while waiting:
        limit = client.peer.extensions.rcpt_max or len(waiting)
        now, waiting = waiting[:limit], waiting[limit:]
        try:
            again = await _transaction(queue, client, now, manner, outcomes)
        except SmtpClientError as err:
            if not outcomes:
                raise
            # A later transaction fails for its own recipients only.
            outcomes.update((message.id, failure_outcome(err, manner)) for message in now)
            if not client.is_usable:
                outcomes.update((message.id, failure_outcome(err, manner)) for message in waiting)
                break
            continue
        waiting = again + waiting
    return outcomes


async def _transaction(
    queue: Queue, client: SmtpClient, messages: list[Message], manner: Manner, outcomes: dict[int, Outcome]
) -> list[Message]:
    """Deliver to some recipients; returns those that the server wants in another transaction."""
    first = messages[0]
    extensions = client.peer.extensions
    use_utf8_dsn = first.dsn_utf8 is not None and extensions.smtputf8 and extensions.eightbitmime
    if use_utf8_dsn:
        assert first.dsn_utf8 is not None
        content = Content(first.dsn_utf8)
    else:
        content = await _content(queue, first)
    localparts = (first.sender_localpart, *(m.recipient_localpart for m in messages))
    smtputf8 = first.smtputf8 or use_utf8_dsn or not all(part.isascii() for part in localparts)
    try:
        delivered = await client.deliver(_envelope(messages, content.size, smtputf8, use_utf8_dsn, manner), content)
    except AllRefused as refused:
        # 452 for all means too many of nothing: these are refusals of each.
        for message, response in zip(messages, refused.refused, strict=True):
            outcomes[message.id] = response_outcome(response, manner)
        return []
    return _read(client, messages, delivered, manner, outcomes)


async def _content(queue: Queue, message: Message) -> Content:
    body = await queue.body(message)
    if isinstance(body, bytes):
        return Content(message.prefix + body)
    return await asyncio.to_thread(Content, message.prefix, body)


def _envelope(messages: Sequence[Message], size: int, smtputf8: bool, is_utf8_dsn: bool, manner: Manner) -> Envelope:
    first = messages[0]
    has_8bit = first.has_8bit or is_utf8_dsn
    recipients = [Recipient(wire_address(m.recipient, smtputf8), m.notify, _original_recipient(m)) for m in messages]
    return Envelope(
        sender=wire_address(first.sender, smtputf8),
        recipients=recipients,
        size=size,
        has_8bit=has_8bit,
        needs_8bitmime=has_8bit and manner.require_8bitmime,
        needs_smtputf8=smtputf8,
        needs_requiretls=first.require_tls is True,
        envelope_id=first.envelope_id,
        return_full=first.return_full,
    )


def _original_recipient(message: Message) -> str:
    """What the sender gave, or else what he wrote to, where he wants to be told. RFC 3461 §5.2.1"""
    if message.original_recipient or not message.notify:
        return message.original_recipient
    return f"rfc822;{ascii_address(str(message.recipient))}"


def _read(
    client: SmtpClient,
    messages: Sequence[Message],
    delivered: Delivered,
    manner: Manner,
    outcomes: dict[int, Outcome],
) -> list[Message]:
    again = []
    final = delivered.final
    for number, (message, response) in enumerate(zip(messages, delivered.recipients, strict=True)):
        if response.code // 100 == 2:
            outcome = Outcome(True, code=final.code, secode=final.secode, remote_mta=manner.remote)
            outcomes[message.id] = replace(outcome, passed_on=not client.peer.extensions.dsn)
        elif response.code in _TOO_MANY and number > 0:
            again.append(message)
        else:
            outcomes[message.id] = response_outcome(response, manner)
    return again
