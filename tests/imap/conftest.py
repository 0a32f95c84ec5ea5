"""A fresh server for each test; keys, accounts and password hashes are made once."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.imap.harness import Server, make_folder, running


@pytest.fixture(scope="session")
def imap_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imap") / "mox"
    asyncio.run(make_folder(folder))
    return folder


@pytest_asyncio.fixture
async def server(imap_template: Path, tmp_path: Path) -> AsyncIterator[Server]:
    folder = tmp_path / "mox"
    shutil.copytree(imap_template, folder)
    async with running(folder) as found:
        yield found
