"""Taking over mail from mbox files, maildirs, and archives of both.

Messages are added in batches, each in one transaction, while the files of the next are written; a failure takes back
what was added. Where an import fails, mail that arrived meanwhile is not touched.
"""

import asyncio
import contextlib
import io
import itertools
import tarfile
import unicodedata
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mox._rust import stage_bytes
from mox.store import mailboxes, maildirs, mboxes, messages
from mox.store.account import Account, now_ms
from mox.store.engine import Tx
from mox.store.errors import BadArchive, BadName
from mox.store.maildirs import KEYWORDS_FILE
from mox.store.mboxes import Imported
from mox.store.messages import NewMessage
from mox.store.recipients import sent_ms

BATCH = 250
ARCHIVE_PARTS = ("new", "cur")

# Mailbox and message.
Source = Iterable[tuple[str, Imported]]


@dataclass
class Imports:
    """What an import did."""

    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    # (mailbox id, UIDs) in the order of adding, to be taken back after a failure.
    added: list[tuple[int, list[int]]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Messages imported."""
        return sum(self.counts.values())


async def import_messages(
    account: Account, source: Source, done: Imports, progress: Callable[[str, int], None] = lambda _name, _count: None
) -> None:
    """Add all messages, creating their mailboxes with subscriptions. `progress` is told of a mailbox's count after each
    batch; `done.problems` is the source's to fill. A failure, or being cancelled, takes back everything added. Raises
    OverQuota, BadName, NoUidsLeft, BadArchive, OSError."""
    try:
        async for name, batch in _batches(source):
            new = await asyncio.gather(*(_prepare(account, message) for message in batch))
            adding = asyncio.ensure_future(account.write(lambda tx, n=name, b=new: _add(tx, n, b)))  # type: ignore[misc]
            try:
                mailbox_id, added = await asyncio.shield(adding)
            except asyncio.CancelledError:
                # What runs comes to its end, and is taken back with the rest.
                mailbox_id, added = await adding
                done.added.append((mailbox_id, added.uids))
                raise
            except BaseException:
                await asyncio.shield(account.discard(*(message.blob_id for message in new)))
                raise
            done.added.append((mailbox_id, added.uids))
            done.counts[name] = done.counts.get(name, 0) + len(new)
            progress(name, done.counts[name])
    except BaseException:
        await asyncio.shield(_take_back(account, done))
        raise


async def _batches(source: Source) -> AsyncIterator[tuple[str, list[Imported]]]:
    """Up to BATCH messages of one mailbox at a time, read in a thread."""
    iterator = iter(source)
    batch: list[Imported] = []
    current = ""
    while True:
        chunk = await asyncio.to_thread(lambda: list(itertools.islice(iterator, BATCH)))
        for name, message in chunk:
            if batch and (name != current or len(batch) == BATCH):
                yield current, batch
                batch = []
            current = name
            batch.append(message)
        if not chunk:
            break
    if batch:
        yield current, batch


async def _prepare(account: Account, message: Imported) -> NewMessage:
    prepared = await account.prepare(stage_bytes(message.content))
    received_ms = message.received_ms if message.received_ms is not None else sent_ms(prepared.parsed.date, now_ms())
    return account.new_message(prepared, flags=message.flags, keywords=message.keywords, received_ms=received_ms)


def _add(tx: Tx, name: str, new: list[NewMessage]) -> tuple[int, messages.Added]:
    mailbox = mailboxes.find(tx, name)
    if mailbox is None:
        mailbox = mailboxes.ensure(tx, name, True)[-1]
    return mailbox.id, messages.add(tx, mailbox.id, new)


async def _take_back(account: Account, done: Imports) -> None:
    for mailbox_id, uids in reversed(done.added):
        await account.write(
            lambda tx, m=mailbox_id, u=uids: messages.expunge(tx, m, u, messages.MAX_UID, only_deleted=False)  # type: ignore[misc]
        )
    done.added.clear()
    done.counts.clear()


def mbox_source(file: BinaryIO, mailbox: str) -> Source:
    """All of an mbox file into one mailbox. Raises BadArchive while iterated."""
    return ((mailbox, message) for message in mboxes.read(file))


def maildir_source(folder: Path, mailbox: str, done: Imports) -> Source:
    """All of a maildir into one mailbox. Raises OSError while iterated."""
    return ((mailbox, message) for message in maildirs.read(folder, done.problems))


# Archives: `<mailbox>.mbox` and `<mailbox>/{new,cur}/<file>` in zip or gzipped tar.


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file of an archive."""

    path: PurePosixPath
    content: Callable[[], bytes]


def archive_source(path: Path, done: Imports, skip_prefix: str = "", mailbox_prefix: str = "") -> Source:
    """Mail of a .zip or .tgz file. Names start with `skip_prefix`, which is left out, and get `mailbox_prefix`. Files
    that are no mail are noted in `done.problems`. Raises BadArchive, also while iterated."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"PK\x03\x04":
        entries = _zip_entries
    elif magic[:2] == b"\x1f\x8b":
        entries = _tar_entries
    else:
        raise BadArchive("the file is neither a zip file nor a gzipped tar file")
    return _archive(lambda: entries(path), done, skip_prefix, mailbox_prefix)


def _archive(
    entries: Callable[[], Iterator[_Entry]], done: Imports, skip_prefix: str, mailbox_prefix: str
) -> Iterator[tuple[str, Imported]]:
    # Letters are explained in a file that may come after the messages: hence two passes.
    letters: dict[PurePosixPath, dict[str, str]] = {}
    for entry in entries():
        if entry.path.name == KEYWORDS_FILE:
            letters[entry.path.parent], bad = maildirs.parse_keywords(entry.content())
            done.problems += bad
    for entry in entries():
        folder = entry.path.parent
        if entry.path.suffix == ".mbox":
            name = _mailbox_name(str(entry.path.with_suffix("")), skip_prefix, mailbox_prefix)
            try:
                yield from ((name, message) for message in mboxes.read(io.BytesIO(entry.content())))
            except BadArchive as err:
                done.problems.append(f"{entry.path}: {err}")
        elif folder.name in ARCHIVE_PARTS and folder.parent.name:
            name = _mailbox_name(str(folder.parent), skip_prefix, mailbox_prefix)
            flags, words, received_ms = maildirs.parse_name(entry.path.name, letters.get(folder.parent, {}))
            yield name, Imported(maildirs.to_crlf(entry.content()), flags, words, received_ms)
        elif entry.path.name != KEYWORDS_FILE:
            done.problems.append(f"{entry.path}: neither a message nor an mbox file, skipped")


def _mailbox_name(name: str, skip_prefix: str, mailbox_prefix: str) -> str:
    name = unicodedata.normalize("NFC", name).strip("/")
    if skip_prefix:
        name = name.removeprefix(skip_prefix.strip("/")).strip("/")
    if mailbox_prefix:
        name = f"{mailbox_prefix.strip('/')}/{name}".strip("/")
    try:
        return mailboxes.check_name(name)
    except BadName as err:
        raise BadName(f"mailbox {name!r}: {err}") from err


def _zip_entries(path: Path) -> Iterator[_Entry]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield _Entry(PurePosixPath(info.filename), lambda i=info: archive.read(i))  # type: ignore[misc]
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError) as err:
        raise BadArchive(f"reading zip file: {err}") from err


def _tar_entries(path: Path) -> Iterator[_Entry]:
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                if member.isfile():
                    yield _Entry(PurePosixPath(member.name), lambda m=member: _tar_content(archive, m))  # type: ignore[misc]
    except (tarfile.TarError, EOFError, OSError) as err:
        raise BadArchive(f"reading tar file: {err}") from err


def _tar_content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    if file is None:
        return b""
    with contextlib.closing(file):
        return file.read()
