"""The control socket: framing, errors, stale sockets."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mox.server.control import Command, ControlError, ControlServer, Request, call, stream


async def echo(request: Request) -> None:
    await request.print("/".join(request.parameters))


async def refuse(_request: Request) -> None:
    raise ControlError("account: not found")


async def refuse_late(request: Request) -> None:
    await request.print("one line")
    raise ControlError("then\nno more")


async def crash(_request: Request) -> None:
    raise RuntimeError("secret detail")


async def count(request: Request) -> None:
    size = 0
    async for chunk in request.input():
        size += len(chunk)
    await request.print(str(size))


async def long(request: Request) -> None:
    await request.write(b"x" * 3_000_000)


async def nothing(_request: Request) -> None:
    pass


COMMANDS = {
    "echo": Command(2, echo),
    "refuse": Command(1, refuse),
    "late": Command(0, refuse_late),
    "crash": Command(0, crash),
    "count": Command(0, count, takes_input=True),
    "long": Command(0, long),
    "nothing": Command(0, nothing),
}


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
    def work() -> None:
        assert call(tmp_path, "echo", "a", "") == "a/\n"
        assert call(tmp_path, "nothing") == ""

    with_server(tmp_path, work)
    assert not (tmp_path / "ctl").exists()


def test_streams_in_both_directions(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (b"x" * 2_500_000, b"", b"yz")

    def work() -> None:
        assert b"".join(stream(tmp_path, "count", input=pieces())) == b"2500002\n"
        assert sum(map(len, stream(tmp_path, "long"))) == 3_000_000

    with_server(tmp_path, work)


@pytest.mark.holds("cli-ae1bd8")
@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("nonsense",), "unrecognized command"),
        (("refuse", "x"), "account: not found"),
        (("late",), "then; no more"),
        (("crash",), "internal error; see the server's log"),
    ],
    ids=["unknown", "refused", "refused after a part of the answer", "crash"],
)
def test_errors_reach_the_client_and_the_server_goes_on(tmp_path: Path, command: tuple[str, ...], text: str) -> None:
    def work() -> None:
        with pytest.raises(ControlError) as failed:
            call(tmp_path, *command)
        assert str(failed.value) == text
        assert call(tmp_path, "echo", "still", "here") == "still/here\n"

    with_server(tmp_path, work)


def test_several_commands_on_one_connection(tmp_path: Path) -> None:
    async def main() -> bytes:
        server = ControlServer(tmp_path, COMMANDS)
        await server.start()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "ctl")
        writer.write(b"refuse\nx\necho\na\nb\n")
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await server.close()
        return answer

    assert asyncio.run(main()) == b"ctlv0\naccount: not found\nok\n4\na/b\n0\n"


def test_no_server_says_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="is the server running"):
        call(tmp_path, "stop")


def test_line_break_in_parameter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="line break"):
        call(tmp_path, "echo", "a\nstop", "b")


def test_stale_socket_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "ctl").write_text("left over")
    with_server(tmp_path, lambda: call(tmp_path, "echo", "a", "b"))
