"""What other sessions must be told, and the queue that each session keeps of it (DESIGN section 4)."""

from collections.abc import Callable
from dataclasses import dataclass

from mox.store.types import Mailbox

MAX_QUEUED = 10_000
# UIDs of one change that weigh as much as another change.
UIDS_AS_ONE = 100


@dataclass(frozen=True, slots=True)
class MessagesAdded:
    """New messages; UIDs ascending."""

    modseq: int
    mailbox_id: int
    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FlagsChanged:
    """Flags or keywords of messages changed; UIDs ascending. There are none when no session of this process
    has the mailbox open."""

    modseq: int
    mailbox_id: int
    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MessagesRemoved:
    """Messages were expunged; UIDs ascending."""

    modseq: int
    mailbox_id: int
    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MailboxChanged:
    """A mailbox was added, renamed (`old_name`), or removed (`mailbox.expunged`), or has new keywords or another
    special use."""

    modseq: int
    mailbox: Mailbox
    is_new: bool = False
    old_name: str = ""
    new_keywords: bool = False
    new_use: bool = False


@dataclass(frozen=True, slots=True)
class CountsChanged:
    """A mailbox has other counts. Only the last state of what was read together is told; it comes after the changes of
    messages that led to it."""

    modseq: int
    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class SubscriptionChanged:
    """A name was subscribed or unsubscribed."""

    modseq: int
    name: str
    removed: bool


@dataclass(frozen=True, slots=True)
class AnnotationChanged:
    """An annotation was set or removed; mailbox id 0 is the account."""

    modseq: int
    mailbox_id: int
    name: str


@dataclass(frozen=True, slots=True)
class ThreadChanged:
    """A message was muted or collapsed, or the opposite, or hung under a parent that arrived later. The modseq is that
    of the operation; the message keeps its own."""

    modseq: int
    message_id: int
    thread_id: int
    muted: bool
    collapsed: bool


MessageChange = MessagesAdded | FlagsChanged | MessagesRemoved
Change = MessageChange | MailboxChanged | CountsChanged | SubscriptionChanged | AnnotationChanged | ThreadChanged


def _weight(change: Change) -> int:
    """What counts towards the limit: a change of many messages together takes the room of their UIDs only, which all
    sessions share."""
    uids = getattr(change, "uids", ())
    return 1 + len(uids) // UIDS_AS_ONE


class Changes:
    """The changes one session has not handled yet. Used on the loop only."""

    # There is one for every session, and thousands of them do nothing.
    __slots__ = ("_limit", "_own", "_queue", "_read_to", "_weight", "is_ready", "on_ready", "overflow", "position")

    def __init__(self, modseq: int, limit: int = MAX_QUEUED) -> None:
        # Everything up to here was taken by the session; its own operations are left out.
        self.position = modseq
        self.overflow = False
        # There is something to take; then `on_ready` is called.
        self.is_ready = False
        self.on_ready: Callable[[], None] | None = None
        self._limit = limit
        self._queue: list[Change] = []
        self._weight = 0
        self._own: set[int] = set()
        self._read_to = modseq

    def own(self, modseq: int) -> None:
        """The session made this modseq itself and knows what changed."""
        self._own.add(modseq)

    def put(self, changes: list[Change], modseq: int) -> None:
        """Called by the change reader; `modseq` is what it has read up to."""
        # A session that changes much and takes nothing must not fall over its own changes.
        changes = [c for c in changes if c.modseq not in self._own]
        self._weight += sum(map(_weight, changes))
        if self._weight > self._limit:
            self._queue = [c for c in self._queue if c.modseq not in self._own]
            self._weight = sum(map(_weight, self._queue)) + sum(map(_weight, changes))
        if self._weight > self._limit:
            self.overflow = True
            self._queue.clear()
            self._weight = 0
        elif not self.overflow:
            self._queue += changes
        self._read_to = modseq
        if self._queue or self.overflow:
            self.is_ready = True
            if self.on_ready is not None:
                self.on_ready()
        else:
            self.position = modseq

    def is_own(self, modseq: int) -> bool:
        """The session made this modseq itself."""
        return modseq in self._own

    def take(self) -> list[Change]:
        """All queued changes of others, in order; nothing, and `overflow` is over, when there were too many."""
        self.overflow = False
        changes = [c for c in self._queue if c.modseq not in self._own]
        self._queue.clear()
        self._weight = 0
        self.is_ready = False
        self.position = max(self.position, self._read_to)
        self._own = {m for m in self._own if m > self.position}
        return changes
