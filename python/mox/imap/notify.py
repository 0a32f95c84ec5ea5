"""IDLE and NOTIFY (RFC 9051 §6.3.13, RFC 5465): being told without asking."""

from mox._rust import Command
from mox.imap import filters
from mox.imap.errors import CloseError
from mox.imap.listing import status_text
from mox.imap.mailboxes import checked
from mox.imap.search import scope_of
from mox.imap.session import Session, expected_line
from mox.imap.updates import apply_changes

IDLE_TIMEOUT_S = 1800.0


async def idle(session: Session, _command: Command) -> str:
    """RFC 9051 §6.3.13"""
    session.write(b"+ waiting\r\n")
    await apply_changes(session)
    session.reader.expect_line()
    while (event := session.reader.next()) is None:
        if not await session.receive(IDLE_TIMEOUT_S, watch=True):
            await apply_changes(session, with_delayed=False)
    if expected_line(event).upper() != b"DONE":
        raise CloseError("expected DONE")
    return ""


async def notify(session: Session, command: Command) -> str:
    """RFC 5465 §3.1"""
    groups, status = command.args
    if groups is None:
        await apply_changes(session)
        session.notify = filters.Notify([])
        return ""
    parsed = filters.parse_groups(groups, checked)
    # What the former configuration held back is told by its rules.
    await apply_changes(session)
    boxes, scope = await scope_of(session)
    configured = filters.Notify(parsed, scope)
    if status:
        await apply_changes(session)
        items = ["MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", *(["HIGHESTMODSEQ"] if session.condstore else [])]
        selected_id = session.mailbox.id if session.mailbox is not None else None
        for box in sorted(boxes, key=lambda box: box.name):
            current = session.opened().known(box.id)
            if current is not None and box.id != selected_id and configured.for_other("MESSAGENEW", box.name):
                session.untagged(f"STATUS {session.name(box.name)} ({status_text(current, items)})")
    session.notify = configured
    return ""
