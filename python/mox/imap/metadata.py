"""GETMETADATA and SETMETADATA (RFC 5464), GETQUOTA and GETQUOTAROOT (RFC 9208)."""

import re
from collections.abc import Sequence

from mox._rust import Command, quote_astring, quote_string
from mox.imap.errors import BadError, NoError, store_errors
from mox.imap.mailboxes import checked
from mox.imap.session import Session
from mox.store import annotations, mailboxes, sync
from mox.store.annotations import Annotation
from mox.store.engine import Tx
from mox.store.errors import AnnotationsTooBig, TooManyAnnotations

_ENTRY = re.compile(r"(/[!-$&-)+-.0-~]+)+")
QUOTA_UNIT = 1024


def entry_value(annotation: Annotation | None, utf8: bool) -> bytes:
    """A value for the wire: NIL, a string, or for octets a literal8."""
    if annotation is None:
        return b"NIL"
    content = annotation.content
    if not annotation.is_string or b"\0" in content:
        return b"~{%d}\r\n%s" % (len(content), content)
    try:
        return quote_string(content.decode(), utf8)
    except UnicodeDecodeError:
        return b"{%d}\r\n%s" % (len(content), content)


def entries_text(pairs: Sequence[tuple[str, Annotation | None]], utf8: bool) -> bytes:
    """The inside of a METADATA response with values."""
    return b" ".join(quote_astring(name).encode() + b" " + entry_value(found, utf8) for name, found in pairs)


def checked_entry(name: str, setting: bool) -> str:
    """An entry name in lower case. Raises BadError, and NoError for one that cannot be set."""
    lower = name.lower()
    if not lower.isascii() or not _ENTRY.fullmatch(lower):
        raise BadError("entry names start with a slash, and have no empty components, * or %")
    if not setting:
        return lower
    parts = lower.split("/")
    if parts[1] not in ("private", "shared") or len(parts) < 3:
        raise NoError("entry names start with /private/ or /shared/")
    if parts[2] == "vendor" and len(parts) < 5:
        raise BadError("vendor entries have at least four components")
    return lower


async def _mailbox_id(session: Session, name: str) -> tuple[int, str]:
    """Id and name of a mailbox; 0 for the account itself. Raises NoError."""
    if not name:
        return 0, '""'
    name = checked(name)
    with store_errors(missing="TRYCREATE"):
        box = await session.opened().read(lambda tx: mailboxes.get_by_name(tx, name))
    return box.id, session.name(name)


def _is_wanted(name: str, entry: str, depth: int) -> bool:
    if name == entry:
        return True
    above = entry.rstrip("/") + "/"
    if depth == 0 or not name.startswith(above):
        return False
    return depth < 0 or "/" not in name[len(above) :]


async def get(session: Session, command: Command) -> str:
    """RFC 5464 §4.2"""
    mailbox, entries, max_size, depth = command.args
    wanted = [name.lower() if name in ("", "/") and depth else checked_entry(name, False) for name in entries]
    number, shown = await _mailbox_id(session, mailbox)
    found = await session.opened().read(lambda tx: annotations.list_annotations(tx, number))
    matching = [a for a in found if any(_is_wanted(a.name, entry, depth) for entry in wanted)]
    fitting = [a for a in matching if max_size is None or len(a.content) <= max_size]
    if fitting:
        text = entries_text([(a.name, a) for a in fitting], session.utf8)
        session.write(b"* METADATA %s (%s)\r\n" % (shown.encode(), text))
    if len(fitting) == len(matching):
        return ""
    longest = max(len(a.content) for a in matching)
    return f"[METADATA LONGENTRIES {longest}] getmetadata done"


async def set_(session: Session, command: Command) -> str:
    """RFC 5464 §4.3"""
    mailbox, entries = command.args
    changes = [(checked_entry(name, True), value, is_string) for name, value, is_string in entries]
    number, _ = await _mailbox_id(session, mailbox)

    def work(tx: Tx) -> int | None:
        if number:
            mailboxes.get(tx, number)
        annotations.set_annotations(tx, number, changes)
        return tx.made_modseq

    with store_errors(missing="TRYCREATE"):
        try:
            await session.own(await session.opened().write(work))
        except TooManyAnnotations as err:
            raise NoError(str(err), "METADATA TOOMANY") from err
        except AnnotationsTooBig as err:
            raise NoError(str(err), f"METADATA MAXSIZE {annotations.MAX_OCTETS}") from err
    return ""


# Quota


async def _quota_line(session: Session) -> None:
    used, limit = await session.opened().read(sync.disk_usage)
    if limit > 0:
        session.untagged(f'QUOTA "" (STORAGE {-(-used // QUOTA_UNIT)} {-(-limit // QUOTA_UNIT)})')


async def quota_root(session: Session, command: Command) -> str:
    """RFC 9208 §4.3.3; the mailbox need not exist."""
    session.untagged(f'QUOTAROOT {session.name(checked(command.args[0]))} ""')
    await _quota_line(session)
    return ""


async def quota(session: Session, command: Command) -> str:
    """RFC 9208 §4.3.2"""
    if command.args[0]:
        raise NoError("no such quota root")
    await _quota_line(session)
    return ""
