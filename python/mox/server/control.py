"""The control socket `ctl` in the data directory: how commands talk to the running server.

A line protocol: the server greets with its version, the client sends a command name and each parameter on a line of
its own, the server answers `ok` or an error text. Access control is the directory's permissions.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from mox import log

VERSION = "ctlv0"
SOCKET_NAME = "ctl"
MAX_LINE_BYTES = 64 * 1024
READ_TIMEOUT_S = 60.0

_logger = log.get("ctl")

Handler = Callable[[list[str]], Awaitable[list[str]]]


class ControlError(Exception):
    """A command failed; the text is what the server answered, or what to do when it does not run."""


class ControlServer:
    """Listens on `ctl`; `commands` maps a name to (number of parameters, handler)."""

    def __init__(self, data_dir: Path, commands: dict[str, tuple[int, Handler]]) -> None:
        self._path = data_dir / SOCKET_NAME
        self._commands = commands
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
        except (TimeoutError, ConnectionError, ValueError) as err:
            _logger.info("control connection ended", err=str(err))
        finally:
            writer.close()

    async def _command(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        name = await _read_line(reader)
        if name is None:
            return False
        if name not in self._commands:
            writer.write(b"unrecognized command\n")
            await writer.drain()
            return False
        count, handler = self._commands[name]
        # All parameters are read before any is judged, so that both sides stay in step.
        parameters = [await _read_line(reader) or "" for _ in range(count)]
        _logger.info("control command", cmd=name)
        try:
            lines = ["ok", *await handler(parameters)]
        except ControlError as err:
            lines = [str(err).replace("\n", " ")]
        except Exception:
            _logger.exception("control command failed", cmd=name)
            lines = ["internal error; see the server's log"]
        writer.write("".join(f"{line}\n" for line in lines).encode())
        await writer.drain()
        return True


async def _read_line(reader: asyncio.StreamReader) -> str | None:
    async with asyncio.timeout(READ_TIMEOUT_S):
        line = await reader.readline()
    return line.decode(errors="replace").rstrip("\n") if line else None


def call(data_dir: Path, name: str, *parameters: str, wait_for_end: bool = False, timeout_s: float = 60.0) -> str:
    """Run one command on the server of `data_dir` and return what follows `ok`.

    With `wait_for_end` the call returns when the server closed the connection (`stop`). Raises ControlError.
    """
    if any("\n" in p for p in parameters):
        raise ControlError("a parameter may not contain a line break")
    path = data_dir / SOCKET_NAME
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout_s)
        try:
            sock.connect(str(path))
        except OSError as err:
            raise ControlError(
                f'connecting to control socket at "{path}": {err.strerror or err}; is the server running, '
                "and does -config name its configuration?"
            ) from err
        with sock.makefile("rwb") as stream:
            greeting = stream.readline().decode(errors="replace").strip()
            if greeting != VERSION:
                raise ControlError(f"ctl protocol mismatch: server speaks {greeting!r}, this program {VERSION!r}")
            stream.write("".join(f"{line}\n" for line in (name, *parameters)).encode())
            stream.flush()
            answer = stream.readline().decode(errors="replace").strip()
            if answer != "ok":
                raise ControlError(answer or "the server closed the connection without an answer")
            return stream.read().decode(errors="replace") if wait_for_end else ""
