"""Fixtures of the store's tests: an account on disk, and messages for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mox.net.bus import LocalBus
from mox.store.store import Store
from tests.store.helpers import Box


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store in a fresh folder."""
    async with Store(tmp_path, LocalBus()).closing() as opened:
        yield opened


@pytest.fixture
async def box(store: Store) -> AsyncIterator[Box]:
    """An account that restricts nothing. Its records are verified at the end."""
    box = Box(await store.open("mjl"))
    yield box
    assert await box.problems() == []
