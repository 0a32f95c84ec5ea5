"""The data directory, looked at before anything in it is opened, so that a wrong one is explained in one line."""

import os
import tempfile
from pathlib import Path


class DataDirError(Exception):
    """The data directory cannot be used; the text says why and what to do."""


def check_data_dir(path: Path) -> None:
    """Make the directory if it is not there, and see that files in it can be listed and made. Raises DataDirError."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o770)
        os.listdir(path)
        for name in ("accounts", "queue", "tmp"):
            if (path / name).exists():
                os.listdir(path / name)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as err:
        raise DataDirError(
            f"data directory {path} cannot be used: {err.filename or path}: {err.strerror}; set DataDir in mox.conf, "
            "or give the directory to the user that mox runs as"
        ) from err
