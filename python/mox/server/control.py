"""The control socket `ctl` in the data directory: how commands talk to the running server.

The server greets with its version. For each command the client sends the name and each parameter on a line of its own,
and then, if the command takes input, a stream. The server answers `ok` and a stream, or an error text on one line. A
stream is chunks, each a line with its size and then its bytes; size 0 ends it, and an error text may come in place of a
size. Access control is the directory's permissions.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from mox import log

VERSION = "ctlv0"
SOCKET_NAME = "ctl"
MAX_LINE_BYTES = 64 * 1024
MAX_CHUNK_BYTES = 1 << 20
READ_TIMEOUT_S = 60.0
WRITE_TIMEOUT_S = 60.0

_logger = log.get("ctl")


class ControlError(Exception):
    """A command failed; the text is what the server answered, or what to do when it does not run."""


class Request:
    """A command that came in: its parameters, its input, and where its answer goes."""

    def __init__(self, parameters: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.parameters = parameters
        self._reader = reader
        self._writer = writer
        self._is_answered = False

    async def input(self) -> AsyncIterator[bytes]:
        """The chunks that the client sends, for a command that takes input. Raises ControlError."""
        while size := _chunk_size(await _read_line(self._reader)):
            async with asyncio.timeout(READ_TIMEOUT_S):
                yield await self._reader.readexactly(size)

    async def write(self, data: bytes) -> None:
        """Add to the answer; waits while the client does not keep up."""
        head = b"" if self._is_answered else b"ok\n"
        self._is_answered = True
        for at in range(0, len(data), MAX_CHUNK_BYTES):
            chunk = data[at : at + MAX_CHUNK_BYTES]
            self._writer.write(b"%s%d\n%s" % (head, len(chunk), chunk))
            head = b""
            await self._drain()
        self._writer.write(head)

    async def print(self, *lines: str) -> None:
        """Add lines to the answer."""
        await self.write("".join(f"{line}\n" for line in lines).encode())

    async def finish(self, error: str = "") -> None:
        """End the answer, with an error if there is one."""
        if error:
            end = _one_line(error)
        else:
            end = "0" if self._is_answered else "ok\n0"
        self._writer.write(f"{end}\n".encode())
        await self._drain()

    async def _drain(self) -> None:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await self._writer.drain()


def _one_line(text: str) -> str:
    return text.replace("\n", "; ")


@dataclass(frozen=True, slots=True)
class Command:
    """What the server does for a name. `takes_input`: a stream follows the parameters."""

    parameters: int
    handler: Callable[[Request], Awaitable[None]]
    takes_input: bool = False


Commands = Mapping[str, Command]


class ControlServer:
    """Listens on `ctl`. `errors` are those whose text is for the client."""

    def __init__(self, data_dir: Path, commands: Commands, errors: tuple[type[Exception], ...] = ()) -> None:
        self._path = data_dir / SOCKET_NAME
        self._commands = commands
        self._errors: tuple[type[Exception], ...] = (ControlError, *errors)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Replace a stale socket and listen. Call it after all ports are bound, so that a second
        instance that fails on a port does not steal the socket of the running one."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._client, path=self._path, limit=MAX_LINE_BYTES)
        self._path.chmod(0o660)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(f"{VERSION}\n".encode())
            while await self._command(reader, writer):
                pass
        except (TimeoutError, ConnectionError, ValueError, asyncio.IncompleteReadError) as err:
            _logger.info("control connection ended", err=str(err))
        finally:
            writer.close()

    async def _command(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        name = await _read_line(reader)
        if name is None:
            return False
        command = self._commands.get(name)
        if command is None:
            writer.write(b"unrecognized command\n")
            await writer.drain()
            return False
        # All parameters are read before any is judged, so that both sides stay in step.
        request = Request([await _read_line(reader) or "" for _ in range(command.parameters)], reader, writer)
        _logger.info("control command", cmd=name)
        error = ""
        try:
            await command.handler(request)
        except self._errors as err:
            error = str(err) or type(err).__name__
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            raise
        except Exception:
            _logger.exception("control command failed", cmd=name)
            error = "internal error; see the server's log"
        await request.finish(error)
        # After a failure nobody knows how much of the input was read.
        return not (error and command.takes_input)


async def _read_line(reader: asyncio.StreamReader) -> str | None:
    async with asyncio.timeout(READ_TIMEOUT_S):
        line = await reader.readline()
    return line.decode(errors="replace").rstrip("\n") if line else None


def _chunk_size(line: str | None) -> int:
    """Raises ControlError for an error text in place of a size, or for the end of the connection."""
    if line is None:
        raise ControlError("the connection ended in the middle of a command")
    if not line.isdecimal() or not line.isascii() or int(line) > MAX_CHUNK_BYTES:
        raise ControlError(line or "the other side sent an empty line for a size")
    return int(line)


def call(data_dir: Path, name: str, *parameters: str, timeout_s: float = 60.0) -> str:
    """Run one command on the server of `data_dir` and return its answer as text. Raises ControlError."""
    return b"".join(stream(data_dir, name, *parameters, timeout_s=timeout_s)).decode(errors="replace")


def stream(
    data_dir: Path, name: str, *parameters: str, input: Iterable[bytes] | None = None, timeout_s: float | None = 60.0
) -> Iterator[bytes]:
    """Run one command and yield its answer as it comes. `input` is sent to a command that takes it; `timeout_s` is for
    each wait, None for none. Raises ControlError."""
    if any("\n" in p for p in parameters):
        raise ControlError("a parameter may not contain a line break")
    with _connect(data_dir, timeout_s) as sock, cast(IO[bytes], sock.makefile("rwb")) as connection:
        greeting = connection.readline().decode(errors="replace").strip()
        if greeting != VERSION:
            raise ControlError(f"ctl protocol mismatch: server speaks {greeting!r}, this program {VERSION!r}")
        connection.write("".join(f"{line}\n" for line in (name, *parameters)).encode())
        if input is not None:
            _send(connection, input)
        connection.flush()
        yield from _answer(connection)


def stop(data_dir: Path, timeout_s: float = 60.0) -> None:
    """Stop the server and return when it has ended. Raises ControlError."""
    with _connect(data_dir, timeout_s) as sock, cast(IO[bytes], sock.makefile("rwb")) as connection:
        connection.readline()
        connection.write(b"stop\n")
        connection.flush()
        for _ in _answer(connection):
            pass
        if rest := connection.read():
            raise ControlError(f"unexpected answer: {rest.decode(errors='replace').strip()}")


def _connect(data_dir: Path, timeout_s: float | None) -> socket.socket:
    path = data_dir / SOCKET_NAME
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout_s)
    try:
        sock.connect(str(path))
    except OSError as err:
        sock.close()
        raise ControlError(
            f'connecting to control socket at "{path}": {err.strerror or err}; is the server running, '
            "and does -config name its configuration?"
        ) from err
    return sock


def _send(connection: IO[bytes], input: Iterable[bytes]) -> None:
    for data in input:
        for at in range(0, len(data), MAX_CHUNK_BYTES):
            chunk = data[at : at + MAX_CHUNK_BYTES]
            connection.write(b"%d\n%s" % (len(chunk), chunk))
    connection.write(b"0\n")


def _answer(connection: IO[bytes]) -> Iterator[bytes]:
    answer = connection.readline().decode(errors="replace").strip()
    if answer != "ok":
        raise ControlError(answer or "the server closed the connection without an answer")
    while size := _chunk_size(connection.readline().decode(errors="replace").rstrip("\n") or None):
        yield connection.read(size)
