"""help, helpall, version, cid."""

import platform
import sys

from mox import __version__
from mox.cli import families
from mox.cli.command import Command, CommandError, Invocation


def _help(invocation: Invocation) -> int:
    from mox.cli.main import explain, run

    words = list(invocation.arguments)
    if not words:
        return run([])
    exact = next((c for c in families.load(words[0]) if c.words == tuple(words)), None)
    if exact is not None:
        print(explain(exact))
        return 0
    found = [c for c in families.load(words[0]) if c.words[: len(words)] == tuple(words)]
    if not found:
        print(f"mox: {' '.join(words)}: unknown command", file=sys.stderr)
        return 2
    for command in found:
        print(f"mox {command.name}\n\t{command.help.strip().partition(chr(10))[0]}")
    return 0


def _help_all(_invocation: Invocation) -> None:
    from mox.cli.main import explain

    for command in families.load_all():
        if not command.is_hidden:
            print(f"# mox {command.name}\n\n{explain(command)}\n", file=sys.stderr)


def _version(_invocation: Invocation) -> None:
    print(f"{__version__}-python{platform.python_version()}")
    print(f"{platform.system().lower()}/{platform.machine()}")


def _cid(invocation: Invocation) -> None:
    from mox.smtp.trace import ReceivedIds

    try:
        cid = ReceivedIds.load(invocation.data_dir() / "receivedid.key").decode(invocation.argument(0))
    except ValueError as err:
        raise CommandError(f"decoding {invocation.argument(0)!r}: {err}") from err
    print(f"{cid:x}")


COMMANDS = [
    Command(
        ("help",),
        _help,
        """Explain a command, or list commands that start with the given words.

Example: mox help config account add
""",
        "[command ...]",
        most=None,
    ),
    Command(("helpall",), _help_all, "Explain all commands.", is_hidden=True),
    Command(("version",), _version, "Print the version, and for which system it is."),
    Command(
        ("cid",),
        _cid,
        """Turn the id of a Received header into the connection id of the log.

Messages carry encrypted ids in their Received headers. The log has plain ones, in hexadecimal.

Example: mox cid 8NYEs4Lu2RrvZCYEs4Lu2Q
""",
        "$cid",
        1,
        1,
    ),
]
