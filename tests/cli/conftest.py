"""A running localserve, and commands against it."""

import io
import sys
from collections.abc import Callable, Iterator

import pytest

from mox.cli.main import run
from tests.server_process import MoxProcess

Mox = Callable[..., str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoxProcess]:
    """A localserve of this module."""
    process = MoxProcess(tmp_path_factory.mktemp("cli") / "mox").start()
    yield process
    process.stop()


@pytest.fixture
def mox(server: MoxProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mox:
    """Run a command against the server; its output. `input` is its standard input."""

    def command(*words: str, input: str = "") -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(input.encode())))
        assert run(["-config", str(server.folder / "mox.conf"), *words]) == 0
        return capsys.readouterr().out

    return command
