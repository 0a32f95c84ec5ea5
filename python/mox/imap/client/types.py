"""What a server says, as values (RFC 9051 §7 and the extensions that mox's server has)."""

from dataclasses import dataclass, field
from typing import Any

Flags = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A response code. `args` are typed by the code's name: numbers are int, UID sets are lists of int, everything
    else is text; a code that is not known has its text as the one argument."""

    name: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """OK, NO, BAD, PREAUTH or BYE; untagged when `tag` is `*`."""

    tag: str
    status: str
    code: Code | None
    text: str


@dataclass(frozen=True, slots=True)
class Continuation:
    """`+ text`"""

    text: bytes


@dataclass(frozen=True, slots=True)
class Capability:
    """Capabilities, as the server spells them."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enabled:
    """What ENABLE turned on."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """Number of messages."""

    count: int


@dataclass(frozen=True, slots=True)
class Recent:
    """Number of recent messages."""

    count: int


@dataclass(frozen=True, slots=True)
class Expunge:
    """A message is gone."""

    seq: int


@dataclass(frozen=True, slots=True)
class Vanished:
    """Messages are gone (RFC 7162)."""

    uids: tuple[int, ...]
    earlier: bool


@dataclass(frozen=True, slots=True)
class MailboxFlags:
    """FLAGS of the selected mailbox."""

    flags: Flags


@dataclass(frozen=True, slots=True)
class ListEntry:
    """LIST, or LSUB when `lsub`."""

    flags: Flags
    separator: str | None
    name: str
    old_name: str | None = None
    child_info: tuple[str, ...] = ()
    lsub: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of a mailbox; MAILBOXID is text, a missing APPENDLIMIT None."""

    name: str
    values: dict[str, int | str | None]


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH, or SORT when `sort`."""

    numbers: tuple[int, ...]
    modseq: int | None = None
    sort: bool = False


@dataclass(frozen=True, slots=True)
class Esearch:
    """ESEARCH; `all` in the order of the response."""

    tag: str | None
    mailbox: str | None
    uidvalidity: int | None
    is_uid: bool
    min: int | None
    max: int | None
    count: int | None
    all: tuple[int, ...] | None
    partial: tuple[str, tuple[int, ...]] | None
    modseq: int | None


@dataclass(frozen=True, slots=True)
class Thread:
    """THREAD: nested lists; numbers one after the other are parent and child, lists are branches."""

    threads: list[Any]


@dataclass(frozen=True, slots=True)
class Address:
    """`name` is as sent, perhaps encoded (RFC 2047)."""

    name: str | None
    route: str | None
    mailbox: str | None
    host: str | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """RFC 9051 §7.5.2"""

    date: str | None
    subject: str | None
    from_: tuple[Address, ...]
    sender: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    in_reply_to: str | None
    message_id: str | None


@dataclass(frozen=True, slots=True)
class Extension:
    """Extension data of a part; None where it was not sent."""

    md5: str | None = None
    disposition: tuple[str, dict[str, str]] | None = None
    language: tuple[str, ...] = ()
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is no multipart. `envelope`, `body` are of an embedded message, `lines` also of text."""

    media_type: str
    media_subtype: str
    params: dict[str, str]
    id: str | None
    description: str | None
    encoding: str
    octets: int
    lines: int | None = None
    envelope: Envelope | None = None
    body: "Part | Multipart | None" = None
    extension: Extension | None = None


@dataclass(frozen=True, slots=True)
class Multipart:
    """A multipart."""

    parts: "tuple[Part | Multipart, ...]"
    media_subtype: str
    params: dict[str, str] = field(default_factory=dict)
    extension: Extension | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH, or UIDFETCH when `seq` is None. `items` by label as sent: UID and the like int, FLAGS a tuple, ENVELOPE an
    Envelope, BODY and BODYSTRUCTURE a Part or Multipart, sections bytes or None, dates and PREVIEW text or None."""

    seq: int | None
    items: dict[str, Any]

    @property
    def uid(self) -> int | None:
        """The message's UID where it is known."""
        found = self.items.get("UID")
        return found if isinstance(found, int) else None


@dataclass(frozen=True, slots=True)
class Metadata:
    """METADATA: entries with their values, or with `names` only (a change)."""

    mailbox: str
    entries: dict[str, bytes | None]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Namespace:
    """(prefix, separator) of personal, other users' and shared namespaces."""

    personal: tuple[tuple[str, str | None], ...]
    others: tuple[tuple[str, str | None], ...]
    shared: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class QuotaRoot:
    """Quota roots of a mailbox."""

    mailbox: str
    roots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quota:
    """(usage, limit) by resource."""

    root: str
    resources: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Id:
    """ID fields; None for NIL."""

    fields: dict[str, str | None] | None


Untagged = (
    Result
    | Capability
    | Enabled
    | Exists
    | Recent
    | Expunge
    | Vanished
    | MailboxFlags
    | ListEntry
    | Status
    | Search
    | Esearch
    | Thread
    | Fetch
    | Metadata
    | Namespace
    | QuotaRoot
    | Quota
    | Id
)
Response = Untagged | Continuation
