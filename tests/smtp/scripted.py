"""Transcripts of SMTP sessions, and the scripted decisions they run with.

A transcript has lines `C:` (sent with CRLF), `C+:` (sent as it stands, with Python escapes), `S:` (expected; `…` stands
for anything within the line), `TLS` (the handshake after STARTTLS), `EOF` (the client closes), and `#` comments. Lines
`option: value` before the first exchange change the offer.
"""

import dataclasses
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mox._rust import ChunkReceiver, DataReceiver
from mox.sasl import crammd5, scram
from mox.sasl import server as mechanisms
from mox.sasl.errors import Failure, SaslError
from mox.smtp.events import ContentRequested, HelloGiven, Receiver, RecipientGiven, Transaction
from mox.smtp.hello import Offer
from mox.smtp.reply import Reply
from mox.smtp.session import Session
from mox.smtp.shell import Ask, LoginFailed, MessageReceiver
from mox.smtp.submitting import sasl_reply

FOLDER = Path(__file__).parent / "transcripts"
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
USER, PASSWORD, ACCOUNT = "mjl@mox.example", "te\u0301st1234", "mjl"


@dataclass(frozen=True)
class Step:
    """`kind` is send, expect, tls or eof."""

    kind: str
    text: str
    line: int
    data: bytes = b""


@dataclass(frozen=True)
class Transcript:
    """A parsed transcript."""

    options: dict[str, str]
    steps: list[Step]

    @property
    def has_tls(self) -> bool:
        return any(s.kind == "tls" for s in self.steps)


def load(path: Path) -> Transcript:
    options: dict[str, str] = {}
    steps: list[Step] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        mark, _, text = line.partition(":")
        text = text.removeprefix(" ")
        if not line.strip() or line.startswith("#"):
            continue
        if mark == "C":
            steps.append(Step("send", text, number, f"{text}\r\n".encode()))
        elif mark == "C+":
            data = text.encode("raw_unicode_escape").decode("unicode_escape").encode("latin-1")
            steps.append(Step("send", text, number, data))
        elif mark == "S":
            steps.append(Step("expect", text, number))
        elif line in ("TLS", "EOF"):
            steps.append(Step(line.lower(), "", number))
        else:
            assert not steps, f"{path.name}:{number}: option after the first exchange"
            options[mark] = text
    return Transcript(options, steps)


def offer(options: dict[str, str]) -> Offer:
    values: dict[str, Any] = {"hostname": "mox.example", "is_submission": False, "can_start_tls": True}
    kinds = {f.name: f.type for f in dataclasses.fields(Offer)}
    for name, text in options.items():
        if name in kinds:
            values[name] = text == "yes" if text in ("yes", "no") else int(text)
    return Offer(**values)


def session(options: dict[str, str]) -> Session:
    made = Session(offer(options), "10.0.0.1", has_tls=options.get("tls") == "yes", session_id="ID", now=lambda: NOW)
    if "certificate" in options:
        made.known_by_certificate(options["certificate"], f"{options['certificate']}@mox.example")
    return made


class ScriptedHandler:
    """Decides by names: `refused@` may not send, `absent` names do not exist, `unknown@` is nobody."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder or tempfile.gettempdir()
        self.messages: list[tuple[Transaction, bytes]] = []

    async def tls_client(self, session: Session) -> tuple[str, str]:
        return "", ""

    async def hello(self, session: Session, given: HelloGiven) -> Reply | None:
        if not given.is_extended and given.name.startswith("absent"):
            return Reply(550, "5.5.0", "name does not exist")
        return None

    async def mail(self, session: Session, transaction: Transaction) -> Reply | None:
        return Reply(550, "5.7.1", "not you") if transaction.sender.localpart == "refused" else None

    async def recipient(self, session: Session, asked: RecipientGiven) -> Reply | None:
        path = asked.recipient.path
        return Reply(550, "5.1.1", "no such user") if path.localpart == "unknown" or path.is_literal else None

    def receiver(self, session: Session, asked: ContentRequested) -> MessageReceiver:
        limit = session.offer.max_size
        if asked.is_chunked:
            return ChunkReceiver(self.folder, limit, asked.is_binary)
        return DataReceiver(self.folder, limit)

    async def message(self, session: Session, transaction: Transaction, receiver: Receiver) -> Reply:
        assert isinstance(receiver, (DataReceiver, ChunkReceiver))
        if receiver.error == "smuggling":
            return Reply(500, "5.5.2", "smuggling")
        if receiver.error == "too big":
            return Reply(552, "5.3.4", "message too large")
        self.messages.append((transaction, receiver.finish().content()))
        return Reply(250, "2.6.0", "it is done")

    async def authenticate(self, session: Session, mechanism: str, initial: bytes | None, ask: Ask) -> tuple[str, str]:
        known = session.certificate_account
        facts = mechanisms.Facts("mox.example", session.has_tls, None, f"{known}@mox.example" if known else "")
        exchange = mechanisms.start(mechanism, initial, facts)
        answer: object = None
        try:
            while True:
                match exchange.send(answer):
                    case mechanisms.Challenge(data):
                        answer = await ask(data)
                    case mechanisms.CheckPassword(user, password):
                        answer = (user, password) == (USER, "t\u00e9st1234") or (user, password) == (USER, PASSWORD)
                    case mechanisms.GetScram(user, hash_name):
                        answer = scram.derive(hash_name, PASSWORD if user == USER else "other")
                    case mechanisms.GetCram(user):
                        answer = crammd5.derive(PASSWORD) if user == USER else None
        except StopIteration as done:
            return ACCOUNT, str(done.value)
        except SaslError as err:
            raise LoginFailed(sasl_reply(err.failure, str(err)), err.failure is not Failure.NO_SECRETS) from err
