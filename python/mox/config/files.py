"""Reading and replacing the configuration files."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from mox.config import sconf
from mox.config.checking import ConfigError

if sys.platform != "win32":
    import fcntl

T = TypeVar("T", bound=msgspec.Struct)


def read_text(path: Path) -> str:
    """The text of a configuration file. Raises ConfigError."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError as err:
        hint = "" if "MOXCONF" in os.environ else "; name the configuration with --config, or in $MOXCONF"
        raise ConfigError(f"reading {path}: {err.strerror}{hint}") from err
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"reading {path}: {err}") from err


def parse_text(kind: type[T], text: str, path: Path) -> T:
    """A configuration file of this text. Raises ConfigError."""
    try:
        return sconf.parse(kind, text, str(path))
    except sconf.SconfError as err:
        raise ConfigError(str(err)) from err


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Only one process at a time gets in; `path` is a file that is never replaced. Blocks."""
    with path.open("rb") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def replace_file(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write a file so that after a crash either the old or the new content is there. Owner and mode stay those of
    the old file; `mode` is for a new one. Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        temporary.unlink()
    old = path.stat() if mode is None or path.exists() else None
    wanted = old.st_mode & 0o777 if old is not None else mode or 0o660
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, wanted)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if old is not None and sys.platform != "win32":
                _keep_owner(file.fileno(), old)
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def _keep_owner(descriptor: int, old: os.stat_result) -> None:
    # Only root can give a file away; anyone else is its owner or replaces it in a shared directory.
    with suppress(PermissionError):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & 0o777)


def create_file(path: Path, data: bytes, mode: int = 0o660) -> None:
    """Write a new file durably. Raises FileExistsError, OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise


def sync_directory(path: Path) -> None:
    """Make new names in a directory durable."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
