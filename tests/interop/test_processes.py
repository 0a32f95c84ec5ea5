"""The program as a whole: workers, control socket, shutdown, crashes, two sessions at once."""

import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.raw_clients import Imap, Smtp
from tests.server_process import DEFAULT_PORTS, MoxProcess

LETTER = b"From: <a@example.org>\r\nTo: <mox@localhost>\r\nSubject: %s\r\n\r\nbody %s\r\n"


def workers_of(log: str, service: str) -> set[str]:
    """Numbers of the workers that took connections to `service`."""
    lines = [line for line in log.splitlines() if re.search(rf"\bservice={service}(\s|$)", line)]
    return {found[1] for line in lines if (found := re.search(r"\bworker=(\d+)", line))}


def sessions_in_both(mox: MoxProcess, at_least: int) -> list[Imap]:
    """Sessions, `at_least` so many, until each of two workers has one: which of them accepts is up to the system."""
    sessions: list[Imap] = []
    while len(sessions) < at_least or workers_of(mox.log(), "imap") != {"0", "1"}:
        assert len(sessions) < 200, "one worker takes every connection"
        sessions.append(Imap(mox.ports["imap"]))
        sessions[-1].ok("NOOP")
    return sessions


def test_two_sessions_see_each_other_within_100_ms(mox: MoxProcess) -> None:
    watcher, other = Imap(mox.ports["imap"]), Imap(mox.ports["imap"])
    watcher.ok("SELECT INBOX")
    tag = watcher.start("IDLE")
    assert watcher.line().startswith(b"+")
    other.ok("SELECT INBOX")

    def three_changes() -> float:
        assert other.append("INBOX", LETTER % (b"one", b"one")).startswith(b"OK")
        started = time.monotonic()
        assert b"EXISTS" in watcher.line()
        while b"FETCH" not in watcher.line():
            pass
        other.ok("STORE 1 +FLAGS (\\Flagged)")
        line = watcher.line()
        assert b"FETCH" in line and b"\\Flagged" in line
        other.ok("STORE 1 +FLAGS (\\Deleted)")
        watcher.line()
        other.ok("EXPUNGE")
        assert watcher.line() == b"* 1 EXPUNGE"
        return time.monotonic() - started

    # All three in one allowance of 300 ms; other programs may take the machine away for a while, but not each time.
    assert min(three_changes() for _ in range(8)) < 0.3
    watcher.send(b"DONE\r\n")
    assert watcher.finish(tag)[0].startswith(b"OK")


def test_two_workers_share_listeners_and_accounts(tmp_path: Path) -> None:
    mox = MoxProcess(tmp_path / "mox", workers=2).start()
    try:
        sessions = sessions_in_both(mox, 8)
        tags = []
        for session in sessions:
            session.ok("SELECT INBOX")
            tags.append(session.start("IDLE"))
            assert session.line().startswith(b"+")
        deliverers = [Smtp(mox.ports["smtp"]) for _ in range(8)]
        for smtp in deliverers:
            assert smtp.deliver(LETTER % (b"w", b"w"))[0] == 250
        for session, tag in zip(sessions, tags, strict=True):
            while b"* 8 EXISTS" not in session.line():
                pass
            session.send(b"DONE\r\n")
            assert session.finish(tag)[0].startswith(b"OK")
    finally:
        assert mox.stop() == 0


def test_stop_command_ends_the_server(mox: MoxProcess) -> None:
    subprocess.run(mox.command("--config", str(mox.folder / "mox.conf"), "stop"), env=mox.env(), check=True, timeout=30)
    assert mox.process is not None
    assert mox.process.wait(10) == 0
    assert not (mox.folder / "ctl").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_cleanly_and_data_stays(mox: MoxProcess, number: signal.Signals) -> None:
    assert Smtp(mox.ports["smtp"]).deliver(LETTER % (b"kept", b"kept"))[0] == 250
    assert mox.stop(number) == 0
    mox.start()
    imap = Imap(mox.ports["imap"])
    assert (b"* 1 EXISTS", []) in imap.ok("SELECT INBOX")
    assert "Traceback" not in mox.log()


def test_port_in_use_names_port_and_option(mox: MoxProcess, tmp_path: Path) -> None:
    second = MoxProcess(tmp_path / "second")
    second.ports = {**dict(zip(DEFAULT_PORTS, second.ports.values(), strict=True)), "smtp": mox.ports["smtp"]}
    second.init()
    command = second.command("localserve", "--dir", str(second.folder))
    done = subprocess.run(command, env=second.env(), capture_output=True, text=True, timeout=150)
    assert done.returncode == 1
    assert str(mox.ports["smtp"]) in done.stderr and "SMTP.Port" in done.stderr
    assert "Traceback" not in done.stderr


def test_metrics_are_served(mox: MoxProcess) -> None:
    Imap(mox.ports["imap"]).close()
    with urllib.request.urlopen(f"http://127.0.0.1:{mox.ports['metrics']}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert "mox_imap_connection_total" in text


def test_metrics_are_those_of_all_workers(tmp_path: Path) -> None:
    mox = MoxProcess(tmp_path / "mox", workers=2).start()
    try:
        sessions = sessions_in_both(mox, 12)
        for _ in range(4):
            with urllib.request.urlopen(f"http://127.0.0.1:{mox.ports['metrics']}/metrics") as answer:
                text = answer.read().decode()
            found = re.search(r'^mox_imap_connection_total\{service="imap"\} (\d+)', text, re.MULTILINE)
            assert found is not None and int(found[1]) >= len(sessions)
    finally:
        mox.stop()


def test_a_tls_session_is_resumed_with_any_worker(tmp_path: Path) -> None:
    mox = MoxProcess(tmp_path / "mox", workers=2).start()
    try:
        session, resumed = tmp_path / "session", []
        while len(resumed) < 13 or workers_of(mox.log(), "imaps") != {"0", "1"}:
            assert len(resumed) < 200, "one worker takes every connection"
            use = ["-sess_in", str(session)] if resumed else []
            done = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{mox.ports['imaps']}", "-ign_eof",
                 "-sess_out", str(session), *use],
                input=b"a LOGOUT\r\n", capture_output=True, timeout=20,
            )  # fmt: skip
            resumed.append(b"Reused, TLS" in done.stdout)
        assert not resumed[0] and all(resumed[1:])
    finally:
        mox.stop()


def test_a_new_password_ends_the_sessions_in_every_worker(tmp_path: Path) -> None:
    mox = MoxProcess(tmp_path / "mox", workers=2).start()
    try:
        sessions = sessions_in_both(mox, 8)
        for session in sessions:
            session.ok("SELECT INBOX")
            session.start("IDLE")
            assert session.line().startswith(b"+")
        subprocess.run(
            mox.command("--config", str(mox.folder / "mox.conf"), "setaccountpassword", "mox"),
            input=b"another password\nanother password\n", env=mox.env(), check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        for session in sessions:
            assert session.line().startswith(b"* BYE")
    finally:
        mox.stop()
