"""The folder of an account, and who uses it: processes hold it by a shared file lock, which ends with them."""

import fcntl
import os
from pathlib import Path

from mox._rust import fsync_dir


class AccountFolder:
    """`accounts/<name>`. Methods block; they may be called in any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def hold(self) -> None:
        """Keep others from removing the folder; returns when nobody removes it. Raises OSError."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        except OSError:
            os.close(descriptor)
            raise
        self._lock = descriptor

    def release(self) -> None:
        """Nobody in this process uses the folder any more."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def retire(self, target: Path) -> bool:
        """Move the folder away durably, unless a process holds it. Whether it is gone. Raises OSError."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(self.path, target)
            fsync_dir(str(target.parent))
            fsync_dir(str(self.path.parent))
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True
