"""Whole deliveries into accounts on disk, with DNS from a table."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mox import metrics
from mox.config.account import Account, Destination, Ruleset, SubjectPassSection
from mox.config.domain import Alias, ReportAddress
from mox.config.model import LimitsSection
from mox.inbound.deliver import ListenerRules
from mox.inbound.hooks import EvaluatedDmarc
from mox.inbound.results import Outcome, combine, to_notify
from mox.reports.received import ReceivedReports
from mox.smtp.address import Path as Mailbox
from mox.smtp.reply import Reply
from mox.store import verify
from mox.store.types import Flag
from tests.inbound.world import BAD_IP, FILTER, OTHER_IP, World, account

Make = Callable[..., World]
JUNK, NOTJUNK = int(Flag.JUNK), int(Flag.NOTJUNK)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes a world; its accounts are verified at the end."""
    worlds: list[World] = []

    def build(accounts: dict[str, Account] | None = None, **domain: Any) -> World:
        worlds.append(World(tmp_path, accounts, **domain))
        return worlds[-1]

    yield build
    for world in worlds:
        for name in world.config.dynamic.Accounts:
            assert await verify.problems(await world.store.open(name)) == []
        await world.store.close()


def one(**options: Any) -> dict[str, Account]:
    destination = options.pop("destination", Destination())
    return {"mjl": account(Destinations={"mjl@mox.example": destination}, **options)}


async def test_mail_of_a_stranger_arrives_with_its_story(make: Make) -> None:
    world = make()
    assert await world.one() == (250, "no-bad-signals")
    assert await world.subjects("Inbox") == ["hello"]
    prefix = (await world.headers("Inbox"))[0]
    names = [line.partition(":")[0] for line in prefix.splitlines() if not line.startswith("\t")]
    assert names == ["X-Mox-Reason", "Delivered-To", "Return-Path", "Authentication-Results", "Received-SPF"]
    assert "X-Mox-Reason: no-bad-signals;" in prefix
    assert "Delivered-To: mjl@mox.example\r\nReturn-Path: <friend@good.example>\r\n" in prefix
    assert "spf=pass (without dnssec) smtp.mailfrom=good.example" in prefix
    assert "dmarc=pass (without dnssec) header.from=good.example" in prefix
    assert 'dkim=none reason="no dkim signatures"' in prefix
    assert "iprev=pass" in prefix


@pytest.mark.holds("smtp-in-8c8545")
@pytest.mark.holds("smtp-in-ce419b")
@pytest.mark.holds("smtp-in-b90b06")
async def test_addresses(make: Make) -> None:
    accounts = one()
    accounts["all"] = account(Destinations={'""@mox.example': Destination()})
    world = make(accounts)
    for address in ("mjl+x", "MJL+X", "mjl-a+b", "mjl+a-b"):
        assert (await world.one(f"{address}@mox.example"))[0] == 250
    assert len(await world.subjects("Inbox")) == 4
    assert (await world.one('""@mox.example', sender='""@good.example'))[0] == 250
    for address in ("postmaster", "postmaster@mail.mox.example", "Postmaster@mox.example"):
        assert (await world.one(address))[0] == 250
    assert len(await world.subjects("Postmaster")) == 3
    assert (await world.one("postmaster@unknown.example"))[0] == 550


@pytest.mark.holds("smtp-in-ce419b")
async def test_catchall(make: Make) -> None:
    accounts = one()
    accounts["all"] = account(Destinations={"@mox.example": Destination()})
    world = make(accounts)
    assert (await world.one("whoever@mox.example"))[0] == 250
    assert len(await world.subjects("Inbox", "all")) == 1


@pytest.mark.holds("smtp-in-e1cff2")
async def test_nobody(make: Make) -> None:
    world = make()
    outcomes = await world.deliver("mjl@[192.0.2.1]", "mjl@other.example", "nobody@mox.example")
    assert [(o.reply.code, o.reply.enhanced) for o in outcomes if o.reply] == [(550, "5.1.1")] * 3
    assert world.slept == []
    assert await world.one("nobody@mox.example") == (550, "unknownuser")
    assert world.slept == [5.0]


@pytest.mark.holds("smtp-in-e1cff2")
async def test_disabled_domain(make: Make) -> None:
    outcome = (await make(Disabled=True).deliver("mjl@mox.example"))[0]
    assert outcome.reply is not None
    assert (outcome.reply.code, outcome.reply.enhanced) == (450, "4.2.1")


@pytest.mark.holds("smtp-in-e1cff2")
async def test_suspicious_address(make: Make) -> None:
    world = make(one(JunkFilter=FILTER))
    assert (await world.one(ip=BAD_IP, sender="x@plain.example"))[0] == 451


@pytest.mark.holds("smtp-in-cc9f95")
async def test_quota(make: Make) -> None:
    world = make(one(QuotaMessageSize=1500))
    assert (await world.one())[0] == 250
    outcome = (await world.deliver("mjl@mox.example"))[0]
    assert outcome.reply is not None
    assert (outcome.reply.code, outcome.reply.enhanced) == (452, "4.2.2")


@pytest.mark.holds("smtp-in-cc9f95")
@pytest.mark.parametrize("limit", ["DeliveriesPerMinute", "DeliveredBytesPerMinute"])
async def test_rate(make: Make, limit: str) -> None:
    import msgspec

    world = make()
    value = [1, 9, 9] if limit == "DeliveriesPerMinute" else [700, 99999, 99999]
    limits = msgspec.structs.replace(LimitsSection(), **{limit: value})
    world.config.static = msgspec.structs.replace(world.config.static, Limits=limits)
    assert (await world.one())[0] == 250
    assert await world.one() == (452, "high-rate")
    assert await world.subjects("Rejects") == []


@pytest.mark.holds("smtp-in-bc8b12")
async def test_spam_and_its_rehabilitation(make: Make) -> None:
    world = make()
    for _ in range(2):
        await world.deliver("mjl@mox.example", subject="first")
    await world.flag("Inbox", JUNK)
    for _ in range(2):
        assert await world.one(subject="again", message_id="same@test") == (451, "msgfromfull")
    assert await world.subjects("Rejects") == ["again"]
    assert await world.flags("Rejects") == [int(Flag.SEEN)]
    await world.flag("Inbox", NOTJUNK)
    assert await world.one(subject="again", message_id="same@test") == (250, "msgfromfull")
    assert await world.subjects("Rejects") == []


@pytest.mark.holds("smtp-in-bc8b12")
async def test_rejects_accepted_into_a_mailbox(make: Make) -> None:
    rule = Ruleset(Mailbox="Inbox", SMTPMailFromRegexp="@good", AcceptRejectsToMailbox="Suspects")
    world = make(one(destination=Destination(Rulesets=[rule])))
    await world.deliver("mjl@mox.example")
    await world.flag("Inbox", JUNK)
    assert await world.one(subject="again") == (250, "msgfromfull")
    assert await world.subjects("Suspects") == ["again"]
    assert await world.subjects("Rejects") == []


async def test_rejects_are_known_by_content_too(make: Make) -> None:
    world = make()
    await world.deliver("mjl@mox.example")
    await world.flag("Inbox", JUNK)
    for message_id in ("a@test", "a@test", "b@test"):
        await world.deliver("mjl@mox.example", message_id=message_id)
    assert len(await world.subjects("Rejects")) == 2


@pytest.mark.holds("smtp-in-976158")
@pytest.mark.parametrize("trusted", [True, False], ids=["ruleset", "no ruleset"])
async def test_forwarding(make: Make, trusted: bool) -> None:
    rule = Ruleset(Mailbox="Inbox", SMTPMailFromRegexp="@bulk", VerifiedDomain="bulk.example", IsForward=True)
    world = make(one(destination=Destination(Rulesets=[rule] if trusted else [])))
    bad = {"sender": "fwd@bulk.example", "author": "bad@plain.example", "signed_by": "plain.example"}
    other = {"sender": "fwd@bulk.example", "author": "other@nowhere.example"}
    own = {"sender": "me@bulk.example", "author": "me@bulk.example"}
    for _ in range(10):
        assert (await world.one(**bad))[0] == 250
    await world.flag("Inbox", JUNK)
    assert await world.one(**bad) == (451, "msgfromfull")
    # The forwarder is not to blame, if it is known for one.
    assert await world.one(**other) == ((250, "no-bad-signals") if trusted else (451, "dkimspf"))
    assert await world.one(**own) == ((250, "no-bad-signals") if trusted else (451, "dkimspf"))


FORGED = {"sender": "x@nowhere.example", "author": "boss@good.example", "ip": BAD_IP}


@pytest.mark.parametrize(
    ("signs", "seals", "result"),
    [
        pytest.param("good.example", "", (250, "no-bad-signals"), id="as it was sent"),
        pytest.param("good.example", "nowhere.example", (550, "dmarc-policy"), id="changed by a stranger"),
        pytest.param("good.example", "bulk.example", (250, "no-bad-signals"), id="changed by the forwarder"),
        pytest.param("", "", (550, "dmarc-policy"), id="neither signed nor sealed"),
    ],
)
async def test_a_seal_shows_the_forwarder(make: Make, signs: str, seals: str, result: tuple[int, str]) -> None:
    """RFC 8617: SPF and the author's signature are broken, the forwarder's ARC set is what verifies it."""
    rule = Ruleset(Mailbox="Inbox", SMTPMailFromRegexp=".", VerifiedDomain="bulk.example", IsForward=True)
    world = make(one(destination=Destination(Rulesets=[rule])))
    assert await world.one(**FORGED, signed_by=signs, changed_by=seals) == result


@pytest.mark.parametrize(("seals", "reason"), [("bulk.example", "list-allow"), ("nowhere.example", "dmarc-policy")])
async def test_a_seal_shows_the_list(make: Make, seals: str, reason: str) -> None:
    rule = Ruleset(Mailbox="Lists", SMTPMailFromRegexp=".", ListAllowDomain="bulk.example")
    world = make(one(destination=Destination(Rulesets=[rule])))
    assert (await world.one(**FORGED, changed_by=seals))[1] == reason


@pytest.mark.holds("smtp-in-f0de92")
async def test_dmarc(make: Make) -> None:
    kept: list[EvaluatedDmarc] = []

    class Taker:
        async def add(self, evaluated: EvaluatedDmarc) -> None:
            kept.append(evaluated)

    world = make(one(JunkFilter=FILTER))
    world.neighbours.evaluations = Taker()
    forged = {"sender": "x@plain.example", "author": "boss@good.example", "ip": BAD_IP}
    assert await world.one(**forged) == (550, "dmarc-policy")
    assert (kept[-1].is_optional, kept[-1].is_rejected) == (True, True)
    await world.send_to("boss@good.example")
    assert await world.one(**forged) == (550, "dmarc-policy")
    assert not kept[-1].is_optional
    assert await world.one(sender="boss@good.example") == (250, "msgtofull")
    assert not kept[-1].is_rejected


async def test_an_organization_is_known_by_good_mail_for_any_mailbox(make: Make) -> None:
    kept: list[EvaluatedDmarc] = []

    class Taker:
        async def add(self, evaluated: EvaluatedDmarc) -> None:
            kept.append(evaluated)

    rule = Ruleset(Mailbox="Work", SMTPMailFromRegexp="@good")
    world = make(one(destination=Destination(Rulesets=[rule])))
    world.neighbours.evaluations = Taker()
    await world.deliver("mjl@mox.example")
    for flags, is_optional in ((JUNK, True), (NOTJUNK, False)):
        await world.flag("Work", flags)
        assert await world.one(sender="x@plain.example", author="boss@good.example") == (550, "dmarc-policy")
        assert kept[-1].is_optional is is_optional


@pytest.mark.parametrize(
    ("sent_to", "author", "reason"),
    [
        ("x@XN--NDA.example", "x@xn--nda.example", "msgtofull"),
        ("other@sub.xn--nda.example", "x@xn--nda.example", "msgtoorgdomain"),
        # Only suffixes of registries separate organizations (RFC 7489 erratum 6729).
        ("other@one.github.io", "x@two.github.io", "msgtoorgdomain"),
        ("other@one.example", "x@two.example", "no-bad-signals"),
    ],
)
async def test_answers_are_welcome(make: Make, sent_to: str, author: str, reason: str) -> None:
    world = make()
    await world.send_to(sent_to)
    assert await world.one(sender="", author=author) == (250, reason)


@pytest.mark.holds("smtp-in-e3be2e")
async def test_block_list_and_subject_pass(make: Make) -> None:
    rules = ListenerRules(dnsbls=("bl.example",))
    world = make(one())
    world.resolver.add("10.2.0.192.bl.example", "A", ["127.0.0.2"])
    world.resolver.add("10.2.0.192.bl.example", "TXT", ["bad neighbourhood"])
    assert await world.one(rules=rules) == (451, "dns-blocklisted")


@pytest.mark.holds("smtp-in-e3be2e")
async def test_subject_pass(make: Make) -> None:
    rules = ListenerRules(dnsbls=("bl.example",))
    world = make(one(SubjectPass=SubjectPassSection(Period=timedelta(hours=12))))
    world.resolver.add("10.2.0.192.bl.example", "A", ["127.0.0.2"])
    before = subject_passes()
    outcome = (await world.deliver("mjl@mox.example", rules=rules))[0]
    assert outcome.reply is not None and outcome.reason == "give-subjectpass"
    assert (outcome.reply.code, outcome.reply.enhanced) == (550, "5.7.1")
    token = outcome.reply.text.rpartition(" ")[2]
    assert await world.one(rules=rules, subject=f"hello {token}") == (250, "subjectpass")
    assert await world.one(rules=rules, subject=f"hello {token}", author="else@good.example") == (
        550,
        "give-subjectpass",
    )
    assert [now - then for now, then in zip(subject_passes(), before, strict=True)] == [2, 1, 1]


def subject_passes() -> list[float]:
    """Metrics: offered, good ones, bad ones."""
    verified = metrics.subjectpass_verifications
    counters = (metrics.subjectpass_generated, verified.labels("ok"), verified.labels("fail"))
    return [counter.collect()[0].samples[0].value for counter in counters]


@pytest.mark.holds("smtp-in-4187fa")
async def test_introbox(make: Make) -> None:
    world = make(one(Introbox="Intro"))
    for _ in range(2):
        await world.deliver("mjl@mox.example")
    assert len(await world.subjects("Intro")) == 2
    assert await world.flags("Intro") == [0, 0]
    await world.move("Intro", "Inbox")
    assert await world.flags("Inbox") == [NOTJUNK, NOTJUNK]
    assert await world.one() == (250, "msgfromfull")
    assert len(await world.subjects("Inbox")) == 3


def listed(**options: Any) -> Alias:
    return Alias(Addresses=["mjl@mox.example", "two@mox.example"], **options)


def pair() -> dict[str, Account]:
    return {**one(), "two": account(Destinations={"two@mox.example": Destination()})}


@pytest.mark.holds("smtp-in-8d22b2")
async def test_private_alias(make: Make) -> None:
    world = make(pair(), Aliases={"team": listed()})
    outcome = (await world.deliver("team@mox.example"))[0]
    assert outcome.reply is not None
    assert (outcome.reply.code, outcome.reply.enhanced) == (550, "5.7.2")
    own = {"sender": "mjl@mox.example", "is_local": True}
    assert (await world.one("team@mox.example", author="MJL+x@mox.example", **own))[0] == 250
    assert await world.subjects("Inbox") == []
    assert await world.subjects("Inbox", "two") == ["hello"]
    assert (await world.one("team@mox.example", author="team@mox.example", **own))[0] == 550


@pytest.mark.holds("smtp-in-8d22b2")
async def test_public_alias(make: Make) -> None:
    world = make(pair(), Aliases={"team": listed(PostPublic=True)})
    outcomes = await world.deliver("team@mox.example", "two@mox.example")
    assert [o.reply for o in outcomes] == [None, None]
    assert len(await world.subjects("Inbox")) == len(await world.subjects("Inbox", "two")) == 1
    prefix = (await world.headers("Inbox"))[0]
    assert "Delivered-To: mjl@mox.example" in prefix
    for name in ("mjl", "two"):
        await world.flag("Inbox", JUNK, name)
    assert (await world.one("team@mox.example"))[0] == 451
    await world.flag("Inbox", NOTJUNK, "two")
    assert (await world.one("team@mox.example"))[0] == 250
    assert len(await world.subjects("Inbox", "two")) == 2
    assert len(await world.subjects("Rejects")) == 2


@pytest.mark.holds("smtp-in-20e59f")
async def test_authentication_required(make: Make) -> None:
    world = make(one(destination=Destination(MessageAuthRequiredSMTPError="verify yourself")))
    outcome = (await world.deliver("mjl@mox.example", sender="x@plain.example"))[0]
    assert outcome.reply == Reply(550, "5.7.26", "verify yourself")
    assert (await world.one())[0] == 250


@pytest.mark.holds("smtp-in-20e59f")
@pytest.mark.parametrize(("text", "code"), [("550 gone", 550), ("421 later", 451)])
async def test_configured_refusals(make: Make, text: str, code: int) -> None:
    world = make(one(destination=Destination(SMTPError=text)))
    outcome = (await world.deliver("mjl@mox.example"))[0]
    assert outcome.reply is not None
    assert (outcome.reply.code, outcome.reply.text) == (code, text.partition(" ")[2])


FEEDBACK = """<?xml version="1.0"?><feedback><report_metadata><org_name>good</org_name><email>e@good.example</email>
<report_id>1</report_id><date_range><begin>1</begin><end>2</end></date_range></report_metadata>
<policy_published><domain>{}</domain><p>none</p></policy_published></feedback>"""


@pytest.mark.holds("smtp-in-1e54ea")
async def test_reports(make: Make, tmp_path: Path) -> None:
    accounts = one()
    accounts["mjl"] = account(Destinations={f"{n}@mox.example": Destination() for n in ("mjl", "dmarcreportsx")})
    world = make(accounts, DMARC=ReportAddress(Localpart="dmarc-reports", Account="mjl", Mailbox="DMARC"))
    kept: list[EvaluatedDmarc] = []

    class Taker:
        async def add(self, evaluated: EvaluatedDmarc) -> None:
            kept.append(evaluated)

    reports = ReceivedReports(world.config, tmp_path)
    world.neighbours.reports, world.neighbours.evaluations = reports, Taker()
    xml = {"extra": "Content-Type: text/xml\r\n"}
    await world.one("dmarc-reports@mox.example", body=FEEDBACK.format("other.example"), **xml)
    assert "published policy domain unrecognized" in (await world.headers("DMARC"))[0]
    assert await reports.list_dmarc(0, 1 << 50) == []
    for address in ("dmarc-reports", "DMARC-Reports", "dmarc-reports+x"):
        code, _ = await world.one(f"{address}@mox.example", body=FEEDBACK.format("mox.example"), **xml)
        assert code == 250
    assert len(await reports.list_dmarc(0, 1 << 50)) == 3
    assert await world.flags("DMARC") == [0, *[int(Flag.SEEN)] * 3]
    assert all(evaluated.is_optional for evaluated in kept)
    await world.one("dmarcreportsx@mox.example", body=FEEDBACK.format("mox.example"), **xml)
    assert len(await reports.list_dmarc(0, 1 << 50)) == 3
    assert not kept[-1].is_optional
    await reports.close()


async def test_mailing_list(make: Make) -> None:
    rule = Ruleset(
        Mailbox="Lists/Dev", HeadersRegexp={"^list-id$": r"<dev\.bulk\.example>"}, ListAllowDomain="bulk.example"
    )
    world = make(one(destination=Destination(Rulesets=[rule])))
    listed = {
        "sender": "list@bulk.example",
        "author": "author@good.example",
        "extra": "List-Id: <dev.bulk.example>\r\n",
    }
    assert await world.one(**listed) == (250, "list-allow")
    assert await world.subjects("Lists/Dev") == ["hello"]
    assert "override mailing_list" in (await world.headers("Lists/Dev"))[0]


async def test_loops_end(make: Make) -> None:
    world = make()
    received = "Received: from x\r\n" * 101
    assert await world.one(extra=received) == (550, "loop")
    assert await world.one(extra=received, author="") == (550, "loop")


async def test_first_time_senders_wait_once(make: Make) -> None:
    accounts = {
        name: account(Destinations={f"{name}@mox.example": Destination()}, NoFirstTimeSenderDelay=False)
        for name in ("mjl", "two")
    }
    world = make(accounts)
    rules = ListenerRules(first_time_delay_s=15)
    await world.deliver("mjl@mox.example", "two@mox.example", rules=rules)
    assert world.slept == [15]
    await world.flag("Inbox", NOTJUNK)
    await world.deliver("mjl@mox.example", rules=rules)
    assert world.slept == [15]


async def test_one_address_twice_gets_one_copy_and_an_account_one_file(make: Make) -> None:
    accounts = {"mjl": account(Destinations={f"{n}@mox.example": Destination() for n in ("mjl", "also")})}
    world = make(accounts)
    outcomes = await world.deliver("mjl@mox.example", "MJL@mox.example", "also@mox.example")
    assert len(outcomes) == 2
    assert len(await world.deliver("mjl+a@mox.example", "mjl+b@mox.example", "mjl+a@mox.example")) == 2
    opened = await world.store.open("mjl")
    rows = await opened.read(lambda tx: tx.run("SELECT refs FROM blob"))
    assert rows == [(2,), (2,)]


async def test_content_junk_is_refused(make: Make) -> None:
    """By content alone: nothing is known of the sender or its network."""
    world = make(one(JunkFilter=msgspec.structs.replace(FILTER, Threshold=0.5)))
    for number in range(60):
        await world.deliver("mjl@mox.example", author=f"n{number}@n{number}.example", sender="", body="lunch at noon")
    await world.flag("Inbox", NOTJUNK)
    await world.move("Inbox", "Archive")
    for number in range(5):
        await world.deliver("mjl@mox.example", author=f"s{number}@s{number}.example", sender="", body="cheap pills")
    await world.flag("Inbox", JUNK)
    stranger = {"author": "x@x.example", "sender": "", "ip": OTHER_IP, "hello": "mail.other.example"}
    assert await world.one(**stranger, body="cheap pills") == (451, "junk-content")
    assert await world.one(**stranger, body="lunch at noon") == (250, "no-bad-signals")
    nameless = {**stranger, "ip": BAD_IP}
    assert await world.one(**nameless, body="cheap pills") == (451, "junk-content-strict")
    assert await world.one(**nameless, body="lunch at noon") == (250, "no-bad-signals")


async def test_a_broken_filter_refuses_for_now(make: Make) -> None:
    world = make(one(JunkFilter=FILTER))
    account = await world.store.open("mjl")
    await account.write(lambda tx: tx.run("ALTER TABLE junk_total RENAME TO gone"))
    assert await world.one() == (451, "junk-classify-error")
    await account.write(lambda tx: tx.run("ALTER TABLE gone RENAME TO junk_total"))


def outcome(code: int, text: str = "x") -> Outcome:
    reply = Reply(code, f"{code // 100}.1.1", text) if code != 250 else None
    return Outcome(Mailbox("a", "b"), reply)


def test_one_reply_for_several_recipients() -> None:
    assert combine([outcome(250)]).code == 250
    assert combine([outcome(250), outcome(550)]).code == 250
    assert combine([outcome(550, "one"), outcome(550, "two")]) == Reply(550, "5.1.1", "one\ntwo")
    assert combine([outcome(550), outcome(451)]).render().startswith(b"554-5.3.0 550 5.1.1 x\r\n")
    assert combine([outcome(451), outcome(450)]).code == 451
    assert combine([outcome(451), outcome(450)]).text.endswith("multiple errors")
    assert to_notify([outcome(250), outcome(550)]) == [outcome(550)]
    assert to_notify([outcome(550)]) == []
