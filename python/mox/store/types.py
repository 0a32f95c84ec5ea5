"""Records of the store as its users see them."""

import ipaddress
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import lru_cache

import msgspec


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


_NOT_IN_KEYWORDS = frozenset('(){%*"\\]')


def is_keyword(word: str) -> bool:
    """A keyword as it is stored: lower case, RFC 9051 `atom` without `]`."""
    return bool(word) and word == word.lower() and all("!" <= c <= "~" and c not in _NOT_IN_KEYWORDS for c in word)


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

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """All that is counted."""
        return self.total, self.deleted, self.unread, self.unseen, self.size


class Validation(IntEnum):
    """How well an identity of a message was verified; the numbers are stored."""

    UNKNOWN = 0
    STRICT = 1
    DMARC = 2
    RELAXED = 3
    PASS = 4
    NEUTRAL = 5
    TEMPERROR = 6
    PERMERROR = 7
    FAIL = 8
    SOFTFAIL = 9
    NONE = 10


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the delivery of a message found out about it. Domains are in Unicode, localparts canonical, lists separated
    by spaces; all may be empty. The order of the fields is that of the columns of `message_cold`."""

    is_reject: bool = False
    is_forward: bool = False
    is_mailing_list: bool = False
    remote_ip: str = ""
    # From `networks`; empty for forwarded messages, which say nothing about the sender's address.
    remote_network1: str = ""
    remote_network2: str = ""
    remote_network3: str = ""
    ehlo_domain: str = ""
    mail_from: str = ""
    mail_from_localpart: str = ""
    mail_from_domain: str = ""
    rcpt_to: str = ""
    rcpt_to_localpart: str = ""
    rcpt_to_domain: str = ""
    msg_from_localpart: str = ""
    msg_from_domain: str = ""
    msg_from_org_domain: str = ""
    ehlo_validated: bool = False
    mail_from_validated: bool = False
    msg_from_validated: bool = False
    ehlo_validation: Validation = Validation.UNKNOWN
    mail_from_validation: Validation = Validation.UNKNOWN
    msg_from_validation: Validation = Validation.UNKNOWN
    # Domains whose DKIM signatures passed.
    dkim_domains: str = ""
    # What a forwarded message had before these were cleared.
    orig_ehlo_domain: str = ""
    orig_dkim_domains: str = ""
    # SHA-256 of the content without prefix, for rejects without Message-ID.
    message_hash: bytes | None = None
    # 0 unknown, 1 no TLS, else the protocol's number.
    tls_version: int = 0
    tls_cipher_suite: int = 0
    require_tls: bool = False


NO_FACTS = Facts()


@lru_cache(maxsize=4096)
def networks(ip: str) -> tuple[str, str, str]:
    """The address and the two networks around it that reputation is kept for: /32, /26, /21, or for IPv6 /64, /48, /32.
    Raises ValueError for what is no address."""
    address = ipaddress.ip_address(ip)
    sizes = (32, 26, 21) if address.version == 4 else (64, 48, 32)
    first, second, third = (str(ipaddress.ip_network((address, size), strict=False)) for size in sizes)
    return first, second, third
