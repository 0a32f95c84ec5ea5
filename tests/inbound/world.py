"""A small mail world: a configuration, accounts on disk, DNS from a table, and short ways to deliver into it."""

import ipaddress
import itertools
import os
from pathlib import Path as FilePath
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from msgspec.structs import replace

from mox._rust import stage_bytes
from mox.config import sconf_write
from mox.config.account import Account, Destination
from mox.config.domain import Domain
from mox.config.junkfilter import JunkFilterParams, JunkFilterSection
from mox.config.live import Config
from mox.config.model import Dynamic, PostmasterTarget, Static
from mox.dns.names import parse_domain
from mox.dns.resolver import Mx
from mox.dns.static import StaticResolver
from mox.inbound.deliver import Deliverer, ListenerRules, Neighbours
from mox.inbound.incoming import Envelope
from mox.inbound.results import Outcome
from mox.mailauth import arc, dkim
from mox.mailauth.arc import ArcResult, ArcStatus, Sealer
from mox.mailauth.canon import BytesBody
from mox.mailauth.dkim import Selector
from mox.mailauth.dkimkey import record_for
from mox.net.bus import LocalBus
from mox.smtp.address import NULL_PATH, Path, parse_mailbox
from mox.store import mailboxes, messages
from mox.store.engine import Tx
from mox.store.policy import Policies
from mox.store.store import Store

# Of networks far apart; the first and the last have a name.
GOOD_IP, BAD_IP, OTHER_IP = "192.0.2.10", "198.51.100.66", "203.0.113.7"
PARAMS = JunkFilterParams(Onegrams=True, MaxPower=0.01, TopWords=10, IgnoreWords=0.1, RareWords=1)
FILTER = JunkFilterSection(Threshold=0.95, Params=PARAMS)
KEY = ed25519.Ed25519PrivateKey.generate()
_numbers = itertools.count(1)


def zone() -> StaticResolver:
    """good.example has everything in order, its mail comes from GOOD_IP; the others are as they are called."""
    resolver = StaticResolver(
        {
            "good.example": {
                "TXT": [f"v=spf1 ip4:{GOOD_IP} -all"],
                "MX": [Mx(10, "mail.good.example")],
            },
            "_dmarc.good.example": {"TXT": ["v=DMARC1; p=reject; rua=mailto:dmarc@good.example"]},
            "mail.good.example": {"A": [GOOD_IP], "TXT": [f"v=spf1 ip4:{GOOD_IP} -all"]},
            "plain.example": {"MX": [Mx(10, "mail.good.example")]},
            "mail.other.example": {"A": [OTHER_IP]},
            "bulk.example": {"TXT": [f"v=spf1 ip4:{GOOD_IP} -all"]},
            "s._domainkey.plain.example": {"TXT": [str(record_for(KEY))]},
            "s._domainkey.good.example": {"TXT": [str(record_for(KEY))]},
            "s._domainkey.bulk.example": {"TXT": [str(record_for(KEY))]},
            "bl.example": {},
            "2.0.0.127.bl.example": {"A": ["127.0.0.2"]},
            "nomail.example": {"MX": [Mx(0, ".")]},
        },
        fail=[("MX", "broken.example")],
    )
    resolver.add_ptr(ipaddress.ip_address(GOOD_IP), "mail.good.example")
    resolver.add_ptr(ipaddress.ip_address(OTHER_IP), "mail.other.example")
    return resolver


def account(**options: Any) -> Account:
    options = {"RejectsMailbox": "Rejects", "NoFirstTimeSenderDelay": True, **options}
    return Account(Domain="mox.example", **options)


class World:
    """Everything a delivery needs."""

    def __init__(self, folder: FilePath, accounts: dict[str, Account] | None = None, **domain: Any) -> None:
        static = Static(
            DataDir=".",
            LogLevel="info",
            Hostname="mail.mox.example",
            User=str(os.getuid()),
            Listeners={},
            Postmaster=PostmasterTarget(Account="mjl", Mailbox="Postmaster"),
        )
        accounts = accounts or {"mjl": account(Destinations={"mjl@mox.example": Destination()})}
        dynamic = Dynamic(
            Domains={"mox.example": Domain(LocalpartCatchallSeparators=["+", "-"], **domain)}, Accounts=accounts
        )
        (folder / "mox.conf").write_text(sconf_write.dump(static))
        (folder / "domains.conf").write_text(sconf_write.dump(dynamic))
        self.config = Config.load(folder / "mox.conf")
        self.bus = LocalBus()
        self.store = Store(folder, self.bus, Policies(self.config))
        self.resolver = zone()
        self.neighbours = Neighbours()
        self.deliverer = Deliverer(self.config, self.store, self.resolver, self.neighbours)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def deliver(
        self,
        *recipients: str,
        sender: str = "friend@good.example",
        author: str | None = None,
        ip: str = GOOD_IP,
        hello: str = "mail.good.example",
        subject: str = "hello",
        body: str = "text of the message",
        message_id: str = "",
        extra: str = "",
        rules: ListenerRules | None = None,
        to: str = "",
        signed_by: str = "",
        changed_by: str = "",
        **envelope: Any,
    ) -> list[Outcome]:
        """`signed_by` is a domain of the zone; `changed_by` one that adds a line after that, and an ARC set."""
        message_id = message_id or f"{next(_numbers)}@test"
        shown = recipients[0] if recipients else "mjl@mox.example"
        content = (
            f"From: <{author if author is not None else sender}>\r\nTo: <{to or shown}>\r\nSubject: {subject}\r\n"
            f"Message-ID: <{message_id}>\r\n{extra}\r\n{body}\r\n"
        )
        message = content.encode()
        if signed_by:
            message = await _sign(message, signed_by)
        if changed_by:
            message = await _seal(message + b"A footer.\r\n", changed_by)
        made = Envelope(
            parse_mailbox(sender) if sender else NULL_PATH,
            tuple(_path(r) for r in recipients),
            ip,
            hello,
            "mail.mox.example",
            has_tls=True,
        )
        staged = stage_bytes(message)
        return await self.deliverer.deliver(replace(made, **envelope), staged, rules or ListenerRules(), self.sleep)

    async def one(self, recipient: str = "mjl@mox.example", **options: Any) -> tuple[int, str]:
        """(code, reason) for one recipient."""
        outcome = (await self.deliver(recipient, **options))[0]
        return (outcome.reply.code if outcome.reply else 250, outcome.reason)

    async def subjects(self, mailbox: str, name: str = "mjl") -> list[str]:
        """Subjects of the messages in a mailbox, oldest first."""
        opened = await self.store.open(name)

        def read(tx: Tx) -> list[str]:
            box = mailboxes.find(tx, mailbox)
            if box is None:
                return []
            uids = [row[0] for row in messages.hot_rows(tx, box.id)]
            rows = messages.cold_rows(tx, box.id, uids, ["subject_base"])
            return [row[1] for row in rows]

        return await opened.read(read)

    async def headers(self, mailbox: str, name: str = "mjl") -> list[str]:
        """What delivery put before the messages of a mailbox."""
        opened = await self.store.open(name)

        def read(tx: Tx) -> list[str]:
            box = mailboxes.get_by_name(tx, mailbox)
            uids = [row[0] for row in messages.hot_rows(tx, box.id)]
            return [row[1].decode() for row in messages.cold_rows(tx, box.id, uids, ["prefix"])]

        return await opened.read(read)

    async def flag(self, mailbox: str, flags: int, name: str = "mjl", mode: str = "=") -> None:
        """Set flags of all messages in a mailbox."""
        opened = await self.store.open(name)

        def write(tx: Tx) -> None:
            box = mailboxes.get_by_name(tx, mailbox)
            uids = [row[0] for row in messages.hot_rows(tx, box.id)]
            messages.set_flags(tx, box.id, uids, mode, flags, frozenset())

        await opened.write(write)

    async def flags(self, mailbox: str, name: str = "mjl") -> list[int]:
        opened = await self.store.open(name)
        return await opened.read(
            lambda tx: [row[1] for row in messages.hot_rows(tx, mailboxes.get_by_name(tx, mailbox).id)]
        )

    async def move(self, source: str, target: str, name: str = "mjl") -> None:
        """Move all messages of a mailbox."""
        opened = await self.store.open(name)

        def write(tx: Tx) -> None:
            box = mailboxes.get_by_name(tx, source)
            uids = [row[0] for row in messages.hot_rows(tx, box.id)]
            messages.move(tx, box.id, uids, mailboxes.get_by_name(tx, target).id, 1)

        await opened.write(write)

    async def send_to(self, address: str, name: str = "mjl") -> None:
        """Have the account's Sent mailbox hold a message to somebody."""
        opened = await self.store.open(name)
        content = f"From: <mjl@mox.example>\r\nTo: <{address}>\r\nSubject: mine\r\n\r\nhi\r\n".encode()
        prepared = await opened.prepare(stage_bytes(content))
        new = opened.new_message(prepared)
        await opened.write(lambda tx: messages.add(tx, mailboxes.get_by_name(tx, "Sent").id, [new]))


def _path(text: str) -> Path:
    return Path("postmaster", "") if text == "postmaster" else parse_mailbox(text)


def _split(message: bytes) -> tuple[bytes, BytesBody]:
    header, _, body = message.partition(b"\r\n\r\n")
    return header + b"\r\n\r\n", BytesBody(body)


async def _sign(message: bytes, domain: str) -> bytes:
    return await dkim.sign(*_split(message), parse_domain(domain), [Selector("s", KEY)]) + message


async def _seal(message: bytes, domain: str) -> bytes:
    sealer = Sealer(parse_domain(domain), "s", KEY)
    fields = await arc.seal(*_split(message), sealer, f"{domain}; dkim=pass", ArcResult(ArcStatus.NONE))
    return fields + message
