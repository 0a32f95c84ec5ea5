"""A queue with everything around it that a test can steer: configuration, DNS, servers, notifications, webhooks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from mox._rust import TlsRoots, stage_bytes
from mox.config.model import Transport
from mox.dns.names import IPAddress
from mox.dns.resolver import Mx, Resolver
from mox.dns.static import StaticResolver
from mox.net.bus import LocalBus
from mox.net.conn import Connection, connect
from mox.outbound import operations
from mox.outbound.claims import Claim
from mox.outbound.direct import DirectDelivery, TlsResults
from mox.outbound.dsn import Notice
from mox.outbound.events import OutgoingEvent
from mox.outbound.host import Route, Tools
from mox.outbound.listing import MESSAGES, RETIRED, Filter
from mox.outbound.mtasts import HttpsFetcher
from mox.outbound.mtastscache import PolicyCache
from mox.outbound.notifier import SenderNotifier
from mox.outbound.outcomes import Outcome
from mox.outbound.pool import Pool
from mox.outbound.queue import Queue
from mox.outbound.records import Message, NewHook, NewMessage, Retired, now_ms
from mox.outbound.runner import Limits, Runner
from mox.smtp.address import Path as Address
from mox.smtp.address import parse_mailbox
from mox.smtp.client import Timeouts
from tests.net.pki import Ca
from tests.smtp.fake_mx import FakeMx

LETTER = b"From: <mjl@mox.example>\r\nSubject: test\r\nMessage-Id: <m@mox.example>\r\n\r\nbody\r\n"
TIMEOUT_S = 10.0
QUICK = Timeouts(2, 2, 2, 2, 2, 2, 2)
DAY_MS = 86_400_000
EVERYTHING = Filter()
CA = Ca()


def address(text: str) -> Address:
    return parse_mailbox(text) if text else Address("", "")


def new(recipient: str = "a@remote.example", **facts: object) -> NewMessage:
    sender = address(str(facts.pop("sender", "mjl@mox.example")))
    facts = {"message_id": "<m@mox.example>", "subject": "test", **facts}
    return NewMessage(sender, address(recipient), **facts)  # type: ignore[arg-type]


@dataclass
class Surroundings:
    """What a configuration would say."""

    keep_messages: int = DAY_MS
    keep_hooks: int = DAY_MS
    routes: dict[str, str] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    wants_hooks: bool = False
    events: list[OutgoingEvent] = field(default_factory=list)

    def keep_messages_ms(self, account: str) -> int:
        return self.keep_messages

    def keep_hooks_ms(self, account: str) -> int:
        return self.keep_hooks

    def outgoing_hook(self, event: OutgoingEvent) -> NewHook | None:
        self.events.append(event)
        if not self.wants_hooks:
            return None
        name = event.event.value
        return NewHook(event.account, "http://hook.example/", "{}", queue_id=event.queue_id, outgoing_event=name)

    def transport(self, message: Message) -> str:
        return message.transport or self.routes.get(message.recipient_domain, "")

    def sender_disabled(self, message: Message) -> bool:
        return message.sender_domain in self.disabled


class MapDialer:
    """Connects to loopback ports by the address that DNS gives."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.dialed: list[str] = []

    async def __call__(self, ip: IPAddress, port: int, timeout_s: float) -> Connection:
        self.dialed.append(str(ip))
        if str(ip) not in self.ports:
            raise ConnectionRefusedError("connection refused")
        return await connect("127.0.0.1", self.ports[str(ip)], timeout_s)


class Bench:
    """Use `opened`. `deliver` may be replaced before `running`."""

    def __init__(self, folder: Path) -> None:
        self.surroundings = Surroundings()
        self.bus = LocalBus()
        self.queue = Queue(folder, self.bus, self.surroundings)
        self.dns = StaticResolver(authentic=False)
        self.resolver: Resolver = self.dns
        self.dialer = MapDialer()
        self.notices: list[Notice] = []
        self.tls_results: list[TlsResults] = []
        self.remembered: list[tuple[str, str, bool, bool]] = []
        self.policies: dict[str, httpx.Response] = {}
        self.transports: dict[str, Transport] = {}
        self.pool = Pool(idle_s=0)
        fetcher = HttpsFetcher(transport=httpx.MockTransport(self._policy))
        self.cache = PolicyCache(folder, self.dns, fetcher.fetch)
        self._folder = folder
        self.deliver: Callable[[Claim], object] = self.deliver_directly
        self.limits = Limits()
        self.local: set[str] = set()

    def _policy(self, request: httpx.Request) -> httpx.Response:
        return self.policies.get(request.url.host.removeprefix("mta-sts."), httpx.Response(404))

    def use_dns(self, dns: Resolver) -> None:
        self.resolver = dns
        self.cache._resolver = dns

    def add_mx(self, domain: str, *hosts: str) -> None:
        """MX records of a domain, by preference; names only, see `add_host`."""
        self.dns.add(domain, "MX", [Mx(10 + n, host) for n, host in enumerate(hosts)])

    def add_host(self, host: str, ip: str, port: int | None) -> None:
        """An address of a host; without a port nobody answers there."""
        self.dns.add(host, "AAAA" if ":" in ip else "A", [ip])
        if port is not None:
            self.dialer.ports[ip] = port

    def set_policy(self, domain: str, mode: str, *mx: str) -> None:
        """An MTA-STS policy."""
        self.dns.add(f"_mta-sts.{domain}", "TXT", ["v=STSv1; id=1"])
        lines = [f"mx: {name}" for name in mx]
        text = "\n".join(["version: STSv1", f"mode: {mode}", "max_age: 86400", *lines, ""])
        self.policies[domain] = httpx.Response(200, text=text)

    @property
    def direct(self) -> DirectDelivery:
        async def remember(*seen: str | bool) -> None:
            self.remembered.append(seen)  # type: ignore[arg-type]

        async def record(results: TlsResults) -> None:
            self.tls_results.append(results)

        tools = Tools(self.queue, self.resolver, TlsRoots(CA.pem), remember, self.pool, timeouts=QUICK)
        return DirectDelivery(tools, self.cache, record)

    async def deliver_directly(self, claim: Claim) -> Sequence[Outcome]:
        return await self.direct.deliver(claim, Route("mail.mox.example", self.dialer))

    async def add(self, *messages: NewMessage, content: bytes = LETTER, account: str = "mjl") -> list[int]:
        return await self.queue.add(account, stage_bytes(content), messages or [new()])

    async def messages(self, which: Filter = EVERYTHING) -> list[Message]:
        return await self.queue.read(lambda tx: MESSAGES.select(tx, which))

    async def retired(self) -> list[Retired]:
        return await self.queue.read(lambda tx: RETIRED.select(tx))

    async def _notify(self, notice: Notice) -> None:
        self.notices.append(notice)

    @property
    def notifier(self) -> SenderNotifier:
        return SenderNotifier(self.queue, self._notify, "mail.mox.example")

    def runner(self) -> Runner:
        return Runner(
            self.queue,
            self.deliver,  # type: ignore[arg-type]
            self._notify,
            "mail.mox.example",
            lambda domain: domain in self.local,
            self.limits,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runner]:
        runner, stopping = self.runner(), asyncio.Event()
        task = asyncio.create_task(runner.run(stopping))
        try:
            yield runner
        finally:
            stopping.set()
            async with asyncio.timeout(TIMEOUT_S):
                await task

    async def until(self, condition: Callable[[list[Message]], bool]) -> list[Message]:
        """Wait until the messages of the queue fulfil a condition."""
        woken = asyncio.Event()
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                found = await self.messages()
                if condition(found):
                    return found
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await woken.wait()

    async def run_due(self) -> list[Message]:
        """Run until nothing is due; what is left."""
        async with self.running():
            return await self.until(lambda messages: not any(_is_due(m) for m in messages))

    async def make_due(self) -> None:
        await self.queue.write(lambda tx: operations.set_next_attempt(tx, Filter(), 1))

    async def attempt(self) -> list[Message]:
        """Make everything due and run it."""
        await self.make_due()
        return await self.run_due()

    async def close(self) -> None:
        await self.pool.close()
        await self.cache.close()
        await self.queue.close()


def _is_due(message: Message) -> bool:
    if message.results and message.results[-1].error == "delivering...":
        return True
    return not message.hold and message.next_ms <= now_ms()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Bench]:
    bench = Bench(folder)
    try:
        yield bench
    finally:
        await bench.close()


@asynccontextmanager
async def with_mx(folder: Path, mx: FakeMx, domain: str = "remote.example") -> AsyncIterator[Bench]:
    """A bench whose DNS leads mail for `domain` to a server."""
    async with opened(folder) as bench, mx.running() as port:
        bench.add_mx(domain, "mx.test")
        bench.add_host("mx.test", "10.0.0.1", port)
        yield bench


def failing(outcome: Outcome) -> Callable[[Claim], object]:
    """A delivery that always gives the same."""

    async def deliver(claim: Claim) -> list[Outcome]:
        return [replace(outcome) for _ in claim.messages]

    return deliver
