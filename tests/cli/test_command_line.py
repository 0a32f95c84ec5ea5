"""Finding commands, flags, usage, help, exit status (spec/cli.md section 1)."""

import subprocess
import sys
from pathlib import Path

import pytest

from mox.cli import families
from mox.cli.command import Command, Flag, Globals, Invocation, UsageError
from mox.cli.main import explain, run
from tests.server_process import child_environment

GLOBALS = Globals(Path("mox.conf"))


def nothing(_invocation: Invocation) -> None:
    pass


COMMAND = Command(
    ("a", "b"),
    nothing,
    "First line.\n\nExample: mox a b x",
    "[-on] [-text t] $x [$y]",
    1,
    2,
    (Flag("on", "a switch", False), Flag("text", "a text", "default", "t")),
)


@pytest.mark.holds("cli-e44477")
@pytest.mark.parametrize(
    ("words", "arguments", "on", "text"),
    [
        pytest.param(["x"], ["x"], False, "default", id="no flags"),
        pytest.param(["-on", "x"], ["x"], True, "default", id="one dash"),
        pytest.param(["--on", "x"], ["x"], True, "default", id="two dashes"),
        pytest.param(["-on=false", "-text=a=b", "x"], ["x"], False, "a=b", id="equals"),
        pytest.param(["--text", "-1h", "x"], ["x"], False, "-1h", id="value in the next word"),
        pytest.param(["x", "-on", "y", "--text", "t"], ["x", "y"], True, "t", id="flags after arguments"),
        pytest.param(["-on", "--", "-x", "--"], ["-x", "--"], True, "default", id="two dashes end flags"),
        pytest.param(["-1h30m", "-.5h"], ["-1h30m", "-.5h"], False, "default", id="negative durations are no flags"),
        pytest.param(["-"], ["-"], False, "default", id="a dash is no flag"),
        pytest.param(["-text=", "x"], ["x"], False, "", id="empty value"),
    ],
)
def test_flags(words: list[str], arguments: list[str], on: bool, text: str) -> None:
    parsed = COMMAND.parse(GLOBALS, words)
    assert (list(parsed.arguments), parsed.switch("on"), parsed.text("text")) == (arguments, on, text)


@pytest.mark.parametrize(
    "words", [[], ["x", "y", "z"], ["-nope", "x"], ["-text"], ["-on=maybe", "x"], ["-h"], ["x", "--help"]]
)
def test_bad_command_lines(words: list[str]) -> None:
    with pytest.raises(UsageError):
        COMMAND.parse(GLOBALS, words)


@pytest.mark.holds("cli-041c23")
@pytest.mark.parametrize(
    ("words", "status", "on_stderr", "not_on_stderr"),
    [
        pytest.param([], 2, "mox localserve", "mox helpall", id="no command"),
        pytest.param(["nonsense"], 2, "mox config test", "mox helpall", id="unknown command"),
        pytest.param(["config", "alias"], 2, "mox config alias rm", "mox config test", id="part of a command"),
        pytest.param(["config", "alias", "x"], 2, "mox config alias rm", "config account", id="wrong last word"),
        pytest.param(
            ["config", "account", "add", "x"], 2, "usage: mox config account add $account", "alias", id="arity"
        ),
        pytest.param(["version", "-x"], 2, "unknown flag -x", "mox config", id="unknown flag"),
        pytest.param(["-x", "version"], 2, "unknown flag -x", "mox helpall", id="unknown global flag"),
        pytest.param(["help", "nonsense"], 2, "nonsense: unknown command", "mox config", id="help for nothing"),
        pytest.param(["config", "test", "-h"], 2, "usage: mox config test", "mox config alias", id="help flag"),
    ],
)
def test_usage(
    words: list[str], status: int, on_stderr: str, not_on_stderr: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == status
    printed = capsys.readouterr()
    assert on_stderr in printed.err and not_on_stderr not in printed.err and printed.out == ""


@pytest.mark.holds("cli-041c23")
def test_help_explains_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "config", "account", "add"]) == 0
    printed = capsys.readouterr()
    assert "usage: mox config account add $account $address" in printed.out
    assert "Example: mox config account add" in printed.out and printed.err == ""


def test_help_for_a_family_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "config", "alias"]) == 0
    assert "mox config alias add\n\tAdd an alias" in capsys.readouterr().out


@pytest.mark.parametrize("command", families.load_all(), ids=lambda command: command.name)
def test_every_command_is_found_and_explained(command: Command) -> None:
    assert families.find(list(command.words)) is command
    text = explain(command)
    assert f"usage: mox {command.name}" in text and len(command.help.split()) >= 3
    assert all(f"-{flag.name}" in text for flag in command.flags)
    assert command.most is None or command.least <= command.most


def mox(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program as people do."""
    return subprocess.run(
        [sys.executable, "-m", "mox.cli.main", *arguments],
        env={**child_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.holds("cli-b2a3d3")
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-config", "gone/mox.conf", "stop"], id="no configuration"),
        pytest.param(["-loglevel", "loud", "version"], id="bad log level"),
        pytest.param(["config", "example", "nothing"], id="no such example"),
    ],
)
def test_a_fatal_error_is_one_line_and_status_1(arguments: list[str]) -> None:
    done = mox(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_moxconf_names_the_configuration(tmp_path: Path) -> None:
    done = mox("stop", MOXCONF=str(tmp_path / "here.conf"))
    assert str(tmp_path / "here.conf") in done.stderr


def test_simple_commands_do_not_load_the_server() -> None:
    code = "import sys; sys.argv = ['mox', 'version']\nfrom mox.cli.main import run\nrun(['version'])\n"
    code += "print(sorted(m for m in sys.modules if m.startswith(('mox.server', 'mox.store', 'cryptography'))))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
