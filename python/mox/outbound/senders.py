"""Unique sender addresses: each message gets a MAIL FROM of its own, by which what comes back is matched to it.

An account lists the log-in addresses with which it wants that (spec/webapi.md section 14); the domain of the sender
must have a separator behind which the id can stand.
"""

import secrets

from mox.config.addresses import AddressError, parse_address
from mox.config.live import Config
from mox.smtp.address import Path

ID_BYTES = 16


def separator(config: Config, account: str, login: str, domain: str) -> str:
    """What stands between localpart and id; empty when this log-in has no unique senders, or the domain cannot."""
    wanted = config.account(account).FromIDLoginAddresses
    if not any(_same(address, login) for address in wanted):
        return ""
    entry = config.domain(domain)
    return entry.separators[0] if entry is not None and entry.separators else ""


def unique(sender: Path, mark: str) -> tuple[Path, str]:
    """The sender with a new id behind the separator `mark`, and the id; as it is, with no id, without a separator."""
    if not mark:
        return sender, ""
    from_id = secrets.token_urlsafe(ID_BYTES)
    return Path(f"{sender.localpart.partition(mark)[0]}{mark}{from_id}", sender.domain), from_id


def _same(one: str, other: str) -> bool:
    try:
        return parse_address(one) == parse_address(other)
    except AddressError:
        return False
