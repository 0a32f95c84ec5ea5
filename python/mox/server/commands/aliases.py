"""Aliases."""

import msgspec

from mox.admin import aliases
from mox.admin.context import Admin, RequestError
from mox.config.model import Alias
from mox.server.commands.domains import flag
from mox.server.control import Command, Commands, Request


class NewAlias(msgspec.Struct, forbid_unknown_fields=True):
    """An alias as it travels over the control socket."""

    Addresses: list[str]
    PostPublic: bool = False
    ListMembers: bool = False
    AllowMsgFrom: bool = False


def _addresses(text: str) -> list[str]:
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.DecodeError as err:
        raise RequestError(f"parsing addresses: {err}") from err


def commands(admin: Admin) -> Commands:
    """aliaslist, aliasadd, …"""

    async def list_all(request: Request) -> None:
        await request.print(*aliases.list_aliases(admin, request.parameters[0]))

    async def show(request: Request) -> None:
        alias = aliases.find_alias(admin, request.parameters[0])
        options = (
            ("postpublic", alias.PostPublic),
            ("listmembers", alias.ListMembers),
            ("allowmsgfrom", alias.AllowMsgFrom),
        )
        await request.print(*(f"# {name} {str(value).lower()}" for name, value in options), "# members:")
        await request.print(*alias.Addresses)

    async def add(request: Request) -> None:
        address, text = request.parameters
        try:
            new = msgspec.json.decode(text, type=NewAlias)
        except msgspec.DecodeError as err:
            raise RequestError(f"parsing alias: {err}") from err
        await aliases.add_alias(admin, address, Alias(**msgspec.structs.asdict(new)))

    async def update(request: Request) -> None:
        address, *values = request.parameters
        await aliases.update_alias(admin, address, aliases.AliasOptions(*(flag(v) if v else None for v in values)))

    async def remove(request: Request) -> None:
        await aliases.remove_alias(admin, request.parameters[0])

    async def add_members(request: Request) -> None:
        address, text = request.parameters
        await aliases.add_members(admin, address, _addresses(text))

    async def remove_members(request: Request) -> None:
        address, text = request.parameters
        await aliases.remove_members(admin, address, _addresses(text))

    return {
        "aliaslist": Command(1, list_all),
        "aliasprint": Command(1, show),
        "aliasadd": Command(2, add),
        "aliasupdate": Command(4, update),
        "aliasrm": Command(1, remove),
        "aliasaddaddr": Command(2, add_members),
        "aliasrmaddr": Command(2, remove_members),
    }
