"""Routes, and transports that are not plain direct delivery: relays, proxies, failures by configuration."""

import asyncio
from pathlib import Path

import pytest

from mox._rust import TlsRoots
from mox.config.model import SMTPAuth, Transport, TransportFail, TransportSMTP
from mox.net.conn import Connection, connect
from mox.net.tls import ServerTls
from mox.outbound.claims import Claim
from mox.outbound.host import Route as HostRoute
from mox.outbound.outcomes import Outcome
from mox.outbound.relay import RelayDelivery, pick_mechanism
from mox.outbound.socks import SocksDialer
from tests.net.loopback import TIMEOUT_S, listening
from tests.net.pki import self_signed
from tests.outbound.bench import CA, QUICK, Bench, new, opened, with_mx
from tests.smtp.fake_mx import FakeMx

GOOD = ServerTls([CA.issue("relay.test").pair])
WRONG = ServerTls([self_signed("relay.test").pair])

ALL = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN")


@pytest.mark.parametrize(
    ("offered", "binding", "expected"),
    [
        (ALL, b"x", "SCRAM-SHA-256-PLUS"),
        (ALL, None, "SCRAM-SHA-256"),
        (("PLAIN", "SCRAM-SHA-1"), b"x", "SCRAM-SHA-1"),
        (("CRAM-MD5", "LOGIN"), None, "CRAM-MD5"),
        (("SCRAM-SHA-256-PLUS",), None, None),
        (("LOGIN",), None, None),
    ],
)
def test_mechanisms(offered: tuple[str, ...], binding: bytes | None, expected: str | None) -> None:
    chosen = pick_mechanism(ALL, offered, "u", "p", binding)
    assert (chosen.name if chosen else None) == expected


def test_missing_plus_is_told_to_the_server() -> None:
    chosen = pick_mechanism(ALL, ("SCRAM-SHA-256",), "u", "p", b"x")
    assert chosen is not None
    assert (chosen.initial() or b"").startswith(b"y,,")


def use_relay(bench: Bench, transport: Transport) -> None:
    """Deliver by a relay whatever is queued."""

    async def deliver(claim: Claim) -> list[Outcome]:
        relay = RelayDelivery(bench.queue, bench.dns, TlsRoots(CA.pem), bench.dialer, lambda: "mail.mox.example")
        relay.timeouts = QUICK
        try:
            return list(await relay.deliver(claim, transport))
        finally:
            await relay.close()

    bench.deliver = deliver


def relay_at(**options: object) -> TransportSMTP:
    return TransportSMTP(Host="relay.test", **options)  # type: ignore[arg-type]


TRANSPORTS = [
    pytest.param(Transport(Submission=relay_at()), GOOD, False, True, id="submission"),
    pytest.param(Transport(Submissions=relay_at()), GOOD, True, True, id="submissions"),
    pytest.param(Transport(SMTP=relay_at()), WRONG, False, False, id="smtp, wrong certificate"),
    pytest.param(Transport(SMTP=relay_at(STARTTLSInsecureSkipVerify=True)), WRONG, False, True, id="smtp, unverified"),
    pytest.param(Transport(SMTP=relay_at(NoSTARTTLS=True)), None, False, True, id="smtp, plain"),
]


@pytest.mark.holds("outbound-c8889a")
@pytest.mark.parametrize(("transport", "tls", "immediate", "works"), TRANSPORTS)
async def test_relays(
    tmp_path: Path, transport: Transport, tls: ServerTls | None, immediate: bool, works: bool
) -> None:
    mx = FakeMx(tls=tls, immediate=immediate)
    async with opened(tmp_path) as bench, mx.running() as port:
        bench.add_host("relay.test", "10.0.0.1", port)
        use_relay(bench, transport)
        await bench.add(new("a@x.example"), new("b@x.example"))
        left = await bench.run_due()
        assert (left == []) is works
        if not works:
            assert "establishing smtp session with relay.test:25" in left[0].results[0].error
    assert [t.recipients for t in mx.transactions] == ([["a@x.example", "b@x.example"]] if works else [])


async def test_relay_with_a_wrong_password_keeps_the_messages(tmp_path: Path) -> None:
    mx = FakeMx(("AUTH PLAIN",), auth="535 5.7.8 no")
    async with opened(tmp_path) as bench, mx.running() as port:
        bench.add_host("relay.test", "10.0.0.1", port)
        auth = SMTPAuth(Username="u", Password="s3cret", Mechanisms=["PLAIN"])
        use_relay(bench, Transport(SMTP=relay_at(NoSTARTTLS=True, Auth=auth)))
        await bench.add()
        (left,) = await bench.run_due()
        assert left.results[0].code == 535 and "s3cret" not in left.results[0].error


async def test_relay_refusal_is_final_and_tells_who(tmp_path: Path) -> None:
    mx = FakeMx(rcpt="550 5.1.1 unknown")
    async with opened(tmp_path) as bench, mx.running() as port:
        bench.add_host("relay.test", "10.0.0.1", port)
        use_relay(bench, Transport(SMTP=relay_at(NoSTARTTLS=True)))
        await bench.add()
        assert await bench.run_due() == []
        (kept,) = await bench.retired()
        assert kept.results[0].error.startswith("delivering message to relay.test:25: ")
        assert b"Remote-MTA: dns;relay.test" in bench.notices[0].content


async def test_requiretls_needs_a_verified_relay(tmp_path: Path) -> None:
    mx = FakeMx(("REQUIRETLS",))
    async with opened(tmp_path) as bench, mx.running() as port:
        bench.add_host("relay.test", "10.0.0.1", port)
        use_relay(bench, Transport(SMTP=relay_at(NoSTARTTLS=True)))
        await bench.add(new(require_tls=True))
        assert await bench.run_due() == []
        (kept,) = await bench.retired()
        assert (kept.results[0].code, kept.results[0].secode) == (554, "7.30")
    assert mx.connections == 0


async def socks_proxy(conn: Connection, targets: dict[str, int], seen: list[str], login: bytes = b"") -> None:
    """RFC 1928 for IPv4; with a log-in of RFC 1929 where `login` says which."""
    offered = (await conn.read(TIMEOUT_S))[2:]
    if login:
        if b"\x02" not in offered:
            conn.write(b"\x05\xff")
            return
        conn.write(b"\x05\x02")
        is_good = await conn.read(TIMEOUT_S) == login
        conn.write(b"\x01\x00" if is_good else b"\x01\x01")
        if not is_good:
            return
    else:
        conn.write(b"\x05\x00")
    data = await conn.read(TIMEOUT_S)
    ip = ".".join(str(b) for b in data[4:8])
    seen.append(ip)
    there = await connect("127.0.0.1", targets[ip], TIMEOUT_S)
    conn.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x19")

    async def pump(source: Connection, target: Connection) -> None:
        while piece := await source.read(TIMEOUT_S):
            target.write(piece)
        target.abort()

    await asyncio.gather(pump(conn, there), pump(there, conn))


@pytest.mark.holds("outbound-26f0c5")
async def test_socks(tmp_path: Path) -> None:
    mx, seen = FakeMx(), list[str]()
    async with with_mx(tmp_path, mx) as bench:
        targets = bench.dialer.ports
        async with listening(lambda conn: socks_proxy(conn, targets, seen)) as port:
            dialer = SocksDialer(f"127.0.0.1:{port}")

            async def deliver(claim: Claim) -> list[Outcome]:
                return list(await bench.direct.deliver(claim, HostRoute("proxy.example", dialer)))

            bench.deliver = deliver
            await bench.add()
            assert await bench.run_due() == []
        assert bench.dialer.dialed == []
    assert seen == ["10.0.0.1"] and mx.lines[0] == "EHLO proxy.example"


@pytest.mark.parametrize(
    ("username", "password", "error"),
    [("u", "secret", ""), ("u", "wrong", "socks proxy"), ("", "", "socks proxy")],
    ids=["good", "wrong", "none"],
)
async def test_socks_with_log_in(tmp_path: Path, username: str, password: str, error: str) -> None:
    mx, seen = FakeMx(), list[str]()
    async with with_mx(tmp_path, mx) as bench:
        targets = bench.dialer.ports
        async with listening(lambda conn: socks_proxy(conn, targets, seen, b"\x01\x01u\x06secret")) as port:
            dialer = SocksDialer(f"127.0.0.1:{port}", username, password)

            async def deliver(claim: Claim) -> list[Outcome]:
                return list(await bench.direct.deliver(claim, HostRoute("proxy.example", dialer)))

            bench.deliver = deliver
            await bench.add()
            left = await bench.run_due()
    assert (seen == []) == bool(error) and len(left) == (1 if error else 0)
    for message in left:
        assert error in message.results[-1].error and "secret" not in message.results[-1].error


def test_fail_transport_has_defaults() -> None:
    assert TransportFail().code == 554 and TransportFail(SMTPCode=451).code == 451
