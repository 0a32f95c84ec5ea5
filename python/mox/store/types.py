"""Records of the store as its users see them."""

from dataclasses import dataclass
from enum import IntFlag


class Flag(IntFlag):
    """System flags and the keywords with a meaning, in the order of IMAP output."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16
    FORWARDED = 32
    JUNK = 64
    NOTJUNK = 128
    PHISHING = 256
    MDNSENT = 512


FLAG_NAMES = {
    "\\seen": Flag.SEEN,
    "\\answered": Flag.ANSWERED,
    "\\flagged": Flag.FLAGGED,
    "\\deleted": Flag.DELETED,
    "\\draft": Flag.DRAFT,
    "$forwarded": Flag.FORWARDED,
    "$junk": Flag.JUNK,
    "$notjunk": Flag.NOTJUNK,
    "$phishing": Flag.PHISHING,
    "$mdnsent": Flag.MDNSENT,
}


def parse_flags(names: list[str]) -> tuple[int, frozenset[str]]:
    """Flag bits and keywords (lower case) of flag names in any case."""
    bits, keywords = 0, set()
    for name in names:
        flag = FLAG_NAMES.get(name.lower())
        if flag is None:
            keywords.add(name.lower())
        else:
            bits |= flag
    return bits, frozenset(keywords)


class SpecialUse(IntFlag):
    """RFC 6154 attributes that mailboxes here can have."""

    ARCHIVE = 1
    DRAFT = 2
    JUNK = 4
    SENT = 8
    TRASH = 16


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox. `total` is without, `deleted` with `\\Deleted`; `size` is in bytes."""

    id: int
    create_seq: int
    modseq: int
    expunged: bool
    name: str
    uidvalidity: int
    uidnext: int
    special_use: SpecialUse
    keywords: str
    total: int
    deleted: int
    unread: int
    unseen: int
    size: int

    @property
    def messages(self) -> int:
        """IMAP MESSAGES."""
        return self.total + self.deleted


@dataclass(frozen=True, slots=True)
class StoredFlags:
    """A message after a flag change."""

    uid: int
    flags: int
    keywords: str
    modseq: int
