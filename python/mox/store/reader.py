"""Turns what changed in the database into the changes that sessions are told, and keeps mailbox indexes current."""

from dataclasses import dataclass, field
from typing import Any

from mox._rust import MailboxIndex
from mox.store import annotations, deferred, mailboxes, messages, threads
from mox.store.changes import (
    AnnotationChanged,
    Change,
    CountsChanged,
    FlagsChanged,
    MailboxChanged,
    MessagesAdded,
    MessagesRemoved,
    SubscriptionChanged,
    ThreadChanged,
)
from mox.store.deferred import FlagChange, MessageExpunge
from mox.store.engine import Tx
from mox.store.types import Mailbox


@dataclass(frozen=True, slots=True)
class News:
    """Rows of one snapshot that changed after a modseq, up to `last`; `flagged`, `expunged` and `added` are of deferred
    operations. Or one such operation of this process: then there are no rows."""

    last: int
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    boxes: list[Mailbox] = field(default_factory=list)
    subscribed: list[tuple[str, int, bool]] = field(default_factory=list)
    annotated: list[tuple[int, str, int]] = field(default_factory=list)
    threaded: list[tuple[int, int, int, bool, bool]] = field(default_factory=list)
    flagged: list[FlagChange] = field(default_factory=list)
    expunged: list[MessageExpunge] = field(default_factory=list)
    added: list[MessagesAdded] = field(default_factory=list)


def last_modseq(tx: Tx) -> int:
    """Where the account stands."""
    row = tx.one("SELECT last_modseq FROM sync_state WHERE account_id = ?", tx.account_id)
    return int(row[0]) if row is not None else 0


def read_news(tx: Tx, after: int) -> News:
    """What changed after modseq `after`."""
    last = last_modseq(tx)
    if last <= after:
        return News(last)
    return News(
        last,
        messages.changed_rows(tx, after),
        mailboxes.changed_mailboxes(tx, after),
        mailboxes.changed_subscriptions(tx, after),
        annotations.changed_annotations(tx, after),
        threads.changed_threads(tx, after),
        deferred.flag_changes(tx, after),
        deferred.expunges(tx, after),
        added=[copy.added for copy in deferred.copies(tx, after)],
    )


class Reader:
    """What a process knows of an account. For the loop's thread."""

    def __init__(self) -> None:
        self.position = 0
        self.known: dict[int, Mailbox] = {}
        self.indexes: dict[int, MailboxIndex] = {}

    def restart(self, last: int, boxes: list[Mailbox]) -> None:
        """Start from a snapshot."""
        self.position = last
        self.known = {box.id: box for box in boxes}

    def follows(self, news: News) -> bool:
        """These news of an operation are all that happened since the last ones, and tell all that is to be known."""
        return self.position == news.last - 1 and not self.needs_rows(news)

    def needs_rows(self, news: News) -> bool:
        """There are new messages for an index, which wants their rows."""
        return any(added.mailbox_id in self.indexes for added in news.added)

    def apply(self, news: News) -> list[Change]:
        """Take news in; the changes, in order: new and renamed mailboxes come before changes of messages with the same
        modseq, removed mailboxes and counts after them."""
        before, after = self._mailbox_changes(news.boxes)
        changes: list[Change] = [*before, *self._message_changes(news.rows), *news.added]
        changes += map(self._flag_change, news.flagged)
        changes += map(self._expunge, news.expunged)
        changes += after
        changes += [SubscriptionChanged(modseq, name, gone) for name, modseq, gone in news.subscribed]
        changes += [AnnotationChanged(modseq, mailbox_id, name) for mailbox_id, name, modseq in news.annotated]
        changes += [ThreadChanged(*row) for row in news.threaded]
        changes.sort(key=lambda c: c.modseq)
        self.position = news.last
        return changes

    def _mailbox_changes(self, boxes: list[Mailbox]) -> tuple[list[Change], list[Change]]:
        before: list[Change] = []
        after: list[Change] = []
        # Of mailboxes renamed together, children come first.
        for box in sorted(boxes, key=lambda b: (b.modseq, -b.name.count("/") if b.id in self.known else b.id)):
            old = self.known.get(box.id)
            if box.expunged:
                if self.known.pop(box.id, None) is not None:
                    after.append(MailboxChanged(box.modseq, box))
                continue
            self.known[box.id] = box
            if old is None:
                before.append(MailboxChanged(box.create_seq, box, is_new=True))
            else:
                before += _mailbox_change(old, box)
            if old is None or old.counts != box.counts:
                after.append(CountsChanged(box.modseq, box))
        return before, after

    def _message_changes(self, rows: list[tuple[Any, ...]]) -> list[Change]:
        added: dict[tuple[int, int], list[int]] = {}
        flagged: dict[tuple[int, int], list[int]] = {}
        removed: dict[tuple[int, int], list[int]] = {}
        updated: dict[int, list[Any]] = {}
        for row in rows:
            mailbox_id, create_seq, expunged, uid, _, _, modseq = row[:7]
            if expunged:
                # One that came and went since the last look was never told of; an index that was loaded since has it.
                if create_seq <= self.position:
                    removed.setdefault((modseq, mailbox_id), []).append(uid)
                elif mailbox_id in self.indexes:
                    self.indexes[mailbox_id].remove([uid])
                continue
            updated.setdefault(mailbox_id, []).append(row[3:])
            is_new = create_seq > self.position
            if is_new:
                added.setdefault((create_seq, mailbox_id), []).append(uid)
            if not is_new or modseq > create_seq:
                flagged.setdefault((modseq, mailbox_id), []).append(uid)
        for mailbox_id, hots in updated.items():
            if mailbox_id in self.indexes:
                self.indexes[mailbox_id].upsert(hots)
        changes: list[Change] = [MessagesAdded(*key, tuple(sorted(uids))) for key, uids in added.items()]
        changes += [FlagsChanged(*key, tuple(uids)) for key, uids in flagged.items()]
        changes += [self._removal(MessagesRemoved(*key, tuple(uids))) for key, uids in removed.items()]
        return changes

    def _flag_change(self, done: FlagChange) -> FlagsChanged:
        index = self.indexes.get(done.mailbox_id)
        uids = done.apply(index) if index is not None else ()
        return FlagsChanged(done.modseq, done.mailbox_id, tuple(uids))

    def _expunge(self, done: MessageExpunge) -> MessagesRemoved:
        index = self.indexes.get(done.mailbox_id)
        uids = done.apply(index) if index is not None else ()
        return MessagesRemoved(done.modseq, done.mailbox_id, tuple(uids))

    def _removal(self, removal: MessagesRemoved) -> MessagesRemoved:
        if removal.mailbox_id in self.indexes:
            self.indexes[removal.mailbox_id].remove(removal.uids)
        return removal


def _mailbox_change(old: Mailbox, box: Mailbox) -> list[Change]:
    renamed, worded = old.name != box.name, old.keywords != box.keywords
    special = old.special_use != box.special_use
    if not (renamed or worded or special):
        return []
    return [MailboxChanged(box.modseq, box, False, old.name if renamed else "", worded, special)]
