"""A message of one of our users on its way into the queue: who may send it, what is completed, signatures (RFC 6409).

SMTP submission and whatever else takes messages from users go through `Submitter.submit`: the rules are the same.
"""

import asyncio
import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import apsw

from mox import log, metrics
from mox._rust import StagedMessage, header_values, stage_bytes
from mox.config.live import Config
from mox.config.tables import DomainDisabled, DomainEntry
from mox.mailauth.authres import AuthMethod, AuthProperty, AuthResults
from mox.outbound import content as message_content
from mox.outbound import senders
from mox.outbound.content import ContentError
from mox.outbound.queue import FromIdError, Queue
from mox.outbound.records import NewMessage
from mox.outbound.signing import Signer, SigningError
from mox.smtp.address import Path, to_unicode
from mox.smtp.reply import Reply, local_error, storage_full
from mox.store import sending
from mox.store.errors import MessageLimit, RecipientLimit
from mox.store.store import Store

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

_logger = log.get("submission")


def _no_trace(_recipient: str, _needs_utf8: bool) -> bytes:
    return b""


@dataclass(frozen=True, slots=True)
class SubmittedRecipient:
    """Whom it is for, and which notifications are wanted (RFC 3461)."""

    path: Path
    notify: frozenset[str] = frozenset()
    original: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a user wants sent. `received` makes the Received field, of a recipient or "", and whether SMTPUTF8 is
    needed; `release_ms` is when to send it, 0 for now."""

    account: str
    login_address: str
    sender: Path
    recipients: Sequence[SubmittedRecipient]
    remote_ip: str = ""
    require_tls: bool | None = None
    release_ms: int = 0
    release_request: str = ""
    envelope_id: str = ""
    return_full: bool = False
    hostname: str = "localhost"
    received: Callable[[str, bool], bytes] = _no_trace
    transport: str = ""
    # What the client announced; looked at only when it is to be strict.
    is_pedantic: bool = False
    said_8bit: bool = False
    said_utf8: bool = False


class SubmissionRefused(Exception):
    """The message is not taken; `reply` says why, `reason` is for metrics."""

    def __init__(self, reply: Reply, reason: str) -> None:
        super().__init__(reply.text)
        self.reply, self.reason = reply, reason


def may_send_as(config: Config, account: str, path: Path) -> Reply | None:
    """Why the account may not use an address as sender or author; None when it may."""
    try:
        allowed = not path.is_literal and config.may_use_from(account, path.localpart, path.domain)
    except DomainDisabled:
        return local_error("domain of the address is temporarily disabled")
    return None if allowed else Reply(550, "5.7.1", "not an address of yours")


@dataclass(slots=True)
class _Message:
    """The message as it will go out."""

    content: bytes
    header_size: int
    staged: StagedMessage
    author: Path
    subject: str
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def header(self) -> bytes:
        return self.content[: self.header_size]


class Submitter:
    """Takes messages from users; one for a process."""

    def __init__(self, config: Config, store: Store, queue: Queue) -> None:
        self._config, self._store, self._queue = config, store, queue
        self._signer = Signer(config)

    async def submit(self, submission: Submission, staged: StagedMessage) -> list[int]:
        """Queue the message for its recipients; their ids in the queue. Durable on return. Raises SubmissionRefused."""
        try:
            return await self._submit(submission, staged)
        except SubmissionRefused as err:
            metrics.smtp_submissions.labels(err.reason).inc()
            raise

    async def _submit(self, submission: Submission, staged: StagedMessage) -> list[int]:
        message, needs_utf8 = await asyncio.to_thread(_read, submission, staged)
        refusal = may_send_as(self._config, submission.account, message.author)
        if refusal is not None:
            raise SubmissionRefused(refusal, "badfrom")
        addresses = [r.path.unicode() for r in submission.recipients]
        entry = self._config.domain(message.author.domain)
        if entry is None or entry.options.Disabled:
            raise SubmissionRefused(local_error("domain of the author is not available"), "badfrom")
        own_senders = self._senders(submission, entry)
        prefixes = await self._prefixes(submission, message, entry, needs_utf8)
        queued = self._records(submission, message, own_senders, prefixes, needs_utf8)
        await self._count(submission.account, addresses)
        ids = await self._add(submission, message, queued)
        metrics.smtp_submissions.labels("ok").inc()
        _logger.info("message submitted", account=submission.account, recipients=len(ids), ids=ids)
        return ids

    async def _count(self, name: str, addresses: list[str]) -> None:
        """Count the message against the limits of the account."""
        try:
            account = await self._store.open(name)
            await account.write(lambda tx: sending.take(tx, addresses, _now_ms()))
        except MessageLimit as err:
            text = f"account has reached its limit of {err.limit} messages in 24 hours"
            raise SubmissionRefused(Reply(451, "4.7.1", text), "messagelimiterror") from err
        except RecipientLimit as err:
            text = f"account has reached its limit of {err.limit} first-time recipients in 24 hours"
            raise SubmissionRefused(Reply(451, "4.7.1", text), "recipientlimiterror") from err

    def _senders(self, submission: Submission, entry: DomainEntry) -> list[tuple[Path, str]]:
        """(MAIL FROM, id) for each recipient: unique ones, for accounts that want to match bounces by them."""
        sender = submission.sender
        separator = senders.separator(self._config, submission.account, submission.login_address, entry.name.ascii)
        _, mark, own = sender.localpart.partition(separator) if separator else ("", "", "")
        if own and len(submission.recipients) > 1:
            raise SubmissionRefused(
                Reply(554, "5.5.3", "an own id in MAIL FROM is possible with one recipient only"), "queueerror"
            )
        if mark or sender.is_null:
            return [(sender, own)] * len(submission.recipients)
        return [senders.unique(sender, separator) for _ in submission.recipients]

    async def _prefixes(self, submission: Submission, message: _Message, entry: DomainEntry, needs_utf8: bool) -> bytes:
        """Lines before the message: trace, what was missing, signatures, who was authenticated."""
        now = datetime.now().astimezone()
        only = str(submission.recipients[0].path) if len(submission.recipients) == 1 else ""
        trace = submission.received(only, needs_utf8)
        missing, _ = message_content.missing_fields(message.header, submission.hostname, now)
        localpart = entry.canonical_localpart(message.author.localpart)
        signatures = await self._sign(entry, localpart, trace + missing + message.content)
        mail_from = AuthProperty("smtp", "mailfrom", str(submission.sender), is_address=True)
        results = AuthResults(submission.hostname, (AuthMethod("auth", "pass", properties=(mail_from,)),))
        return trace + missing + signatures + str(results).encode()

    async def _sign(self, entry: DomainEntry, localpart: str, content: bytes) -> bytes:
        """A message that cannot be signed is sent without: the failure is the administrator's to mend."""
        try:
            return await self._signer.sign(entry, content, localpart)
        except SigningError as err:
            metrics.smtp_errors.labels("dkimsign").inc()
            _logger.error("message is sent without signature", domain=entry.name.ascii, err=str(err))
            return b""

    def _records(
        self,
        submission: Submission,
        message: _Message,
        senders: list[tuple[Path, str]],
        prefix: bytes,
        needs_utf8: bool,
    ) -> list[NewMessage]:
        require_tls = submission.require_tls
        if require_tls is None:
            require_tls = message_content.tls_required(message.header)
        found = header_values(prefix + message.header, "Message-Id")
        return [
            NewMessage(
                _unicode(sender),
                _unicode(recipient.path),
                prefix,
                message_id=found[0].strip() if found else "",
                subject=message.subject,
                smtputf8=needs_utf8,
                from_id=from_id,
                next_ms=submission.release_ms,
                require_tls=require_tls,
                transport=submission.transport,
                future_release=submission.release_request,
                extra=message.extra,
                notify=recipient.notify,
                original_recipient=recipient.original,
                envelope_id=submission.envelope_id,
                return_full=submission.return_full,
                remote_ip=submission.remote_ip,
            )
            for (sender, from_id), recipient in zip(senders, submission.recipients, strict=True)
        ]

    async def _add(self, submission: Submission, message: _Message, queued: list[NewMessage]) -> list[int]:
        try:
            return await self._queue.add(submission.account, message.staged, queued)
        except FromIdError as err:
            raise SubmissionRefused(Reply(554, "5.1.7", "bad fromid in smtp mail from address"), "queueerror") from err
        except (OSError, apsw.Error) as err:
            _logger.error("queueing message", account=submission.account, err=str(err))
            is_full = isinstance(err, OSError) and err.errno in _NO_SPACE
            raise SubmissionRefused(storage_full() if is_full else local_error(), "queueerror") from err


def _read(submission: Submission, staged: StagedMessage) -> tuple[_Message, bool]:
    """Read and judge the message itself. Raises SubmissionRefused. For a thread: it parses."""
    if not staged.have_body:
        raise SubmissionRefused(Reply(554, "5.6.0", "message has no empty line after its header"), "badmessage")
    parsed, content = staged.parse(b""), staged.content()
    header = content[: parsed.header_size]
    try:
        found = message_content.author(parsed, header)
        extra = message_content.extras(header)
        private = message_content.private_fields(header)
    except ContentError as err:
        duplicate = "duplicate" in str(err)
        raise SubmissionRefused(Reply(554 if duplicate else 550, "5.6.0", str(err)), "badmessage") from err
    if private:
        content = message_content.without_fields(content, parsed.header_size, private)
        staged = stage_bytes(content)
        parsed = staged.parse(b"")
    paths = [r.path for r in submission.recipients]
    needs_utf8 = message_content.needs_utf8(submission.sender, paths, parsed)
    if submission.is_pedantic:
        _be_strict(submission, staged, content[: parsed.header_size], needs_utf8)
    return _Message(content, parsed.header_size, staged, found, parsed.subject, extra), needs_utf8


def _be_strict(submission: Submission, staged: StagedMessage, header: bytes, needs_utf8: bool) -> None:
    """What user agents do wrong and real mail survives. Raises SubmissionRefused."""
    if staged.has_8bit and not submission.said_8bit:
        raise SubmissionRefused(Reply(500, "5.6.0", "8-bit data needs BODY=8BITMIME"), "badmessage")
    if needs_utf8 and not submission.said_utf8:
        raise SubmissionRefused(Reply(550, "5.6.0", "the message needs SMTPUTF8"), "missingsmtputf8")
    if header_values(header, "Return-Path"):
        raise SubmissionRefused(Reply(550, "5.6.0", "Return-Path is not for submission"), "badheader")


def _unicode(path: Path) -> Path:
    """As the queue keeps addresses."""
    return Path(path.localpart, to_unicode(path.domain))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
