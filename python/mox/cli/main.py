"""The `mox` command."""

import argparse
import sys
from pathlib import Path

from mox import __version__
from mox.config import sconf_write
from mox.config.live import Config, ConfigError
from mox.config.model import Dynamic, Static
from mox.config.sconf import SconfError

DEFAULT_LOCALSERVE = Path.home() / ".config" / "mox-localserve"

EXAMPLES = {
    "localserve": "mox localserve --dir ./trial          a mail server on loopback ports, kept in ./trial",
    "stop": "mox --config ./trial/mox.conf stop       stop the server of ./trial",
    "config": "mox --config ./trial/mox.conf config test",
    "version": "mox version",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="mox", description="A complete modern mail service.", allow_abbrev=False)
    top.add_argument("--config", type=Path, default=Path("config/mox.conf"), help="configuration file")
    top.add_argument("--loglevel", help="log level instead of the configured one")
    commands = top.add_subparsers(dest="command", metavar="command")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=text, description=text, epilog=f"example:\n  {EXAMPLES[name]}", allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip

    local = add("localserve", "Run a mail server for development on loopback ports.")
    local.add_argument("--dir", type=Path, default=DEFAULT_LOCALSERVE, help="where configuration and data are kept")
    local.add_argument("--ip", help="address to listen on, only when the directory is created")
    local.add_argument("--initonly", action="store_true", help="create the directory and end")
    local.add_argument("--workers", type=int, default=1, help="number of worker processes")
    add("stop", "Stop the running server.")
    add("version", "Print the version.")
    config = add("config", "Check or describe configuration files.")
    config.add_argument("action", choices=("test", "describe-static", "describe-domains"))
    explain = commands.add_parser("help", help="Explain a command.")
    explain.add_argument("topic", nargs="?", choices=sorted(EXAMPLES))
    return top


def gnu_flags(arguments: list[str]) -> list[str]:
    """mox's spelling `-flag` as `--flag`."""
    return [f"-{a}" if len(a) > 2 and a[0] == "-" and a[1] != "-" and not a[1].isdigit() else a for a in arguments]


def run(arguments: list[str]) -> int:
    """Run a command line; the exit status."""
    top = parser()
    options = top.parse_args(gnu_flags(arguments))
    match options.command:
        case "localserve":
            return _localserve(options)
        case "stop":
            return _stop(options.config)
        case "version":
            print(f"mox {__version__}")
        case "config":
            return _config(options)
        case "help" if options.topic:
            top.parse_args([options.topic, "--help"])
        case "help":
            top.print_help()
        case _:
            top.print_help(sys.stderr)
            return 2
    return 0


def _localserve(options: argparse.Namespace) -> int:
    from mox.server import localserve

    if options.workers < 1:
        print("mox: --workers must be at least 1", file=sys.stderr)
        return 2
    if options.ip and options.dir.exists():
        print(f"mox: --ip is only for a new directory, and {options.dir} exists", file=sys.stderr)
        return 2
    return localserve.run(
        localserve.Options(options.dir, options.ip, options.initonly, options.workers, options.loglevel)
    )


def _stop(path: Path) -> int:
    from mox.server import control

    control.call(Config.load(path).data_dir, "stop", wait_for_end=True)
    return 0


def _config(options: argparse.Namespace) -> int:
    if options.action == "test":
        Config.load(options.config)
        print(f"{options.config} and domains.conf beside it are fine")
    elif options.action == "describe-static":
        print(sconf_write.describe(Static), end="")
    else:
        print(sconf_write.describe(Dynamic), end="")
    return 0


def main() -> None:
    """Entry point."""
    from mox.server.control import ControlError
    from mox.store.errors import DatabaseVersionError

    try:
        sys.exit(run(sys.argv[1:]))
    except (ConfigError, SconfError, ControlError, DatabaseVersionError, OSError) as err:
        print(f"mox: {err}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
