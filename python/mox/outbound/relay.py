"""Delivery through a relay: a smart host or submission server, by configuration."""

import asyncio
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mox._rust import TlsRoots
from mox.config.model import SMTPAuth, Transport
from mox.dns.names import parse_domain
from mox.dns.resolver import Resolver
from mox.message.dsn import Mta
from mox.net.conn import Connection
from mox.net.tls import ClientTls
from mox.outbound import gather, transactions
from mox.outbound.claims import Claim
from mox.outbound.dial import Dialer, DialError, dial
from mox.outbound.gather import GatherError
from mox.outbound.measured import Measured, tls_label
from mox.outbound.outcomes import Outcome
from mox.outbound.pool import Pool
from mox.outbound.queue import Queue
from mox.sasl.client import ClientMechanism, CramMd5, Plain, Scram
from mox.smtp.client import Options, SmtpClient, Timeouts, TlsMode
from mox.smtp.client_errors import SmtpClientError
from mox.smtp.client_session import ChooseMechanism

DELIVERY_TIMEOUT_S = 1800.0


def choose_mechanism(auth: SMTPAuth, conn: Connection) -> ChooseMechanism:
    """The first of the configured mechanisms that the server announces."""

    def choose(offered: Sequence[str]) -> ClientMechanism | None:
        return pick_mechanism(auth.mechanisms, offered, auth.Username, auth.Password, conn.channel_binding())

    return choose


def pick_mechanism(
    wanted: Sequence[str], offered: Sequence[str], user: str, password: str, binding: bytes | None
) -> ClientMechanism | None:
    """An exchange for the first of `wanted` in `offered`. `binding` is None where channel binding is not possible."""
    for name in wanted:
        if name not in offered:
            continue
        match name:
            case "PLAIN":
                return Plain(user, password)
            case "CRAM-MD5":
                return CramMd5(user, password)
            case "SCRAM-SHA-1" | "SCRAM-SHA-256":
                could_bind = binding is not None and f"{name}-PLUS" in wanted
                return Scram(_hash(name), user, password, server_lacks_plus=could_bind)
            case "SCRAM-SHA-1-PLUS" | "SCRAM-SHA-256-PLUS" if binding is not None:
                return Scram(_hash(name), user, password, binding)
    return None


def _hash(mechanism: str) -> str:
    return "sha1" if mechanism.startswith("SCRAM-SHA-1") else "sha256"


class RelayDelivery:
    """Delivers claims by transports that name a server."""

    def __init__(
        self, queue: Queue, resolver: Resolver, roots: TlsRoots, dialer: Dialer, hostname: Callable[[], str]
    ) -> None:
        self._queue, self._resolver, self._roots, self._dialer = queue, resolver, roots, dialer
        self._hostname = hostname
        self._pool = Pool()
        self.timeouts = Timeouts()

    async def deliver(self, claim: Claim, transport: Transport) -> Sequence[Outcome]:
        """An outcome for each message of the claim."""
        try:
            with Measured(claim.messages[0].attempts, claim.transport) as measured:
                async with asyncio.timeout(DELIVERY_TIMEOUT_S):
                    found = await self._deliver(claim, transport, measured)
                measured.outcomes = found.values()
        except TimeoutError:
            found = _all(claim, Outcome(False, error="delivery takes too long, transient"))
        except OSError as err:
            found = _all(claim, Outcome(False, error=f"reading message: {err}, transient"))
        return [found[message.id] for message in claim.messages]

    async def _deliver(self, claim: Claim, transport: Transport, measured: Measured) -> Mapping[int, Outcome]:
        assert transport.relay is not None
        relay, port, is_immediate = transport.relay
        mode, is_verified = TlsMode.REQUIRED, True
        if is_immediate:
            mode = TlsMode.IMMEDIATE
        elif relay.NoSTARTTLS:
            mode, is_verified = TlsMode.SKIP, False
        elif relay.STARTTLSInsecureSkipVerify:
            is_verified = False
        measured.tls_mode = tls_label(mode)
        first = claim.messages[0]
        if first.require_tls and not is_verified:
            text = f"transport {claim.transport}: message requires verified tls but transport does not verify tls"
            return _all(claim, Outcome(False, True, 554, "7.30", f"{text}, permanent"))
        host = relay.Host if _is_ip(relay.Host) else parse_domain(relay.Host, lax=True).ascii
        dialed = dict(first.dialed_ips)
        where = f"{host}:{port}"
        options = Options(
            self._hostname(),
            mode,
            host,
            ClientTls(roots=self._roots, require_pkix=is_verified),
            choose_mechanism=None if relay.Auth is None else _chooser(relay.Auth),
            timeouts=self.timeouts,
        )
        key = (claim.transport, where, mode, is_verified, relay.Auth and (relay.Auth.Username, relay.Auth.Password))
        client = await self._pool.take(key)
        if client is None:
            try:
                client = await self._open(claim.transport, host, port, options, dialed)
            except (GatherError, DialError) as err:
                prefix = f"transport {claim.transport}: dialing {where} for submission: "
                return _all(claim, Outcome(False, error=f"{prefix}{err}, transient", dialed_ips=dialed))
            except SmtpClientError as err:
                prefix = f"transport {claim.transport}: establishing smtp session with {where} for submission: "
                return _all(claim, transactions.failure_outcome(err, transactions.Manner(Mta(host), False, prefix)))
        return await self._send(
            key,
            client,
            claim,
            transactions.Manner(Mta(host, client.conn.remote[0]), False, f"delivering message to {where}: "),
        )

    async def _open(
        self, transport: str, host: str, port: int, options: Options, dialed: dict[str, list[str]]
    ) -> SmtpClient:
        addresses = await gather.gather_addresses(self._resolver, host, dialed)
        conn, _ = await dial(self._dialer, host, addresses.ips, port, dialed)
        return await SmtpClient.open(conn, options)

    async def _send(
        self, key: object, client: SmtpClient, claim: Claim, manner: transactions.Manner
    ) -> Mapping[int, Outcome]:
        try:
            found = await transactions.send(self._queue, client, claim.messages, manner)
        except SmtpClientError as err:
            await self._pool.give(key, client)
            return _all(claim, transactions.failure_outcome(err, manner))
        except BaseException:
            client.conn.abort()
            raise
        await self._pool.give(key, client)
        return found

    async def close(self) -> None:
        """End idle sessions."""
        await self._pool.close()


def _chooser(auth: SMTPAuth) -> Callable[[Connection], ChooseMechanism]:
    return lambda conn: choose_mechanism(auth, conn)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _all(claim: Claim, outcome: Outcome) -> dict[int, Outcome]:
    return {message.id: replace(outcome) for message in claim.messages}
