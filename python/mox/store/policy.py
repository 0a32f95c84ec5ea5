"""What an account's configuration demands of the store, ready for use inside transactions.

The rules are pure; reading them from the configuration is `Policies`' work.
"""

import re
from dataclasses import dataclass

from mox.config.account import Account
from mox.config.live import Config
from mox.config.model import Static
from mox.store.types import Flag, SpecialUse

JUNK_FLAGS = int(Flag.JUNK | Flag.NOTJUNK)


DEFAULT_MAILBOXES = (
    ("Archive", SpecialUse.ARCHIVE),
    ("Drafts", SpecialUse.DRAFT),
    ("Junk", SpecialUse.JUNK),
    ("Sent", SpecialUse.SENT),
    ("Trash", SpecialUse.TRASH),
)


@dataclass(frozen=True, slots=True)
class JunkRules:
    """Flags by mailbox name, which is matched in lower case (AutomaticJunkFlags). None: not configured."""

    junk: re.Pattern[str] | None = None
    neutral: re.Pattern[str] | None = None
    notjunk: re.Pattern[str] | None = None

    def flags(self, name: str) -> int | None:
        """The junk flags of messages in the mailbox; None when nothing is said about it."""
        rules = ((self.junk, int(Flag.JUNK)), (self.neutral, 0), (self.notjunk, int(Flag.NOTJUNK)))
        for pattern, flags in rules:
            if pattern is not None and pattern.search(name.lower()):
                return flags
        missing = [flags for pattern, flags in rules if pattern is None]
        return missing[0] if len(missing) == 1 else None


@dataclass(frozen=True, slots=True)
class Policy:
    """The defaults restrict nothing and mark nothing."""

    # In bytes; 0 is no limit.
    quota: int = 0
    junk_rules: JunkRules | None = None
    rejects_mailbox: str = ""
    keep_rejects: bool = False
    introbox: str = ""
    # A junk filter is configured and wants to know about changes of $Junk and $NotJunk.
    trains_filter: bool = False
    max_outgoing_per_day: int = 1000
    max_first_time_per_day: int = 200
    # Mailboxes of a new account besides Inbox.
    initial_mailboxes: tuple[tuple[str, SpecialUse], ...] = DEFAULT_MAILBOXES

    def junk_flags(self, name: str, use: SpecialUse, flags: int) -> int:
        """Flags of a message that comes into a mailbox with this name and special use."""
        if use & SpecialUse.JUNK:
            return flags & ~JUNK_FLAGS | int(Flag.JUNK)
        wanted = self.junk_rules.flags(name) if self.junk_rules is not None else None
        return flags if wanted is None else flags & ~JUNK_FLAGS | wanted


NO_POLICY = Policy()


class Policies:
    """Policies of the accounts of a configuration that may change at any time."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._made: dict[str, tuple[Account, Policy]] = {}

    def __call__(self, name: str) -> Policy:
        """The policy in force; one that restricts nothing for an account that is not configured (any more)."""
        account = self._config.dynamic.Accounts.get(name)
        if account is None:
            return NO_POLICY
        made = self._made.get(name)
        if made is None or made[0] is not account:
            made = self._made[name] = (account, make_policy(self._config.static, account))
        return made[1]


def make_policy(static: Static, account: Account) -> Policy:
    """The policy of a checked configuration."""
    return Policy(
        quota=max(0, account.QuotaMessageSize or static.QuotaMessageSize),
        junk_rules=_junk_rules(account),
        rejects_mailbox=account.RejectsMailbox,
        keep_rejects=account.KeepRejects,
        introbox=account.Introbox,
        trains_filter=account.JunkFilter is not None,
        max_outgoing_per_day=account.max_outgoing_per_day,
        max_first_time_per_day=account.max_first_time_recipients_per_day,
        initial_mailboxes=_initial_mailboxes(static),
    )


def _junk_rules(account: Account) -> JunkRules | None:
    section = account.AutomaticJunkFlags
    if not section.Enabled:
        return None
    texts = (section.JunkMailboxRegexp, section.NeutralMailboxRegexp, section.NotJunkMailboxRegexp)
    return JunkRules(*(re.compile(text) if text else None for text in texts))


def _initial_mailboxes(static: Static) -> tuple[tuple[str, SpecialUse], ...]:
    if static.DefaultMailboxes:
        return tuple((name, _use_by_name(name)) for name in static.DefaultMailboxes)
    named = static.InitialMailboxes.SpecialUse
    uses = (
        (named.Archive, SpecialUse.ARCHIVE),
        (named.Draft, SpecialUse.DRAFT),
        (named.Junk, SpecialUse.JUNK),
        (named.Sent, SpecialUse.SENT),
        (named.Trash, SpecialUse.TRASH),
    )
    regular = tuple((name, SpecialUse(0)) for name in static.InitialMailboxes.Regular)
    return (*((name, use) for name, use in uses if name), *regular) or DEFAULT_MAILBOXES


def _use_by_name(name: str) -> SpecialUse:
    """For the deprecated DefaultMailboxes: the use that the beginning of the name tells."""
    return next((use for known, use in DEFAULT_MAILBOXES if name.startswith(known)), SpecialUse(0))
