"""example: webhook calls as they are made, to try out a receiver with."""

import msgspec

from mox.cli.command import Command, CommandError, Invocation
from mox.webapi.examples import WEBHOOKS


def _example(invocation: Invocation) -> None:
    if not invocation.arguments:
        print("\n".join(WEBHOOKS))
        return
    found = WEBHOOKS.get(invocation.argument(0))
    if found is None:
        raise CommandError("not found; `mox example` lists the names")
    print(msgspec.json.format(msgspec.json.encode(found), indent=4).decode())


COMMANDS = [
    Command(
        ("example",),
        _example,
        """Print an example, or the names of all examples: bodies of the calls that webhooks get.

Example: mox example webhook-incoming-basic | curl --json @- http://localhost:8000/
""",
        "[$name]",
        0,
        1,
    )
]
