"""Reporting what other sessions did (RFC 9051 §5.2 and §7, RFC 7162, RFC 9586, and RFC 5465 where NOTIFY is used).

The caller decides when that is allowed. Changes are reported in the order they happened, joined where that says the
same in fewer lines.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mox._rust import quote_astring
from mox.imap import fetch
from mox.imap.filters import Group, Notify
from mox.imap.session import Session, special_use_names
from mox.store import mailboxes
from mox.store.changes import (
    AnnotationChanged,
    Change,
    FlagsChanged,
    MailboxChanged,
    MessageChange,
    MessagesAdded,
    MessagesRemoved,
    SubscriptionChanged,
)
from mox.store.types import Mailbox

MAX_DELAYED = 1000
OVERFLOW = "OK [NOTIFICATIONOVERFLOW] out of sync after too many pending changes"


async def apply_changes(session: Session, with_delayed: bool = True, catches_up: bool = True) -> None:
    """Report everything that is pending. `with_delayed` also what NOTIFY SELECTED-DELAYED holds back; unless
    `catches_up`, only what was read of the account so far."""
    if session.changes is None:
        return
    if catches_up:
        await session.catch_up()
    if session.changes.overflow:
        session.changes.take()
        if session.notify is not None:
            session.notify.delayed.clear()
        _silence(session, OVERFLOW)
        return
    changes = session.changes.take()
    names = await _names(session, changes)
    if session.notify is None:
        _report(session, changes, names)
    else:
        await _report_notify(session, session.notify, changes, names, with_delayed)


@dataclass(frozen=True, slots=True)
class _Names:
    """What LIST responses need to know."""

    existing: frozenset[str] = frozenset()
    subscribed: frozenset[str] = frozenset()


async def _names(session: Session, changes: list[Change]) -> _Names:
    if not any(isinstance(change, (MailboxChanged, SubscriptionChanged)) for change in changes):
        return _Names()
    return await session.opened().read(
        lambda tx: _Names(
            frozenset(box.name for box in mailboxes.list_mailboxes(tx)), frozenset(mailboxes.subscriptions(tx))
        )
    )


def _silence(session: Session, text: str) -> None:
    """Nothing more is reported. A client that never used NOTIFY hears again after its next SELECT."""
    session.untagged(text)
    session.notify = Notify([], until_select=session.notify is None or session.notify.until_select)


class _Batch:
    """Consecutive changes of messages of the selected mailbox, told together."""

    def __init__(self, session: Session, items: list[tuple[Any, ...]] | None = None) -> None:
        self._session = session
        self._items = items
        self._added: list[int] = []
        self._flagged: set[int] = set()

    def add(self, uids: Iterable[int]) -> None:
        self._added.extend(uids)

    def flag(self, uids: Iterable[int]) -> None:
        self._flagged.update(uids)

    async def fetch_items(self) -> None:
        """With NOTIFY's own FETCH items."""
        session = self._session
        new = sorted(self._added) if self._items is not None and self._grow() else []
        self._added = []
        self.flush()
        if new and self._items is not None:
            await fetch.notify_fetch(session, session.view.known(new), self._items)

    def _grow(self) -> int:
        session = self._session
        grown = session.view.append(sorted(self._added))
        if grown:
            session.uidnext = max(session.uidnext, session.view.max_uid + 1)
            session.untagged(f"{len(session.view)} EXISTS")
        return grown

    def flush(self) -> None:
        session = self._session
        if self._added and self._grow():
            self._flagged |= set(self._added) - session.own_uids
        if self._flagged and session.index is not None:
            uids = sorted(self._flagged)
            session.write(session.index.render_flags(session.view, uids, session.flag_items(), session.uid_only))
        self._added, self._flagged = [], set()

    def remove(self, uids: Sequence[int]) -> None:
        session = self._session
        if session.vanishes:
            # The client cannot know yet which of its messages has this UID: its APPEND is not answered.
            self._flagged |= session.own_uids.intersection(uids)
        self.flush()
        session.write(session.view.expunge(list(uids), session.vanishes))


def _report(session: Session, changes: list[Change], names: _Names) -> None:
    session.show_keywords()
    batch = _Batch(session)
    mailbox_id = session.mailbox.id if session.mailbox is not None else None
    for change in changes:
        match change:
            case MessagesAdded(mailbox_id=where, uids=uids) if where == mailbox_id:
                batch.add(uids)
            case FlagsChanged(mailbox_id=where, uids=uids) if where == mailbox_id:
                batch.flag(uids)
            case MessagesRemoved(mailbox_id=where, uids=uids) if where == mailbox_id:
                batch.remove(uids)
            case MailboxChanged():
                batch.flush()
                _mailbox_line(session, change, names, session.rev2)
            case SubscriptionChanged():
                _subscription_line(session, change, names)
            case AnnotationChanged() if "METADATA" in session.enabled:
                _annotation_line(session, change)
    batch.flush()


def _mailbox_line(session: Session, change: MailboxChanged, names: _Names, tells_all: bool) -> None:
    """LIST for a mailbox that came, went or was renamed; `tells_all` where the client knows what that means."""
    box = change.mailbox
    name = session.name(box.name)
    if box.expunged:
        if tells_all:
            session.untagged(f'LIST (\\NonExistent) "/" {name}')
    elif change.is_new or change.old_name:
        flags = ["\\Subscribed"] if box.name in names.subscribed else []
        old = f' ("OLDNAME" ({session.name(change.old_name)}))' if change.old_name and tells_all else ""
        session.untagged(f'LIST ({" ".join(flags + special_use_names(box.special_use))}) "/" {name}{old}')


def _subscription_line(session: Session, change: SubscriptionChanged, names: _Names) -> None:
    flags = [] if change.removed else ["\\Subscribed"]
    if change.name not in names.existing:
        flags.append("\\NonExistent")
    session.untagged(f'LIST ({" ".join(flags)}) "/" {session.name(change.name)}')


def _annotation_line(session: Session, change: AnnotationChanged) -> None:
    """METADATA without values (RFC 5464 §4.4.2)."""
    box = session.opened().known(change.mailbox_id) if change.mailbox_id else None
    if change.mailbox_id and box is None:
        return
    name = session.name(box.name) if box is not None else '""'
    session.untagged(f"METADATA {name} {quote_astring(change.name)}")


# NOTIFY


async def _report_notify(
    session: Session, notify: Notify, changes: list[Change], names: _Names, with_delayed: bool
) -> None:
    mailbox_id = session.mailbox.id if session.mailbox is not None else None
    here: list[MessageChange] = []
    others: list[Change] = []
    for change in changes:
        match change:
            case MessagesAdded() | FlagsChanged() | MessagesRemoved() if change.mailbox_id == mailbox_id:
                here.append(change)
            case _:
                others.append(change)
    if notify.delays:
        notify.delayed += here
        here = []
        if sum(len(change.uids) for change in notify.delayed) > MAX_DELAYED:
            notify.delayed.clear()
            _silence(session, f"{OVERFLOW} for selected mailbox")
            return
    if with_delayed:
        here, notify.delayed = notify.delayed + here, []
    await _report_selected(session, notify, here)
    _report_others(session, notify, others, names)


async def _report_selected(session: Session, notify: Notify, changes: Sequence[MessageChange]) -> None:
    """Without a group that wants them, changes are dropped and the view stays as it is."""
    session.show_keywords()
    new = notify.for_selected("MESSAGENEW")
    removes = notify.for_selected("MESSAGEEXPUNGE") is not None
    flags = notify.for_selected("FLAGCHANGE") is not None
    batch = _Batch(session, new.items if new is not None else None)
    for change in changes:
        match change:
            case MessagesAdded(uids=uids):
                batch.add(uids if new is not None else session.own_uids.intersection(uids))
            case FlagsChanged(uids=uids) if flags:
                batch.flag(uids)
            case MessagesRemoved(uids=uids) if removes:
                await _flush(batch, new)
                batch.remove(uids)
    await _flush(batch, new)


async def _flush(batch: _Batch, new: Group | None) -> None:
    if new is not None and new.items is not None:
        await batch.fetch_items()
    else:
        batch.flush()


def _report_others(session: Session, notify: Notify, changes: list[Change], names: _Names) -> None:
    counts: dict[int, bool] = {}
    for change in changes:
        match change:
            case MessagesAdded() | MessagesRemoved() | FlagsChanged():
                box = session.opened().known(change.mailbox_id)
                event = _EVENTS[type(change)]
                if box is not None and notify.for_other(event, box.name):
                    is_flags = isinstance(change, FlagsChanged)
                    counts[box.id] = counts.get(box.id, True) and is_flags
            case MailboxChanged() if notify.for_other("MAILBOXNAME", change.mailbox.name):
                _mailbox_line(session, change, names, tells_all=True)
            case SubscriptionChanged():
                wanted = notify.for_other("SUBSCRIPTIONCHANGE", change.name)
                notify.scope = notify.scope.subscription(change.name, change.removed)
                if wanted or notify.for_other("SUBSCRIPTIONCHANGE", change.name):
                    _subscription_line(session, change, names)
            case AnnotationChanged():
                _notify_annotation(session, notify, change)
    for mailbox_id, only_flags in counts.items():
        box = session.opened().known(mailbox_id)
        if box is not None:
            session.untagged(f"STATUS {session.name(box.name)} ({_counts(session, box, only_flags)})")


_EVENTS: dict[type, str] = {
    MessagesAdded: "MESSAGENEW",
    MessagesRemoved: "MESSAGEEXPUNGE",
    FlagsChanged: "FLAGCHANGE",
}


def _counts(session: Session, box: Mailbox, only_flags: bool) -> str:
    modseq = f" HIGHESTMODSEQ {max(1, box.modseq)}" if session.condstore else ""
    if only_flags:
        return f"{modseq[1:]} UIDVALIDITY {box.uidvalidity} UNSEEN {box.unseen}".strip()
    return f"UIDNEXT {box.uidnext} MESSAGES {box.messages}{modseq} UNSEEN {box.unseen}"


def _notify_annotation(session: Session, notify: Notify, change: AnnotationChanged) -> None:
    if not change.mailbox_id:
        wanted = any("SERVERMETADATACHANGE" in g.events for g in notify.groups)
    else:
        box = session.opened().known(change.mailbox_id)
        wanted = box is not None and notify.for_other("MAILBOXMETADATACHANGE", box.name)
    if wanted:
        _annotation_line(session, change)
