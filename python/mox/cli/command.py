"""What a command is: its words, its flags and arguments, its explanation, and the function that does it."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mox.config.live import Config


class CommandError(Exception):
    """The command failed; the text is one line that says what to do, or one line a problem."""


class UsageError(Exception):
    """The command line is not as it should be."""


@dataclass(frozen=True, slots=True)
class Flag:
    """An option. A `default` of False makes it a switch without value."""

    name: str
    text: str
    default: str | bool = ""
    value: str = "value"


@dataclass(frozen=True, slots=True)
class Globals:
    """Flags before the command."""

    config: Path
    log_level: str = ""
    is_pedantic: bool = False


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command line after parsing."""

    globals: Globals
    arguments: Sequence[str]
    flags: dict[str, str | bool]

    def text(self, name: str) -> str:
        """The value of a flag; empty when it was not given and has no default."""
        value = self.flags[name]
        assert isinstance(value, str)
        return value

    def switch(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.flags[name] is True

    def argument(self, number: int, default: str = "") -> str:
        """An argument, or the default when there are fewer."""
        return self.arguments[number] if number < len(self.arguments) else default

    def load_config(self) -> "Config":
        """The configuration. Raises CommandError."""
        from mox.config.live import Config, ConfigError

        try:
            return Config.load(self.globals.config)
        except ConfigError as err:
            raise CommandError(f"loading config file: {err}") from err

    def data_dir(self) -> Path:
        """The data directory of the configuration. Raises CommandError."""
        return self.load_config().data_dir

    def call(self, name: str, *parameters: str) -> str:
        """Run a command of the running server; its answer. Raises ControlError, CommandError."""
        return b"".join(self.stream(name, *parameters)).decode(errors="replace")

    def stream(self, name: str, *parameters: str, input: Iterator[bytes] | None = None) -> Iterator[bytes]:
        """Run a command of the running server; its answer in pieces. Raises ControlError, CommandError."""
        from mox.server import control

        return control.stream(self.data_dir(), name, *parameters, input=input, timeout_s=None)


@dataclass(frozen=True, slots=True)
class Command:
    """`params` is what stands behind the words in the usage; `most` None is any number of arguments. With
    `takes_raw_words` the command reads its options itself."""

    words: tuple[str, ...]
    run: Callable[[Invocation], int | None]
    help: str
    params: str = ""
    least: int = 0
    most: int | None = 0
    flags: tuple[Flag, ...] = field(default=())
    is_hidden: bool = False
    takes_raw_words: bool = False

    @property
    def name(self) -> str:
        """The words as one text."""
        return " ".join(self.words)

    @property
    def usage(self) -> str:
        """One line a way to call it."""
        return "\n".join(f"mox {self.name} {line}".rstrip() for line in (self.params or " ").split("\n"))

    def parse(self, globals: Globals, words: Sequence[str]) -> Invocation:
        """What follows the words of the command; flags may stand anywhere. Raises UsageError."""
        values: dict[str, str | bool] = {flag.name: flag.default for flag in self.flags}
        if self.takes_raw_words:
            return Invocation(globals, list(words), values)
        rest = parse_flags(self.flags, words, values, anywhere=True)
        if len(rest) < self.least or (self.most is not None and len(rest) > self.most):
            raise UsageError(f"{self.name}: wrong number of arguments")
        return Invocation(globals, rest, values)


def is_flag(word: str) -> bool:
    """`-x` and `--x`, but not negative numbers and durations."""
    return len(word) > 1 and word[0] == "-" and not word[1].isdigit() and word[1] != "."


def parse_flags(
    flags: Sequence[Flag], words: Sequence[str], values: dict[str, str | bool], *, anywhere: bool
) -> list[str]:
    """Put flags into `values`; the words that are none. With `anywhere` flags may follow other words. `--` ends them.

    Raises UsageError.
    """
    known = {flag.name: flag for flag in flags}
    rest: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            return rest + queue
        if not is_flag(word):
            if not anywhere:
                return [word, *queue]
            rest.append(word)
            continue
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        flag = known.get(name)
        if flag is None:
            raise UsageError("help" if name in ("h", "help") else f"unknown flag {word.partition('=')[0]}")
        values[name] = _flag_value(flag, value if equals else None, queue)
    return rest


def _flag_value(flag: Flag, value: str | None, queue: list[str]) -> str | bool:
    if isinstance(flag.default, bool):
        if value is None or value in ("true", "1"):
            return True
        if value in ("false", "0"):
            return False
        raise UsageError(f"flag -{flag.name} is true or false, not {value!r}")
    if value is not None:
        return value
    if not queue:
        raise UsageError(f"flag -{flag.name} needs a {flag.value}")
    return queue.pop(0)


def default_config() -> Path:
    """Where mox.conf is when nobody says."""
    return Path(os.environ.get("MOXCONF") or "config/mox.conf")
