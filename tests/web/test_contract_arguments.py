"""The contract suite takes a server, a user and a password: so it is run against others than ours (docs/webapi.md)."""

import subprocess
import sys

from tests.server_process import PASSWORD, REPO, USER, MoxProcess


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/web/contract/test_suppression.py"]
    return subprocess.run([*command, *options], cwd=REPO, capture_output=True, text=True, timeout=120)


def test_server_user_and_password_are_arguments(shared_mox: MoxProcess) -> None:
    server = ("--webapi-url", f"http://localhost:{shared_mox.ports['http']}/webapi/", "--webapi-user", USER)
    good = run(*server, "--webapi-password", PASSWORD)
    assert good.returncode == 0, good.stdout
    # It was that server: with a wrong password it lets nobody in.
    wrong = run(*server, "--webapi-password", "wrong", "-x")
    assert wrong.returncode != 0 and "401" in wrong.stdout
