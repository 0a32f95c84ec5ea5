"""Direct delivery against servers that behave and misbehave: hosts, TLS by every policy, what is recorded of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mox.dns.resolver import Mx, Tlsa
from mox.dns.static import StaticResolver
from mox.message.dsn import Action, parse
from mox.net.tls import ServerTls
from mox.outbound.events import Event
from mox.outbound.pool import Pool
from mox.outbound.records import Message
from mox.outbound.tlsresult import FailureDetails, PolicyResult, merge_details
from tests.net.pki import Identity, self_signed
from tests.outbound.bench import CA, Bench, new, opened, with_mx
from tests.smtp.fake_mx import FakeMx

GOOD = CA.issue("mx.test")
SELF_SIGNED = self_signed("mx.test")
OTHER = self_signed("other.test")
FULL = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8")
REQUIRETLS = (*FULL, "REQUIRETLS")


def tls(identity: Identity = GOOD) -> ServerTls:
    return ServerTls([identity.pair])


def dane(identity: Identity) -> list[Tlsa]:
    return [Tlsa(3, 1, 1, identity.key_digest)]


def signed(bench: Bench, records: list[Tlsa]) -> None:
    """The zone of remote.example with DNSSEC and TLSA records for its host."""
    dns = StaticResolver(authentic=True)
    dns.add("remote.example", "MX", [Mx(10, "mx.test")])
    dns.add("mx.test", "A", ["10.0.0.1"])
    if records:
        dns.add("_25._tcp.mx.test", "TLSA", records)
    bench.use_dns(dns)


async def outcome(bench: Bench, **facts: object) -> Message | None:
    """The message after one attempt, None when it left the queue."""
    await bench.add(new(**facts))  # type: ignore[arg-type]
    left = await bench.run_due()
    return left[0] if left else None


async def was_delivered(bench: Bench, **facts: object) -> bool:
    before = {kept.id for kept in await bench.retired()}
    await outcome(bench, **facts)
    return any(kept.success for kept in await bench.retired() if kept.id not in before)


def details(result: PolicyResult | None) -> list[tuple[str, str]]:
    assert result is not None
    return [(d.result_type, d.failure_reason_code) for d in result.failure_details]


def counts(result: PolicyResult | None) -> tuple[int, int]:
    assert result is not None
    return result.summary.total_successful_session_count, result.summary.total_failure_session_count


@pytest.mark.holds("outbound-36eeb6")
async def test_two_recipients_share_connection_transaction_and_content(tmp_path: Path) -> None:
    mx = FakeMx()
    async with with_mx(tmp_path, mx) as bench:
        await bench.add(new("a@remote.example"), new("b@remote.example"))
        assert await bench.run_due() == []
    assert mx.connections == 1 and mx.lines.count("DATA") == 1
    assert sorted(mx.transactions[0].recipients) == ["a@remote.example", "b@remote.example"]


@pytest.mark.holds("outbound-36eeb6")
async def test_different_domains_have_connections_of_their_own(tmp_path: Path) -> None:
    mx = FakeMx()
    async with with_mx(tmp_path, mx) as bench:
        bench.add_mx("second.example", "mx.test")
        await bench.add(new("a@remote.example"), new("b@second.example"))
        assert await bench.run_due() == []
    assert mx.connections == 2


@pytest.mark.holds("outbound-6d4265")
@pytest.mark.parametrize("extensions", [FULL, ("8BITMIME",)], ids=["pipelined", "one by one"])
@pytest.mark.parametrize("limit", [True, False], ids=["announced", "552"])
async def test_limit_of_recipients(tmp_path: Path, limit: bool, extensions: tuple[str, ...]) -> None:
    first = True

    def rcpt(line: str) -> str | None:
        nonlocal first
        if "<b@" in line and first and not limit:
            first = False
            return "552 5.5.3 too many"
        return None

    mx = FakeMx((*extensions, "LIMITS RCPTMAX=1") if limit else extensions, rcpt=rcpt)
    async with with_mx(tmp_path, mx) as bench:
        await bench.add(new("a@remote.example"), new("b@remote.example"))
        assert await bench.run_due() == []
        assert all(kept.success for kept in await bench.retired())
    assert mx.connections == 1
    assert [t.recipients for t in mx.transactions] == [["a@remote.example"], ["b@remote.example"]]


async def test_each_recipient_gets_its_own_answer(tmp_path: Path) -> None:
    mx = FakeMx(rcpt=lambda line: "550 5.1.1 unknown" if "<b@" in line else None)
    async with with_mx(tmp_path, mx) as bench:
        await bench.add(new("a@remote.example"), new("b@remote.example"))
        assert await bench.run_due() == []
        kept = {r.recipient_localpart: r for r in await bench.retired()}
        assert kept["a"].success and not kept["b"].success
        assert kept["b"].results[-1].code == 550
        report = parse(bench.notices[0].content).recipients[0]
        assert (report.action, report.status, report.diagnostic) == (Action.FAILED, "5.1.1", "550 5.1.1 unknown")
        assert report.remote_mta is not None and report.remote_mta.ip == "127.0.0.1"


async def test_all_of_several_recipients_refused(tmp_path: Path) -> None:
    mx = FakeMx(rcpt=lambda line: "550 5.1.1 unknown" if "<b@" in line else "451 4.2.1 later")
    async with with_mx(tmp_path, mx) as bench:
        await bench.add(new("a@remote.example"), new("b@remote.example"))
        (left,) = await bench.run_due()
        assert left.recipient_localpart == "a" and left.results[-1].code == 451
        assert (await bench.retired())[0].results[-1].code == 550


async def test_next_host_is_tried(tmp_path: Path) -> None:
    busy, good = FakeMx(greeting="421 4.3.2 busy; close"), FakeMx()
    async with opened(tmp_path) as bench, busy.running() as port1, good.running() as port2:
        bench.add_mx("remote.example", "gone.test", "dead.test", "busy.test", "good.test")
        bench.add_host("dead.test", "10.0.0.1", None)
        bench.add_host("busy.test", "10.0.0.2", port1)
        bench.add_host("good.test", "10.0.0.3", port2)
        assert await was_delivered(bench)


async def test_a_host_that_cannot_take_it_is_not_the_last_word(tmp_path: Path) -> None:
    small, good = FakeMx(("SIZE 10",)), FakeMx()
    async with opened(tmp_path) as bench, small.running() as port1, good.running() as port2:
        bench.add_mx("remote.example", "small.test", "good.test")
        bench.add_host("small.test", "10.0.0.1", port1)
        bench.add_host("good.test", "10.0.0.2", port2)
        assert await was_delivered(bench)


async def test_refusal_by_the_first_host_is_final(tmp_path: Path) -> None:
    no, good = FakeMx(mail="550 5.1.8 no"), FakeMx()
    async with opened(tmp_path) as bench, no.running() as port1, good.running() as port2:
        bench.add_mx("remote.example", "no.test", "good.test")
        bench.add_host("no.test", "10.0.0.1", port1)
        bench.add_host("good.test", "10.0.0.2", port2)
        assert not await was_delivered(bench)
    assert good.connections == 0


@pytest.mark.parametrize(
    ("setup", "error", "permanent"),
    [
        (lambda b: b.dns.add("remote.example", "MX", [Mx(0, ".")]), "does not accept email", True),
        (lambda b: None, "ip lookup", False),
        (lambda b: b.use_dns(StaticResolver(fail=[("MX", "remote.example")])), "mx lookup", False),
        (lambda b: b.dns.add("remote.example", "CNAME", ["remote.example"]), "cname loop", False),
    ],
    ids=["null mx", "no host", "dns failure", "loop"],
)
async def test_no_destination(tmp_path: Path, setup: Callable[[Bench], None], error: str, permanent: bool) -> None:
    async with opened(tmp_path) as bench:
        setup(bench)
        left = await outcome(bench)
        results = left.results if left is not None else (await bench.retired())[0].results
        assert error in results[0].error
        assert (left is None) is permanent


async def test_address_literal_and_implicit_mx(tmp_path: Path) -> None:
    mx = FakeMx()
    async with opened(tmp_path) as bench, mx.running() as port:
        bench.add_host("remote.example", "10.0.0.1", port)
        bench.dialer.ports["10.0.0.2"] = port
        assert await was_delivered(bench)
        assert await was_delivered(bench, recipient="a@[10.0.0.2]")
        # Nobody takes reports for an address.
        assert len(bench.tls_results) == 1
    assert mx.transactions[1].recipients == ["a@[10.0.0.2]"]


@pytest.mark.holds("outbound-cb05ff")
async def test_opportunistic_tls_takes_any_certificate_and_tells(tmp_path: Path) -> None:
    mx = FakeMx(tls=tls(SELF_SIGNED))
    async with with_mx(tmp_path, mx) as bench:
        assert await was_delivered(bench)
        (results,) = bench.tls_results
        assert mx.server_names == ["mx.test"]
        assert results.of_domain is not None and results.of_domain.policy.policy_type == "no-policy-found"
        assert counts(results.of_domain) == (1, 0)
        assert details(results.of_domain) == [("certificate-not-trusted", "")]
        (host,) = results.of_hosts
        assert (host.policy.policy_type, counts(host)) == ("no-policy-found", (1, 0))


@pytest.mark.holds("outbound-665a19")
async def test_broken_tls_falls_back_to_plain_text(tmp_path: Path) -> None:
    mx = FakeMx((*FULL, "STARTTLS"), starttls="220 go\r\nnot TLS at all")
    async with with_mx(tmp_path, mx) as bench:
        assert await was_delivered(bench)
        assert bench.remembered == [("mjl", "remote.example", False, False)]
        (results,) = bench.tls_results
        assert counts(results.of_domain) == (0, 1)
        assert [kind for kind, _ in details(results.of_domain)] == ["validation-failure"]
    assert mx.connections == 2


async def test_no_tls_at_all_is_told(tmp_path: Path) -> None:
    async with with_mx(tmp_path, FakeMx()) as bench:
        assert await was_delivered(bench)
        (results,) = bench.tls_results
        assert (counts(results.of_domain), details(results.of_domain)) == ((0, 0), [("starttls-not-supported", "")])


async def test_dmarc_reports_do_not_fall_back(tmp_path: Path) -> None:
    mx = FakeMx((*FULL, "STARTTLS"), starttls="454 4.7.0 no TLS now")
    async with with_mx(tmp_path, mx) as bench:
        assert not await was_delivered(bench, is_dmarc_report=True) and mx.connections == 1
        assert details(bench.tls_results[0].of_domain) == [("starttls-not-supported", "smtp-starttls-reply-code-454")]


@pytest.mark.holds("outbound-38352d")
@pytest.mark.parametrize("require", [None, True])
async def test_dane(tmp_path: Path, require: bool | None) -> None:
    mx = FakeMx(REQUIRETLS, tls(SELF_SIGNED))
    async with with_mx(tmp_path, mx) as bench:
        signed(bench, dane(SELF_SIGNED))
        assert await was_delivered(bench, require_tls=require)
        assert bench.remembered == [("mjl", "remote.example", True, True)]
        (host,) = bench.tls_results[0].of_hosts
        assert host.policy.policy_type == "tlsa" and host.policy.policy_domain == "mx.test"
        assert host.policy.policy_string == [str(dane(SELF_SIGNED)[0])]
        assert (counts(host), details(host)) == ((1, 0), [])
    assert mx.transactions[0].mail.endswith(" REQUIRETLS") is (require is True)


@pytest.mark.holds("outbound-c6da80")
async def test_unusable_records_still_need_starttls(tmp_path: Path) -> None:
    mx = FakeMx(tls=tls(SELF_SIGNED))
    async with with_mx(tmp_path, mx) as bench:
        signed(bench, [Tlsa(0, 0, 1, bytes(32)), Tlsa(1, 1, 1, bytes(32)), Tlsa(3, 1, 1, b"short")])
        assert await was_delivered(bench)
        (host,) = bench.tls_results[0].of_hosts
        assert details(host) == [("tlsa-invalid", "all-unusable-records+ignored")]
    plain = FakeMx(starttls="502 5.5.1 what")
    async with with_mx(tmp_path / "2", plain) as bench:
        signed(bench, [Tlsa(0, 0, 1, bytes(32))])
        assert not await was_delivered(bench)
    assert plain.transactions == []


@pytest.mark.holds("outbound-c6da80")
async def test_records_without_dnssec_are_ignored(tmp_path: Path) -> None:
    async with with_mx(tmp_path, FakeMx(tls=tls(SELF_SIGNED))) as bench:
        bench.dns.add("_25._tcp.mx.test", "TLSA", dane(OTHER))
        assert await was_delivered(bench)


@pytest.mark.holds("outbound-99ead0")
async def test_wrong_key_never_gets_the_message(tmp_path: Path) -> None:
    mx = FakeMx(tls=tls(SELF_SIGNED))
    async with with_mx(tmp_path, mx) as bench:
        signed(bench, dane(OTHER))
        (left,) = [await outcome(bench)]
        assert left is not None and "dane" in left.results[0].error
        (host,) = bench.tls_results[0].of_hosts
        assert (counts(host), details(host)) == ((0, 1), [("validation-failure", "dane-no-match")])
        for attempt in range(2, 9):
            assert (await bench.attempt() == []) is (attempt == 8)
            assert len(bench.notices) == (attempt >= 5) + (attempt == 8)
        assert [parse(n.content).recipients[0].action for n in bench.notices] == [Action.DELAYED, Action.FAILED]
        (kept,) = await bench.retired()
        assert kept.attempts == 8 and not kept.success
    assert mx.transactions == []


async def test_tlsa_look_up_that_fails_postpones(tmp_path: Path) -> None:
    """Going on without would let an attacker take DANE away. RFC 7672 §2.1.2"""
    mx = FakeMx(tls=tls())
    async with with_mx(tmp_path, mx) as bench:
        dns = StaticResolver(authentic=True, fail=[("TLSA", "_25._tcp.mx.test")])
        dns.add("remote.example", "MX", [Mx(10, "mx.test")])
        dns.add("mx.test", "A", ["10.0.0.1"])
        bench.use_dns(dns)
        left = await outcome(bench)
        assert left is not None and "tlsa" in left.results[0].error and mx.connections == 0
        assert details(bench.tls_results[0].of_hosts[0]) == [("tlsa-invalid", "")]
        assert await was_delivered(bench, recipient="b@remote.example", require_tls=False)
    assert [t.recipients for t in mx.transactions] == [["b@remote.example"]]


@pytest.mark.holds("outbound-708e7c")
async def test_tls_required_no(tmp_path: Path) -> None:
    """RFC 8689 §4"""
    mx = FakeMx(tls=tls(SELF_SIGNED))
    async with with_mx(tmp_path, mx) as bench:
        signed(bench, dane(OTHER))
        assert await was_delivered(bench, require_tls=False)
    broken = FakeMx((*FULL, "STARTTLS"), starttls="220 go\r\nnot TLS")
    async with with_mx(tmp_path / "2", broken) as bench:
        signed(bench, dane(OTHER))
        assert await was_delivered(bench, require_tls=False)
    assert broken.connections == 2


@pytest.mark.holds("outbound-92b9df")
async def test_requiretls_without_support(tmp_path: Path) -> None:
    mx = FakeMx(tls=tls())
    async with with_mx(tmp_path, mx) as bench:
        bench.set_policy("remote.example", "enforce", "mx.test")
        assert not await was_delivered(bench, require_tls=True)
        result = (await bench.retired())[0].results[0]
        assert (result.code, result.secode, len(bench.notices)) == (554, "7.30", 1)
    assert mx.transactions == []


@pytest.mark.holds("outbound-92b9df")
@pytest.mark.parametrize("mode", ["", "testing"])
async def test_requiretls_without_policy_does_not_connect(tmp_path: Path, mode: str) -> None:
    mx = FakeMx(REQUIRETLS, tls())
    async with with_mx(tmp_path, mx) as bench:
        if mode:
            bench.set_policy("remote.example", mode, "mx.test")
        assert await outcome(bench, require_tls=True) is None
        assert not (await bench.retired())[0].success
    assert mx.connections == 0


STS = [
    pytest.param("enforce", "mx.test", GOOD, True, id="enforced, good"),
    pytest.param("enforce", "mx.test", SELF_SIGNED, False, id="enforced, self-signed"),
    pytest.param("enforce", "mx.test", CA.issue("wrong.test"), False, id="enforced, wrong name"),
    pytest.param("enforce", "other.test", GOOD, False, id="enforced, other host"),
    pytest.param("enforce", "*.test", GOOD, True, id="enforced, wildcard"),
    pytest.param("testing", "mx.test", SELF_SIGNED, True, id="testing, self-signed"),
    pytest.param("testing", "other.test", GOOD, True, id="testing, other host"),
    pytest.param("none", "other.test", SELF_SIGNED, True, id="none"),
]


@pytest.mark.parametrize(("mode", "pattern", "identity", "works"), STS)
async def test_mta_sts(tmp_path: Path, mode: str, pattern: str, identity: Identity, works: bool) -> None:
    mx = FakeMx(tls=tls(identity))
    async with with_mx(tmp_path, mx) as bench:
        bench.set_policy("remote.example", mode, pattern)
        assert await was_delivered(bench) is works
        (results,) = bench.tls_results
        assert results.of_domain is not None
        assert results.of_domain.policy.policy_type == ("no-policy-found" if mode == "none" else "sts")
        if pattern == "other.test" and mode != "none":
            assert ("validation-failure", "mtasts-policy-mx-mismatch") in details(results.of_domain)
        assert counts(results.of_domain)[1] == int(not works)
    assert len(mx.transactions) == int(works)


async def test_mta_sts_without_tls_on_offer(tmp_path: Path) -> None:
    """An attacker strips STARTTLS: nothing goes out."""
    mx = FakeMx(starttls="502 5.5.1 what")
    async with with_mx(tmp_path, mx) as bench:
        bench.set_policy("remote.example", "enforce", "mx.test")
        assert not await was_delivered(bench)
    assert mx.transactions == []


@pytest.mark.holds("outbound-6da64d")
async def test_second_attempt_prefers_the_other_family(tmp_path: Path) -> None:
    no = FakeMx(mail="550 5.7.1 your address is on a list")
    async with opened(tmp_path) as bench, no.running() as port:
        bench.add_mx("remote.example", "mx.test")
        bench.add_host("mx.test", "10.0.0.1", port)
        bench.add_host("mx.test", "2001:db8::1", port)
        await bench.add()
        (left,) = await bench.run_due()
        # A refusal by policy at the first attempt may be for one of our addresses only.
        assert left.results[0].code == 550
        assert await bench.attempt() == []
        first, second = bench.dialer.dialed
        assert (":" in first) != (":" in second)
        assert (await bench.retired())[0].dialed_ips == {"mx.test": [first, second]}


@pytest.mark.parametrize("smtputf8", [True, False])
async def test_international_domains(tmp_path: Path, smtputf8: bool) -> None:
    mx = FakeMx()
    async with with_mx(tmp_path, mx, "xn--bcher-kva.example") as bench:
        facts = {"recipient": "a@bücher.example", "sender": "mjl@møx.example", "smtputf8": smtputf8}
        assert await was_delivered(bench, **facts)
    expected = "a@bücher.example" if smtputf8 else "a@xn--bcher-kva.example"
    assert mx.transactions[0].recipients == [expected]
    assert mx.transactions[0].mail.endswith("SMTPUTF8") is smtputf8


async def test_international_message_to_an_old_server_waits(tmp_path: Path) -> None:
    async with with_mx(tmp_path, FakeMx(("8BITMIME",))) as bench:
        left = await outcome(bench, smtputf8=True)
        assert left is not None and "smtputf8" in left.results[0].error


@pytest.mark.parametrize(("extensions", "utf8"), [(FULL, True), (("8BITMIME",), False)])
async def test_notification_in_two_forms(tmp_path: Path, extensions: tuple[str, ...], utf8: bool) -> None:
    mx = FakeMx(extensions)
    async with with_mx(tmp_path, mx) as bench:
        assert await was_delivered(bench, sender="", dsn_utf8="Subject: ü\r\n\r\n".encode())
    assert ("ü".encode() in mx.transactions[0].content) is utf8
    assert ("SMTPUTF8" in mx.transactions[0].mail) is utf8


async def test_eight_bit_body_is_announced(tmp_path: Path) -> None:
    mx = FakeMx()
    async with with_mx(tmp_path, mx) as bench:
        await bench.add(new(), content="Subject: x\r\n\r\nä\r\n".encode())
        await bench.run_due()
    assert " BODY=8BITMIME" in mx.transactions[0].mail


async def test_sessions_are_used_again(tmp_path: Path) -> None:
    mx = FakeMx(tls=tls())
    async with with_mx(tmp_path, mx) as bench:
        bench.pool = Pool(idle_s=5)
        bench.limits = replace(bench.limits, per_domain=1)
        for number in range(5):
            await bench.add(new(f"u{number}@remote.example"))
        assert await bench.run_due() == []
        # Each session is in the reports once.
        assert sum(counts(r.of_domain)[0] for r in bench.tls_results if r.of_domain) == 1
    assert mx.connections == 1 and len(mx.transactions) == 5


async def test_session_that_ended_meanwhile_is_replaced(tmp_path: Path) -> None:
    mx = FakeMx(rset="421 4.4.2 idle; close")
    async with with_mx(tmp_path, mx) as bench:
        bench.pool = Pool(idle_s=5)
        bench.limits = replace(bench.limits, per_domain=1)
        await bench.add(new("a@remote.example"))
        await bench.add(new("b@remote.example"))
        assert await bench.run_due() == []
    assert mx.connections == 2


async def test_greylisting_then_delivery(tmp_path: Path) -> None:
    tries = 0

    def rcpt(_line: str) -> str | None:
        nonlocal tries
        tries += 1
        return "451 4.7.1 come back" if tries == 1 else None

    async with with_mx(tmp_path, FakeMx(rcpt=rcpt)) as bench:
        assert (await outcome(bench)) is not None
        assert await bench.attempt() == []
        assert [e.event for e in bench.surroundings.events] == [Event.DELAYED, Event.DELIVERED]


def test_details_are_counted_together() -> None:
    detail = FailureDetails("x", failed_session_count=1)
    assert merge_details([detail, detail, FailureDetails("y")]) == [
        FailureDetails("x", failed_session_count=2),
        FailureDetails("y"),
    ]
