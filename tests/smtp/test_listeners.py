"""What the two kinds of listener answer, with a real configuration and DNS from a table."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mox import metrics
from mox.config.account import Account, Destination
from mox.config.listener import Listener, SMTPService
from mox.inbound.notify import Notifier
from mox.outbound import contents
from mox.outbound.queue import Queue
from mox.outbound.submission import Submitter
from mox.outbound.surroundings import ConfigSurroundings
from mox.sasl.errors import SaslError
from mox.smtp.delivering import DeliveryHandler
from mox.smtp.handlers import Services
from mox.smtp.hello import Offer
from mox.smtp.session import Session
from mox.smtp.shell import Shell, Times
from mox.smtp.submitting import SubmissionHandler
from mox.store.engine import Tx
from mox.store.login import LoginDisabled, LoginError, Logins, set_password
from tests.inbound.world import BAD_IP, GOOD_IP, World, account

PASSWORD = "te\u0301st1234"
ACCOUNTS: dict[str, Account] = {
    "mjl": account(Destinations={"mjl@mox.example": Destination(), "möx@mox.example": Destination()}),
    "off": account(Destinations={"off@mox.example": Destination()}, LoginDisabled="come back later"),
    "gone": account(Destinations={"gone@mox.example": Destination(SMTPError="550 gone")}),
}


class Line:
    """A connection that a test writes into."""

    cid = 1
    tls = None
    local = ("192.0.2.9", 25)

    def __init__(self, remote: str, text: str) -> None:
        self.remote = (remote, 1234)
        self.text = text.replace("\n", "\r\n").encode()
        self.output = b""

    def write(self, data: bytes) -> None:
        self.output += data

    async def drain(self, timeout_s: float) -> None:
        return

    async def read(self, timeout_s: float) -> bytes:
        data, self.text = self.text, b""
        return data

    def channel_binding(self) -> None:
        return None


class Host:
    """A server without sockets."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, ACCOUNTS)
        world = self.world
        self.queue = Queue(folder, world.bus, ConfigSurroundings(world.config))
        self.services = Services(
            world.config,
            world.store,
            Logins(world.config, world.store),
            world.resolver,
            world.deliverer,
            Notifier(world.config, self.queue),
            Submitter(world.config, world.store, self.queue),
            asyncio.Event(),
        )

    async def talk(self, text: str, *, ip: str = GOOD_IP, submission: bool = False, **smtp: Any) -> list[str]:
        """Codes and enhanced codes of the replies after the greeting."""
        line = Line(ip, text)
        offer = Offer("mail.mox.example", submission, can_start_tls=True)
        session = Session(offer, ip)
        if submission:
            session.known_by_certificate("mjl", "mjl@mox.example")
        listener = Listener(IPs=[], SMTP=SMTPService(Enabled=True, **smtp))
        kind = SubmissionHandler if submission else DeliveryHandler
        handler = kind(self.services, line, listener, "ID")  # type: ignore[arg-type]
        await Shell(line, session, handler, asyncio.Event(), None, Times(drip=0)).run()  # type: ignore[arg-type]
        replies = [r for r in line.output.decode().split("\r\n")[1:] if r[3:4] == " "]
        return [" ".join(reply.split()[:2]) if reply[5:6] == "." else reply[:3] for reply in replies]


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    made = Host(tmp_path)
    yield made
    await made.queue.close()
    await made.world.store.close()


HELLO = "EHLO mail.good.example\nMAIL FROM:<friend@good.example>\n"
MESSAGE = "DATA\nFrom: <friend@good.example>\nSubject: x\n\nbody\n.\n"


async def test_a_delivery(host: Host) -> None:
    codes = await host.talk(f"{HELLO}RCPT TO:<mjl@mox.example>\n{MESSAGE}QUIT\n")
    assert codes == ["250", "250 2.1.0", "250 2.1.0", "354", "250 2.2.0", "221 2.0.0"]
    prefix = (await host.world.headers("Inbox"))[0]
    assert "Received: from mail.good.example ([192.0.2.10]) by mail.mox.example" in prefix.replace("\r\n\t", " ")


@pytest.mark.parametrize(
    ("commands", "ip", "codes"),
    [
        ("HELO absent.example\n", GOOD_IP, ["550 5.5.0"]),
        ("HELO mail.good.example\n", GOOD_IP, ["250"]),
        ("EHLO absent.example\n", GOOD_IP, ["250"]),
        ("EHLO x\nMAIL FROM:<a@absent.example>\n", GOOD_IP, ["250", "550 5.7.27"]),
        ("EHLO x\nMAIL FROM:<a@nomail.example>\n", GOOD_IP, ["250", "550 5.7.27"]),
        ("EHLO x\nMAIL FROM:<a@broken.example>\n", GOOD_IP, ["250", "451 4.4.0"]),
        ("EHLO x\nMAIL FROM:<a@plain.example>\n", GOOD_IP, ["250", "250 2.1.0"]),
        ("EHLO x\nMAIL FROM:<>\n", BAD_IP, ["250", "250 2.1.0"]),
    ],
)
async def test_names_and_senders(host: Host, commands: str, ip: str, codes: list[str]) -> None:
    assert await host.talk(commands, ip=ip) == codes


async def test_several_recipients_need_a_verified_sender(host: Host) -> None:
    two = "RCPT TO:<mjl@mox.example>\nRCPT TO:<möx@mox.example>\n".encode().decode()
    verified = await host.talk(HELLO.replace("example>\n", "example> SMTPUTF8\n") + two)
    assert verified[2:] == ["250 2.1.0", "250 2.1.0"]
    forged = await host.talk(HELLO.replace("example>\n", "example> SMTPUTF8\n") + two, ip=BAD_IP)
    assert forged[2:] == ["250 2.1.0", "452 4.5.3"]


def spf_verifications() -> float:
    samples = [s for metric in metrics.spf_verifications.collect() for s in metric.samples]
    return sum(s.value for s in samples if s.name.endswith("_count"))


async def test_spf_is_evaluated_once(host: Host) -> None:
    """For the second recipient, and then for the message."""
    before = spf_verifications()
    two = "RCPT TO:<mjl@mox.example>\nRCPT TO:<nobody@mox.example>\n"
    codes = await host.talk(f"{HELLO}{two}{MESSAGE}QUIT\n")
    assert codes[2:] == ["250 2.1.0", "250 2.1.0", "354", "250 2.2.0", "221 2.0.0"]
    assert "spf=pass" in (await host.world.headers("Inbox"))[0]
    assert spf_verifications() == before + 1
    # Another sender is asked for anew.
    again = "RSET\nMAIL FROM:<x@good.example>\n"
    await host.talk(f"{HELLO}{two}{again}{two}{MESSAGE}QUIT\n")
    assert spf_verifications() == before + 3


async def test_recipients(host: Host) -> None:
    rcpt = "RCPT TO:<gone@mox.example>\nRCPT TO:<x@other.example>\nRCPT TO:<nobody@mox.example>\n"
    assert (await host.talk(HELLO + rcpt))[2:] == ["550 5.1.1", "550 5.1.1", "250 2.1.0"]


async def test_required_tls(host: Host) -> None:
    assert (await host.talk(f"{HELLO}RCPT TO:<mjl@mox.example>\n", RequireSTARTTLS=True))[2:] == ["530 5.7.0"]


async def test_partial_failure_is_told_by_a_notification(host: Host) -> None:
    codes = await host.talk(f"{HELLO}RCPT TO:<mjl@mox.example>\nRCPT TO:<nobody@mox.example>\n{MESSAGE}")
    assert codes[-1] == "250 2.2.0"
    rows = await host.queue.read(
        lambda tx: tx.run("SELECT account, sender_localpart, recipient_localpart, subject FROM queued")
    )
    assert rows == [("mjl", "", "friend", "mail delivery failure")]


async def queued_contents(host: Host) -> list[str]:
    def read(tx: Tx) -> list[bytes | None]:
        return [contents.find(tx, file) for (file,) in tx.run("SELECT file FROM queued")]

    return [content.decode() for content in await host.queue.read(read) if content is not None]


async def test_success_is_told_to_verified_senders_who_ask(host: Host) -> None:
    """RFC 3461 §4.1, §6."""
    asked = "RCPT TO:<mjl@mox.example> NOTIFY=SUCCESS ORCPT=rfc822;list@elsewhere.example\n"
    hello = HELLO.replace("example>\n", "example> ENVID=E1\n")
    await host.talk(f"{hello}{asked}{MESSAGE}")
    content = (await queued_contents(host))[0]
    for line in (
        "Subject: mail delivery report",
        "Original-Envelope-ID: E1",
        "Original-Recipient: rfc822;list@elsewhere.example",
        "Action: delivered",
    ):
        assert line in content
    forged = await host.talk(f"{hello}{asked}{MESSAGE}", ip=BAD_IP)
    assert forged[-1][:3] in ("250", "550")
    assert len(await queued_contents(host)) == 1


async def test_failures_that_nobody_wants_to_hear_of(host: Host) -> None:
    two = "RCPT TO:<mjl@mox.example>\nRCPT TO:<nobody@mox.example> NOTIFY=NEVER\n"
    assert (await host.talk(f"{HELLO}{two}{MESSAGE}"))[-1] == "250 2.2.0"
    assert await queued_contents(host) == []


async def test_a_submission(host: Host) -> None:
    text = "EHLO x\nMAIL FROM:<mjl@mox.example> ENVID=E1\nRCPT TO:<x@other.example> NOTIFY=NEVER\n"
    text += "RCPT TO:<nobody@mox.example>\nRCPT TO:<gone@mox.example>\nDATA\nFrom: <mjl@mox.example>\n\nbody\n.\n"
    codes = await host.talk(text, submission=True)
    assert codes == ["250", "250 2.1.0", "250 2.1.0", "550 5.1.1", "550 5.1.1", "354", "250 2.2.0"]
    rows = await host.queue.read(lambda tx: tx.run("SELECT account, notify, envelope_id FROM queued"))
    assert rows == [("mjl", "NEVER", "E1")]
    refused = await host.talk("EHLO x\nMAIL FROM:<off@mox.example>\n", submission=True)
    assert refused[-1] == "550 5.7.1"


@pytest.mark.holds("smtp-in-1f0893")
async def test_passwords_and_names_in_any_form(host: Host) -> None:
    for name in ("mjl", "off"):
        await set_password(host.world.store, name, PASSWORD)
    logins = host.services.logins

    async def silent(_challenge: bytes) -> bytes:
        raise AssertionError("no more questions")

    async def plain(user: str, password: str) -> str:
        initial = f"\0{user}\0{password}".encode()
        account, _ = await logins.sasl("PLAIN", initial, silent, None, "192.0.2.1", "submission")
        return account

    for password in ("te\u0301st1234", "t\u00e9st1234"):
        for user in ("mjl@mox.example", "m\u00f6x@mox.example", "mo\u0308x@mox.example"):
            assert await plain(user, password) == "mjl"
    with pytest.raises(LoginDisabled, match="come back later"):
        await plain("off@mox.example", PASSWORD)
    for user, password in (("off@mox.example", "wrong"), ("mjl@mox.example", "x"), ("nobody@mox.example", PASSWORD)):
        with pytest.raises((LoginError, SaslError)) as caught:
            await plain(user, password)
        assert not isinstance(caught.value, LoginDisabled)
    await host.world.store.attempts.flush()
    recorded = await host.world.store.read_auth(
        lambda tx: tx.run("SELECT account_name, auth_mechanism, result FROM login_attempt WHERE result <> 'ok'")
    )
    assert ("off", "plain", "logindisabled") in recorded
    assert ("-", "plain", "badcreds") in recorded
