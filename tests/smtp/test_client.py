"""The SMTP client against servers that behave and misbehave."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from mox._rust import TlsRoots
from mox.net.conn import Connection, connect
from mox.net.tls import ClientTls, ServerTls
from mox.sasl.client import ClientMechanism, CramMd5, External, Plain, Scram
from mox.smtp.client import Content, Options, SmtpClient, Timeouts, TlsMode
from mox.smtp.client_errors import Kind, SmtpClientError
from mox.smtp.client_session import AllRefused, Delivered, Envelope, Recipient
from tests.net.loopback import TIMEOUT_S, listening
from tests.net.pki import Ca, self_signed
from tests.smtp.fake_mx import FakeMx

CA = Ca()
GOOD = ServerTls([CA.issue("mx.test").pair])
EXPIRED = ServerTls([CA.issue("mx.test", days=(-30, -1)).pair])
LETTER = b"Subject: x\r\n\r\n.dot\r\nbody\r\n"
QUICK = Timeouts(2, 2, 2, 2, 2, 2, 2)


def options(mode: TlsMode = TlsMode.SKIP, **tls: object) -> Options:
    judge = ClientTls(roots=TlsRoots(CA.pem), **tls)  # type: ignore[arg-type]
    return Options("client.test", mode, "mx.test", judge, timeouts=QUICK)


def envelope(*recipients: str, **facts: object) -> Envelope:
    addresses = recipients or ("a@mx.test",)
    return Envelope("me@client.test", [Recipient(a) for a in addresses], len(LETTER), **facts)  # type: ignore[arg-type]


async def open_client(port: int, opts: Options | None = None) -> SmtpClient:
    return await SmtpClient.open(await connect("127.0.0.1", port, TIMEOUT_S), opts or options())


async def send(mx: FakeMx, opts: Options | None = None, *recipients: str, **facts: object) -> Delivered:
    async with mx.running() as port:
        async with await open_client(port, opts) as client:
            return await client.deliver(envelope(*recipients, **facts), Content(LETTER))


async def refused(mx: FakeMx, opts: Options | None = None, *recipients: str, **facts: object) -> SmtpClientError:
    with pytest.raises(SmtpClientError) as failure:
        await send(mx, opts, *recipients, **facts)
    return failure.value


PLAIN_MX = ("8BITMIME", "ENHANCEDSTATUSCODES")
PIPELINING = ("PIPELINING", *PLAIN_MX)


@pytest.mark.parametrize("extensions", [(), PLAIN_MX, PIPELINING, (*PIPELINING, "CHUNKING"), ("CHUNKING",)])
async def test_delivers(extensions: tuple[str, ...]) -> None:
    mx = FakeMx(extensions)
    delivered = await send(mx, None, "a@mx.test", "b@mx.test")
    assert mx.transactions[0].content == LETTER
    assert mx.transactions[0].recipients == ["a@mx.test", "b@mx.test"]
    assert [r.code for r in delivered.recipients] == [250, 250]
    assert mx.lines[-1] == "QUIT"


async def test_server_without_ehlo() -> None:
    mx = FakeMx(ehlo="502 5.5.1 what")
    await send(mx)
    assert mx.lines[1] == "HELO client.test"


RAW_GREETINGS = [
    pytest.param(b"HTTP/1.1 400 Bad\r\n", Kind.PROTOCOL, False, id="not smtp"),
    pytest.param(b"", Kind.CLOSED, False, id="closed"),
    pytest.param(b"521 5.3.2 go away\r\n", Kind.STATUS, True, id="521"),
    pytest.param(b"421 4.3.2 later\r\n", Kind.STATUS, False, id="421"),
    pytest.param(b"2200 mx\r\n", Kind.PROTOCOL, False, id="four digits"),
    pytest.param(b"220-mx\r\n221 mx\r\n", Kind.PROTOCOL, False, id="codes differ"),
    pytest.param(b"x" * 10000, Kind.PROTOCOL, False, id="endless line"),
    pytest.param(b"220-x\r\n" * 1000, Kind.PROTOCOL, False, id="endless lines"),
]


@pytest.mark.holds("outbound-e34718")
@pytest.mark.parametrize(("greeting", "kind", "permanent"), RAW_GREETINGS)
async def test_bad_greetings(greeting: bytes, kind: Kind, permanent: bool) -> None:
    async def handler(conn: Connection) -> None:
        conn.write(greeting)

    async with listening(handler) as port:
        with pytest.raises(SmtpClientError) as failure:
            await open_client(port)
    assert (failure.value.kind, failure.value.permanent) == (kind, permanent)


STAGES = [
    pytest.param({"mail": "550 5.7.1 no"}, Kind.STATUS, True, 550, "7.1", id="mail 550"),
    pytest.param({"mail": "451 4.7.1 later"}, Kind.STATUS, False, 451, "7.1", id="mail 451"),
    pytest.param({"rcpt": "550 5.1.1 who"}, None, True, 550, "1.1", id="rcpt 550"),
    pytest.param({"rcpt": "451"}, None, False, 451, "", id="rcpt code alone"),
    pytest.param({"data": "550 5.6.0 no"}, Kind.STATUS, True, 550, "6.0", id="data 550"),
    pytest.param({"final": "554 5.6.0 spam"}, Kind.STATUS, True, 554, "6.0", id="content 554"),
    pytest.param({"final": "451 4.2.0 busy"}, Kind.STATUS, False, 451, "2.0", id="content 451"),
    pytest.param({"ehlo": "550 no"}, Kind.STATUS, True, 550, "", id="ehlo 550"),
]


@pytest.mark.holds("outbound-266dd6")
@pytest.mark.parametrize("extensions", [PLAIN_MX, PIPELINING], ids=["one by one", "pipelined"])
@pytest.mark.parametrize(("answers", "kind", "permanent", "code", "secode"), STAGES)
async def test_refusals(
    answers: dict[str, str], kind: Kind | None, permanent: bool, code: int, secode: str, extensions: tuple[str, ...]
) -> None:
    mx = FakeMx(extensions, **answers)
    error = await refused(mx)
    assert (error.permanent, error.code, error.secode) == (permanent, code, secode)
    if kind is not None:
        assert error.kind is kind
    assert mx.transactions == []


CLOSING = [
    pytest.param({"mail": "550 5.7.1 your ip is blocked; close"}, True, 550, id="sender refused, as outlook.com"),
    pytest.param({"rcpt": "554 5.7.1 policy; close"}, True, 554, id="recipient refused, as icloud.com"),
    pytest.param({"mail": "close"}, False, 0, id="closed at once"),
    pytest.param({"final": "close"}, False, 0, id="closed after the content"),
]


@pytest.mark.holds("outbound-c006de")
@pytest.mark.parametrize(("answers", "permanent", "code"), CLOSING)
async def test_pipelined_refusal_then_close(answers: dict[str, str], permanent: bool, code: int) -> None:
    error = await refused(FakeMx(PIPELINING, **answers))
    assert (error.permanent, error.code) == (permanent, code)
    assert not str(error).startswith(",")


@pytest.mark.holds("outbound-c006de")
async def test_pipelined_data_without_recipients_is_ended_by_a_lone_dot() -> None:
    mx = FakeMx(PIPELINING, rcpt="451 4.2.1 later", data="354 go")
    error = await refused(mx, None, "a@mx.test", "b@mx.test")
    assert isinstance(error, AllRefused) and not error.permanent
    assert [r.code for r in error.refused] == [451, 451]
    assert mx.lines[-1] == "QUIT" and mx.transactions == []


@pytest.mark.holds("outbound-c006de")
async def test_no_data_without_recipients_when_not_pipelined() -> None:
    mx = FakeMx(PLAIN_MX, rcpt="451 4.2.1 later")
    error = await refused(mx, None, "a@mx.test", "b@mx.test")
    assert isinstance(error, AllRefused) and not error.permanent
    assert "DATA" not in mx.lines and mx.lines[-1] == "QUIT"


def only_first(code: str) -> Callable[[str], str | None]:
    return lambda line: None if "<a@" in line else code


@pytest.mark.parametrize("extensions", [PLAIN_MX, PIPELINING])
async def test_some_recipients_refused(extensions: tuple[str, ...]) -> None:
    mx = FakeMx(extensions, rcpt=only_first("550 5.1.1 unknown"))
    delivered = await send(mx, None, "a@mx.test", "b@mx.test")
    assert [r.code for r in delivered.recipients] == [250, 550]
    assert delivered.recipients[1].is_permanent and delivered.recipients[1].secode == "1.1"


@pytest.mark.parametrize("code", ["452 4.5.3 too many", "552 5.5.3 too many"])
async def test_too_many_recipients_stops_asking(code: str) -> None:
    mx = FakeMx(PLAIN_MX, rcpt=only_first(code))
    delivered = await send(mx, None, "a@mx.test", "b@mx.test", "c@mx.test")
    assert sum(line.startswith("RCPT") for line in mx.lines) == 2
    assert [r.code for r in delivered.recipients] == [250, int(code[:3]), int(code[:3])]
    assert not any(r.is_permanent for r in delivered.recipients)


@pytest.mark.parametrize(
    ("extensions", "permanent"), [(PLAIN_MX, True), (PIPELINING, False)], ids=["one by one", "pipelined"]
)
async def test_552_for_the_only_recipient(extensions: tuple[str, ...], permanent: bool) -> None:
    assert (await refused(FakeMx(extensions, rcpt="552 5.2.2 full"))).permanent is permanent


async def test_forwarding_answers_count_as_accepted() -> None:
    assert (await send(FakeMx(rcpt="251 will forward"))).recipients[0].code == 251


async def test_reset_before_the_next_transaction_after_a_failed_one() -> None:
    mx = FakeMx(PIPELINING, rcpt=lambda line: "550 no" if "bad@" in line else None)
    async with mx.running() as port, await open_client(port) as client:
        with pytest.raises(SmtpClientError):
            await client.deliver(envelope("bad@mx.test"), Content(LETTER))
        await client.deliver(envelope(), Content(LETTER))
        await client.deliver(envelope(), Content(LETTER))
    assert mx.lines.count("RSET") == 1
    assert len(mx.transactions) == 2


@pytest.mark.holds("outbound-266dd6")
async def test_required_starttls_is_sent_unannounced() -> None:
    error = await refused(FakeMx(starttls="502 5.5.1 what"), options(TlsMode.REQUIRED))
    assert (error.kind, error.permanent, error.code) == (Kind.TLS, True, 502)


@pytest.mark.holds("outbound-266dd6")
async def test_tls_is_skipped_though_announced() -> None:
    mx = FakeMx(tls=GOOD)
    await send(mx, options(TlsMode.SKIP))
    assert "STARTTLS" not in mx.lines


async def test_capabilities_before_starttls_are_forgotten() -> None:
    """RFC 3207 §4.2: what came in clear may be somebody else's."""
    mx = FakeMx(("PIPELINING", "REQUIRETLS", "SIZE 10", "AUTH PLAIN"), GOOD, tls_extensions=("8BITMIME",))
    async with mx.running() as port, await open_client(port, options(TlsMode.OPPORTUNISTIC)) as client:
        extensions = client.peer.extensions
        assert extensions.eightbitmime and not extensions.requiretls and not extensions.pipelining
        assert extensions.size == 0 and extensions.auth == ()
        await client.deliver(envelope(), Content(LETTER))


async def test_replies_injected_behind_starttls_break_the_handshake() -> None:
    mx = FakeMx(tls=GOOD, starttls="220 go\r\n250 injected")
    assert (await refused(mx, options(TlsMode.OPPORTUNISTIC))).kind is Kind.TLS


TLS_CASES = [
    pytest.param(GOOD, {}, True, id="good"),
    pytest.param(EXPIRED, {}, True, id="expired and nothing required"),
    pytest.param(EXPIRED, {"require_pkix": True}, False, id="expired"),
    pytest.param(ServerTls([self_signed("mx.test").pair]), {"require_pkix": True}, False, id="self-signed"),
]


@pytest.mark.holds("outbound-a5bf42")
@pytest.mark.parametrize("mode", [TlsMode.OPPORTUNISTIC, TlsMode.REQUIRED, TlsMode.IMMEDIATE])
@pytest.mark.parametrize(("tls", "judge", "works"), TLS_CASES)
async def test_certificates(tls: ServerTls, judge: dict[str, object], works: bool, mode: TlsMode) -> None:
    mx = FakeMx(tls=tls, immediate=mode is TlsMode.IMMEDIATE)
    if works:
        await send(mx, options(mode, **judge))
        assert mx.server_names == ["mx.test"]
    else:
        error = await refused(mx, options(mode, **judge))
        assert (error.kind, error.permanent) == (Kind.TLS, False)


NEEDS = [
    pytest.param({"needs_8bitmime": True}, Kind.EIGHTBIT, True, id="8bitmime"),
    pytest.param({"needs_smtputf8": True}, Kind.SMTPUTF8, False, id="smtputf8"),
    pytest.param({"needs_requiretls": True}, Kind.REQUIRETLS, False, id="requiretls"),
]


@pytest.mark.parametrize(("facts", "kind", "permanent"), NEEDS)
async def test_what_the_server_cannot_do(facts: dict[str, object], kind: Kind, permanent: bool) -> None:
    mx = FakeMx(())
    error = await refused(mx, None, **facts)
    assert (error.kind, error.permanent) == (kind, permanent)
    assert not any(line.startswith("MAIL") for line in mx.lines)


async def test_size_is_checked_before_sending() -> None:
    error = await refused(FakeMx(("SIZE 5",)))
    assert (error.kind, error.permanent) == (Kind.SIZE, True)


async def test_parameters_of_mail_and_rcpt() -> None:
    mx = FakeMx(("SIZE 1000", "8BITMIME", "SMTPUTF8", "REQUIRETLS", "DSN"))
    letter = Envelope(
        "me@client.test",
        [Recipient("a@mx.test", frozenset(("SUCCESS", "FAILURE")), "rfc822;ä+b@mx.test")],
        len(LETTER),
        has_8bit=True,
        needs_smtputf8=True,
        needs_requiretls=True,
        envelope_id="a b+c",
        return_full=True,
    )
    async with mx.running() as port, await open_client(port) as client:
        await client.deliver(letter, Content(LETTER))
    size = len(LETTER)
    assert mx.lines[1] == (
        f"MAIL FROM:<me@client.test> SIZE={size} BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=FULL ENVID=a+20b+2Bc"
    )
    assert mx.lines[2] == "RCPT TO:<a@mx.test> NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;\\x{E4}+2Bb@mx.test"


async def test_parameters_that_the_server_does_not_know_are_left_out() -> None:
    mx = FakeMx(())
    letter = Envelope("", [Recipient("a@mx.test", frozenset(("NEVER",)))], len(LETTER), True, envelope_id="x")
    async with mx.running() as port, await open_client(port) as client:
        await client.deliver(letter, Content(LETTER))
    assert mx.lines[1:3] == ["MAIL FROM:<>", "RCPT TO:<a@mx.test>"]


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"no end"], ids=["lf", "cr", "no end"])
@pytest.mark.parametrize("extensions", [(), ("CHUNKING",)])
async def test_bare_line_ends_are_never_sent(content: bytes, extensions: tuple[str, ...]) -> None:
    mx = FakeMx(extensions)
    async with mx.running() as port, await open_client(port) as client:
        letter = Envelope("me@client.test", [Recipient("a@mx.test")], len(content))
        with pytest.raises(SmtpClientError) as failure:
            await client.deliver(letter, Content(content))
        assert not client.is_usable
    assert (failure.value.kind, failure.value.permanent) == (Kind.CONTENT, False)
    assert mx.transactions == []


@pytest.mark.parametrize("extensions", [PIPELINING, (*PIPELINING, "CHUNKING")])
async def test_large_message_and_many_recipients(tmp_path: Path, extensions: tuple[str, ...]) -> None:
    body = b"".join(b".line %d\r\n" % n for n in range(300_000))
    (tmp_path / "m").write_bytes(body)
    content = Content(b"Subject: big\r\n\r\n", tmp_path / "m")
    recipients = [Recipient(f"{'r' * 50}{n}@mx.test") for n in range(5000)]
    mx = FakeMx(extensions)
    async with mx.running() as port, await open_client(port) as client:
        await client.deliver(Envelope("me@client.test", recipients, content.size), content)
    assert mx.transactions[0].content == b"Subject: big\r\n\r\n" + body
    assert len(mx.transactions[0].recipients) == 5000


async def test_silent_server_times_out() -> None:
    opts = Options("client.test", TlsMode.SKIP, "mx.test", timeouts=Timeouts(2, 0.05, 0.05, 2, 0.05, 2, 0.05))
    error = await refused(FakeMx(PLAIN_MX, mail="hang"), opts)
    assert (error.kind, error.permanent, error.command) == (Kind.TIMEOUT, False, "mailfrom")


async def auth(mechanism: ClientMechanism | None, answers: list[str], offer: str = "PLAIN") -> list[str]:
    """What the client says; `answers` are the server's to each line of it."""
    seen: list[str] = []

    def answer(line: str) -> str:
        seen.append(line)
        return answers[len(seen) - 1]

    mx = FakeMx((f"AUTH {offer}",), auth=answer)
    opts = Options(
        "client.test", TlsMode.SKIP, "mx.test", choose_mechanism=lambda _conn: lambda _names: mechanism, timeouts=QUICK
    )
    async with mx.running() as port:
        client = await open_client(port, opts)
        await client.close()
    return seen


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


@pytest.mark.holds("outbound-a5bf42")
async def test_auth_plain_and_external() -> None:
    assert await auth(Plain("u", "p"), ["235 ok"]) == ["AUTH PLAIN " + encoded(b"\0u\0p")]
    assert await auth(External(), ["235 ok"]) == ["AUTH EXTERNAL ="]


@pytest.mark.parametrize(
    ("answer", "code"), [("535 5.7.8 no", 535), ("454 4.7.0 later", 454), ("334 eA==", 501)], ids=["no", "later", "odd"]
)
async def test_auth_failures_are_temporary(answer: str, code: int) -> None:
    """A changed password must not bounce everything that is queued."""
    with pytest.raises(SmtpClientError) as failure:
        await auth(Plain("u", "p"), [answer])
    assert (failure.value.kind, failure.value.permanent) == (Kind.AUTH, False)
    assert "u" not in failure.value.detail


async def test_no_mechanism_in_common() -> None:
    with pytest.raises(SmtpClientError, match="server offers LOGIN"):
        await auth(None, [], "LOGIN")


async def test_success_before_the_server_proved_itself() -> None:
    with pytest.raises(SmtpClientError, match="too early"):
        await auth(Scram("sha256", "u", "p"), ["235 ok"])


async def test_password_is_not_in_errors_or_logs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SmtpClientError) as failure:
        await auth(Plain("user", "s3cret"), ["535 5.7.8 no"])
    text = str(failure.value) + capsys.readouterr().err + capsys.readouterr().out
    assert "s3cret" not in text and encoded(b"\0user\0s3cret") not in text


async def test_cancelled_session_is_cut_off() -> None:
    mx = FakeMx(greeting="hang")
    async with mx.running() as port:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await open_client(port)


def test_cram_md5_example() -> None:
    """RFC 2195 §2"""
    mechanism = CramMd5("tim", "tanstaaftanstaaf")
    assert mechanism.initial() is None
    answer = mechanism.step(b"<1896.697170952@postoffice.reston.mci.net>")
    assert answer == b"tim b913a602c7eda7a495b4e6e7334d3890" and mechanism.is_done
