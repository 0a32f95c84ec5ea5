"""localserve: what it makes, and what it says when it cannot start (spec/config.md 21, spec/cli.md 6)."""

import os
import re
import socket
import sqlite3
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from mox.config.live import Config
from mox.server.datadir import DataDirError, check_data_dir
from tests.server_process import MoxProcess, child_environment


def localserve(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "mox.cli.main", "localserve", "-dir", str(folder), *arguments],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A localserve directory on free ports of one address."""
    server = MoxProcess(tmp_path / "mox")
    server.init()
    return server.folder


@pytest.mark.holds("cli-acafe0")
def test_the_directory_is_made_once(tmp_path: Path) -> None:
    made = tmp_path / "mox"
    assert localserve(made, "-initonly").returncode == 0
    names = sorted(p.name for p in made.iterdir())
    assert names == [
        "adminpasswd",
        "dkim.localserve.privatekey.pkcs8.pem",
        "domains.conf",
        "localhost.crt",
        "localhost.key",
        "mox.conf",
        "receivedid.key",
    ]
    assert (made / "receivedid.key").stat().st_size == 24
    before = {p.name: p.read_bytes() for p in made.iterdir()}
    again = localserve(made, "-initonly")
    assert again.returncode == 0 and "exists already" in again.stderr
    assert {p.name: p.read_bytes() for p in made.iterdir()} == before


def test_the_configuration_is_explained_and_valid(folder: Path) -> None:
    text = (folder / "mox.conf").read_text()
    assert "# Full name of this machine" in text
    config = Config.load(folder / "mox.conf")
    assert config.static.Listeners["local"].IPs == ["127.0.0.1"]
    assert config.dynamic.Domains["localhost"].DKIM.Sign == ["localserve"]
    assert config.tables.selectors["localhost"]["localserve"].algorithm == "ed25519"
    ssl.create_default_context(cafile=folder / "localhost.crt")


@pytest.mark.holds("cli-acafe0")
def test_a_failed_start_removes_the_directory(tmp_path: Path) -> None:
    done = localserve(tmp_path / "mox", "-ip", "not-an-ip", "-initonly")
    assert done.returncode == 1 and "'not-an-ip' is not an IP address" in done.stderr
    assert not (tmp_path / "mox").exists()


def test_ip_is_only_for_a_new_directory(folder: Path) -> None:
    done = localserve(folder, "-ip", "127.0.0.1")
    assert done.returncode == 1 and "-ip is only for a new directory" in done.stderr


def test_a_port_in_use_is_named_with_its_option(folder: Path) -> None:
    match = re.search(r"IMAP:\n(?:\t*(?:#.*)?\n|\t+Enabled: true\n)*\t+Port: (\d+)", (folder / "mox.conf").read_text())
    assert match is not None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(match[1])))
        taken.listen()
        done = localserve(folder)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"127.0.0.1 port {match[1]}" in done.stderr and "`Listeners.local.IMAP.Port`" in done.stderr


def test_broken_files_are_named_with_their_lines(folder: Path) -> None:
    with (folder / "domains.conf").open("a") as file:
        file.write("Nonsense: x\n")
    count = (folder / "domains.conf").read_text().count("\n")
    done = localserve(folder)
    assert done.returncode == 1
    assert f"{folder}/domains.conf:{count}: unknown key 'Nonsense'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_that_is_none(folder: Path) -> None:
    text = (folder / "mox.conf").read_text()
    (folder / "mox.conf").write_text(text.replace("DataDir: .\n", "DataDir: localhost.crt\n"))
    done = localserve(folder)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "localhost.crt cannot be used" in done.stderr and "set DataDir in mox.conf" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root can")
def test_an_unreadable_data_directory() -> None:
    folder = Path("/tmp") / f"mox-unreadable-{os.getpid()}"
    (folder / "accounts").mkdir(parents=True)
    folder.chmod(0o755)
    try:
        for path in (folder, folder / "accounts"):
            path.chmod(0o700)
            os.seteuid(65534)
            try:
                with pytest.raises(DataDirError, match=f"{path}: Permission denied"):
                    check_data_dir(folder)
            finally:
                os.seteuid(0)
            folder.chmod(0o777)
    finally:
        (folder / "accounts").rmdir()
        folder.rmdir()


def test_a_database_of_a_newer_version(folder: Path) -> None:
    with sqlite3.connect(folder / "auth.db") as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    done = localserve(folder)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "auth.db has schema version 9999" in last and "use the mox that wrote it, or a newer one" in last
    assert "Traceback" not in done.stderr
