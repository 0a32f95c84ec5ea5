"""A consistent copy of configuration and data while the server runs.

Databases are copied as one snapshot each. Message files never change, so they are linked, or copied on another file
system: before and after the snapshot of the database that names them, so that none which it names is missing, whatever
is delivered or removed meanwhile. Files that came later are harmless: the store removes files without a message.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw

from mox import __version__

DATA, CONFIG = "data", "config"
VERSION_FILE = "moxversion"
# Temporary, or part of a database and in its snapshot.
_SKIPPED_NAMES = frozenset({"ctl", "tmp", "lock"})
_SKIPPED_SUFFIXES = ("-wal", "-shm", "-journal")
_DIRECTORY_MODE = 0o770
_FILE_MODE = 0o660


class BackupError(Exception):
    """The backup is not complete; what went wrong was reported."""


@dataclass(slots=True)
class Backup:
    """One backup. `report` gets a line for each warning and error, and for each step if `is_verbose`."""

    config_dir: Path
    data_dir: Path
    destination: Path
    report: Callable[[str], None]
    is_verbose: bool = False
    errors: int = 0
    _has_link_warning: bool = False

    def run(self) -> None:
        """Make it. Nothing is overwritten. Blocks for long. Raises BackupError at the end when there were errors."""
        for folder in (self.destination, self.destination / CONFIG, self.destination / DATA):
            if folder.exists() and folder != self.destination:
                self.report(f"warning: {folder} exists already; files in it are not replaced")
            try:
                folder.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            except OSError as err:
                self._error(f"making {folder}", err)
        self._copy_config()
        self._attempt("writing version", lambda: self._create(self._data(VERSION_FILE), f"{__version__}\n".encode()))
        for unit in self._units():
            self._copy_unit(unit)
        if self.errors:
            raise BackupError("errors were encountered during backup")

    def _error(self, what: str, err: Exception) -> None:
        self.errors += 1
        self.report(f"error: {what}: {err}")

    def _attempt(self, what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, apsw.Error, shutil.Error) as err:
            self._error(what, err)

    def _data(self, name: str) -> Path:
        return self.destination / DATA / name

    @staticmethod
    def _create(path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)

    # Configuration

    def _copy_config(self) -> None:
        for source in self._config_files(self.config_dir):
            target = self.destination / CONFIG / source.relative_to(self.config_dir)
            self._attempt(f"copying {source}", lambda s=source, t=target: self._copy_with_mode(s, t))  # type: ignore[misc]

    def _config_files(self, folder: Path) -> Iterator[Path]:
        is_shared = self.config_dir == self.data_dir
        for path in sorted(folder.iterdir()):
            if path in (self.destination, self.data_dir) or (is_shared and self._is_data(path)):
                continue
            yield path
            if path.is_dir() and not path.is_symlink():
                yield from self._config_files(path)

    @staticmethod
    def _is_data(path: Path) -> bool:
        """In a directory that holds both, as that of localserve does."""
        name = path.name
        return name in _SKIPPED_NAMES or name in ("accounts", "queue") or name.split("-")[0].endswith(".db")

    def _copy_with_mode(self, source: Path, target: Path) -> None:
        mode = source.lstat().st_mode
        if stat.S_ISLNK(mode):
            target.symlink_to(source.readlink())
        elif stat.S_ISDIR(mode):
            target.mkdir(exist_ok=True)
            target.chmod(stat.S_IMODE(mode))
        elif stat.S_ISREG(mode):
            self._create(target, source.read_bytes())
            target.chmod(stat.S_IMODE(mode))
        else:
            self.report(f"warning: {source} is neither file nor directory and left out")

    # Data

    def _units(self) -> Iterator[Path]:
        """Directories with a database and the files that it names: each account, the queue, and what is left."""
        accounts = self.data_dir / "accounts"
        if accounts.is_dir():
            yield from sorted(path for path in accounts.iterdir() if path.is_dir())
        yield from sorted(
            path
            for path in self.data_dir.iterdir()
            if path.is_dir() and path.name not in _SKIPPED_NAMES and path != accounts
        )
        yield self.data_dir

    def _copy_unit(self, unit: Path) -> None:
        if self.is_verbose:
            self.report(f"backing up {unit}")
        is_rest = unit == self.data_dir
        files = self._files(unit, is_rest)
        self._attempt(f"listing {unit}", lambda: self._copy_all(path for path in files if not self._is_database(path)))
        databases = [path for path in self._files(unit, is_rest) if self._is_database(path)]
        for database in databases:
            self._attempt(f"copying database {database}", lambda d=database: self._copy_database(d))  # type: ignore[misc]
        if databases and not is_rest:
            self._copy_all(path for path in self._files(unit, is_rest) if not self._is_database(path))

    @staticmethod
    def _is_database(path: Path) -> bool:
        return path.suffix == ".db"

    def _files(self, folder: Path, is_flat: bool) -> Iterator[Path]:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = Path(entry.path)
            if entry.name in _SKIPPED_NAMES or entry.name.endswith(_SKIPPED_SUFFIXES) or path == self.destination:
                continue
            if entry.is_dir(follow_symlinks=False):
                if not is_flat:
                    yield from self._files(path, False)
            elif entry.is_file(follow_symlinks=False) and not (is_flat and self._is_config(path)):
                yield path

    def _is_config(self, path: Path) -> bool:
        return self.config_dir == self.data_dir and not self._is_data(path) and path.name != "receivedid.key"

    def _copy_all(self, files: Iterator[Path]) -> None:
        for source in files:
            target = self._target(source)
            if not target.exists():
                self._attempt(f"copying {source}", lambda s=source, t=target: self._link(s, t))  # type: ignore[misc]

    def _target(self, source: Path) -> Path:
        target = self.destination / DATA / source.relative_to(self.data_dir)
        target.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        return target

    def _link(self, source: Path, target: Path) -> None:
        try:
            os.link(source, target)
            return
        except FileNotFoundError:
            # Removed since it was listed: no snapshot that is made from now on names it.
            return
        except OSError as err:
            if not self._has_link_warning:
                self._has_link_warning = True
                self.report(
                    f"warning: copying files, for they cannot be linked: {err.strerror}; a destination below "
                    f"{self.data_dir / 'tmp'} takes no space for them"
                )
        try:
            self._create(target, source.read_bytes())
        except FileNotFoundError:
            return

    def _copy_database(self, source: Path) -> None:
        target = self._target(source)
        if target.exists():
            raise FileExistsError(f"{target} exists")
        reader = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            writer = apsw.Connection(str(target))
            try:
                with writer.backup("main", reader, "main") as copy:
                    # All pages in one step: one snapshot, and writers go on.
                    copy.step(-1)
            finally:
                writer.close()
        finally:
            reader.close()
        target.chmod(_FILE_MODE)
