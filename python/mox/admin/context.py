"""What operations work with, and how they say no."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mox import log
from mox.config.addresses import Address, AddressError, parse_address
from mox.config.live import Config
from mox.config.model import Dynamic
from mox.dns.names import Domain, DomainError, parse_domain
from mox.outbound.notifier import SenderNotifier
from mox.outbound.queue import Queue
from mox.store.store import Store

logger = log.get("admin")

Edit = Callable[[Dynamic], Dynamic]


class RequestError(Exception):
    """The operation is not possible as asked for; nothing has changed. The text is for the one who asked."""


@dataclass(frozen=True, slots=True)
class Admin:
    """`change` writes a new configuration and returns when it is in force everywhere. Raises ConfigError, OSError.

    `notifier` tells senders of messages that are made to fail.
    """

    config: Config
    store: Store
    queue: Queue
    notifier: SenderNotifier
    change: Callable[[Edit], Awaitable[Dynamic]]


def change_here(config: Config) -> Callable[[Edit], Awaitable[Dynamic]]:
    """The `change` of a program that is the only process with this configuration."""

    async def change(edit: Edit) -> Dynamic:
        return await asyncio.to_thread(config.change, edit)

    return change


def need_domain(text: str) -> Domain:
    """A domain that somebody typed. Raises RequestError."""
    try:
        return parse_domain(text)
    except DomainError as err:
        raise RequestError(f"{text!r} is not a domain: {err}") from err


def need_address(text: str) -> Address:
    """An address that somebody typed. Raises RequestError."""
    try:
        return parse_address(text)
    except AddressError as err:
        raise RequestError(str(err)) from err
