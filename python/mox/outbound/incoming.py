"""What a delivered message means for webhooks: news of one we sent, by its unique sender address, or a message of its
own (spec/outbound.md section 13)."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from mox import log
from mox.config.live import Config
from mox.message import dsn
from mox.message.dsn import Action, DsnError, RecipientStatus
from mox.outbound import hooks, suppression
from mox.outbound.events import Event, outgoing_event
from mox.outbound.parsed import first_value
from mox.outbound.queue import Queue
from mox.outbound.records import Result, Retired, columns, from_row, now_ms, to_column
from mox.outbound.suppression import Source
from mox.outbound.webhooks import incoming_call, outgoing_call
from mox.smtp.address import Path as MailPath
from mox.store import lookup
from mox.store.engine import Tx
from mox.store.lookup import MessageRemoved, NoSuchMessage, Whole
from mox.store.store import Store

_EVENTS = {
    Action.FAILED: Event.FAILED,
    Action.DELAYED: Event.DELAYED,
    Action.DELIVERED: Event.DELIVERED,
    Action.RELAYED: Event.RELAYED,
    Action.EXPANDED: Event.EXPANDED,
}
_ENHANCED = re.compile(r"[45]\.([0-9]{1,3}\.[0-9]{1,3})")

_logger = log.get("webhook")


class IncomingHooks:
    """Queues calls for messages that were delivered over SMTP."""

    def __init__(self, config: Config, store: Store, queue: Queue) -> None:
        self._config, self._store, self._queue = config, store, queue

    async def delivered(self, account_name: str, message_id: int, recipient: MailPath) -> None:
        """To be called after the delivery of a message is on disk and before it is acknowledged."""
        try:
            await self._delivered(account_name, message_id, recipient)
        except (NoSuchMessage, MessageRemoved, FileNotFoundError) as err:
            # The user was faster, and nobody wants to know of it any more.
            _logger.info("no webhook for a message that is gone", account=account_name, msgid=message_id, err=str(err))

    async def _delivered(self, account_name: str, message_id: int, recipient: MailPath) -> None:
        options = self._config.dynamic.Accounts.get(account_name)
        if options is None:
            return
        from_id = self._from_id(recipient)
        if options.IncomingWebhook is None and not from_id:
            return
        account = await self._store.open(account_name)
        whole = await account.read(lambda tx: lookup.whole(tx, message_id))
        sent = await self._sent(account_name, from_id) if from_id else None
        if sent is None and options.IncomingWebhook is None:
            return
        file = Path(account.blob_path(whole.blob_id))
        data = whole.prefix + await asyncio.to_thread(file.read_bytes)
        if sent is not None:
            await self._about(sent, whole, data)
            return
        new = await asyncio.to_thread(incoming_call, self._config, account_name, whole, data, from_id)
        if new is not None:
            keep_ms = self._queue.surroundings.keep_hooks_ms(account_name)
            await self._queue.write(lambda tx: hooks.add(tx, new, keep_ms))

    def _from_id(self, recipient: MailPath) -> str:
        """What follows the first catchall separator of the recipient's domain."""
        entry = self._config.domain(recipient.domain)
        if entry is None or not entry.separators:
            return ""
        return recipient.localpart.partition(entry.separators[0])[2]

    async def _sent(self, account: str, from_id: str) -> Retired | None:
        return await self._queue.read(lambda tx: find_sent(tx, account, from_id))

    async def _about(self, sent: Retired, whole: Whole, data: bytes) -> None:
        """Record what the message tells of the one that was sent, and tell the webhook."""
        news = await asyncio.to_thread(understand, whole, data)
        _logger.debug("message for a unique sender address", news=news.event.value, account=sent.account, id=sent.id)
        await self._queue.write(lambda tx: self._record(tx, sent.id, news))

    def _record(self, tx: Tx, queue_id: int, news: "News") -> None:
        row = tx.one(f"SELECT {columns(Retired)} FROM retired WHERE id = ?", queue_id)
        if row is None:
            return
        sent = from_row(Retired, row)
        recipient = MailPath(sent.recipient_localpart, sent.recipient_domain)
        suppressing = news.event is Event.FAILED and suppression.process_failure(
            tx, sent.account, recipient, sent.id, news.code, news.secode, Source.DSN
        )
        now = now_ms()
        result = Result(now, 0, news.is_success, news.code, news.secode, news.text)
        tx.run(
            "UPDATE retired SET results = ?, activity_ms = ? WHERE id = ?",
            to_column([*sent.results, result]),
            now,
            sent.id,
        )
        event = outgoing_event(
            news.event,
            sent,
            error=news.error,
            code=news.code,
            secode=news.secode,
            suppressing=suppressing,
            is_dsn=news.is_dsn,
            incoming_message_id=news.message_id,
        )
        new = outgoing_call(self._config, event)
        if new is not None:
            hooks.add(tx, new, self._queue.surroundings.keep_hooks_ms(sent.account))


def find_sent(tx: Tx, account: str, from_id: str) -> Retired | None:
    """The message that was sent with a unique sender address, while it is kept."""
    row = tx.one(f"SELECT {columns(Retired)} FROM retired WHERE from_id = ? AND account = ?", from_id, account)
    return None if row is None else from_row(Retired, row)


@dataclass(frozen=True, slots=True)
class News:
    """What an incoming message tells of one that was sent. `text` is for its history, `error` for the webhook."""

    event: Event
    message_id: str
    text: str
    error: str = ""
    is_dsn: bool = False
    code: int = 0
    secode: str = ""

    @property
    def is_success(self) -> bool:
        """Delivered, or on its way."""
        return self.event in (Event.DELIVERED, Event.RELAYED, Event.EXPANDED)


def understand(whole: Whole, data: bytes) -> News:
    """The news in a message for a unique sender address. RFC 3464."""
    message_id = first_value(data[: data.find(b"\r\n\r\n") + 4], "Message-Id")
    if not whole.is_dsn:
        text = "incoming message not a dsn"
        return News(Event.UNRECOGNIZED, message_id, text, text)
    try:
        report = dsn.parse(data)
    except DsnError as err:
        text = f"parsing incoming dsn: {err}"
        return News(Event.UNRECOGNIZED, message_id, text, text, is_dsn=True)
    if len(report.recipients) != 1:
        text = f"incoming dsn has {len(report.recipients)} recipients, expecting 1"
        return News(Event.UNRECOGNIZED, message_id, text, text, is_dsn=True)
    status = report.recipients[0]
    code, secode = codes(status)
    event = _EVENTS[status.action]
    error = _problem(status) if event in (Event.FAILED, Event.DELAYED) else ""
    return News(event, message_id, "incoming message", error, True, code, secode)


def _problem(status: RecipientStatus) -> str:
    """What the report says in words."""
    return status.diagnostic or f"{status.status} {status.comment}".strip()


def codes(status: RecipientStatus) -> tuple[int, str]:
    """(SMTP code, enhanced code without class): of the diagnostic when it has two words, else by the class of the
    status."""
    words = status.diagnostic.split(None, 1)
    if len(words) == 2 and re.fullmatch(r"[0-9]{3}", words[0]):
        enhanced = _ENHANCED.fullmatch(words[1].split(None, 1)[0])
        return int(words[0]), enhanced[1] if enhanced else ""
    kind, _, rest = status.status.partition(".")
    return {"4": 400, "5": 500}.get(kind, 0), rest if kind in ("4", "5") else ""
