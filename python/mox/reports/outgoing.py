"""What sending TLS and DMARC reports have in common: who signs, to whom, runs of which one process takes each."""

import asyncio
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from mox import log, metrics
from mox._rust import stage_bytes
from mox.config.live import Config
from mox.config.tables import DomainEntry
from mox.mailauth.canon import BytesBody
from mox.mailauth.dkim import SignError, sign
from mox.message.addresses import ascii_domain
from mox.message.compose import Header, NamedAddress, Part, format_date, message, new_message_id, now
from mox.outbound.queue import Queue
from mox.outbound.records import NewMessage, now_ms
from mox.outbound.signing import Signer, SigningError
from mox.smtp.address import AddressError, Path, parse_mailbox
from mox.store.engine import Tx

MAX_ATTEMPTS = 5
MAX_SPACING_S = 300.0
_RUNS_KEPT_MS = 7 * 86_400_000

Sleep = Callable[[float], Awaitable[None]]

_logger = log.get("reports")


@dataclass(frozen=True, slots=True)
class Letter:
    """A report to be sent, composed but for the fields of every message."""

    subject: str
    fields: tuple[tuple[str, str], ...]
    content: Part
    is_tls: bool


def take_run(tx: Tx, name: str) -> bool:
    """True for the one process that is to do a run."""
    taken = now_ms()
    tx.run("DELETE FROM runs WHERE taken_ms < ?", taken - _RUNS_KEPT_MS)
    if tx.one("SELECT 1 FROM runs WHERE name = ?", name) is not None:
        return False
    tx.run("INSERT INTO runs (name, taken_ms) VALUES (?, ?)", name, taken)
    return True


def mailto_address(uri: str) -> str | None:
    """The address of a mailto URI (RFC 6068), None for other schemes and for what is none."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "mailto":
        return None
    text = urllib.parse.unquote(rest.partition("?")[0])
    try:
        return parse_mailbox(text).unicode()
    except AddressError:
        return None


def spacing_s(total_s: float, count: int) -> float:
    """The pause between `count` reports that may take `total_s`."""
    return min(MAX_SPACING_S, total_s / count) if count else 0.0


class ReportMailer:
    """Puts reports into the queue."""

    def __init__(self, config: Config, queue: Queue) -> None:
        self._config, self._queue = config, queue
        self._signer = Signer(config)

    @property
    def hostname(self) -> str:
        """Our name."""
        return self._config.static.Hostname

    def signing_domain(self) -> DomainEntry | None:
        """The configured domain that is our hostname or the nearest above it, if it can sign."""
        entry = self._signer.signing_domain(self.hostname)
        return entry if entry is not None and entry.options.DKIM.Sign else None

    async def send(self, letter: Letter, sender: str, addresses: Sequence[str], signer: DomainEntry | None) -> int:
        """Queue a report for each address; how many were. The sender's domain is in ASCII."""
        smtputf8 = any(not address.rpartition("@")[0].isascii() for address in addresses)
        header = Header(smtputf8)
        header.addresses("From", [NamedAddress("", sender)])
        header.addresses("To", [NamedAddress("", address) for address in addresses])
        header.subject(letter.subject)
        for name, value in letter.fields:
            header.add(name, value)
        message_id = new_message_id(ascii_domain(self.hostname))
        header.add("Message-Id", message_id)
        header.add("Date", format_date(now()))
        header.add("User-Agent", "mox")
        content = message(header, letter.content)
        prefix = await self._sign(content, signer, [name for name, _ in letter.fields])
        sent = 0
        if letter.is_tls:
            queued, errors = metrics.tls_reports_queued, metrics.tls_report_errors
        else:
            queued, errors = metrics.dmarc_reports_queued, metrics.dmarc_report_errors
        for address in addresses:
            new = NewMessage(
                sender=_path(sender),
                recipient=_path(address),
                prefix=prefix,
                message_id=message_id,
                subject=letter.subject,
                smtputf8=smtputf8,
                max_attempts=MAX_ATTEMPTS,
                # A report about broken TLS has to get through broken TLS. RFC 8460 §3
                require_tls=False if letter.is_tls else None,
                is_tls_report=letter.is_tls,
                is_dmarc_report=not letter.is_tls,
            )
            staged = await asyncio.to_thread(stage_bytes, content)
            try:
                await self._queue.add(self._config.static.Postmaster.Account, staged, [new])
            except OSError as err:
                errors.inc()
                _logger.error("queueing a report", address=address, err=str(err))
            else:
                queued.inc()
                sent += 1
        return sent

    async def _sign(self, content: bytes, signer: DomainEntry | None, names: Sequence[str]) -> bytes:
        """DKIM-Signature fields, over the fields `names` too. RFC 8460 §5.3"""
        if signer is None:
            return b""
        header, separator, body = content.partition(b"\r\n\r\n")
        try:
            selectors = [replace(s, headers=(*s.headers, *names)) for s in await self._signer.selectors(signer)]
            return await sign(header + separator, BytesBody(body), signer.name, selectors)
        except (SigningError, SignError) as err:
            _logger.error("signing a report", err=str(err))
            return b""


def _path(address: str) -> Path:
    return parse_mailbox(address)
