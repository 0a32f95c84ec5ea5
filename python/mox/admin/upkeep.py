"""Repairs of accounts by command. Each gives lines that tell what was done."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from mox.config.live import Config
from mox.junk import learning
from mox.store import mailboxes, maintenance
from mox.store.account import Account
from mox.store.engine import Tx
from mox.store.store import Store

Repair = Callable[[Account], Awaitable[list[str]]]

CLIENTS_MUST_FORGET = "clients may have stale sizes; run `mox bumpuidvalidity {account}` so that they look again"


async def each(store: Store, config: Config, names: Sequence[str], repair: Repair) -> AsyncIterator[str]:
    """Run a repair on the named accounts, or on all with a line for each before its own."""
    chosen = names or sorted(config.dynamic.Accounts)
    for name in chosen:
        if not names:
            yield f"account {name}"
        for line in await repair(await store.open(name)):
            yield line


async def recalculate_counts(account: Account) -> list[str]:
    """Counts of mailboxes and disk usage."""
    return await account.write(maintenance.recalculate_counts)


async def fix_message_sizes(account: Account) -> list[str]:
    """Sizes of messages, as their files have them."""
    fixed = await maintenance.fix_message_sizes(account)
    lines = [*fixed, f"{len(fixed)} message size(s) fixed for account {account.name}"]
    return [*lines, CLIENTS_MUST_FORGET.format(account=account.name)] if fixed else lines


async def reparse(account: Account) -> list[str]:
    """Parsed forms of messages."""
    started = time.monotonic()
    count = await maintenance.reparse(account)
    milliseconds = round((time.monotonic() - started) * 1000)
    return [f"{count} message(s) reparsed for account {account.name} in {milliseconds}ms"]


async def reassign_threads(account: Account) -> list[str]:
    """Threads of all messages."""
    count = await account.write(maintenance.reassign_threads)
    return [f"{count} message(s) placed in threads for account {account.name}"]


def retrain(config: Config) -> Repair:
    """The junk filter, from all messages that are marked."""

    async def repair(account: Account) -> list[str]:
        options = config.account(account.name).JunkFilter
        if options is None:
            return [f"account {account.name} has no junk filter"]
        count = await learning.retrain(account, options.Params)
        return [f"{count} message(s) trained for account {account.name}"]

    return repair


def bump_uidvalidity(mailbox: str) -> Repair:
    """A new UIDVALIDITY for one mailbox, or for all with an empty name."""

    def bump(tx: Tx) -> list[str]:
        boxes = [mailboxes.get_by_name(tx, mailbox)] if mailbox else mailboxes.list_mailboxes(tx)
        value = maintenance.bump_uidvalidity(tx, boxes[0].id if mailbox else None)
        return [f'uid validity for "{box.name}" updated to {value}' for box in boxes]

    return lambda account: account.write(bump)


def reassign_uids(mailbox_id: int | None) -> Repair:
    """UIDs from 1, and a new UIDVALIDITY."""

    async def repair(account: Account) -> list[str]:
        count = await account.write(lambda tx: maintenance.reassign_uids(tx, mailbox_id))
        return [f"{count} message(s) have new uids"]

    return repair


async def fix_uid_meta(account: Account) -> list[str]:
    """Next UIDs and UIDVALIDITY that are too low."""
    return await account.write(maintenance.fix_uid_meta)
