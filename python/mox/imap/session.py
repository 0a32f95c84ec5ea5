"""State of one IMAP connection: what is enabled and selected, its input and output.

What other sessions did is reported by `updates`; commands are in a module per family; `server` drives it all.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from mox._rust import CommandReader, Deflate, Inflate, MailboxIndex, SequenceSet, SessionView, quote_mailbox
from mox.imap.errors import BadError, CloseError, NoError
from mox.imap.filters import Notify
from mox.net.conn import Connection
from mox.store.account import Account
from mox.store.changes import Changes
from mox.store.reader import News
from mox.store.types import Mailbox, SpecialUse

T = TypeVar("T")

WRITE_TIMEOUT_S = 300.0
FIXED_FLAGS = "\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded $Junk $NotJunk $Phishing $MDNSent"
# Output is handed to the connection in pieces of about this size.
OUTPUT_BYTES = 1 << 16
_USES = {
    SpecialUse.ARCHIVE: "\\Archive",
    SpecialUse.DRAFT: "\\Drafts",
    SpecialUse.JUNK: "\\Junk",
    SpecialUse.SENT: "\\Sent",
    SpecialUse.TRASH: "\\Trash",
}


def special_use_names(use: SpecialUse) -> list[str]:
    """Attributes of RFC 6154."""
    return [name for flag, name in _USES.items() if use & flag]


def flag_list(mailbox: Mailbox) -> str:
    """The inside of a FLAGS response."""
    return " ".join([FIXED_FLAGS, *mailbox.keywords.split()])


class Session:
    """One connection. `account` is None before the log-in, `mailbox` when none is selected."""

    # There are thousands of them that do nothing.
    __slots__ = (
        "_deadline",
        "_deflate",
        "_inflate",
        "_kicked",
        "_out",
        "_out_bytes",
        "_waiting",
        "account",
        "account_name",
        "certificate",
        "changes",
        "conn",
        "ctx",
        "enabled",
        "failed_logins",
        "index",
        "is_current",
        "is_slow",
        "logged_out",
        "mailbox",
        "notify",
        "own_uids",
        "plain_allowed",
        "read_only",
        "reader",
        "said_uids",
        "saved",
        "tls",
        "uidnext",
        "user",
        "user_agent",
        "view",
    )

    def __init__(self, conn: Connection, ctx: Any, tls: Any, plain_allowed: bool) -> None:
        self.conn = conn
        self.ctx = ctx
        self.tls = tls
        self.plain_allowed = plain_allowed
        self.reader = CommandReader()
        self.enabled: set[str] = set()
        self.user = ""
        self.user_agent = ""
        # Who the client is by its TLS certificate, a `certificate.Identity`.
        self.certificate: Any = None
        self.failed_logins = 0
        self.is_slow = False
        self.account: Account | None = None
        self.account_name = ""
        self.changes: Changes | None = None
        self.notify: Notify | None = None
        self.logged_out = False
        # The account was looked at during this command; see `catch_up`.
        self.is_current = False
        self._waiting: asyncio.Task[Any] | None = None
        # When the client must have said something, while changes are waited for too.
        self._deadline: float | None = None
        self._kicked = ""
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._deflate: Deflate | None = None
        self._inflate: Inflate | None = None
        self._deselect()

    def _deselect(self) -> None:
        self.mailbox: Mailbox | None = None
        self.read_only = False
        self.view = SessionView([])
        self.index: MailboxIndex | None = None
        self.uidnext = 1
        # UIDs that this session's own APPENDs or REPLACE made, until these are answered; the client knows their flags.
        self.own_uids: set[int] = set()
        # Those of them that the answer which comes next says.
        self.said_uids: list[int] = []
        # Sorted UIDs of `$`; None when nothing was saved (RFC 5182).
        self.saved: list[int] | None = None

    # What is enabled

    @property
    def utf8(self) -> bool:
        """Names and strings are UTF-8."""
        return bool(self.enabled & {"IMAP4REV2", "UTF8=ACCEPT"})

    @property
    def rev2(self) -> bool:
        """IMAP4rev2 is enabled."""
        return "IMAP4REV2" in self.enabled

    @property
    def condstore(self) -> bool:
        """Modification sequences are shown (RFC 7162)."""
        return "CONDSTORE" in self.enabled

    @property
    def uid_only(self) -> bool:
        """Message sequence numbers are not used (RFC 9586)."""
        return "UIDONLY" in self.enabled

    @property
    def vanishes(self) -> bool:
        """Removals are reported with VANISHED."""
        return bool(self.enabled & {"QRESYNC", "UIDONLY"})

    def enable_condstore(self) -> None:
        """RFC 7162 §3.1: the first enabling command shows the selected mailbox's HIGHESTMODSEQ. Raises NoError."""
        if self.condstore:
            return
        self.enabled.add("CONDSTORE")
        if self.mailbox is not None:
            self.untagged(f"OK [HIGHESTMODSEQ {self.highest_modseq()}] after condstore-enabling command")

    def highest_modseq(self) -> int:
        """Of the selected mailbox. Raises NoError when it was deleted."""
        mailbox, _ = self.selected()
        current = self.opened().known(mailbox.id)
        if current is None:
            raise NoError("mailbox has been deleted", "NONEXISTENT")
        return max(1, current.modseq)

    # Output

    def write(self, data: bytes) -> None:
        """Queue octets until the next `flush`."""
        if data:
            self._out.append(data)
            self._out_bytes += len(data)

    def untagged(self, text: str) -> None:
        """Queue `* text`."""
        self.write(f"* {text}\r\n".encode())

    def name(self, name: str) -> str:
        """A mailbox name for the wire."""
        return quote_mailbox(name, self.utf8).decode()

    async def flush(self) -> None:
        """Send what is queued and let the client catch up. Raises ConnectionError, TimeoutError."""
        data = b"".join(self._out)
        self._out.clear()
        self._out_bytes = 0
        if data and self._deflate is not None:
            data = self._deflate.write(data, flush=True)
        if data and self.is_slow:
            await self._trickle(data)
        elif data:
            self.conn.write(data)
        await self.conn.drain(WRITE_TIMEOUT_S)

    async def _trickle(self, data: bytes) -> None:
        """To a client that fails to log in again and again."""
        for start in range(len(data)):
            self.conn.write(data[start : start + 1])
            await self.conn.drain(WRITE_TIMEOUT_S)
            await asyncio.sleep(self.ctx.delays.bad_client_s)

    async def flush_full(self) -> None:
        """Send what is queued when it is much: for long answers."""
        if self._out_bytes >= OUTPUT_BYTES:
            await self.flush()

    async def start_compression(self) -> None:
        """RFC 4978: everything after what is queued is compressed, both ways."""
        await self.flush()
        self._deflate, self._inflate = Deflate(), Inflate()
        self._feed(self.reader.drain())

    @property
    def is_compressed(self) -> bool:
        """COMPRESS is active."""
        return self._deflate is not None

    async def finish_output(self) -> None:
        """Send what is queued as the last, with the end of the compressed stream."""
        await self.flush()
        if self._deflate is not None:
            self.conn.write(self._deflate.finish())

    # Input

    def _feed(self, data: bytes) -> None:
        if self._inflate is not None:
            try:
                data = self._inflate.feed(data)
            except ValueError as err:
                raise CloseError(f"broken compressed data: {err}") from err
        self.reader.feed(data)

    async def receive(self, timeout_s: float, watch: bool = False) -> bool:
        """Get more input; False when `watch` and changes came before any. Raises ConnectionError at the end of the
        stream, TimeoutError, CloseError when the session was kicked out."""
        await self.flush()
        if self._kicked:
            raise CloseError(self._kicked)
        if self._inflate is not None and self._inflate.has_more:
            self._feed(b"")
            return True
        if watch and not await self._has_input(timeout_s):
            return False
        data = await self._interruptible(self.conn.read(timeout_s))
        if not data:
            raise ConnectionError("closed by peer")
        self._deadline = None
        self._feed(data)
        return True

    async def _has_input(self, timeout_s: float) -> bool:
        """Wait for input and for changes; whether there is input."""
        assert self.changes is not None
        loop = asyncio.get_running_loop()
        # Changes in between do not give the client more time.
        self._deadline = self._deadline or loop.time() + timeout_s
        self.changes.on_ready = self.conn.wake
        try:
            while not self.conn.has_input:
                if self.changes.is_ready:
                    return False
                await self._interruptible(self.conn.ready(max(0.0, self._deadline - loop.time())))
        finally:
            self.changes.on_ready = None
        return True

    async def _interruptible(self, work: Coroutine[Any, Any, T]) -> T:
        """A wait that `kick` ends. Raises CloseError then."""
        self._waiting = asyncio.current_task()
        try:
            return await work
        except asyncio.CancelledError:
            self._check_kicked()
            raise
        finally:
            self._waiting = None

    def _check_kicked(self) -> None:
        """A cancelled wait was ended by `kick`: the task goes on to say so."""
        if self._kicked and self._waiting is not None:
            self._waiting.uncancel()
            raise CloseError(self._kicked) from None

    def kick(self, text: str) -> None:
        """End the session as soon as it waits for input, with BYE and this text."""
        if not self._kicked and self._waiting is not None:
            self._waiting.cancel()
        self._kicked = text

    async def line(self, timeout_s: float) -> bytes:
        """A line that is no command."""
        self.reader.expect_line()
        while (event := self.reader.next()) is None:
            await self.receive(timeout_s)
        return expected_line(event)

    async def literal_piece(self, timeout_s: float) -> bytes:
        """Some octets of the message literal."""
        data = self.reader.take_literal(1 << 18)
        while not data:
            await self.receive(timeout_s)
            data = self.reader.take_literal(1 << 18)
        return data

    # Account and mailbox

    def opened(self) -> Account:
        """The account of an authenticated session."""
        assert self.account is not None
        return self.account

    def selected(self) -> tuple[Mailbox, MailboxIndex]:
        """The selected mailbox; the dispatcher made sure there is one."""
        assert self.mailbox is not None and self.index is not None
        return self.mailbox, self.index

    async def catch_up(self) -> None:
        """Know of everything that was committed before this command, by whatever process."""
        if not self.is_current:
            await self.opened().catch_up()
            self.is_current = True

    async def current(self) -> Mailbox:
        """The selected mailbox as it is now, in whatever process it was changed. Raises NoError when it was deleted."""
        mailbox, _ = self.selected()
        await self.catch_up()
        current = self.opened().known(mailbox.id)
        if current is None:
            raise NoError("mailbox has been deleted", "NONEXISTENT")
        return current

    def log_in(self, account: Account, name: str, user: str) -> None:
        """The client is who it claims to be."""
        self.account, self.account_name, self.user = account, name, user
        self.changes = account.subscribe()
        self.failed_logins, self.is_slow = 0, False

    def log_out(self) -> None:
        """Back to the state before the log-in (RFC 8437)."""
        self.unselect()
        if self.changes is not None:
            self.opened().unsubscribe(self.changes)
        self.account, self.account_name, self.user, self.changes = None, "", "", None
        self.enabled.clear()
        self.notify = None
        self.reader.set_utf8(False)

    def select(self, mailbox: Mailbox, index: MailboxIndex, read_only: bool) -> None:
        """A mailbox is selected; the index is given back by `unselect`."""
        self.mailbox, self.index, self.view = mailbox, index, index.new_view()
        self.read_only = read_only
        self.uidnext = max(mailbox.uidnext, self.view.max_uid + 1)
        self.saved = None

    def unselect(self) -> None:
        """No mailbox is selected any more."""
        if self.mailbox is not None:
            self.opened().release_index(self.mailbox.id)
        if self.notify is not None:
            self.notify.delayed.clear()
        self._deselect()

    def close(self) -> None:
        """Give everything back."""
        self.unselect()
        if self.changes is not None:
            self.opened().unsubscribe(self.changes)

    def uids(self, sequence: SequenceSet, is_uid: bool, clamp: bool = False) -> list[int]:
        """UIDs of a set, ascending. Raises BadError."""
        if sequence.is_saved:
            return self.view.known(self.saved or [])
        if not is_uid and self.uid_only:
            raise BadError("cannot use message sequence numbers with uidonly", "UIDREQUIRED")
        try:
            return self.view.resolve(sequence, is_uid, clamp)
        except ValueError as err:
            raise BadError(str(err)) from err

    def flag_items(self) -> list[str]:
        """What is reported of a message whose flags changed."""
        return ["FLAGS", "MODSEQ"] if self.condstore else ["FLAGS"]

    async def own(self, modseq: int | None) -> None:
        """An operation of this session made `modseq`: bring the index up to it, and do not report it as a change."""
        if modseq:
            assert self.changes is not None
            self.changes.own(modseq)
            await self.opened().sync()
            self.show_keywords()

    async def took_part(self, news: News) -> None:
        """Like `own`, for an operation that says itself what it changed."""
        assert self.changes is not None
        self.changes.own(news.last)
        await self.opened().take_in(news)

    def existing(self, uids: list[int]) -> list[int]:
        """Those of `uids` that were not removed."""
        _, index = self.selected()
        gone = set(index.removed(uids))
        return [uid for uid in uids if uid not in gone] if gone else uids

    def show_keywords(self) -> None:
        """Tell of keywords that are new in the selected mailbox."""
        current = self.opened().known(self.mailbox.id) if self.mailbox is not None else None
        if current is None or self.mailbox is None or current.keywords == self.mailbox.keywords:
            return
        self.mailbox = current
        if self.notify is None or self.notify.wants_flags():
            self.untagged(f"FLAGS ({flag_list(current)})")


def expected_line(event: tuple[Any, ...]) -> bytes:
    """The line of an event. Raises CloseError for any other."""
    if event[0] != "line":
        raise CloseError(event[1].text if event[0] == "error" else "expected a line")
    return bytes(event[1])
