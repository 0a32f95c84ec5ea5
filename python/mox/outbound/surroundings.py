"""What the queue needs to know from the configuration."""

from collections.abc import Callable
from datetime import timedelta

from mox.config.live import Config
from mox.message.addresses import ascii_domain
from mox.outbound.events import OutgoingEvent
from mox.outbound.records import Message, NewHook

# For records of accounts that are gone.
KEEP_WITHOUT_ACCOUNT = timedelta(days=7)

ComposeHook = Callable[[OutgoingEvent], NewHook | None]


def no_hooks(_event: OutgoingEvent) -> NewHook | None:
    """For programs without webhooks."""
    return None


class ConfigSurroundings:
    """`Surroundings` by the configuration in force. `compose_hook` makes the webhook call of an event, or None when
    the account does not want it; it is called in a thread, within the transaction."""

    def __init__(self, config: Config, compose_hook: ComposeHook = no_hooks) -> None:
        self._config = config
        self._compose_hook = compose_hook

    def keep_messages_ms(self, account: str) -> int:
        """See Surroundings."""
        found = self._config.dynamic.Accounts.get(account)
        return _ms(found.KeepRetiredMessagePeriod if found else KEEP_WITHOUT_ACCOUNT)

    def keep_hooks_ms(self, account: str) -> int:
        """See Surroundings."""
        found = self._config.dynamic.Accounts.get(account)
        return _ms(found.KeepRetiredWebhookPeriod if found else KEEP_WITHOUT_ACCOUNT)

    def outgoing_hook(self, event: OutgoingEvent) -> NewHook | None:
        """See Surroundings."""
        return self._compose_hook(event)

    def transport(self, message: Message) -> str:
        """See Surroundings."""
        if message.transport:
            return message.transport
        domains = _route_name(message.sender_domain), _route_name(message.recipient_domain)
        route = self._config.route(message.account, *domains, message.attempts)
        # A route that names no transport means direct delivery too, and ends the search.
        return route.transport if route is not None else ""

    def sender_disabled(self, message: Message) -> bool:
        """See Surroundings."""
        domain = self._config.domain(message.sender_domain)
        return domain is not None and domain.options.Disabled

    def is_local(self, domain: str) -> bool:
        """Mail for this domain is delivered here. Domains that only receive reports are somebody else's."""
        if self._config.everything_to:
            return True
        found = self._config.domain(domain)
        if found is not None:
            return not found.is_reports_only
        return domain in self._config.tables.postmaster_hosts


def _route_name(domain: str) -> str:
    """As routes compare domains: in ASCII; address literals and the null sender have none."""
    return "" if domain.startswith("[") else ascii_domain(domain)


def _ms(period: timedelta) -> int:
    return int(period.total_seconds() * 1000)
