"""Repairs of accounts, and verifydata."""

import sys
from collections.abc import Callable
from pathlib import Path

from mox.cli.command import Command, CommandError, Flag, Invocation


def _repair(name: str, count: int) -> Callable[[Invocation], None]:
    """Print what a repair of the running server says."""

    def run(invocation: Invocation) -> None:
        for chunk in invocation.stream(name, *(invocation.argument(number) for number in range(count))):
            print(chunk.decode(errors="replace"), end="")

    return run


def _backup(invocation: Invocation) -> None:
    destination = str(Path(invocation.argument(0)).absolute())
    is_verbose = "true" if invocation.switch("verbose") else "false"
    for chunk in invocation.stream("backup", destination, is_verbose):
        print(chunk.decode(errors="replace"), end="")


def _verify_data(invocation: Invocation) -> None:
    from mox.cli.accounts_direct import with_account
    from mox.store import verify

    data_dir = Path(invocation.argument(0))
    if not (data_dir / "accounts").is_dir():
        raise CommandError(f"{data_dir} has no directory accounts; is it a data directory?")
    is_good = True
    for folder in sorted((data_dir / "accounts").iterdir()):
        for problem in with_account(data_dir, folder.name, verify.problems):
            is_good = False
            print(f"error: {folder}: {problem}", file=sys.stderr)
    if not is_good:
        raise CommandError("errors were found")
    print(f"{data_dir}: OK")


_ONE_OR_ALL = "Without an account, for all."

COMMANDS = [
    Command(
        ("backup",),
        _backup,
        """Copy configuration and data of the running server to a directory, each part as it is at one moment.

Message files are linked where possible: a destination in data/tmp is quick and takes little space, and can be copied
elsewhere afterwards. Prints warnings and errors; nothing when all is well. Check the copy with
`mox verifydata $destdir/data`. To restore, stop the server, put the copy in place, and run `mox bumpuidvalidity` for
accounts whose mailboxes changed.

Example: mox backup data/tmp/backup-1
""",
        "[-verbose] $destdir",
        1,
        1,
        (Flag("verbose", "tell every step", False),),
    ),
    Command(
        ("verifydata",),
        _verify_data,
        """Check the accounts of a data directory: counts, UIDs, threads, sizes, files.

Meant for a backup or a stopped server; with a running one, changes in between may look like errors. Prints OK, or every
problem, and ends with status 1. Repairs: `mox recalculatemailboxcounts`, `mox fixmsgsize`, `mox fixuidmeta`,
`mox reassignthreads`.

Example: mox verifydata /backup/mox/data
""",
        "$datadir",
        1,
        1,
    ),
    Command(
        ("retrain",),
        _repair("retrain", 1),
        f"Train the junk filter anew from all messages that are marked as junk or not junk. {_ONE_OR_ALL}",
        "[$accountname]",
        0,
        1,
    ),
    Command(
        ("bumpuidvalidity",),
        _repair("bumpuidvalidity", 2),
        """Give mailboxes a new UIDVALIDITY, so that mail programs forget what they know and look again.

Needed after restoring a backup.
""",
        "$account [$mailbox]",
        1,
        2,
    ),
    Command(
        ("reassignuids",),
        _repair("reassignuids", 2),
        "Number messages of one mailbox, or of all, anew from 1, with a new UIDVALIDITY.",
        "$account [$mailboxid]",
        1,
        2,
    ),
    Command(
        ("fixuidmeta",),
        _repair("fixuidmeta", 1),
        "Raise the next UIDs and UIDVALIDITY of an account that are too low.",
        "$account",
        1,
        1,
    ),
    Command(
        ("fixmsgsize",),
        _repair("fixmsgsize", 1),
        f"Correct sizes of messages that are not those of their files. {_ONE_OR_ALL}",
        "[$account]",
        0,
        1,
    ),
    Command(
        ("reparse",),
        _repair("reparse", 1),
        f"Parse all messages anew, as is needed after a change of the parser. {_ONE_OR_ALL}",
        "[$account]",
        0,
        1,
    ),
    Command(
        ("recalculatemailboxcounts",),
        _repair("recalculatemailboxcounts", 1),
        "Count the messages of an account's mailboxes anew, and its disk usage; print what was wrong.",
        "$account",
        1,
        1,
    ),
    Command(
        ("reassignthreads",),
        _repair("reassignthreads", 1),
        f"Put all messages in threads anew. {_ONE_OR_ALL}",
        "[$account]",
        0,
        1,
    ),
]
