"""Operations on a small installation, without a running server."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mox.admin.context import Admin, change_here
from mox.config.live import Config
from mox.net.bus import LocalBus
from mox.outbound.notices import AccountNotices
from mox.outbound.notifier import SenderNotifier
from mox.outbound.queue import Queue
from mox.outbound.surroundings import ConfigSurroundings
from mox.store.store import Store
from tests.config.conftest import config, edit, folder

__all__ = ["config", "edit", "folder"]

Unchanged = Callable[[], None]


@pytest.fixture
async def admin(config: Config) -> AsyncIterator[Admin]:
    """With a store and a queue of its own."""
    config.data_dir.mkdir()
    bus = LocalBus()
    surroundings = ConfigSurroundings(config)
    store, queue = Store(config.data_dir, bus), Queue(config.data_dir, bus, surroundings)
    notices = AccountNotices(config, store)
    notifier = SenderNotifier(queue, notices.store, "mail.example.org")
    yield Admin(config, store, queue, notifier, change_here(config))
    await queue.close()
    await store.close()


@pytest.fixture
def unchanged(folder: Path, admin: Admin) -> Unchanged:
    """Asserts that neither the file nor memory changed since the test began."""
    before = (folder / "domains.conf").read_text(), admin.config.dynamic

    def check() -> None:
        assert ((folder / "domains.conf").read_text(), admin.config.dynamic) == before

    return check
