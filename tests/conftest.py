"""Fixtures for the whole suite."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.server_process import MoxProcess

# A time limit for each example fails on a busy machine; tests of time measure it themselves.
hypothesis.settings.register_profile("mox", deadline=None, max_examples=50)
# `make fuzz` takes this one.
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("mox")

# Tests wait for the disk many thousand times; a disk in memory answers at once.
_MEMORY = Path("/dev/shm")
_WANTED_BYTES = 2 << 30
if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _WANTED_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Over several processes, the files that take long come first, so that none is left alone with one at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("interop") is None)


@pytest.fixture
def mox(tmp_path: Path) -> Iterator[MoxProcess]:
    """A fresh localserve of this test alone."""
    server = MoxProcess(tmp_path / "mox").start()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.stop()


@pytest.fixture(scope="session")
def shared_mox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoxProcess]:
    """A localserve shared by tests that use mailboxes of their own."""
    server = MoxProcess(tmp_path_factory.mktemp("shared") / "mox").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def corpus() -> list[Path]:
    """All messages of the public MIME corpora; the test skips where they are absent."""
    files = sorted(p for p in DATA.glob("mime-*/**/*") if p.is_file() and p.suffix in {".txt", ".eml", ".raw", ".msg"})
    if not files:
        pytest.skip("shared/data is not here: no MIME corpora to test with")
    return files
