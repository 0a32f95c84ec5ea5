"""Where a recipient's address leads, and what RCPT answers. Pure but for the configuration."""

import re

from msgspec import Struct

from mox.config.live import Config
from mox.config.tables import AddressNotFound, DomainDisabled, DomainNotFound, Found, Reports
from mox.smtp.address import Path, to_unicode
from mox.smtp.reply import Reply

NO_SUCH_USER = Reply(550, "5.1.1", "no such user")
NOT_OURS = Reply(550, "5.1.1", "not accepting mail for this domain")
DISABLED = Reply(450, "4.2.1", "recipient domain is temporarily disabled")

_SMTP_ERROR = re.compile(r"(421|550)(?: (.*))?", re.DOTALL)


class Target(Struct, frozen=True):
    """An address of ours. `found` None: nobody has it, which the client learns only after its message."""

    path: Path
    found: Found | None

    @property
    def rank(self) -> int:
        """Accounts first, then aliases, so that aliases know which members have got the message already."""
        return 2 if self.found is None else 1 if self.found.alias is not None else 0


def find_target(config: Config, path: Path) -> Target | Reply:
    """Where mail of other servers for `path` goes, or why it is refused."""
    if path.is_literal:
        return NO_SUCH_USER
    try:
        found = config.lookup(path.localpart, path.domain, allow_postmaster=True, allow_alias=True, check_disabled=True)
    except DomainDisabled:
        return DISABLED
    except (DomainNotFound, AddressNotFound) as err:
        if config.everything_to:
            return Target(path, _catch_everything(config))
        return NOT_OURS if isinstance(err, DomainNotFound) else Target(path, None)
    refusal = configured_error(found.destination.SMTPError) if found.alias is None else None
    return refusal or Target(path, found)


def _catch_everything(config: Config) -> Found:
    account = config.account(config.everything_to)
    return config.lookup(config.everything_to, account.Domain)


def configured_error(text: str) -> Reply | None:
    """The refusal that a destination is configured with."""
    found = _SMTP_ERROR.fullmatch(text)
    if found is None:
        return None
    shown = found[2] or "mail to this address is not accepted"
    return Reply(451, "4.3.0", shown) if found[1] == "421" else Reply(550, "5.1.1", shown)


def takes_tls_reports(config: Config, path: Path) -> bool:
    """TLS reports get through even where TLS is required (RFC 8460 §3)."""
    try:
        found = config.lookup(path.localpart, path.domain)
    except (DomainNotFound, AddressNotFound):
        return False
    return bool(found.reports & (Reports.TLS | Reports.HOST_TLS))


def may_post(config: Config, found: Found, from_localpart: str, from_domain: str) -> bool:
    """Who may write to an alias: anyone, or its members, or with its own address who may use that."""
    alias = found.alias
    assert alias is not None
    author = canonical_address(config, from_localpart, from_domain)
    if author == found.canonical:
        return alias.AllowMsgFrom
    return alias.PostPublic or author in members(config, found)


def members(config: Config, found: Found) -> dict[str, Found]:
    """Members of an alias by canonical address."""
    assert found.alias is not None
    result = {}
    for address in found.alias.Addresses:
        localpart, _, domain = address.rpartition("@")
        member = config.lookup_address(localpart.strip('"'), domain)
        if member is not None:
            result[member.canonical] = member
    return result


def canonical_address(config: Config, localpart: str, domain: str) -> str:
    """The form under which an address of ours is configured; of a stranger's, the address (domain in Unicode)."""
    entry = config.domain(domain)
    if entry is None:
        return f"{localpart}@{to_unicode(domain)}"
    return f"{entry.canonical_localpart(localpart)}@{entry.name.name}"
