"""Delivery to other servers by the transport that a claim names: direct, relay, proxy, or failure by configuration."""

from collections.abc import Sequence

from mox.config.live import Config
from mox.config.model import Transport
from mox.outbound.claims import Claim
from mox.outbound.dial import DirectDialer, local_addresses
from mox.outbound.direct import DirectDelivery
from mox.outbound.host import Route
from mox.outbound.outcomes import Outcome
from mox.outbound.relay import RelayDelivery


class RemoteDelivery:
    """Chooses among the ways of delivery."""

    def __init__(self, config: Config, direct: DirectDelivery, relay: RelayDelivery) -> None:
        self._config, self._direct, self._relay = config, direct, relay
        self._dialer = DirectDialer(local_addresses(config.static))

    async def deliver(self, claim: Claim) -> Sequence[Outcome]:
        """An outcome for each message of the claim."""
        transport = Transport()
        if claim.transport:
            found = self._config.static.Transports.get(claim.transport)
            if found is None:
                error = f'cannot find transport "{claim.transport}", transient'
                return [Outcome(False, error=error) for _ in claim.messages]
            transport = found
        if transport.Fail is not None:
            code = transport.Fail.code
            word = "permanent" if code // 100 == 5 else "transient"
            text = f"{transport.Fail.message}, {word}"
            return [Outcome(False, code // 100 == 5, code, "7.0", text) for _ in claim.messages]
        if transport.relay is not None:
            return await self._relay.deliver(claim, transport)
        return await self._direct.deliver(claim, self._route(claim.transport, transport))

    def _route(self, name: str, transport: Transport) -> Route:
        hostname = self._config.static.Hostname
        if transport.Socks is not None:
            # Few hosts have a proxy; the others start without its library.
            from mox.outbound.socks import SocksDialer

            socks = transport.Socks
            dialer = SocksDialer(socks.Address, socks.Username, socks.Password)
            return Route(socks.RemoteHostname, dialer, name=name)
        families = {4, 6}
        if transport.Direct is not None:
            families -= {4} if transport.Direct.DisableIPv4 else set()
            families -= {6} if transport.Direct.DisableIPv6 else set()
        return Route(hostname, self._dialer, frozenset(families), name)
