"""The `mox` command: finding the command that is meant, and telling people what went wrong.

Exit status 0 is success, 1 a failure with one line on standard error, 2 a command line that is not understood.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mox.cli import families
from mox.cli.command import Command, CommandError, Flag, Globals, UsageError, default_config, parse_flags

GLOBAL_FLAGS = (
    Flag("config", "configuration file; domains.conf is beside it", "", "path"),
    Flag("loglevel", "error, warn, info, debug, trace, traceauth or tracedata", "", "level"),
    Flag("pedantic", "take violations of protocols as errors", False),
)
USAGE = "usage: mox [-config config/mox.conf] [-loglevel level] [-pedantic] command ..."


def run(arguments: Sequence[str]) -> int:
    """Run a command line; the exit status. Raises CommandError and what `main` knows."""
    values: dict[str, str | bool] = {flag.name: flag.default for flag in GLOBAL_FLAGS}
    try:
        words = parse_flags(GLOBAL_FLAGS, arguments, values, anywhere=False)
    except UsageError as err:
        return _usage("" if str(err) == "help" else str(err), [])
    command = families.find(words)
    if command is None:
        return _usage("", families.related(words))
    globals = Globals(
        Path(str(values["config"])) if values["config"] else default_config(),
        str(values["loglevel"]),
        values["pedantic"] is True,
    )
    try:
        invocation = command.parse(globals, words[len(command.words) :])
    except UsageError as err:
        if str(err) != "help":
            print(f"mox: {err}", file=sys.stderr)
        print(explain(command), file=sys.stderr)
        return 2
    _set_up_log(globals)
    return command.run(invocation) or 0


def _set_up_log(globals: Globals) -> None:
    from mox import log

    try:
        log.setup(globals.log_level or "info")
    except ValueError as err:
        raise CommandError(str(err)) from err


def _usage(problem: str, commands: Sequence[Command]) -> int:
    if problem:
        print(f"mox: {problem}", file=sys.stderr)
    if not commands:
        print(USAGE, file=sys.stderr)
        commands = [command for command in families.load_all() if not command.is_hidden]
    for command in commands:
        for line in command.usage.split("\n"):
            print(f"       {line}", file=sys.stderr)
    return 2


def explain(command: Command) -> str:
    """Usage, flags and help of a command."""
    lines = [f"{'usage:' if not at else '      '} {line}" for at, line in enumerate(command.usage.split("\n"))]
    for flag in command.flags:
        value = "" if isinstance(flag.default, bool) else f" {flag.value}"
        default = f" (default {flag.default})" if isinstance(flag.default, str) and flag.default else ""
        lines += [f"  -{flag.name}{value}", f"    \t{flag.text}{default}"]
    return "\n".join([*lines, "", command.help.strip()])


def main() -> None:
    """Entry point. Called by the name `sendmail`, the program is nothing but that command."""
    arguments = sys.argv[1:]
    if os.path.basename(sys.argv[0]) == "sendmail":
        arguments = ["sendmail", *arguments]
    elif hasattr(os, "getegid") and os.getegid() != os.getgid():
        # The program may be installed setgid so that `sendmail` can read its configuration; nothing else may.
        print("mox: refusing to run with another effective group than the real one", file=sys.stderr)
        sys.exit(1)
    try:
        sys.exit(run(arguments))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Nobody reads the output any more; keep the interpreter from failing on it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (CommandError, OSError) as err:
        _fail(str(err))
    except Exception as err:
        if not _is_for_people(err):
            raise
        _fail(str(err))


def _is_for_people(err: Exception) -> bool:
    """Errors whose text says what to do. Looked up by the modules that are loaded, to keep commands quick to start."""
    known = (
        ("mox.config.live", "ConfigError"),
        ("mox.config.sconf", "SconfError"),
        ("mox.server.control", "ControlError"),
        ("mox.admin.context", "RequestError"),
        ("mox.store.errors", "StoreError"),
        ("mox.store.errors", "DatabaseVersionError"),
    )
    loaded = [getattr(sys.modules[module], name, None) for module, name in known if module in sys.modules]
    return isinstance(err, tuple(kind for kind in loaded if kind is not None))


def _fail(text: str) -> None:
    for line in text.split("\n"):
        print(f"mox: {line}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
