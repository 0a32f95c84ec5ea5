"""The pages in a real browser: their scripts run under their Content-Security-Policy."""

import shutil
import subprocess

import pytest

from tests.server_process import MoxProcess

pytestmark = pytest.mark.interop


def test_script_runs(shared_mox: MoxProcess, tmp_path_factory: pytest.TempPathFactory) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    profile = tmp_path_factory.mktemp("chromium")
    url = f"http://localhost:{shared_mox.ports['http']}/webapi/v0/Send"
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'data-ready="yes"' in done.stdout
