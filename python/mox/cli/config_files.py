"""config test, describe-static, describe-domains, example, printservice, dnsrecords, ensureacmehostprivatekeys."""

import sys
from pathlib import Path

from mox.cli.command import Command, CommandError, Invocation


def _test(invocation: Invocation) -> int:
    from mox.config.live import Config, ConfigError

    try:
        config = Config.load(invocation.globals.config)
        for name in config.static.Listeners:
            config.server_tls(name)
    except ConfigError as err:
        problems = str(err).split("\n")
        if len(problems) > 1:
            print("multiple errors:", file=sys.stderr)
        for problem in problems:
            print(problem, file=sys.stderr)
        return 1
    print("config OK")
    return 0


def _describe_static(_invocation: Invocation) -> None:
    from mox.config import sconf_write
    from mox.config.model import Static

    print(sconf_write.describe(Static), end="")


def _describe_domains(_invocation: Invocation) -> None:
    from mox.config import sconf_write
    from mox.config.model import Dynamic

    print(sconf_write.describe(Dynamic), end="")


def _example(invocation: Invocation) -> None:
    from mox.config.examples import EXAMPLES, example

    name = invocation.argument(0)
    if not name:
        print("\n".join(EXAMPLES))
    elif name not in EXAMPLES:
        raise CommandError(f"not found; there are {', '.join(EXAMPLES)}")
    else:
        print(example(name), end="")


def _print_service(_invocation: Invocation) -> None:
    from mox.admin.service import unit

    print(unit(Path.cwd()), end="")


COMMANDS = [
    Command(
        ("config", "test"),
        _test,
        """Check mox.conf and domains.conf without a running server.

Reads keys and certificates too, and changes nothing. Prints `config OK`, or every problem with file and line or with
the path of the option, and ends with status 1.

Example: mox -config config/mox.conf config test
""",
    ),
    Command(
        ("config", "describe-domains"),
        _describe_domains,
        """Print a domains.conf with every option and its explanation.

It is not usable as it is: lists and maps have one empty entry.

Example: mox config describe-domains | less
""",
        ">domains.conf",
    ),
    Command(
        ("config", "describe-static"),
        _describe_static,
        """Print a mox.conf with every option and its explanation.

It is not usable as it is: lists and maps have one empty entry.

Example: mox config describe-static | less
""",
        ">mox.conf",
    ),
    Command(
        ("config", "printservice"),
        _print_service,
        """Print a systemd unit that runs the server from the current directory.

Example: mox config printservice >mox.service
""",
        ">mox.service",
    ),
    Command(
        ("config", "example"),
        _example,
        """Print an example configuration, or the names of all examples.

Example: mox config example webhandlers
""",
        "[$name]",
        0,
        1,
    ),
]
