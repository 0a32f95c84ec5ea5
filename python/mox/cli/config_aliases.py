"""config alias …: through the running server."""

import json

from mox.cli.command import Command, CommandError, Flag, Invocation


def _list(invocation: Invocation) -> None:
    print(invocation.call("aliaslist", invocation.argument(0)), end="")


def _print(invocation: Invocation) -> None:
    print(invocation.call("aliasprint", invocation.argument(0)), end="")


def _add(invocation: Invocation) -> None:
    alias = {"Addresses": list(invocation.arguments[1:]), "PostPublic": True}
    invocation.call("aliasadd", invocation.argument(0), json.dumps(alias))


def _update(invocation: Invocation) -> None:
    values = [invocation.text(name) for name in ("postpublic", "listmembers", "allowmsgfrom")]
    if not any(values):
        raise CommandError("nothing to change; give -postpublic, -listmembers or -allowmsgfrom")
    invocation.call("aliasupdate", invocation.argument(0), *values)


def _remove(invocation: Invocation) -> None:
    invocation.call("aliasrm", invocation.argument(0))


def _add_members(invocation: Invocation) -> None:
    invocation.call("aliasaddaddr", invocation.argument(0), json.dumps(list(invocation.arguments[1:])))


def _remove_members(invocation: Invocation) -> None:
    invocation.call("aliasrmaddr", invocation.argument(0), json.dumps(list(invocation.arguments[1:])))


_MEMBERS = "$alias@domain $rcpt1@domain ..."

COMMANDS = [
    Command(("config", "alias", "list"), _list, "List the aliases of a domain.", "$domain", 1, 1),
    Command(("config", "alias", "print"), _print, "Print the options and members of an alias.", "$alias", 1, 1),
    Command(
        ("config", "alias", "add"),
        _add,
        """Add an alias: one address whose mail goes to several. Everybody may write to it.

Example: mox config alias add team@example.org mjl@example.org other@example.org
""",
        _MEMBERS,
        2,
        None,
    ),
    Command(
        ("config", "alias", "update"),
        _update,
        """Change options of an alias.

Example: mox config alias update team@example.org -postpublic false -listmembers true
""",
        "$alias@domain [-postpublic false|true -listmembers false|true -allowmsgfrom false|true]",
        1,
        1,
        (
            Flag("postpublic", "whether anyone may write to the alias, or only members", "", "false|true"),
            Flag("listmembers", "whether members see the members", "", "false|true"),
            Flag("allowmsgfrom", "whether members may send with the address of the alias", "", "false|true"),
        ),
    ),
    Command(("config", "alias", "rm"), _remove, "Remove an alias.", "$alias@domain", 1, 1),
    Command(("config", "alias", "addaddr"), _add_members, "Add members to an alias.", _MEMBERS, 2, None),
    Command(("config", "alias", "rmaddr"), _remove_members, "Remove members from an alias.", _MEMBERS, 2, None),
]
