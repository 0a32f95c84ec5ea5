"""State of one IMAP connection, its responses, and the changes of others that it must report."""

from collections.abc import Iterable
from typing import Any

from mox._rust import CommandReader, MailboxIndex, SequenceSet, SessionView, quote_mailbox
from mox.net.conn import Connection
from mox.store.account import Account
from mox.store.changes import (
    Changes,
    FlagsChanged,
    MailboxChanged,
    MessageAdded,
    MessagesRemoved,
    SubscriptionChanged,
)
from mox.store.types import Mailbox, SpecialUse

WRITE_TIMEOUT_S = 300.0
FIXED_FLAGS = "\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded $Junk $NotJunk $Phishing $MDNSent"
_USES = {
    SpecialUse.ARCHIVE: "\\Archive",
    SpecialUse.DRAFT: "\\Drafts",
    SpecialUse.JUNK: "\\Junk",
    SpecialUse.SENT: "\\Sent",
    SpecialUse.TRASH: "\\Trash",
}


class NoError(Exception):
    """Answered with NO."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class BadError(NoError):
    """Answered with BAD."""


class CloseError(Exception):
    """The connection ends; the text is said with BYE."""


def special_use_names(use: SpecialUse) -> list[str]:
    """Attributes of RFC 6154."""
    return [name for flag, name in _USES.items() if use & flag]


class Session:
    """One connection. `account` is None before the log-in, `mailbox` when none is selected."""

    def __init__(self, conn: Connection, ctx: Any, tls: Any, plain_allowed: bool) -> None:
        self.conn = conn
        self.ctx = ctx
        self.tls = tls
        self.plain_allowed = plain_allowed
        self.reader = CommandReader()
        self.enabled: set[str] = set()
        self.user = ""
        self.failed_logins = 0
        self.account: Account | None = None
        self.account_name = ""
        self.changes: Changes | None = None
        self.mailbox: Mailbox | None = None
        self.read_only = False
        self.view = SessionView([])
        self.index: MailboxIndex | None = None
        self.saved: list[int] = []
        self.logged_out = False

    # Output

    @property
    def utf8(self) -> bool:
        """Names and strings are UTF-8."""
        return bool(self.enabled & {"IMAP4REV2", "UTF8=ACCEPT"})

    @property
    def rev2(self) -> bool:
        """IMAP4rev2 is enabled."""
        return "IMAP4REV2" in self.enabled

    def untagged(self, text: str) -> None:
        """Queue `* text`."""
        self.conn.write(f"* {text}\r\n".encode())

    def name(self, name: str) -> str:
        """A mailbox name for the wire."""
        return quote_mailbox(name, self.utf8).decode()

    async def flush(self) -> None:
        """Let the client catch up."""
        await self.conn.drain(WRITE_TIMEOUT_S)

    # Input outside of commands

    async def line(self, timeout_s: float) -> bytes:
        """A line that is no command."""
        self.reader.expect_line()
        while (event := self.reader.next()) is None:
            await self.flush()
            self.reader.feed(await self._read(timeout_s))
        if event[0] != "line":
            raise CloseError(str(event[3]) if event[0] == "error" else "expected a line")
        return bytes(event[1])

    async def _read(self, timeout_s: float) -> bytes:
        data = await self.conn.read(timeout_s)
        if not data:
            raise ConnectionError("closed by peer")
        return data

    async def next_event(self, timeout_s: float) -> tuple[Any, ...]:
        """The next event of the reader."""
        while (event := self.reader.next()) is None:
            await self.flush()
            self.reader.feed(await self._read(timeout_s))
        return event

    async def literal_piece(self, timeout_s: float) -> bytes:
        """Some octets of the message literal."""
        data = self.reader.take_literal(1 << 18)
        while not data:
            self.reader.feed(await self._read(timeout_s))
            data = self.reader.take_literal(1 << 18)
        return data

    # The selected mailbox

    def opened(self) -> Account:
        """The account of an authenticated session."""
        assert self.account is not None
        return self.account

    def selected(self) -> tuple[Mailbox, MailboxIndex]:
        """The selected mailbox; the dispatcher made sure there is one."""
        assert self.mailbox is not None and self.index is not None
        return self.mailbox, self.index

    def log_in(self, account: Account, name: str, user: str) -> None:
        """The client is who it claims to be."""
        self.account, self.account_name, self.user = account, name, user
        self.changes = account.subscribe()

    def unselect(self) -> None:
        """No mailbox is selected any more."""
        if self.mailbox is not None:
            self.opened().release_index(self.mailbox.id)
        self.mailbox, self.index, self.view = None, None, SessionView([])

    def close(self) -> None:
        """Give everything back."""
        self.unselect()
        if self.changes is not None:
            self.opened().unsubscribe(self.changes)

    def uids(self, sequence: SequenceSet, is_uid: bool) -> list[int]:
        """UIDs of a set, ascending. Raises BadError."""
        if sequence.is_saved:
            return [uid for uid in self.saved if self.view.seq(uid) is not None]
        try:
            return self.view.resolve(sequence, is_uid)
        except ValueError as err:
            raise BadError(str(err)) from err

    def flag_items(self) -> list[str]:
        """What is reported of a message whose flags changed."""
        return ["FLAGS", "MODSEQ"] if "CONDSTORE" in self.enabled else ["FLAGS"]

    async def enable_condstore(self) -> None:
        """RFC 7162 §3.1: once, with the selected mailbox's HIGHESTMODSEQ."""
        if "CONDSTORE" in self.enabled:
            return
        self.enabled.add("CONDSTORE")

    async def own(self, modseq: int | None) -> None:
        """An operation of this session made `modseq`: bring the index up to it, and do not report it as a change."""
        if modseq:
            assert self.changes is not None
            self.changes.own(modseq)
            await self.opened().sync()

    # Changes of others

    async def apply_changes(self) -> None:
        """Report everything that is pending. Raises CloseError after an overflow."""
        if self.changes is None:
            return
        await self.opened().catch_up()
        if self.changes.overflow:
            raise CloseError("too many pending changes, please reconnect")
        self._report(self.changes.take())

    def _report(self, changes: list[Any]) -> None:
        added: list[int] = []
        flagged: set[int] = set()
        for change in changes:
            mine = self.mailbox is not None and getattr(change, "mailbox_id", None) == self.mailbox.id
            match change:
                case MessageAdded(uid=uid) if mine:
                    added.append(uid)
                case FlagsChanged(uid=uid) if mine:
                    flagged.add(uid)
                case MessagesRemoved(uids=uids) if mine:
                    self._report_messages(added, flagged)
                    added, flagged = [], set()
                    self.conn.write(self.view.expunge(uids))
                case MailboxChanged():
                    self._report_mailbox(change)
                case SubscriptionChanged():
                    self._report_subscription(change)
        self._report_messages(added, flagged)

    def _report_messages(self, added: list[int], flagged: set[int]) -> None:
        if self.index is None:
            return
        if added and self.view.append(sorted(added)):
            self.untagged(f"{len(self.view)} EXISTS")
            flagged = flagged | set(added)
        if flagged:
            self.conn.write(self.index.render_flags(self.view, sorted(flagged), self.flag_items()))

    def _report_mailbox(self, change: MailboxChanged) -> None:
        box = change.mailbox
        name = self.name(box.name)
        if box.expunged:
            if self.rev2:
                self.untagged(f'LIST (\\NonExistent) "/" {name}')
        elif change.is_new:
            self.untagged(f'LIST () "/" {name}')
        elif change.old_name:
            old = f' ("OLDNAME" ({self.name(change.old_name)}))' if self.rev2 else ""
            self.untagged(f'LIST () "/" {name}{old}')
        if change.new_keywords and self.mailbox is not None and self.mailbox.id == box.id:
            self.untagged(f"FLAGS ({flag_list(box)})")

    def _report_subscription(self, change: SubscriptionChanged) -> None:
        flags = "" if change.removed else "\\Subscribed"
        self.untagged(f'LIST ({flags}) "/" {self.name(change.name)}')

    async def wait_for_changes(self) -> None:
        """Return when there may be something to report."""
        assert self.changes is not None
        await self.changes.wait()

    def add_own_messages(self, uids: Iterable[int]) -> None:
        """Messages that this session put into its selected mailbox."""
        if self.view.append(sorted(uids)):
            self.untagged(f"{len(self.view)} EXISTS")


def flag_list(mailbox: Mailbox) -> str:
    """For FLAGS."""
    return " ".join([FIXED_FLAGS, *mailbox.keywords.split()])
