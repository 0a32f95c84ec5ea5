"""Repairs of accounts while the server runs."""

from mox.admin import upkeep
from mox.admin.accounts import need_account
from mox.admin.context import Admin, RequestError
from mox.server.control import Command, Commands, Request


def commands(admin: Admin) -> Commands:
    """recalculatemailboxcounts, fixmsgsize, …; an empty account is for all."""

    async def run(request: Request, repair: upkeep.Repair) -> None:
        name = request.parameters[0]
        if name:
            need_account(admin, name)
        async for line in upkeep.each(admin.store, admin.config, [name] if name else [], repair):
            await request.print(line)

    def plain(repair: upkeep.Repair) -> Command:
        return Command(1, lambda request: run(request, repair))

    async def bump(request: Request) -> None:
        await run(request, upkeep.bump_uidvalidity(request.parameters[1]))

    async def reassign_uids(request: Request) -> None:
        text = request.parameters[1]
        if text and not text.isdecimal():
            raise RequestError(f"{text!r} is not the id of a mailbox")
        await run(request, upkeep.reassign_uids(int(text) if text else None))

    return {
        "recalculatemailboxcounts": plain(upkeep.recalculate_counts),
        "fixmsgsize": plain(upkeep.fix_message_sizes),
        "reparse": plain(upkeep.reparse),
        "reassignthreads": plain(upkeep.reassign_threads),
        "retrain": plain(upkeep.retrain(admin.config)),
        "fixuidmeta": plain(upkeep.fix_uid_meta),
        "bumpuidvalidity": Command(2, bump),
        "reassignuids": Command(2, reassign_uids),
    }
