"""Messages of users on their way into the queue."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mox._rust import stage_bytes
from mox.config.account import Account, Destination
from mox.config.domain import Alias, DKIMSection, Selector
from mox.mailauth import dkim
from mox.mailauth.canon import BytesBody
from mox.mailauth.dkimkey import record_for
from mox.outbound.content import canonical_key
from mox.outbound.queue import Queue
from mox.outbound.records import Message, columns, from_row
from mox.outbound.submission import Submission, SubmissionRefused, SubmittedRecipient, Submitter
from mox.outbound.surroundings import ConfigSurroundings
from mox.smtp.address import parse_mailbox
from tests.inbound.world import World, account

HEADER = "From: <mjl@mox.example>\r\nTo: <x@other.example>\r\nSubject: hello\r\n"


@dataclass
class Office:
    """Submits, and shows what came into the queue."""

    world: World
    queue: Queue
    submitter: Submitter

    async def send(self, *recipients: str, content: str = "", header: str = HEADER, **options: Any) -> list[Message]:
        options = {"account": "mjl", "login_address": "mjl@mox.example", "sender": "mjl@mox.example", **options}
        options["sender"] = parse_mailbox(options["sender"])
        to = [SubmittedRecipient(parse_mailbox(r)) for r in recipients or ("x@other.example",)]
        submission = Submission(recipients=to, hostname="mail.mox.example", **options)
        text = content or f"{header}\r\nbody\r\n"
        ids = await self.submitter.submit(submission, stage_bytes(text.encode()))
        return await self.messages(ids)

    async def messages(self, ids: list[int]) -> list[Message]:
        rows = await self.queue.read(
            lambda tx: [tx.one(f"SELECT {columns(Message)} FROM queued WHERE id = ?", i) for i in ids]
        )
        return [from_row(Message, row) for row in rows if row is not None]

    async def code(self, *recipients: str, **options: Any) -> tuple[int, str]:
        """Code and enhanced code of the refusal; (250, "") when there is none."""
        try:
            await self.send(*recipients, **options)
        except SubmissionRefused as err:
            return err.reply.code, err.reply.enhanced
        return 250, ""


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    selectors = {name: Selector(PrivateKeyFile="key.pem") for name in ("one", "two")}
    accounts: dict[str, Account] = {
        "mjl": account(
            Destinations={"mjl@mox.example": Destination()},
            MaxOutgoingMessagesPerDay=4,
            MaxFirstTimeRecipientsPerDay=2,
        ),
        "ids": account(
            Destinations={"ids@mox.example": Destination()}, FromIDLoginAddresses=["ids+unique@mox.example"]
        ),
    }
    aliases = {
        "team": Alias(Addresses=["mjl@mox.example"], AllowMsgFrom=True),
        "private": Alias(Addresses=["mjl@mox.example"]),
        "others": Alias(Addresses=["ids@mox.example"], AllowMsgFrom=True),
    }
    world = World(tmp_path, accounts, Aliases=aliases, DKIM=DKIMSection(Selectors=selectors, Sign=["one", "two"]))
    for name in selectors:
        world.resolver.add(f"{name}._domainkey.mox.example", "TXT", [str(record_for(key))])
    queue = Queue(tmp_path, world.bus, ConfigSurroundings(world.config))
    yield Office(world, queue, Submitter(world.config, world.store, queue))
    await queue.close()
    await world.store.close()


@pytest.mark.holds("smtp-in-fd5f04")
async def test_completed_and_signed(office: Office) -> None:
    message = (await office.send(sender="team@mox.example"))[0]
    prefix = message.prefix.decode()
    names = [line.partition(":")[0] for line in prefix.splitlines() if not line.startswith("\t")]
    assert names == ["Message-Id", "Date", "DKIM-Signature", "DKIM-Signature", "Authentication-Results"]
    assert "auth=pass smtp.mailfrom=team@mox.example" in prefix
    assert message.message_id and message.subject == "hello"
    content = await office.queue.content(message)
    header, _, body = content.partition(b"\r\n\r\n")
    results = await dkim.verify(office.world.resolver, header + b"\r\n\r\n", BytesBody(body))
    assert [r.status.value for r in results] == ["pass", "pass"]
    assert {r.signature.domain.ascii for r in results if r.signature} == {"mox.example"}


async def test_nothing_is_completed_twice(office: Office) -> None:
    header = HEADER + "Message-ID: <own@x>\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
    message = (await office.send(header=header))[0]
    assert message.message_id == "<own@x>"
    assert not message.prefix.startswith(b"Message-Id")


@pytest.mark.parametrize(
    ("author", "code"),
    [
        ("mjl@mox.example", 250),
        ("MJL+x@mox.example", 250),
        ("team@mox.example", 250),
        ("private@mox.example", 550),
        ("others@mox.example", 550),
        ("ids@mox.example", 550),
        ("nobody@mox.example", 550),
        ("x@other.example", 550),
        ("postmaster@mox.example", 550),
    ],
)
@pytest.mark.holds("smtp-in-7ff64c")
async def test_authors(office: Office, author: str, code: int) -> None:
    assert (await office.code(header=f"From: <{author}>\r\n"))[0] == code


@pytest.mark.parametrize(
    "header",
    ["To: <x@y>\r\n", HEADER + HEADER, "From: <mjl@mox.example>, <mjl@mox.example>\r\n", "From: nobody\r\n"],
    ids=["none", "two", "two addresses", "no address"],
)
@pytest.mark.holds("smtp-in-edc48c")
async def test_one_author(office: Office, header: str) -> None:
    assert await office.code(header=header) == (550, "5.6.0")


@pytest.mark.holds("smtp-in-edc48c")
async def test_author_with_a_name(office: Office) -> None:
    assert (await office.code(header="From: Name <mjl@mox.example>\r\n"))[0] == 250


async def test_header_without_end(office: Office) -> None:
    assert await office.code(content="From: <mjl@mox.example>\r\n") == (554, "5.6.0")


@pytest.mark.holds("smtp-in-04010a")
async def test_limits(office: Office) -> None:
    assert (await office.code("a@other.example", "b@other.example"))[0] == 250
    assert await office.code("c@other.example") == (451, "4.7.1")
    assert (await office.code("a@other.example"))[0] == 250
    assert (await office.code("a@other.example"))[0] == 250
    assert await office.code("a@other.example") == (451, "4.7.1")
    opened = await office.world.store.open("mjl")
    await opened.write(lambda tx: tx.run("UPDATE outgoing SET submitted_ms = submitted_ms - 86400001"))
    assert (await office.code("a@other.example"))[0] == 250


@pytest.mark.holds("smtp-in-c8e76d")
async def test_extras_and_what_is_private(office: Office) -> None:
    header = HEADER + "X-Mox-Extra-x-cANONICAL-z: a value\r\nX-Mox-Extra-a(b: smile\r\nBcc: <secret@other.example>\r\n"
    message = (await office.send(header=header))[0]
    assert message.extra == {"X-Canonical-Z": "a value", "a(b": "smile"}
    content = await office.queue.content(message)
    assert b"secret" not in content
    assert b"Mox-Extra" not in content
    header = HEADER + "X-Mox-Extra-A: 1\r\nX-Mox-Extra-a: 2\r\n"
    assert await office.code(header=header) == (554, "5.6.0")
    assert canonical_key("x-cANONICAL-z") == "X-Canonical-Z"


@pytest.mark.holds("smtp-in-df5116")
async def test_unique_senders(office: Office) -> None:
    me = {
        "account": "ids",
        "login_address": "ids+unique@mox.example",
        "header": "From: <ids@mox.example>\r\n",
        "sender": "ids@mox.example",
    }
    one, two = await office.send("a@other.example", "b@other.example", **me)
    assert one.from_id and two.from_id and one.from_id != two.from_id
    assert one.sender_localpart == f"ids+{one.from_id}"
    me["sender"] = "ids+own@mox.example"
    assert (await office.send(**me))[0].from_id == "own"
    assert await office.code(**me) == (554, "5.1.7")
    me["sender"] = "ids+two@mox.example"
    assert await office.code("a@other.example", "b@other.example", **me) == (554, "5.5.3")
    me["sender"] = "ids+@mox.example"
    assert (await office.send(**me))[0].from_id == ""
    me |= {"login_address": "ids@mox.example", "sender": "ids@mox.example"}
    assert (await office.send(**me))[0].sender_localpart == "ids"


PARTS = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png; name={}\r\n\r\nx\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("recipient", "content", "needs"),
    [
        ("x@other.example", f"{HEADER}\r\nbody ö\r\n", False),
        ("x@ö.example", f"{HEADER}\r\nbody\r\n", False),
        ("ö@other.example", f"{HEADER}\r\nbody\r\n", True),
        ("x@other.example", f"{HEADER}X: ö\r\n\r\nbody\r\n", True),
        ("x@other.example", HEADER + PARTS.format("x.png"), False),
        ("x@other.example", HEADER + PARTS.format("ö.png"), True),
    ],
    ids=["body", "domain", "localpart", "header", "ascii file name", "file name"],
)
@pytest.mark.holds("smtp-in-f5fbf9")
async def test_need_of_smtputf8(office: Office, recipient: str, content: str, needs: bool) -> None:
    assert (await office.send(recipient, content=content))[0].smtputf8 == needs


@pytest.mark.parametrize(
    ("given", "fields", "kept"),
    [
        (None, "", None),
        (None, "TLS-Required: No\r\n", False),
        (None, "TLS-Required: no\r\nTLS-Required: NO\r\n", False),
        (None, "TLS-Required: no\r\nTLS-Required: yes\r\n", None),
        (True, "TLS-Required: no\r\n", True),
    ],
)
@pytest.mark.holds("smtp-in-24b23f")
async def test_require_tls(office: Office, given: bool | None, fields: str, kept: bool | None) -> None:
    assert (await office.send(header=HEADER + fields, require_tls=given))[0].require_tls is kept


@pytest.mark.parametrize(
    ("content", "said", "code"),
    [
        (f"{HEADER}\r\nbody ö\r\n", {}, 500),
        (f"{HEADER}\r\nbody ö\r\n", {"said_8bit": True}, 250),
        (f"{HEADER}X: ö\r\n\r\n", {"said_8bit": True}, 550),
        (f"{HEADER}X: ö\r\n\r\n", {"said_8bit": True, "said_utf8": True}, 250),
        (f"{HEADER}Return-Path: <>\r\n\r\n", {}, 550),
    ],
)
async def test_strictness(office: Office, content: str, said: dict[str, bool], code: int) -> None:
    assert (await office.code(content=content, is_pedantic=True, **said))[0] == code
    assert (await office.code(content=content))[0] == 250


async def test_future_release_and_notifications(office: Office) -> None:
    message = (await office.send(release_ms=2_000_000_000_000, release_request="for;5", envelope_id="E1"))[0]
    assert (message.next_ms, message.future_release, message.envelope_id) == (2_000_000_000_000, "for;5", "E1")


async def test_several_recipients_share_prefix_and_file(office: Office) -> None:
    one, two = await office.send("a@other.example", "b@other.example")
    assert (one.prefix, one.file, one.base_id) == (two.prefix, two.file, one.id)
