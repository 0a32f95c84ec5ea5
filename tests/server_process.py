"""Runs `mox localserve` as a child process on free ports, for tests that need the whole program."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
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
# How often tests of crashes kill a server; more finds what is rarer.
CRASH_ROUNDS = int(os.environ.get("MOX_CRASH_ROUNDS", "20"))
# Below the ports that the system gives to connections, which could take one before a server does.
_FIRST_PORT, _LAST_PORT = 10_000, 32_000
_given: set[int] = set()


def _own_ports() -> range:
    """The ports of this process of the test run: pytest-xdist's workers never take each other's."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return range(_FIRST_PORT + worker, _LAST_PORT, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, and that nobody in this process got before."""
    found: list[int] = []
    if len(_given) > len(_own_ports()) // 2:
        _given.clear()
    while len(found) < count:
        port = random.choice(_own_ports())
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            found.append(port)
    return found


def _new_ports() -> dict[str, int]:
    return dict(zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS)), strict=True))


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
        self.ports = _new_ports()
        self.log_path = folder.parent / f"{folder.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._has_run = False

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "mox.cli.main", *arguments]

    def env(self) -> dict[str, str]:
        return child_environment()

    def init(self) -> None:
        new_folder(self.folder)
        self._move(DEFAULT_PORTS)

    def _move(self, ports: Mapping[str, int]) -> None:
        """Write our ports into the configuration, in place of these."""
        moved = {str(port): str(self.ports[service]) for service, port in ports.items()}
        path = self.folder / "mox.conf"
        path.write_text(re.sub(r"(?<=\bPort: )\d+\b", lambda m: moved.get(m[0], m[0]), path.read_text()))

    def start(self, *extra: str) -> "MoxProcess":
        if not self.folder.exists():
            self.init()
        for _ in range(5):
            before = self.log_path.stat().st_size if self.log_path.exists() else 0
            self._launch(extra)
            try:
                self.wait_ready()
                self._has_run = True
                return self
            except AssertionError:
                # Another program took a port, or a connection that a test left holds it for a moment; everything else
                # is a failure.
                self.kill()
                if b"Address already in use" not in self.log_path.read_bytes()[before:]:
                    raise
                if not self._has_run:
                    ports, self.ports = self.ports, _new_ports()
                    self._move(ports)
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
