"""Every dialog in transcripts/, over the real server."""

from pathlib import Path

import pytest

from tests.imap.harness import Server
from tests.imap.transcript import Player

FILES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=[p.stem for p in FILES])
async def test_dialog(server: Server, path: Path) -> None:
    await Player(server, path.name).play(path.read_text())  # noqa: ASYNC240 (a small file, before anything waits)
