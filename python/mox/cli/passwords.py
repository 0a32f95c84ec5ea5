"""setaccountpassword, setadminpassword."""

import getpass
import sys

from mox.cli.command import Command, CommandError, Invocation

MIN_BYTES = 8


def read_password() -> str:
    """One line of standard input, without echo on a terminal. Raises CommandError."""
    if sys.stdin.isatty():
        password = getpass.getpass("password: ")
    else:
        password = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if len(password.encode()) < MIN_BYTES:
        raise CommandError(f"the password must have at least {MIN_BYTES} bytes")
    return password


def _set_account_password(invocation: Invocation) -> None:
    password = read_password()
    invocation.call("setaccountpassword", invocation.argument(0), password)


def _set_admin_password(invocation: Invocation) -> None:
    import bcrypt

    from mox.config import files
    from mox.sasl.precis import opaque_string

    config = invocation.load_config()
    if not config.static.AdminPasswordFile:
        raise CommandError("no admin password file configured; set AdminPasswordFile in mox.conf")
    password = opaque_string(read_password())
    # bcrypt looks at no more than 72 bytes, and newer versions refuse longer input.
    hashed = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(10))
    files.replace_file(config.path.parent / config.static.AdminPasswordFile, hashed, 0o660)


COMMANDS = [
    Command(
        ("setaccountpassword",),
        _set_account_password,
        """Set the password of an account, read from standard input.

Log-ins with the new password work at once. Takes the name of the account, not an address.

Example: echo 'a good password' | mox setaccountpassword mjl
""",
        "$account",
        1,
        1,
    ),
    Command(
        ("setadminpassword",),
        _set_admin_password,
        """Set the password for the admin pages, read from standard input.

Writes a hash to the file that AdminPasswordFile in mox.conf names. It is read at every log-in.

Example: echo 'a good password' | mox setadminpassword
""",
    ),
]
