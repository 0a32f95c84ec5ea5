"""config account …, config address …: through the running server."""

from mox.cli.command import Command, CommandError, Invocation


def _list(invocation: Invocation) -> None:
    print(invocation.call("accountlist"), end="")


def _addresses(invocation: Invocation) -> None:
    print(invocation.call("accountaddresses", invocation.argument(0)), end="")


def _add(invocation: Invocation) -> None:
    account, address = invocation.arguments
    invocation.call("accountadd", account, address)
    print(f'account added, set a password with "mox setaccountpassword {account}"')


def _remove(invocation: Invocation) -> None:
    invocation.call("accountrm", invocation.argument(0))
    print("account removed")


def _disable(invocation: Invocation) -> None:
    account, message = invocation.arguments
    if not message:
        raise CommandError("the message must not be empty; it is shown to whoever tries to log in")
    invocation.call("accountdisabled", account, message)
    print("account disabled")


def _enable(invocation: Invocation) -> None:
    invocation.call("accountenable", invocation.argument(0))
    print("account enabled")


def _add_address(invocation: Invocation) -> None:
    address, account = invocation.arguments
    invocation.call("addressadd", address, account)
    print("address added")


def _remove_address(invocation: Invocation) -> None:
    invocation.call("addressrm", invocation.argument(0))
    print("address removed")


def _address_account(invocation: Invocation) -> None:
    print(invocation.call("addressaccount", invocation.argument(0)), end="")


COMMANDS = [
    Command(
        ("config", "account", "list"),
        _list,
        "List the accounts. Those whose log-ins are disabled are marked.",
    ),
    Command(
        ("config", "account", "addresses"),
        _addresses,
        "List the addresses of an account. An address without localpart, such as @example.org, is a catch-all.",
        "$account",
        1,
        1,
    ),
    Command(
        ("config", "account", "add"),
        _add,
        """Add an account with an address.

The domain of the address must be configured. The account has no password yet: set one with `mox setaccountpassword`.

Example: mox config account add mjl mjl@example.org
""",
        "$account $address",
        2,
        2,
    ),
    Command(
        ("config", "account", "rm"),
        _remove,
        """Remove an account with all its mail.

Its messages in the queue fail, and their senders are told. Its files are removed when nobody uses them any more.
""",
        "$account",
        1,
        1,
    ),
    Command(
        ("config", "account", "disable"),
        _disable,
        """Refuse log-ins to an account, with a message that is shown to who tries.

Mail is still delivered to the account, and messages in the queue are sent.

Example: mox config account disable mjl 'your account is disabled, call 555-1234'
""",
        "$account $message",
        2,
        2,
    ),
    Command(("config", "account", "enable"), _enable, "Allow log-ins to an account again.", "$account", 1, 1),
    Command(
        ("config", "address", "add"),
        _add_address,
        """Add an address to an account. @example.org takes all mail for a domain that has no other address.

Example: mox config address add sales@example.org mjl
""",
        "$address $account",
        2,
        2,
    ),
    Command(
        ("config", "address", "rm"),
        _remove_address,
        """Take an address from its account, and from aliases it is a member of.

Refused for the last member of an alias, and for addresses that a TLS public key logs in with.
""",
        "$address",
        1,
        1,
    ),
    Command(
        ("config", "address", "account"),
        _address_account,
        """Print the account that mail for an address goes to, also through a catchall separator or a catch-all address.

Example: mox config address account mjl+news@example.org
""",
        "$address",
        1,
        1,
    ),
]
