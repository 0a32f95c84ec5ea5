"""The resolver against a scripted name server: cache, coalescing, DNSSEC status, broken and hostile answers."""

import asyncio
import ipaddress
import time
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest
import uvloop

from mox.dns.resolvconf import NameServer, Settings
from mox.dns.resolver import (
    Answer,
    DnsError,
    DnsInvalidRecords,
    DnsNotFound,
    DnsTemporary,
    Kind,
    Mx,
    Srv,
    Tlsa,
)
from mox.dns.system import CacheLimits, SystemResolver
from tests.dns.name_server import Handler, reply, serve

SOA = "example.org. 60 IN SOA ns.example.org. root.example.org. 1 2 3 4 30"


def answers(*records: str, **options: object) -> Handler:
    def handler(query: dns.message.Message, over_tcp: bool) -> list[bytes]:
        return [reply(query, *records, **options).to_wire()]  # type: ignore[arg-type]

    return handler


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("kind", "record", "expected"),
    [
        (Kind.A, "x.org. 9 IN A 10.0.0.1", ipaddress.IPv4Address("10.0.0.1")),
        (Kind.AAAA, "x.org. 9 IN AAAA fd00::1", ipaddress.IPv6Address("fd00::1")),
        (Kind.TXT, 'x.org. 9 IN TXT "one " "two"', "one two"),
        (Kind.TXT, 'x.org. 9 IN TXT "\\195\\164\\255"', "ä\udcff"),
        (Kind.MX, "x.org. 9 IN MX 10 MX.x.org.", Mx(10, "mx.x.org")),
        (Kind.MX, "x.org. 9 IN MX 0 .", Mx(0, ".")),
        (Kind.CNAME, "x.org. 9 IN CNAME y.org.", "y.org"),
        (Kind.NS, "x.org. 9 IN NS ns.org.", "ns.org"),
        (Kind.PTR, "x.org. 9 IN PTR host.org.", "host.org"),
        (Kind.SRV, "x.org. 9 IN SRV 1 2 587 mail.org.", Srv(1, 2, 587, "mail.org")),
        (Kind.TLSA, "x.org. 9 IN TLSA 3 1 1 " + "ab" * 32, Tlsa(3, 1, 1, b"\xab" * 32)),
    ],
    ids=lambda v: v.value if isinstance(v, Kind) else "",
)
async def test_record_types(kind: Kind, record: str, expected: object) -> None:
    async with serve(answers(record)) as fake:
        answer = await SystemResolver(fake.settings()).lookup("x.org", kind)
    assert list(answer.records) == [expected]


@pytest.mark.parametrize("authentic", [True, False])
async def test_ad_bit_of_a_loopback_server_counts(authentic: bool) -> None:
    async with serve(answers("x.org. 9 IN A 10.0.0.1", ad=authentic)) as fake:
        answer = await SystemResolver(fake.settings()).a("x.org")
    assert answer.authentic == authentic


def test_ad_bit_of_a_remote_server_means_nothing() -> None:
    remote = NameServer("192.0.2.1")
    assert not Settings((remote,)).believes_ad
    assert not Settings((remote, NameServer("127.0.0.1"))).believes_ad
    assert not Settings(()).believes_ad
    assert Settings((remote,), trust_ad=True).believes_ad


async def test_not_found_is_cached_for_the_soa_minimum() -> None:
    clock = Clock()
    async with serve(answers(rcode=dns.rcode.NXDOMAIN, authority=(SOA,), ad=True)) as fake:
        resolver = SystemResolver(fake.settings(), clock=clock)
        for _ in range(3):
            with pytest.raises(DnsNotFound) as caught:
                await resolver.txt("a.example.org")
            assert caught.value.authentic
        assert fake.questions == ["TXT a.example.org"]
        clock.now += 31
        with pytest.raises(DnsNotFound):
            await resolver.txt("a.example.org")
    assert len(fake.questions) == 2


@pytest.mark.parametrize(("ttl", "lives", "dead"), [(60, 59, 61), (0, 0.5, 2), (10**6, 3599, 3601)])
async def test_ttl_bounds(ttl: int, lives: float, dead: float) -> None:
    clock = Clock()
    async with serve(answers(f"x.org. {ttl} IN A 10.0.0.1")) as fake:
        resolver = SystemResolver(fake.settings(), clock=clock)
        await resolver.a("X.org")
        clock.now += lives
        await resolver.a("x.ORG")
        assert len(fake.questions) == 1
        clock.now += dead - lives
        await resolver.a("x.org")
        assert len(fake.questions) == 2


async def test_cache_is_bounded() -> None:
    async with serve(lambda q, _: [reply(q, f"{q.question[0].name} 99 IN A 10.0.0.1").to_wire()]) as fake:
        resolver = SystemResolver(fake.settings(), limits=CacheLimits(entries=2))
        for name in ("a.org", "b.org", "a.org", "c.org", "a.org", "b.org"):
            await resolver.a(name)
    assert fake.questions == ["A a.org", "A b.org", "A c.org", "A b.org"]


async def test_equal_questions_go_out_once() -> None:
    async with serve(answers("x.org. 0 IN A 10.0.0.1")) as fake:
        resolver = SystemResolver(fake.settings())
        results = await asyncio.gather(*(resolver.a("x.org") for _ in range(20)))
    assert fake.questions == ["A x.org"]
    assert len({str(r.records) for r in results}) == 1


async def test_one_waiter_gives_up_and_the_others_get_the_answer() -> None:
    held: list[asyncio.Event] = [asyncio.Event()]
    async with serve(lambda q, _: (held[0].set(), [])[1]) as fake:  # type: ignore[func-returns-value]
        resolver = SystemResolver(fake.settings(timeout_s=5))
        first, second = (asyncio.create_task(resolver.a("x.org")) for _ in range(2))
        await held[0].wait()
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        assert not second.done()
        second.cancel()
        await asyncio.wait([second])
    assert second.cancelled()


async def test_truncated_answer_is_asked_for_over_tcp() -> None:
    def handler(query: dns.message.Message, over_tcp: bool) -> list[bytes]:
        response = reply(query, *(["x.org. 9 IN TXT full"] if over_tcp else []))
        if not over_tcp:
            response.flags |= dns.flags.TC
        return [response.to_wire()]

    async with serve(handler) as fake:
        answer = await SystemResolver(fake.settings()).txt("x.org")
    assert list(answer.records) == ["full"]
    assert len(fake.questions) == 2


async def test_tcp_only() -> None:
    async with serve(lambda q, tcp: [reply(q, "x.org. 9 IN A 10.0.0.1").to_wire()] if tcp else []) as fake:
        await SystemResolver(fake.settings(use_tcp=True)).a("x.org")
    assert len(fake.questions) == 1


async def test_alias_chain_and_its_smallest_ttl() -> None:
    chain = ("x.org. 99 IN CNAME y.org.", "y.org. 5 IN CNAME z.org.", "z.org. 99 IN A 10.0.0.1")
    clock = Clock()
    async with serve(answers(*chain)) as fake:
        answer = await SystemResolver(fake.settings(), clock=clock).a("x.org")
    assert answer.expires == clock.now + 5


async def test_alias_without_its_target_is_followed() -> None:
    records = {"x.org.": "x.org. 9 IN CNAME y.org.", "y.org.": "y.org. 9 IN A 10.0.0.1"}
    async with serve(lambda q, _: [reply(q, records[q.question[0].name.to_text()]).to_wire()]) as fake:
        answer = await SystemResolver(fake.settings()).a("x.org")
    assert str(answer.records[0]) == "10.0.0.1"
    assert fake.questions == ["A x.org", "A y.org"]


@pytest.mark.parametrize("whole", [True, False], ids=["in-one-answer", "step-by-step"])
async def test_alias_loop(whole: bool) -> None:
    loop = {"x.org.": "x.org. 9 IN CNAME y.org.", "y.org.": "y.org. 9 IN CNAME x.org."}

    def handler(query: dns.message.Message, _: bool) -> list[bytes]:
        return [reply(query, *(loop.values() if whole else [loop[query.question[0].name.to_text()]])).to_wire()]

    async with serve(handler) as fake:
        with pytest.raises(DnsTemporary):
            await SystemResolver(fake.settings()).a("x.org")
    assert len(fake.questions) < 10


async def test_records_of_other_names_do_not_count() -> None:
    async with serve(answers("evil.org. 9 IN A 10.6.6.6", authority=(SOA,))) as fake:
        resolver = SystemResolver(fake.settings())
        with pytest.raises(DnsNotFound):
            await resolver.a("x.org")
        with pytest.raises(DnsNotFound):
            await resolver.a("evil.org.x.org")
    assert len(fake.questions) == 2


async def test_forged_and_broken_packets_are_ignored() -> None:
    def handler(query: dns.message.Message, _: bool) -> list[bytes]:
        good = reply(query, "x.org. 9 IN A 10.0.0.1").to_wire()
        other_id = bytes([good[0] ^ 1]) + good[1:]
        other = dns.message.make_query("other.org", "A", id=query.id)
        return [b"", b"\0" * 5, good[:-2], other_id, reply(other, "x.org. 9 IN A 10.6.6.6").to_wire(), good]

    async with serve(handler) as fake:
        answer = await SystemResolver(fake.settings()).a("x.org")
    assert str(answer.records[0]) == "10.0.0.1"


async def test_answer_with_nxdomain_is_refused() -> None:
    async with serve(answers("x.org. 9 IN A 10.0.0.1", rcode=dns.rcode.NXDOMAIN)) as fake:
        with pytest.raises(DnsTemporary):
            await SystemResolver(fake.settings()).a("x.org")


async def test_servfail_tells_the_extended_error_and_is_remembered_for_a_moment() -> None:
    def handler(query: dns.message.Message, _: bool) -> list[bytes]:
        response = reply(query, rcode=dns.rcode.SERVFAIL)
        response.use_edns(options=[dns.edns.EDEOption(6, "bad signature")])
        return [response.to_wire()]

    clock = Clock()
    async with serve(handler) as fake:
        resolver = SystemResolver(fake.settings(), clock=clock)
        for _ in range(2):
            with pytest.raises(DnsTemporary, match=r"SERVFAIL.*bogus") as caught:
                await resolver.a("x.org")
            assert caught.value.code == 6
            assert caught.value.is_dnssec_failure
        assert len(fake.questions) == 1
        clock.now += 2
        with pytest.raises(DnsTemporary):
            await resolver.a("x.org")
    assert len(fake.questions) == 2


async def test_the_next_server_is_asked_when_one_fails() -> None:
    async with (
        serve(answers(rcode=dns.rcode.REFUSED)) as bad,
        serve(lambda q, _: []) as silent,
        serve(answers("x.org. 9 IN A 10.0.0.1")) as good,
    ):
        settings = Settings((bad.server, silent.server, good.server), timeout_s=0.1, attempts=2)
        answer = await SystemResolver(settings).a("x.org")
    assert str(answer.records[0]) == "10.0.0.1"
    assert (len(bad.questions), len(silent.questions), len(good.questions)) == (1, 1, 1)


async def test_rotation_spreads_the_questions() -> None:
    async with serve(answers("x.org. 0 IN A 10.0.0.1")) as one, serve(answers("x.org. 0 IN A 10.0.0.1")) as two:
        clock = Clock()
        resolver = SystemResolver(Settings((one.server, two.server), rotate=True), clock=clock)
        for _ in range(4):
            clock.now += 2
            await resolver.a("x.org")
    assert (len(one.questions), len(two.questions)) == (2, 2)


async def test_resolv_conf_is_read_again(tmp_path: Path) -> None:
    """Whatever answers on the loopback's port 53, or nothing."""
    clock = Clock()
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 127.0.0.1\noptions trust-ad\n")
    resolver = SystemResolver.from_resolv_conf(file, clock=clock)
    assert resolver.settings.trust_ad
    file.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1 use-vc\n")
    clock.now += 6
    with pytest.raises(DnsError):
        await resolver.a("absent.invalid")
    assert resolver.settings == Settings((NameServer("127.0.0.1"),), 1.0, 1, use_tcp=True)


async def test_server_without_edns() -> None:
    def handler(query: dns.message.Message, _: bool) -> list[bytes]:
        if query.edns >= 0:
            return [reply(query, rcode=dns.rcode.FORMERR).to_wire()]
        return [reply(query, "x.org. 9 IN A 10.0.0.1").to_wire()]

    async with serve(handler) as fake:
        await SystemResolver(fake.settings()).a("x.org")
    assert len(fake.questions) == 2


async def test_silence_is_a_temporary_error_after_the_time_out() -> None:
    async with serve(lambda q, _: []) as fake:
        started = time.monotonic()
        with pytest.raises(DnsTemporary, match="in time"):
            await SystemResolver(fake.settings(timeout_s=0.1)).a("x.org")
        assert time.monotonic() - started < 2


async def test_offline_fails_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(DnsTemporary, match="no name server"):
        await SystemResolver(Settings()).mx("example.org")
    assert time.monotonic() - started < 2


async def test_refused_by_loopback_says_what_to_do() -> None:
    async with serve(lambda q, _: []) as fake:
        port = fake.port
    resolver = SystemResolver(Settings((NameServer("127.0.0.1", port),), timeout_s=0.5, attempts=1, use_tcp=True))
    with pytest.raises(DnsTemporary, match="run a DNSSEC-validating resolver"):
        await resolver.a("x.org")


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "a" * 64 + ".org", ".".join(["a" * 60] * 5), "ä.org", "x.org."], ids=repr
)
async def test_impossible_names_are_not_found_without_a_question(name: str) -> None:
    with pytest.raises(DnsNotFound, match="no valid DNS name"):
        await SystemResolver(Settings()).txt(name)


async def test_ips_of_both_families() -> None:
    records = {"A": "x.org. 9 IN A 10.0.0.1", "AAAA": "x.org. 9 IN AAAA fd00::1"}
    async with serve(lambda q, _: [reply(q, records[q.question[0].rdtype.name]).to_wire()]) as fake:
        answer = await SystemResolver(fake.settings()).ips("x.org")
    assert {str(ip) for ip in answer.records} == {"10.0.0.1", "fd00::1"}


@pytest.mark.parametrize(
    ("records", "error"),
    [
        (["x.org. 9 IN MX 1 a_b.org.", "x.org. 9 IN MX 2 10.0.0.1."], None),
        (["x.org. 9 IN MX 2 10.0.0.1."], DnsInvalidRecords),
    ],
    ids=["one-usable", "none-usable"],
)
async def test_mx_targets_that_are_no_host_names_are_left_out(records: list[str], error: type[DnsError] | None) -> None:
    async with serve(answers(*records)) as fake:
        resolver = SystemResolver(fake.settings())
        if error is None:
            assert list((await resolver.mx("x.org")).records) == [Mx(1, "a_b.org")]
        else:
            with pytest.raises(error):
                await resolver.mx("x.org")


async def test_mx_by_preference_with_equal_ones_in_random_order() -> None:
    records = ["x.org. 9 IN MX 20 last.org."] + [f"x.org. 9 IN MX 10 m{i}.org." for i in range(8)]
    async with serve(answers(*records)) as fake:
        resolver = SystemResolver(fake.settings())
        orders = {tuple(r.host for r in (await resolver.mx("x.org")).records) for _ in range(20)}
    assert len(orders) > 1
    assert {order[-1] for order in orders} == {"last.org"}


async def test_tagged_views_share_the_cache() -> None:
    async with serve(answers("x.org. 99 IN A 10.0.0.1")) as fake:
        resolver = SystemResolver(fake.settings())
        await resolver.tagged("spf").a("x.org")
        answer: Answer[ipaddress.IPv4Address] = await resolver.tagged("dkim").a("x.org")
    assert answer.records
    assert len(fake.questions) == 1


def test_on_the_loop_of_the_server() -> None:
    """uvloop has sockets of its own; truncation makes both kinds of them."""

    def handler(query: dns.message.Message, over_tcp: bool) -> list[bytes]:
        response = reply(query, *(["x.org. 9 IN A 10.0.0.1"] if over_tcp else []))
        if not over_tcp:
            response.flags |= dns.flags.TC
        return [response.to_wire()]

    async def ask() -> str:
        async with serve(handler) as fake:
            return str((await SystemResolver(fake.settings()).a("x.org")).records[0])

    assert uvloop.run(ask()) == "10.0.0.1"


async def test_any_bytes_from_a_server_give_an_answer_or_a_dns_error() -> None:
    """Every single-byte change of a valid answer, over TCP, where nothing is ignored."""
    wires: list[bytes] = []
    good = reply(dns.message.make_query("x.org", "TXT", use_edns=0), 'x.org. 9 IN TXT "abc"').to_wire()

    def handler(query: dns.message.Message, _: bool) -> list[bytes]:
        return [query.id.to_bytes(2) + wires[-1][2:]]

    async with serve(handler) as fake:
        resolver = SystemResolver(fake.settings(use_tcp=True), limits=CacheLimits(min_ttl_s=0, failure_ttl_s=0))
        for at in range(2, len(good)):
            wires.append(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
            try:
                await resolver.txt("x.org")
            except DnsError:
                continue
