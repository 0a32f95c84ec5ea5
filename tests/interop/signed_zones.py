"""Zones that knot signs, behind an unbound that validates them: a real name server for tests."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server_process import free_ports

MISSING = [name for name in ("unbound", "knotd", "knotc", "keymgr", "kdig") if shutil.which(name) is None]
NEEDED = pytest.mark.skipif(bool(MISSING), reason=f"not installed (`make peers`): {', '.join(MISSING)}")

# One question goes unanswered while a server starts; it is asked again soon.
_KDIG = ("kdig", "+short", "+timeout=1", "+retry=0", "@127.0.0.1")
_START = "@ 300 SOA ns hostmaster 1 3600 600 86400 60\n@ 300 NS ns\nns 300 A 127.0.0.1\n"


@dataclass(frozen=True)
class Zone:
    """Lines of a zone, without SOA and NS. A bogus one is signed with a key that nobody trusts."""

    text: str
    signed: bool = True
    bogus: bool = False


def wait_for(condition: str, command: list[str], seconds: float = 20) -> str:
    """Output of `command` as soon as it holds `condition`."""
    until = time.monotonic() + seconds
    while True:
        output = subprocess.run(command, capture_output=True, check=False, timeout=10).stdout.decode()
        if condition in output:
            return output
        assert time.monotonic() < until, f"{command}: {output}"
        time.sleep(0.05)


def _start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _start_knot(folder: Path, port: int, zones: Mapping[str, Zone]) -> subprocess.Popen[bytes]:
    (folder / "db").mkdir()
    entries = ""
    for name, zone in zones.items():
        (folder / f"{name}.zone").write_text(f"$ORIGIN {name}.\n{_START}{zone.text}")
        signing = "on" if zone.signed else "off"
        entries += f"  - domain: {name}\n    file: {folder}/{name}.zone\n    dnssec-signing: {signing}\n"
    (folder / "knot.conf").write_text(
        f"server:\n  listen: 127.0.0.1@{port}\n  rundir: {folder}\n  udp-workers: 1\n  tcp-workers: 1\n"
        f"database:\n  storage: {folder}/db\n"
        "template:\n  - id: default\n    zonefile-sync: -1\n    zonefile-load: difference-no-serial\n"
        "    journal-content: all\n"
        f"zone:\n{entries}"
    )
    return _start("knotd", "-c", str(folder / "knot.conf"))


def _trust_anchor(folder: Path, port: int, name: str, zone: Zone) -> str:
    wait_for("257 3", [*_KDIG, "-p", str(port), name, "DNSKEY"])
    anchor = wait_for(" DS ", ["keymgr", "-c", str(folder / "knot.conf"), name, "ds"]).splitlines()[0]
    if zone.bogus:
        # A trust anchor for another key makes a zone bogus.
        return anchor[:-8] + ("00000000" if not anchor.endswith("00000000") else "11111111")
    return anchor


def _start_unbound(
    folder: Path, port: int, knot_port: int, zones: Mapping[str, Zone], anchors: list[str]
) -> subprocess.Popen[bytes]:
    stubs = "".join(f'stub-zone:\n  name: "{zone}"\n  stub-addr: 127.0.0.1@{knot_port}\n' for zone in zones)
    (folder / "unbound.conf").write_text(
        "server:\n"
        f'  directory: "{folder}"\n  chroot: ""\n  username: ""\n  pidfile: ""\n  do-daemonize: no\n  use-syslog: no\n'
        f"  interface: 127.0.0.1\n  port: {port}\n  num-threads: 1\n  do-not-query-localhost: no\n  ede: yes\n"
        '  module-config: "validator iterator"\n  val-log-level: 0\n'
        '  local-zone: "test." nodefault\n'
        + "".join(f'  trust-anchor: "{anchor}"\n' for anchor in anchors)
        + "remote-control:\n  control-enable: no\n"
        + stubs
    )
    return _start("unbound", "-d", "-c", str(folder / "unbound.conf"))


@contextmanager
def serving(folder: Path, zones: Mapping[str, Zone]) -> Iterator[str]:
    """`127.0.0.1:port` of a validating resolver that knows these zones and nothing else."""
    port, knot_port = free_ports(2)
    processes = [_start_knot(folder, knot_port, zones)]
    try:
        anchors = [_trust_anchor(folder, knot_port, name, zone) for name, zone in zones.items() if zone.signed]
        processes.append(_start_unbound(folder, port, knot_port, zones, anchors))
        good = next(name for name, zone in zones.items() if not zone.bogus)
        wait_for("127.0.0.1", [*_KDIG, "-p", str(port), f"ns.{good}", "A"])
        yield f"127.0.0.1:{port}"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)
