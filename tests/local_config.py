"""Directories as `mox localserve` makes them; keys and password hashes are made once in a run."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from mox.config import localserve
from mox.config.live import Config


@functools.cache
def _template() -> Path:
    base = tempfile.mkdtemp(prefix="mox-localserve-")
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    localserve.ensure(Path(base) / "mox", "127.0.0.1")
    return Path(base) / "mox"


def new_folder(folder: Path) -> Path:
    """Make the directory `folder`, for 127.0.0.1."""
    return Path(shutil.copytree(_template(), folder))


def new_config(folder: Path) -> Config:
    """Make the directory `folder` if there is none, and load its configuration."""
    return Config.load((folder if folder.exists() else new_folder(folder)) / "mox.conf")
