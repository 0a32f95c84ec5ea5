"""import …, export …"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mox.cli.command import Command, CommandError, Flag, Invocation


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)


def _import(name: str) -> Callable[[Invocation], None]:
    def run(invocation: Invocation) -> None:
        account, mailbox, path = invocation.arguments
        mailbox = "Inbox" if mailbox.lower() == "inbox" else mailbox
        print("importing...", file=sys.stderr)
        shown = 0
        for line in _lines(invocation.stream(name, account, mailbox, str(Path(path).absolute()))):
            if not line.isdecimal():
                print(line, file=sys.stderr)
            elif int(line) // 1000 > shown:
                shown = int(line) // 1000
                print(f"{shown * 1000}...", file=sys.stderr)

    return run


def _export(is_maildir: bool) -> Callable[[Invocation], None]:
    def run(invocation: Invocation) -> None:
        from mox.cli.accounts_direct import with_account
        from mox.store.errors import ExportError
        from mox.store.exporting import DirectoryArchiver, Selection, export

        target, account = Path(invocation.argument(0)), Path(invocation.argument(1)).absolute()
        if account.parent.name != "accounts":
            raise CommandError(f"{account} is not the directory of an account, such as data/accounts/mjl")
        selection = Selection(invocation.argument(2), recursive=not invocation.switch("single"))
        try:
            errors = with_account(
                account.parent.parent,
                account.name,
                lambda opened: export(opened, DirectoryArchiver(target), selection, is_maildir),
            )
        except ExportError as err:
            raise CommandError(str(err)) from err
        for error in errors:
            print(f"error: {error}", file=sys.stderr)

    return run


_IMPORT_HELP = """

The running server reads the files, so it needs permission to. Messages that are there already are imported again. Flags
in the files are kept; those for junk train the junk filter. Importing into the mailbox for sent messages makes their
recipients known, so that answers from them are accepted. A failure takes back everything.

Example: mox import {0} mjl Inbox /tmp/{0}
"""
_EXPORT_HELP = """

The directory of the account is data/accounts/<name>. Without a mailbox, all are exported; with one, those below it too,
unless -single. Messages that cannot be read are listed in errors.txt.

Example: mox export {0} /tmp/mail data/accounts/mjl
"""
_SINGLE = Flag("single", "only the mailbox, not those below it", False)

COMMANDS = [
    Command(
        ("import", "maildir"),
        _import("importmaildir"),
        "Import a maildir into a mailbox of an account." + _IMPORT_HELP.format("maildir"),
        "$accountname $mailboxname $maildir",
        3,
        3,
    ),
    Command(
        ("import", "mbox"),
        _import("importmbox"),
        "Import an mbox file into a mailbox of an account." + _IMPORT_HELP.format("mbox"),
        "$accountname $mailboxname $mbox",
        3,
        3,
    ),
    Command(
        ("export", "maildir"),
        _export(True),
        "Export mailboxes of an account as maildirs." + _EXPORT_HELP.format("maildir"),
        "[-single] $dstdir $accountpath [$mailbox]",
        2,
        3,
        (_SINGLE,),
    ),
    Command(
        ("export", "mbox"),
        _export(False),
        "Export mailboxes of an account as mbox files." + _EXPORT_HELP.format("mbox"),
        "[-single] $dstdir $accountpath [$mailbox]",
        2,
        3,
        (_SINGLE,),
    ),
]
