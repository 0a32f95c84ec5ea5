"""The servers that are measured: started on loopback ports from throw-away folders."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benches.servers.clients import Imap
from mox.config.live import Config

REPO = Path(__file__).resolve().parent.parent.parent
READY_TIMEOUT_S = 60.0


def free_port() -> int:
    """A loopback port that nobody listens on, below those that the system gives to connections."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the port accepts. Raises RuntimeError when the process ends or time runs out."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port} after {READY_TIMEOUT_S:.0f} s")


@dataclass
class Server:
    """A running server and how to reach it. `delivery` is the port and greeting verb that takes mail in."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes]
    user: str
    password: str
    imap_port: int | None = None
    delivery: tuple[int, str] | None = None
    recipient: str = "mox@localhost"
    client: Imap | None = None

    def stop(self) -> None:
        """End the server and remove its folder."""
        if self.client is not None:
            self.client.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _to_free_ports(config: Path, wanted: tuple[int, ...]) -> dict[int, int]:
    """Move every port of a generated mox.conf to a free one; the new ports of `wanted`."""
    moved: dict[int, int] = {}

    def move(match: re.Match[str]) -> str:
        moved[int(match[1])] = free_port()
        return f"Port: {moved[int(match[1])]}"

    config.write_text(re.sub(r"\bPort: (\d+)", move, config.read_text()))
    return {port: moved[port] for port in wanted}


def _start_localserve(
    name: str, program: list[str], workers: int | None, fill: Callable[[Path], None] | None = None
) -> Server:
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
    data = folder / "d"
    env = {**os.environ, "PYTHONPATH": str(REPO / "python")}
    command = [*program, "-loglevel", "error", "localserve", "-dir", str(data)]
    subprocess.run([*command, "-ip", "127.0.0.1", "-initonly"], env=env, check=True, capture_output=True)
    ports = _to_free_ports(data / "mox.conf", (1025, 1143, 1587))
    if fill is not None:
        fill(Config.load(data / "mox.conf").data_dir)
    log = (folder / "log").open("wb")
    extra = [] if workers is None else ["--workers", str(workers)]
    process = subprocess.Popen([*command, *extra], env=env, stdout=log, stderr=log)
    for port in ports.values():
        wait_for_port(port, process)
    return Server(name, folder, process, "mox@localhost", "moxmoxmox", ports[1143], (ports[1025], "EHLO"))


def start_ours(workers: int = 1, fill: Callable[[Path], None] | None = None) -> Server:
    """Our `mox localserve`; `fill` is called with its data directory before it starts."""
    return _start_localserve("mox-hybrid", [sys.executable, "-m", "mox.cli.main"], workers, fill)


def start_our_workers() -> Server:
    """The same with a worker for each core, for what it takes in; the other rows are about one process."""
    server = start_ours(os.cpu_count() or 1)
    server.name, server.imap_port = "with workers", None
    return server


def start_go_mox(binary: str) -> Server:
    """The reference implementation, from the binary that MOX_PEER names."""
    return _start_localserve("mox", [binary], None)


_DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
mail_max_userip_connections = 1000
mail_location = sdbox:{folder}/home/%u/mail
auth_username_chars =
default_process_limit = 500
default_client_limit = 2000
passdb {{
  driver = static
  args = password=moxmoxmox
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/home/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
namespace inbox {{
  inbox = yes
}}
"""


def start_dovecot() -> Server | None:
    """Debian's Dovecot with LMTP and IMAP, or None where it is not installed (it must be started by root)."""
    program = shutil.which("dovecot") or "/usr/sbin/dovecot"
    if not Path(program).exists() or os.getuid() != 0:
        return None
    folder = Path(tempfile.mkdtemp(prefix="bench-dovecot-"))
    folder.chmod(0o755)
    home = folder / "home"
    home.mkdir()
    shutil.chown(home, "nobody", "nogroup")
    imap, lmtp = free_port(), free_port()
    config = folder / "dovecot.conf"
    config.write_text(_DOVECOT.format(folder=folder, imap=imap, lmtp=lmtp))
    process = subprocess.Popen([program, "-F", "-c", str(config)])
    wait_for_port(imap, process)
    wait_for_port(lmtp, process)
    return Server(
        "dovecot", folder, process, "bench", "moxmoxmox", imap_port=imap, delivery=(lmtp, "LHLO"), recipient="bench"
    )


def start_smtp_sink() -> Server | None:
    """Postfix's smtp-sink: takes mail and throws it away; the upper bound of delivery."""
    program = shutil.which("smtp-sink") or "/usr/sbin/smtp-sink"
    if not Path(program).exists():
        return None
    folder = Path(tempfile.mkdtemp(prefix="bench-sink-"))
    port = free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen([program, *user, f"127.0.0.1:{port}", "1000"])
    wait_for_port(port, process)
    return Server("smtp-sink", folder, process, "", "", delivery=(port, "EHLO"))
