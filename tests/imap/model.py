"""A mailbox store in memory, and what a client can know of one: what random sessions are compared with."""

from dataclasses import dataclass, field

from mox.imap.client.types import Exists, Expunge, Fetch, Result, Untagged, Vanished

SYSTEM = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")


@dataclass
class Message:
    body: bytes
    flags: frozenset[str]


@dataclass
class Box:
    uidnext: int = 1
    messages: dict[int, Message] = field(default_factory=dict)

    def add(self, message: Message) -> int:
        uid = self.uidnext
        self.uidnext += 1
        self.messages[uid] = message
        return uid


def changed(old: frozenset[str], action: str, flags: frozenset[str]) -> frozenset[str]:
    match action[0]:
        case "+":
            return old | flags
        case "-":
            return old - flags
    return flags


class Violation(AssertionError):
    """The server said what it may not say."""


@dataclass
class View:
    """The selected mailbox as one client sees it; UIDs and flags are None until the server told them."""

    mailbox: str = ""
    read_only: bool = False
    uids: list[int | None] = field(default_factory=list)
    flags: dict[int, frozenset[str]] = field(default_factory=dict)

    def take(self, responses: list[Untagged], command: str) -> None:
        """Untagged responses of a command, in order. Raises Violation."""
        for response in responses:
            match response:
                case Exists(count):
                    if count < len(self.uids):
                        raise Violation(f"{command}: EXISTS {count} with {len(self.uids)} messages")
                    self.uids += [None] * (count - len(self.uids))
                case Expunge(seq):
                    self._no_removal(command)
                    if not 1 <= seq <= len(self.uids):
                        raise Violation(f"{command}: EXPUNGE {seq} of {len(self.uids)}")
                    self.flags.pop(self.uids.pop(seq - 1) or 0, None)
                case Vanished(uids, earlier=False):
                    self._no_removal(command)
                    for uid in sorted(set(uids) - set(self.uids)):
                        self._place(uid, command)
                    self.uids = [u for u in self.uids if u not in uids]
                    self.flags = {u: f for u, f in self.flags.items() if u not in uids}
                case Fetch(seq, items) if seq is not None:
                    self._fetch(seq, items, command)
                case Result(status="BYE"):
                    raise Violation(f"{command}: {response}")

    def _place(self, uid: int, command: str) -> None:
        """A message that was only counted so far has this UID: the first between its neighbours."""
        for at, known in enumerate(self.uids):
            before = max((u for u in self.uids[:at] if u is not None), default=0)
            after = min((u for u in self.uids[at:] if u is not None), default=1 << 32)
            if known is None and before < uid < after:
                self.uids[at] = uid
                return
        raise Violation(f"{command}: VANISHED {uid}")

    def _no_removal(self, command: str) -> None:
        if command.split()[0] in ("FETCH", "STORE", "SEARCH"):
            raise Violation(f"{command}: message numbers change")

    def _fetch(self, seq: int, items: dict[str, object], command: str) -> None:
        if not 1 <= seq <= len(self.uids):
            raise Violation(f"{command}: FETCH {seq} of {len(self.uids)}")
        uid = items.get("UID")
        if isinstance(uid, int):
            if self.uids[seq - 1] not in (None, uid):
                raise Violation(f"{command}: FETCH {seq} has UID {uid}, was {self.uids[seq - 1]}")
            self.uids[seq - 1] = uid
        known = self.uids[seq - 1]
        if "FLAGS" in items and known is not None:
            self.flags[known] = frozenset(items["FLAGS"])  # type: ignore[call-overload]

    def unknown(self) -> list[int]:
        """Sequence numbers without UID."""
        return [seq for seq, uid in enumerate(self.uids, 1) if uid is None]

    def known(self) -> list[int]:
        """All UIDs; there is none unknown."""
        return [uid for uid in self.uids if uid is not None]
