"""What an account sets for its applications: webhooks, unique senders, how long records are kept, suppression list.

The functions of the account pages (spec/webaccount-webadmin.md section 7); configuration is checked when it changes.
"""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from mox.admin.accounts import need_account
from mox.admin.context import Admin, RequestError, logger, need_address
from mox.admin.edits import edit_account
from mox.config.account import IncomingWebhookSection, OutgoingWebhookSection
from mox.config.model import Account
from mox.config.readable import readable_json
from mox.outbound import suppression
from mox.outbound.composed import to_path
from mox.outbound.hookcalls import BadUrl, HookCaller, check_url
from mox.outbound.hooks import CallOutcome
from mox.outbound.records import Suppression
from mox.outbound.suppression import SuppressionError
from mox.webapi.webhooks import Incoming, Outgoing


async def save_outgoing_webhook(
    admin: Admin, account: str, url: str, authorization: str, events: Sequence[str]
) -> None:
    """Set the URL that is told what becomes of outgoing messages; an empty one ends that. A signing key stays.

    Raises RequestError, ConfigError (bad URL, unknown event), OSError.
    """

    def edit(options: Account) -> Account:
        old = options.OutgoingWebhook
        new = None
        if url:
            key = old.SigningKey if old is not None else ""
            new = OutgoingWebhookSection(URL=url, Authorization=authorization, SigningKey=key, Events=list(events))
        return msgspec.structs.replace(options, OutgoingWebhook=new)

    await admin.change(edit_account(account, edit))
    logger.info("outgoing webhook saved", account=account, url=url)


async def save_incoming_webhook(admin: Admin, account: str, url: str, authorization: str) -> None:
    """Set the URL that is told of incoming messages; an empty one ends that. A signing key stays.

    Raises RequestError, ConfigError (bad URL), OSError.
    """

    def edit(options: Account) -> Account:
        old = options.IncomingWebhook
        new = None
        if url:
            key = old.SigningKey if old is not None else ""
            new = IncomingWebhookSection(URL=url, Authorization=authorization, SigningKey=key)
        return msgspec.structs.replace(options, IncomingWebhook=new)

    await admin.change(edit_account(account, edit))
    logger.info("incoming webhook saved", account=account, url=url)


async def test_webhook(caller: HookCaller, url: str, authorization: str, data: Outgoing | Incoming) -> CallOutcome:
    """Call a webhook now, past the queue, with id 1, attempt 1 and readable JSON. Raises RequestError for a bad URL."""
    try:
        check_url(url)
    except BadUrl as err:
        raise RequestError(str(err)) from err
    return await caller.post(url, authorization, readable_json(data))


async def save_from_id_logins(admin: Admin, account: str, addresses: Sequence[str]) -> None:
    """Set with which log-in addresses every message gets a sender address of its own. Raises RequestError, ConfigError
    (not an address of the account, domain without separator), OSError."""
    written = [str(need_address(text)) for text in addresses]
    await admin.change(edit_account(account, lambda a: msgspec.structs.replace(a, FromIDLoginAddresses=written)))
    logger.info("log-ins with unique senders saved", account=account, addresses=written)


async def save_keep_periods(admin: Admin, account: str, messages: timedelta, webhooks: timedelta) -> None:
    """Set how long records of delivered messages and finished webhook calls are kept; zero is not at all.

    Raises RequestError, ConfigError, OSError.
    """
    if min(messages, webhooks) < timedelta():
        raise RequestError("a period cannot be negative")
    await admin.change(
        edit_account(
            account,
            lambda a: msgspec.structs.replace(a, KeepRetiredMessagePeriod=messages, KeepRetiredWebhookPeriod=webhooks),
        )
    )
    logger.info("periods for keeping records saved", account=account)


async def list_suppressions(admin: Admin, account: str) -> list[Suppression]:
    """In order of address. Raises RequestError."""
    need_account(admin, account)
    return await admin.queue.read(lambda tx: suppression.list_all(tx, account))


async def add_suppression(admin: Admin, account: str, address: str, manual: bool, reason: str) -> Suppression:
    """Raises RequestError for a bad address and for one that is listed."""
    need_account(admin, account)
    path = to_path(need_address(address))
    try:
        return await admin.queue.record(lambda tx: suppression.add(tx, account, path, manual, reason))
    except SuppressionError as err:
        raise RequestError(str(err)) from err


async def remove_suppression(admin: Admin, account: str, address: str) -> None:
    """Raises RequestError for a bad address and for one that is not listed."""
    need_account(admin, account)
    path = to_path(need_address(address))
    try:
        await admin.queue.record(lambda tx: suppression.remove(tx, account, path))
    except SuppressionError as err:
        raise RequestError(str(err)) from err
