"""Operations on mailboxes together with their messages. Functions take a transaction."""

from mox.store import annotations, mailboxes, messages
from mox.store.engine import Tx
from mox.store.types import Mailbox


def delete(tx: Tx, name: str) -> None:
    """Delete a leaf with its messages and annotations; the subscription stays. Raises NoSuchMailbox, HasChildren."""
    mailbox = mailboxes.get_by_name(tx, name)
    messages.expunge_mailbox(tx, mailbox.id)
    mailboxes.mark_deleted(tx, mailbox)


def rename_inbox(tx: Tx, name: str, save_ms: int) -> list[Mailbox]:
    """RFC 9051 §6.3.6: move all messages of Inbox to a new mailbox and copy the annotations; Inbox stays. The created
    mailboxes, parents first, which are not subscribed. Raises MailboxExists, TooManyAnnotations, AnnotationsTooBig."""
    inbox = mailboxes.get_by_name(tx, "Inbox")
    created = mailboxes.create(tx, name, subscribed=False)
    annotations.copy_all(tx, inbox.id, created[-1].id)
    uids = [row[0] for row in messages.hot_rows(tx, inbox.id)]
    messages.move(tx, inbox.id, uids, created[-1].id, save_ms)
    return created
