"""Log levels of the running server."""

from mox import log
from mox.admin.context import RequestError
from mox.net.bus import Bus
from mox.server import loglevels
from mox.server.control import Command, Commands, Request


def commands(bus: Bus) -> Commands:
    """loglevels, setloglevels."""

    async def show(request: Request) -> None:
        for package, level in sorted(log.levels().items()):
            await request.print(f"{package or '(default)'}: {level}")

    async def change(request: Request) -> None:
        package, level = request.parameters
        try:
            loglevels.publish(bus, package, level)
        except ValueError as err:
            raise RequestError(str(err)) from err

    return {"loglevels": Command(0, show), "setloglevels": Command(2, change)}
