"""A server that sends reports: configuration with a signing domain, queue, DNS."""

import email
import gzip
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import Message as Mail
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from mox.config.live import Config
from mox.dns.static import StaticResolver
from mox.net.bus import LocalBus
from mox.outbound.listing import MESSAGES
from mox.outbound.queue import Queue
from mox.outbound.records import Message
from mox.outbound.surroundings import ConfigSurroundings
from mox.reports.outgoing import ReportMailer
from tests.local_config import new_config

DOMAIN = """\tmox.example:
\t\tDKIM:
\t\t\tSelectors:
\t\t\t\ts:
\t\t\t\t\tPrivateKeyFile: key.pem
\t\t\tSign:
\t\t\t\t- s
"""


@dataclass
class Sending:
    """What a sender of reports needs, and what it queued."""

    config: Config
    queue: Queue
    dns: StaticResolver
    mailer: ReportMailer
    pauses: list[float]

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def messages(self) -> list[Message]:
        return sorted(await self.queue.read(lambda tx: MESSAGES.select(tx)), key=lambda m: m.id)

    async def mail(self, message: Message) -> Mail:
        return email.message_from_bytes(await self.queue.content(message))

    async def attachment(self, message: Message) -> bytes:
        part = (await self.mail(message)).get_payload()[1]  # type: ignore[index]
        return gzip.decompress(part.get_payload(decode=True))  # type: ignore[union-attr, arg-type]


@asynccontextmanager
async def sending(folder: Path) -> AsyncIterator[Sending]:
    base = new_config(folder / "c")
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (base.path.parent / "key.pem").write_bytes(key)
    base.path.write_text(re.sub(r"(?m)^Hostname: .*$", "Hostname: mail.mox.example", base.path.read_text()))
    text = base.dynamic_path.read_text()
    base.dynamic_path.write_text(text.replace("Domains:\n", f"Domains:\n{DOMAIN}", 1))
    config = Config.load(base.path)
    queue = Queue(folder, LocalBus(), ConfigSurroundings(config))
    try:
        yield Sending(config, queue, StaticResolver(), ReportMailer(config, queue), [])
    finally:
        await queue.close()
