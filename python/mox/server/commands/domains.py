"""Domains."""

from mox.admin import domains
from mox.admin.context import Admin, RequestError
from mox.server.control import Command, Commands, Request


def flag(text: str) -> bool:
    """`true` or `false`. Raises RequestError."""
    if text not in ("true", "false"):
        raise RequestError(f"{text!r} is not true or false")
    return text == "true"


def commands(admin: Admin) -> Commands:
    """domainadd, domainrm, domaindisabled."""

    async def add(request: Request) -> None:
        is_disabled, domain, account, localpart = request.parameters
        await domains.add_domain(admin, domain, account, localpart, is_disabled=flag(is_disabled))

    async def remove(request: Request) -> None:
        await domains.remove_domain(admin, request.parameters[0])

    async def disable(request: Request) -> None:
        domain, is_disabled = request.parameters
        await domains.disable_domain(admin, domain, flag(is_disabled))

    return {"domainadd": Command(4, add), "domainrm": Command(1, remove), "domaindisabled": Command(2, disable)}
