"""Runs `mox localserve` as a child process on free ports, for tests that need the whole program."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.local_config import new_folder

REPO = Path(__file__).resolve().parent.parent
USER = "mox@localhost"
PASSWORD = "moxmoxmox"
DEFAULT_PORTS = {
    "smtp": 1025,
    "submission": 1587,
    "submissions": 1465,
    "imap": 1143,
    "imaps": 1993,
    "http": 1080,
    "https": 1443,
    "metrics": 1081,
}
# On a machine that does much else, which a failure to start must not be confused with.
START_TIMEOUT_S = 150.0
# Below the ports that the system gives to connections, which could take one before a server does.
_FIRST_PORT, _LAST_PORT = 10_000, 32_000
_MAX_TEST_PROCESSES = 16


def _own_ports() -> range:
    """The ports of this process of the test run: pytest-xdist's workers never take each other's."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _MAX_TEST_PROCESSES
    share = (_LAST_PORT - _FIRST_PORT) // _MAX_TEST_PROCESSES
    return range(_FIRST_PORT + worker * share, _FIRST_PORT + (worker + 1) * share)


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, all different."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_own_ports())
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def child_environment() -> dict[str, str]:
    """What our own programs start with: this tree, and its compiled modules kept, whatever the surroundings say."""
    environment = {**os.environ, "PYTHONPATH": str(REPO / "python")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(REPO / ".pytest_cache" / "modules")
    return environment


class MoxProcess:
    """A localserve in `folder`. The generated configuration is moved to free ports before the first start."""

    def __init__(self, folder: Path, workers: int = 1) -> None:
        self.folder = folder
        self.workers = workers
        self.ports = dict(zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS)), strict=True))
        self.log_path = folder.parent / f"{folder.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "mox.cli.main", *arguments]

    def env(self) -> dict[str, str]:
        return child_environment()

    def init(self) -> None:
        new_folder(self.folder)
        path = self.folder / "mox.conf"
        text = path.read_text()
        for service, port in DEFAULT_PORTS.items():
            text = re.sub(rf"\bPort: {port}\b", f"Port: {self.ports[service]}", text)
        path.write_text(text)

    def start(self, *extra: str) -> "MoxProcess":
        if not self.folder.exists():
            self.init()
        for _ in range(5):
            before = self.log_path.stat().st_size if self.log_path.exists() else 0
            self._launch(extra)
            try:
                self.wait_ready()
                return self
            except AssertionError:
                # A connection that another test left may hold a port for a moment; everything else is a failure.
                self.kill()
                if b"Address already in use" not in self.log_path.read_bytes()[before:]:
                    raise
        raise AssertionError(f"a port stays in use:\n{self.log()[-1000:]}")

    def _launch(self, extra: Sequence[str]) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command("localserve", "--dir", str(self.folder), "--workers", str(self.workers), *extra),
                env=self.env(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"localserve did not start:\n{self.log_path.read_text()[-4000:]}")
            # The control socket appears last, when everything listens.
            if (self.folder / "ctl").exists() and self.accepts("smtp") and self.accepts("imap"):
                return
            time.sleep(0.02)

    def accepts(self, service: str) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.ports[service]), timeout=2).close()
        except OSError:
            return False
        return True

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 60) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL for the whole process group: what a power cut leaves behind, but for the page cache."""
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")


def run(command: Sequence[str], timeout_s: float = 60, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a client program; its output is in the assertion when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done  # type: ignore[no-any-return]
