"""Backing up the running server."""

import asyncio
from pathlib import Path

from mox.admin.backup import Backup
from mox.admin.context import Admin, RequestError
from mox.server.commands.domains import flag
from mox.server.control import Command, Commands, Request


def commands(admin: Admin) -> Commands:
    """backup: destination, whether to tell each step. The answer is lines with what went wrong."""

    async def run(request: Request) -> None:
        destination, is_verbose = Path(request.parameters[0]), flag(request.parameters[1])
        if not destination.is_absolute():
            raise RequestError("the destination must be an absolute path")
        loop = asyncio.get_running_loop()
        lines: asyncio.Queue[str | None] = asyncio.Queue()

        def report(line: str) -> None:
            loop.call_soon_threadsafe(lines.put_nowait, line)

        backup = Backup(admin.config.path.parent.resolve(), admin.config.data_dir, destination, report, is_verbose)
        work = asyncio.ensure_future(asyncio.to_thread(backup.run))
        work.add_done_callback(lambda _done: lines.put_nowait(None))
        while (line := await lines.get()) is not None:
            await request.print(line)
        await work

    return {"backup": Command(2, run)}
