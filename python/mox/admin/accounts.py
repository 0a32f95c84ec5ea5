"""Adding, removing, disabling accounts, and their passwords."""

import asyncio

import msgspec

from mox.admin.addresses import check_available
from mox.admin.context import Admin, RequestError, logger, need_address
from mox.admin.edits import edit_account
from mox.config.defaults import new_account
from mox.config.model import Dynamic
from mox.config.tables import Subscription
from mox.outbound import operations
from mox.store import login, tlskeys, websessions

MIN_PASSWORD_BYTES = 8


def list_accounts(admin: Admin) -> list[tuple[str, bool]]:
    """(name, whether log-ins are disabled), sorted."""
    return [(name, bool(account.LoginDisabled)) for name, account in sorted(admin.config.dynamic.Accounts.items())]


def list_addresses(admin: Admin, account: str) -> list[str]:
    """Raises RequestError."""
    need_account(admin, account)
    return sorted(admin.config.account(account).Destinations)


def list_subscriptions(admin: Admin, account: str) -> tuple[Subscription, ...]:
    """The aliases that an account is a member of."""
    return admin.config.tables.subscriptions.get(account, ())


def need_account(admin: Admin, name: str) -> None:
    """Raises RequestError."""
    if name not in admin.config.dynamic.Accounts:
        raise RequestError(f"no such account {name!r}")


async def add_account(admin: Admin, name: str, text: str) -> None:
    """Add an account with one address and no password. Raises RequestError, ConfigError, OSError."""
    address = need_address(text)
    if not name:
        raise RequestError("the name of the account is empty")
    if name in admin.config.dynamic.Accounts:
        raise RequestError(f"account {name!r} is present already")
    refuse_folder(admin, name)
    check_available(admin.config, address)
    account = new_account(address)

    def add(dynamic: Dynamic) -> Dynamic:
        return msgspec.structs.replace(dynamic, Accounts={**dynamic.Accounts, name: account})

    await admin.change(add)
    logger.info("account added", account=name, address=str(address))


def refuse_folder(admin: Admin, name: str) -> None:
    """A new account must not find the mail of another one. Raises RequestError."""
    if "/" in name or name in (".", ".."):
        raise RequestError(f"{name!r} cannot be the name of an account, which is the name of a directory")
    folder = admin.config.data_dir / "accounts" / name
    if folder.exists():
        raise RequestError(f"directory {folder} exists; a removed account may still be in the works, or move it away")


async def remove_account(admin: Admin, name: str) -> None:
    """Remove an account with all its mail. Its queued messages fail, with notifications to their senders.

    Refused, with nothing lost, while other parts of the configuration need the account. Raises RequestError,
    ConfigError, OSError.
    """
    need_account(admin, name)

    def remove(dynamic: Dynamic) -> Dynamic:
        accounts = {key: account for key, account in dynamic.Accounts.items() if key != name}
        return msgspec.structs.replace(dynamic, Accounts=accounts)

    # The notifications are stored in the account, so it must still be there; but a refusal must come before them.
    await asyncio.to_thread(admin.config.check, remove)
    await operations.remove_account(admin.queue, admin.notifier, name)
    await end_sessions(admin, name)
    await admin.change(remove)
    await admin.store.write_auth(lambda tx: tlskeys.remove_account(tx, name))
    await admin.store.remove(name)
    logger.info("account removed", account=name)


async def disable_login(admin: Admin, name: str, reason: str) -> None:
    """Refuse log-ins with a reason, or allow them again with an empty one; web sessions end.

    Raises RequestError, ConfigError (reason not printable ASCII or too long), OSError.
    """
    await admin.change(edit_account(name, lambda a: msgspec.structs.replace(a, LoginDisabled=reason)))
    await end_sessions(admin, name)
    logger.info("account log-ins changed", account=name, disabled=bool(reason))


async def end_sessions(admin: Admin, name: str) -> None:
    """Log out everybody from the account's web pages."""
    account = await admin.store.open(name)
    await account.write(websessions.remove_all)


async def set_password(admin: Admin, name: str, password: str) -> None:
    """Raises RequestError."""
    need_account(admin, name)
    check_password(password)
    await login.set_password(admin.store, name, password)
    logger.info("account password set", account=name)


def check_password(password: str) -> None:
    """Raises RequestError."""
    if len(password.encode()) < MIN_PASSWORD_BYTES:
        raise RequestError(f"the password must have at least {MIN_PASSWORD_BYTES} bytes")
