"""What an account's configuration demands of the store, ready for use inside transactions.

The rules are pure; reading them from the configuration files is `Policies`' work.
"""

import re
from dataclasses import dataclass

from mox.store.types import Flag, SpecialUse

JUNK_FLAGS = Flag.JUNK | Flag.NOTJUNK


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

    def junk_flags(self, name: str, use: SpecialUse, flags: int) -> int:
        """Flags of a message that comes into a mailbox with this name and special use."""
        if use & SpecialUse.JUNK:
            return flags & ~Flag.NOTJUNK | Flag.JUNK
        wanted = self.junk_rules.flags(name) if self.junk_rules is not None else None
        return flags if wanted is None else flags & ~JUNK_FLAGS | wanted


NO_POLICY = Policy()
