"""Which mailboxes a client means (RFC 5465 §6, RFC 7377 §2), and which events it wants to hear of. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mox.store.changes import MessageChange

Filter = tuple[str, list[str]]


@dataclass(frozen=True, slots=True)
class Scope:
    """What filters refer to: names of subscribed mailboxes, and of those where mail arrives."""

    subscribed: frozenset[str]
    inboxes: frozenset[str]

    def subscription(self, name: str, removed: bool) -> "Scope":
        """After a change of a subscription."""
        return Scope(self.subscribed - {name} if removed else self.subscribed | {name}, self.inboxes)


def matches(wanted: Filter, name: str, scope: Scope) -> bool:
    """Whether a filter other than SELECTED means the mailbox."""
    kind, names = wanted
    match kind:
        case "PERSONAL":
            return True
        case "INBOXES":
            return name == "Inbox" or name.startswith("Inbox/") or name in scope.inboxes
        case "SUBSCRIBED":
            return name in scope.subscribed
        case "SUBTREE":
            return any(name == root or name.startswith(root + "/") for root in names)
        case "SUBTREE-ONE":
            return any(name == root or name.rpartition("/")[0] == root for root in names)
        case "MAILBOXES":
            return name in names
    return False


@dataclass(frozen=True, slots=True)
class Group:
    """An event group of NOTIFY: `events` in upper case, empty for NONE; `items` are what MessageNew fetches."""

    filter: Filter
    events: frozenset[str]
    items: list[tuple[Any, ...]] | None

    @property
    def is_selected(self) -> bool:
        """It is about the selected mailbox."""
        return self.filter[0].startswith("SELECTED")


@dataclass(slots=True)
class Notify:
    """What NOTIFY configured; without groups for NONE. `delayed` are changes of the selected mailbox that wait for the
    next command (SELECTED-DELAYED)."""

    groups: list[Group]
    scope: Scope = Scope(frozenset(), frozenset())
    delayed: list[MessageChange] = field(default_factory=list)
    # After an overflow: over with the next SELECT.
    until_select: bool = False

    @property
    def delays(self) -> bool:
        """Changes of the selected mailbox wait."""
        return any(g.filter[0] == "SELECTED-DELAYED" for g in self.groups)

    def for_selected(self, event: str) -> Group | None:
        """The group that wants a message event of the selected mailbox."""
        for group in self.groups:
            if group.is_selected:
                return group if event in group.events else None
        return None

    def for_other(self, event: str, name: str) -> bool:
        """An event of a mailbox is wanted; message events of the selected one are `for_selected`'s."""
        for group in self.groups:
            if group.is_selected or not matches(group.filter, name, self.scope):
                continue
            if not group.events:
                return False
            if event in group.events:
                return True
        return False

    def wants_flags(self) -> bool:
        """Changes of flags and keywords of the selected mailbox are wanted."""
        return self.for_selected("FLAGCHANGE") is not None

    def uses(self, kind: str) -> bool:
        """A filter of this kind is there."""
        return any(g.filter[0] == kind for g in self.groups)


def parse_groups(groups: Iterable[tuple[Filter, list[tuple[str, Any]]]], check: Any) -> list[Group]:
    """Groups as the command parser gives them; `check` makes a mailbox name canonical."""
    out = []
    for (kind, names), events in groups:
        items = next((i for name, i in events if name == "MessageNew"), None)
        out.append(Group((kind, [check(n) for n in names]), frozenset(name.upper() for name, _ in events), items))
    return out
