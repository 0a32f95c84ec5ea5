"""Writing mailboxes out, as maildirs or mbox files, into a directory, a tar, tgz or zip archive, or one mbox file.

Nothing here is in a transaction for longer than a batch: what changes during an export may or may not be in it.
"""

import asyncio
import io
import tarfile
import tempfile
import time
import zipfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mox.store import mailboxes, mboxes
from mox.store.account import Account, now_ms
from mox.store.engine import Tx
from mox.store.errors import ExportError, NoSuchMailbox
from mox.store.maildirs import KEYWORDS_FILE, Letters, to_lf
from mox.store.mboxes import Imported

BATCH = 200
ERRORS_FILE = "errors.txt"
SELECTION = "Export"


class Archiver(ABC):
    """Where exported files go. Methods block and may raise OSError; `received_ms` becomes the time of the file."""

    @abstractmethod
    def add_directory(self, name: str) -> None:
        """A directory, also when nothing will be in it."""

    @abstractmethod
    def add_file(self, name: str, content: bytes, received_ms: int) -> None:
        """A file whose content fits in memory."""

    @abstractmethod
    def add_from(self, name: str, file: BinaryIO, size: int, received_ms: int) -> None:
        """A file of this size, read from where `file` stands."""

    @abstractmethod
    def close(self) -> None:
        """Everything was added."""


class DirectoryArchiver(Archiver):
    """Files below a directory, which is made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, name: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add_directory(self, name: str) -> None:
        """See Archiver."""
        (self._folder / name).mkdir(parents=True, exist_ok=True)

    def add_file(self, name: str, content: bytes, received_ms: int) -> None:
        """See Archiver. Raises FileExistsError."""
        with self._path(name).open("xb") as file:
            file.write(content)

    def add_from(self, name: str, file: BinaryIO, size: int, received_ms: int) -> None:
        """See Archiver. Raises FileExistsError."""
        with self._path(name).open("xb") as target:
            while piece := file.read(1 << 20):
                target.write(piece)

    def close(self) -> None:
        """See Archiver."""


class TarArchiver(Archiver):
    """A tar file, or a tgz with `compress`, written as it is made, so `out` need not be seekable."""

    def __init__(self, out: BinaryIO, compress: bool = False) -> None:
        self._tar = tarfile.open(fileobj=out, mode="w|gz" if compress else "w|", format=tarfile.PAX_FORMAT)

    def _info(self, name: str, received_ms: int, size: int = 0) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.mtime, info.size, info.mode = received_ms // 1000, size, 0o600
        return info

    def add_directory(self, name: str) -> None:
        """See Archiver."""
        info = self._info(name, now_ms())
        info.type, info.mode = tarfile.DIRTYPE, 0o700
        self._tar.addfile(info)

    def add_file(self, name: str, content: bytes, received_ms: int) -> None:
        """See Archiver."""
        self.add_from(name, io.BytesIO(content), len(content), received_ms)

    def add_from(self, name: str, file: BinaryIO, size: int, received_ms: int) -> None:
        """See Archiver."""
        self._tar.addfile(self._info(name, received_ms, size), file)

    def close(self) -> None:
        """See Archiver."""
        self._tar.close()


class ZipArchiver(Archiver):
    """A zip file with deflate; `out` need not be seekable."""

    def __init__(self, out: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED)

    def _info(self, name: str, received_ms: int) -> zipfile.ZipInfo:
        # The format knows 1980 to 2107.
        date = min(max(time.gmtime(received_ms // 1000)[:6], (1980, 1, 1, 0, 0, 0)), (2107, 12, 31, 23, 59, 58))
        info = zipfile.ZipInfo(name, date)
        info.compress_type = zipfile.ZIP_DEFLATED
        return info

    def add_directory(self, name: str) -> None:
        """See Archiver."""
        self._zip.writestr(self._info(name.rstrip("/") + "/", now_ms()), b"")

    def add_file(self, name: str, content: bytes, received_ms: int) -> None:
        """See Archiver."""
        self._zip.writestr(self._info(name, received_ms), content)

    def add_from(self, name: str, file: BinaryIO, size: int, received_ms: int) -> None:
        """See Archiver."""
        info = self._info(name, received_ms)
        info.file_size = size
        with self._zip.open(info, "w") as target:
            while piece := file.read(1 << 20):
                target.write(piece)

    def close(self) -> None:
        """See Archiver."""
        self._zip.close()


class MboxArchiver(Archiver):
    """The one mbox file of a single mailbox, without an archive around it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def add_directory(self, name: str) -> None:
        """An mbox file has none."""

    def add_file(self, name: str, content: bytes, received_ms: int) -> None:
        """There is no place for a second file: raises ExportError with what `errors.txt` would have said."""
        raise ExportError(content.decode())

    def add_from(self, name: str, file: BinaryIO, size: int, received_ms: int) -> None:
        """See Archiver."""
        while piece := file.read(1 << 20):
            self._out.write(piece)

    def close(self) -> None:
        """See Archiver."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to export: everything, a mailbox (with those below it), or messages by id."""

    mailbox: str = ""
    recursive: bool = False
    message_ids: Sequence[int] | None = None


async def export(account: Account, archiver: Archiver, selection: Selection, maildir: bool) -> list[str]:
    """Write the selection in maildir or mbox format and close the archiver; what could not be read, which `errors.txt`
    in the archive tells too. Raises NoSuchMailbox, ExportError, OSError."""
    errors: list[str] = []
    if selection.message_ids is not None:
        await _export_one(account, archiver, SELECTION, _selected(account, selection.message_ids, errors), maildir)
    else:
        for mailbox_id, name in await account.read(lambda tx: _mailboxes(tx, selection)):
            await _export_one(account, archiver, name, _all_of(account, mailbox_id, errors), maildir)
    if errors:
        text = "".join(f"{line}\n" for line in errors).encode()
        await asyncio.to_thread(archiver.add_file, ERRORS_FILE, text, now_ms())
    await asyncio.to_thread(archiver.close)
    return errors


def _mailboxes(tx: Tx, selection: Selection) -> list[tuple[int, str]]:
    """(id, name in the archive), by name. The path above the selected mailbox is left out."""
    boxes = [(m.id, m.name) for m in mailboxes.list_mailboxes(tx)]
    wanted = selection.mailbox
    if wanted:
        boxes = [(i, n) for i, n in boxes if n == wanted or (selection.recursive and n.startswith(wanted + "/"))]
        if not any(name == wanted for _, name in boxes):
            raise NoSuchMailbox(f"no such mailbox {wanted!r}")
        above = wanted.rpartition("/")[0]
        boxes = [(i, n[len(above) + 1 :] if above else n) for i, n in boxes]
    return sorted(boxes, key=lambda box: box[1])


# A message to write: its id, MAIL FROM, and content.
Found = tuple[int, str, Imported]
_COLUMNS = "h.message_id, c.mail_from, h.flags, h.keywords, h.received_ms, h.size, c.prefix, c.blob_id"


async def _all_of(account: Account, mailbox_id: int, errors: list[str]) -> AsyncIterator[Found]:
    """Messages of a mailbox by time of receipt and id."""
    after = (-(2**62), 0)
    while True:
        rows = await account.read(
            lambda tx, a=after: tx.run(  # type: ignore[misc]
                f"SELECT {_COLUMNS} FROM message h JOIN message_cold c USING (account_id, message_id) "
                "WHERE h.account_id = ?1 AND h.mailbox_id = ?2 AND h.received_ms >= ?3 "
                "AND (h.received_ms > ?3 OR h.message_id > ?4) ORDER BY h.received_ms, h.message_id LIMIT ?5",
                tx.account_id,
                mailbox_id,
                *a,
                BATCH,
            )
        )
        for found in await asyncio.to_thread(_read, account, rows, errors):
            yield found
        if len(rows) < BATCH:
            return
        after = (rows[-1][4], rows[-1][0])


async def _selected(account: Account, message_ids: Sequence[int], errors: list[str]) -> AsyncIterator[Found]:
    """Messages by id, those that are there."""
    sql = (
        f"SELECT {_COLUMNS} FROM message h JOIN message_cold c USING (account_id, message_id) "
        "WHERE h.account_id = ? AND h.message_id = ?"
    )
    for start in range(0, len(message_ids), BATCH):
        some = message_ids[start : start + BATCH]
        rows = await account.read(
            lambda tx, some=some: [row for i in some for row in tx.run(sql, tx.account_id, i)]  # type: ignore[misc]
        )
        for found in await asyncio.to_thread(_read, account, rows, errors):
            yield found


def _read(account: Account, rows: Sequence[tuple[object, ...]], errors: list[str]) -> list[Found]:
    found: list[Found] = []
    for message_id, mail_from, flags, keywords, received_ms, size, prefix, blob_id in rows:
        try:
            content = bytes(prefix) + Path(account.blob_path(blob_id)).read_bytes()  # type: ignore[call-overload,arg-type]
        except OSError as err:
            errors.append(f"message {message_id}: {err}")
            continue
        if len(content) != size:
            errors.append(f"message {message_id}: size is {len(content)}, should be {size}")
        words = frozenset(str(keywords).split())
        message = Imported(content, int(flags), words, int(received_ms))  # type: ignore[call-overload]
        found.append((int(message_id), str(mail_from), message))  # type: ignore[call-overload]
    return found


async def _export_one(
    account: Account, archiver: Archiver, name: str, found: AsyncIterator[Found], maildir: bool
) -> None:
    if maildir:
        await _export_maildir(archiver, name, found)
    else:
        await _export_mbox(archiver, name, found)


async def _export_maildir(archiver: Archiver, name: str, found: AsyncIterator[Found]) -> None:
    for part in ("new", "cur", "tmp"):
        await asyncio.to_thread(archiver.add_directory, f"{name}/{part}")
    letters = Letters([])
    async for message_id, _, message in found:
        path = f"{name}/{letters.name(message, message_id)}"
        await asyncio.to_thread(archiver.add_file, path, to_lf(message.content), message.received_ms or 0)
    if letters.words:
        await asyncio.to_thread(archiver.add_file, f"{name}/{KEYWORDS_FILE}", letters.file(), now_ms())


async def _export_mbox(archiver: Archiver, name: str, found: AsyncIterator[Found]) -> None:
    # Archives want a size before the content.
    with tempfile.TemporaryFile() as file:
        async for _, mail_from, message in found:
            await asyncio.to_thread(file.write, mboxes.render(message, mail_from))
        size = file.tell()
        file.seek(0)
        await asyncio.to_thread(archiver.add_from, f"{name}.mbox", file, size, now_ms())


def file_name(selection: Selection, maildir: bool, archive: str, clock: Callable[[], float] = time.time) -> str:
    """A name for a download; `archive` is "", "tar", "tgz" or "zip"."""
    if selection.message_ids is not None:
        what = "-selection"
    elif selection.mailbox:
        what = "-" + selection.mailbox.replace("/", "-")
    else:
        what = "-all"
    when = time.strftime("%Y%m%d-%H%M%S", time.localtime(clock()))
    kind = "maildir" if maildir else "mbox"
    return f"mailexport{what}-{when}.{kind}" + (f".{archive}" if archive else "")
