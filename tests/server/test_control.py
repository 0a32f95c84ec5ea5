"""The control socket: framing, errors, stale sockets."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.server.control import ControlError, ControlServer, call


async def echo(parameters: list[str]) -> list[str]:
    return ["/".join(parameters)]


async def refuse(_parameters: list[str]) -> list[str]:
    raise ControlError("account: not found")


async def crash(_parameters: list[str]) -> list[str]:
    raise RuntimeError("secret detail")


COMMANDS = {"echo": (2, echo), "refuse": (1, refuse), "crash": (0, crash)}


def with_server(folder: Path, work: Callable[[], object]) -> None:
    async def main() -> None:
        server = ControlServer(folder, COMMANDS)
        await server.start()
        try:
            await asyncio.to_thread(work)
        finally:
            await server.close()

    asyncio.run(main())


def test_command_with_parameters(tmp_path: Path) -> None:
    with_server(tmp_path, lambda: call(tmp_path, "echo", "a", "b"))
    assert not (tmp_path / "ctl").exists()


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("nonsense",), "unrecognized command"),
        (("refuse", "x"), "account: not found"),
        (("crash",), "internal error; see the server's log"),
    ],
    ids=["unknown", "refused", "crash"],
)
def test_errors_reach_the_client(tmp_path: Path, command: tuple[str, ...], text: str) -> None:
    def work() -> None:
        with pytest.raises(ControlError) as failed:
            call(tmp_path, *command)
        assert str(failed.value) == text

    with_server(tmp_path, work)


def test_no_server_says_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="is the server running"):
        call(tmp_path, "stop")


def test_line_break_in_parameter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="line break"):
        call(tmp_path, "echo", "a\nstop", "b")


def test_stale_socket_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "ctl").write_text("left over")
    with_server(tmp_path, lambda: call(tmp_path, "echo", "a", "b"))
