"""Accounts and their addresses."""

from mox.admin import accounts, addresses
from mox.admin.context import Admin, RequestError, need_address, need_domain
from mox.config.tables import LookupFailed
from mox.server.control import Command, Commands, Request


def commands(admin: Admin) -> Commands:
    """accountadd, accountlist, …"""

    async def add(request: Request) -> None:
        await accounts.add_account(admin, *request.parameters)

    async def remove(request: Request) -> None:
        await accounts.remove_account(admin, request.parameters[0])

    async def list_all(request: Request) -> None:
        for name, is_disabled in accounts.list_accounts(admin):
            await request.print(name + ("\t(disabled)" if is_disabled else ""))

    async def list_addresses(request: Request) -> None:
        await request.print(*accounts.list_addresses(admin, request.parameters[0]))

    async def disable(request: Request) -> None:
        await accounts.disable_login(admin, *request.parameters)

    async def enable(request: Request) -> None:
        await accounts.disable_login(admin, request.parameters[0], "")

    async def set_password(request: Request) -> None:
        await accounts.set_password(admin, *request.parameters)

    async def add_address(request: Request) -> None:
        await addresses.add_address(admin, *request.parameters)

    async def remove_address(request: Request) -> None:
        await addresses.remove_address(admin, request.parameters[0])

    async def address_account(request: Request) -> None:
        await request.print(_account_of(admin, request.parameters[0]))

    return {
        "accountadd": Command(2, add),
        "accountrm": Command(1, remove),
        "accountlist": Command(0, list_all),
        "accountaddresses": Command(1, list_addresses),
        "accountdisabled": Command(2, disable),
        "accountenable": Command(1, enable),
        "setaccountpassword": Command(2, set_password),
        "addressadd": Command(2, add_address),
        "addressrm": Command(1, remove_address),
        "addressaccount": Command(1, address_account),
    }


def _account_of(admin: Admin, text: str) -> str:
    """The account of an address, or of the catch-all address of a domain. Raises RequestError."""
    if text.startswith("@"):
        found = admin.config.tables.destinations.get(f"@{need_domain(text[1:]).name}")
        if found is None:
            raise RequestError(f"no catchall address for {text[1:]!r}")
        return found.account
    address = need_address(text)
    try:
        return admin.config.lookup(
            address.localpart, address.domain.ascii, allow_postmaster=True, check_disabled=True
        ).account
    except LookupFailed as err:
        raise RequestError(str(err)) from err
