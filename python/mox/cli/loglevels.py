"""loglevels."""

from mox.cli.command import Command, Invocation


def _loglevels(invocation: Invocation) -> None:
    if not invocation.arguments:
        print(invocation.call("loglevels"), end="")
    else:
        invocation.call("setloglevels", invocation.argument(1), invocation.argument(0))


COMMANDS = [
    Command(
        ("loglevels",),
        _loglevels,
        """Print the log levels of the running server, or change one until it ends.

With a level only, the general level is set; with a package, that of the package; an empty level removes the level of a
package. Levels: error, warn, info, debug, trace, traceauth, tracedata. Some packages: smtpserver, smtpclient, queue,
imapserver, webapi, config, store.

Examples:
	mox loglevels
	mox loglevels debug queue
	mox loglevels "" queue
""",
        "[$level [$pkg]]",
        0,
        2,
    )
]
