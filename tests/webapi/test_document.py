"""docs/webapi.md is up to date, and its examples work."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mox.webapi.document import markdown
from tests.server_process import REPO, MoxProcess

DOCUMENT = REPO / "docs" / "webapi.md"


def test_document_is_generated() -> None:
    assert DOCUMENT.read_text() == markdown(), "run: python -m mox.webapi.document > docs/webapi.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)


EXAMPLES = [
    *((["bash", "-euc"], code) for code in blocks("sh")),
    *(([sys.executable, "-c"], code) for code in blocks("python")),
    *((["node", "--input-type=module", "-e"], code) for code in blocks("js")),
]


@pytest.mark.parametrize(("command", "code"), EXAMPLES, ids=["curl", "curl files", "python", "javascript"])
def test_examples(shared_mox: MoxProcess, tmp_path: Path, command: list[str], code: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    code = code.replace("http://localhost:1080/", f"http://localhost:{shared_mox.ports['http']}/")
    done = subprocess.run(
        [*command, code], capture_output=True, text=True, timeout=60, cwd=tmp_path, env=shared_mox.env()
    )
    assert done.returncode == 0, done.stderr
    assert "sent <" in done.stdout or '"QueueMsgID":' in done.stdout, done.stdout
