"""What recipient domains offered of TLS, kept in the accounts that sent there, for the signs of security in their mail
programs. Best effort: nothing depends on it."""

import time
from collections.abc import Callable

import apsw

from mox import log
from mox.outbound.records import now_ms
from mox.store.errors import StoreError
from mox.store.settings import DomainTls, save_recipient_domain_tls
from mox.store.store import Store

# What has not changed is written again after this time only: most mail goes where mail went a moment ago.
AGAIN_S = 3600.0
MAX_KNOWN = 10_000

_logger = log.get("queue")


class Offers:
    """Of one process; others may write the same."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        # When and what was written, by account and domain.
        self._written: dict[tuple[str, str], tuple[float, bool, bool]] = {}

    async def remember(self, account: str, domain: str, starttls: bool, require_tls: bool) -> None:
        """Keep what a domain offers. Failures are logged."""
        now, key = self._clock(), (account, domain)
        at, *known = self._written.get(key, (-AGAIN_S, False, False))
        if known == [starttls, require_tls] and now - at < AGAIN_S:
            return
        seen = DomainTls(starttls, require_tls, now_ms())
        try:
            opened = await self._store.open(account)
            await opened.write(lambda tx: save_recipient_domain_tls(tx, domain, seen))
        except (apsw.Error, OSError, StoreError) as err:
            _logger.error("keeping what a domain offers", account=account, domain=domain, err=str(err))
            return
        if len(self._written) >= MAX_KNOWN:
            self._written.clear()
        self._written[key] = now, starttls, require_tls
