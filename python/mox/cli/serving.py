"""localserve, stop."""

import os
from pathlib import Path

from mox.cli.command import Command, CommandError, Flag, Invocation


def _default_folder() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "mox-localserve"


def _localserve(invocation: Invocation) -> int:
    from mox.server import localserve

    folder = Path(invocation.text("dir") or _default_folder())
    workers = invocation.text("workers")
    if not workers.isdecimal() or not 1 <= int(workers) <= 1024:
        raise CommandError(f"-workers must be a number from 1, not {workers!r}")
    ip = invocation.text("ip")
    if ip and folder.exists():
        raise CommandError(f"-ip is only for a new directory, and {folder} exists; change IPs in its mox.conf")
    options = localserve.Options(
        folder, ip or None, invocation.switch("initonly"), int(workers), invocation.globals.log_level or None
    )
    return localserve.run(options)


def _stop(invocation: Invocation) -> None:
    from mox.server import control

    control.stop(invocation.data_dir())
    print("mox stopped")


COMMANDS = [
    Command(
        ("localserve",),
        _localserve,
        """Run a mail server for development on loopback ports.

The directory is made with a configuration, keys and an account mox@localhost when it does not exist. Mail for any
address is delivered to that account. Recipients that end in temperror, permerror, timeout or a code such as 550 give
that failure. The ports and passwords are printed.

Examples:
	mox localserve
	mox localserve -dir ./trial
	mox -config ./trial/mox.conf stop
""",
        "",
        flags=(
            Flag("dir", "where configuration and data are kept; default ~/.config/mox-localserve", "", "dir"),
            Flag("ip", "address to listen on, only when the directory is made; default loopback", "", "ip"),
            Flag("initonly", "make the directory and end", False),
            Flag("workers", "number of worker processes", "1", "number"),
        ),
    ),
    Command(("stop",), _stop, "Stop the running server: let sessions end, then end. Returns when it has ended."),
]
