"""Fixtures of the store's tests: an account on disk, and messages for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mox.net.bus import LocalBus
from mox.store.policy import NO_POLICY, Policy
from mox.store.store import Store
from tests.store.helpers import ACCOUNT, Box


@pytest.fixture
def rules() -> dict[str, Policy]:
    """The policies of accounts, to be filled by a test."""
    return {}


@pytest.fixture
async def store(tmp_path: Path, rules: dict[str, Policy]) -> AsyncIterator[Store]:
    """A store in a fresh folder."""
    async with Store(tmp_path, LocalBus(), lambda name: rules.get(name, NO_POLICY)).closing() as opened:
        yield opened


@pytest.fixture
async def box(store: Store) -> AsyncIterator[Box]:
    """An account that restricts nothing. Its records are verified at the end."""
    box = Box(await store.open(ACCOUNT))
    yield box
    assert await box.problems() == []
