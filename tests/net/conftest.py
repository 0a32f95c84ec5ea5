"""Every test here runs on the production loop."""

from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], uvloop.Loop]]:
    """Hook of pytest-asyncio."""
    return {"uvloop": uvloop.new_event_loop}
