"""The SMTP client without I/O: what is said, and what the answers mean (RFC 5321, and the extensions it names below).

Each step is a generator that yields what is to be done and is sent what came of it; `client.py` does these things on a
connection. A step returns its result, or raises SmtpClientError.

Extensions: PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), REQUIRETLS (RFC 8689),
DSN (RFC 3461), CHUNKING (RFC 3030), STARTTLS (RFC 3207), AUTH (RFC 4954), LIMITS (RFC 9422).
"""

import base64
import binascii
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from mox.sasl.client import ClientMechanism, SaslClientError
from mox.smtp.client_errors import Kind, Response, SmtpClientError, unexpected
from mox.smtp.client_replies import Extensions, parse_extensions

# Answers to EHLO after which a server is spoken to with HELO.
_EHLO_UNKNOWN = frozenset((500, 501, 502, 503, 504))
# Too many recipients: the rest belong into another transaction (RFC 5321 §4.5.3.1.10).
_TOO_MANY = frozenset((452, 552))
_ACCEPTED = frozenset((250, 251, 252))
_XTEXT_PLAIN = frozenset(chr(c) for c in range(0x21, 0x7F)) - set("+=")

Answer: TypeAlias = Response | SmtpClientError


@dataclass(frozen=True, slots=True)
class Commands:
    """Send the lines at once; the answers to all of them come back, an error in the place of one that did not come."""

    lines: Sequence[bytes]
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Greeting:
    """Wait for what the server says first."""


@dataclass(frozen=True, slots=True)
class Content:
    """Send the content, by BDAT if `chunked`, else with dots doubled and the final one; its answer comes back."""

    chunked: bool = False


@dataclass(frozen=True, slots=True)
class StartTls:
    """Do the handshake now."""


Action: TypeAlias = Commands | Greeting | Content | StartTls


@dataclass(frozen=True, slots=True)
class Recipient:
    """RCPT TO. `address` is ready for the wire; `notify` are keywords of RFC 3461 §4.1; `original` is ORCPT,
    `type;address` decoded."""

    address: str
    notify: frozenset[str] = frozenset()
    original: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A transaction. `sender` is ready for the wire, empty for the null reverse-path. `size` is that of the content.

    The `needs_…` must be there or the transaction fails; `has_8bit` asks for BODY=8BITMIME where it is announced."""

    sender: str
    recipients: Sequence[Recipient]
    size: int
    has_8bit: bool = False
    needs_8bitmime: bool = False
    needs_smtputf8: bool = False
    needs_requiretls: bool = False
    envelope_id: str = ""
    return_full: bool = False
    use_chunking: bool = True


@dataclass(frozen=True, slots=True)
class Delivered:
    """Answers for the recipients in order; at least one was accepted, and the content too. `final` is the answer to
    the content."""

    recipients: tuple[Response, ...]
    final: Response


@dataclass(slots=True)
class Peer:
    """What is known of the server. Emptied by STARTTLS: what was said before could be anybody's. RFC 3207 §4.2"""

    greeting_name: str = ""
    extensions: Extensions = field(default_factory=Extensions)
    extended: bool = False


def greet(peer: Peer) -> Generator[Action, list[Answer], None]:
    """The greeting."""
    response = _only((yield Greeting()))
    if response.code != 220:
        raise unexpected(response, "220", "(greeting)")
    peer.greeting_name = response.text.partition(" ")[0]


def hello(peer: Peer, hostname: str, after_tls: bool = False) -> Generator[Action, list[Answer], None]:
    """EHLO, or HELO for servers that know nothing else; not after STARTTLS, which takes EHLO to learn of."""
    peer.extensions, peer.extended = Extensions(), False
    response = _only((yield Commands([f"EHLO {hostname}\r\n".encode()], ["ehlo"])))
    if response.code in _EHLO_UNKNOWN:
        if after_tls:
            raise SmtpClientError(
                Kind.PROTOCOL, True, "ehlo", "no EHLO after STARTTLS", response.code, "", response.lines
            )
        response = _only((yield Commands([f"HELO {hostname}\r\n".encode()], ["helo"])))
        if response.code != 250:
            raise unexpected(response, "250", "helo")
        return
    if response.code != 250:
        raise unexpected(response, "250", "ehlo")
    peer.extensions, peer.extended = parse_extensions(response), True


def start_tls(peer: Peer, hostname: str) -> Generator[Action, list[Answer], None]:
    """STARTTLS, the handshake, and EHLO again. RFC 3207 §4"""
    response = _only((yield Commands([b"STARTTLS\r\n"], ["starttls"])))
    if response.code != 220:
        raise unexpected(response, "220", "starttls", Kind.TLS)
    yield StartTls()
    yield from hello(peer, hostname, after_tls=True)


# Chooses among the mechanisms that the server announces; None when there is none.
ChooseMechanism: TypeAlias = Callable[[Sequence[str]], ClientMechanism | None]


def authenticate(peer: Peer, choose: ChooseMechanism) -> Generator[Action, list[Answer], None]:
    """AUTH. Its failures are temporary: a wrong password is the administrator's to mend, no fault of a message."""
    mechanism = choose(peer.extensions.auth)
    if mechanism is None:
        offered = " ".join(peer.extensions.auth) or "none"
        raise SmtpClientError(Kind.AUTH, command="auth", detail=f"no mechanism in common, server offers {offered}")
    initial = mechanism.initial()
    line = f"AUTH {mechanism.name}"
    if initial is not None:
        line += f" {base64.b64encode(initial).decode() or '='}"
    response = _only((yield Commands([f"{line}\r\n".encode()], ["auth"])))
    while response.code == 334:
        answer = _auth_answer(mechanism, response)
        response = _only((yield Commands([answer + b"\r\n"], ["auth"])))
        if answer == b"*":
            raise unexpected(response, "501", "auth", Kind.AUTH, permanent=False)
    if response.code != 235:
        raise unexpected(response, "235", "auth", Kind.AUTH, permanent=False)
    if not mechanism.is_done:
        raise SmtpClientError(Kind.AUTH, command="auth", detail="server reports success too early")


def _auth_answer(mechanism: ClientMechanism, response: Response) -> bytes:
    """The answer to a challenge; `*` gives up."""
    if len(response.lines) != 1:
        return b"*"
    try:
        challenge = base64.b64decode(response.text, validate=True)
        return base64.b64encode(mechanism.step(challenge))
    except (binascii.Error, SaslClientError):
        return b"*"


def reset() -> Generator[Action, list[Answer], None]:
    """RSET, before another transaction when the last one did not end with its content."""
    response = _only((yield Commands([b"RSET\r\n"], ["rset"])))
    if response.code != 250:
        raise unexpected(response, "250", "rset")


def deliver(peer: Peer, envelope: Envelope) -> Generator[Action, list[Answer], Delivered]:
    """A transaction. When one recipient alone is refused that is the error; when all of several are, the error carries
    the answers in `refused`."""
    check(peer.extensions, envelope)
    lines = [mail_command(peer.extensions, envelope)]
    lines += [rcpt_command(peer.extensions, recipient) for recipient in envelope.recipients]
    chunked = peer.extensions.chunking and envelope.use_chunking
    if peer.extensions.pipelining:
        return (yield from _pipelined(lines, chunked))
    return (yield from _one_by_one(lines, chunked))


def check(extensions: Extensions, envelope: Envelope) -> None:
    """The server can take the message. Raises SmtpClientError."""
    if envelope.needs_8bitmime and not extensions.eightbitmime:
        raise SmtpClientError(Kind.EIGHTBIT, True, "mailfrom")
    if envelope.needs_smtputf8 and not extensions.smtputf8:
        raise SmtpClientError(Kind.SMTPUTF8, False, "mailfrom")
    if envelope.needs_requiretls and not extensions.requiretls:
        raise SmtpClientError(Kind.REQUIRETLS, False, "mailfrom")
    if 0 < extensions.size < envelope.size:
        detail = f"message is {envelope.size} bytes, remote has a {extensions.size} bytes maximum size"
        raise SmtpClientError(Kind.SIZE, True, "mailfrom", detail)


def mail_command(extensions: Extensions, envelope: Envelope) -> bytes:
    """MAIL FROM with the parameters that the server understands."""
    line = f"MAIL FROM:<{envelope.sender}>"
    if extensions.has_size:
        line += f" SIZE={envelope.size}"
    if extensions.eightbitmime:
        line += " BODY=8BITMIME" if envelope.has_8bit else " BODY=7BIT"
    if envelope.needs_smtputf8:
        line += " SMTPUTF8"
    if envelope.needs_requiretls:
        line += " REQUIRETLS"
    if extensions.dsn:
        line += " RET=FULL" if envelope.return_full else ""
        line += f" ENVID={xtext(envelope.envelope_id)}" if envelope.envelope_id else ""
    return f"{line}\r\n".encode()


def rcpt_command(extensions: Extensions, recipient: Recipient) -> bytes:
    """RCPT TO with what the sender wants to be told, if the server does that. RFC 3461 §4"""
    line = f"RCPT TO:<{recipient.address}>"
    if extensions.dsn and recipient.notify:
        line += f" NOTIFY={','.join(sorted(recipient.notify))}"
    if extensions.dsn and recipient.original:
        kind, _, address = recipient.original.partition(";")
        line += f" ORCPT={kind};{xtext(address)}"
    return f"{line}\r\n".encode()


def xtext(text: str) -> str:
    """RFC 3461 §4; what is not ASCII as RFC 6533 §3 has it."""
    plain = "".join(c if c.isascii() else f"\\x{{{ord(c):X}}}" for c in text)
    return "".join(c if c in _XTEXT_PLAIN else f"+{ord(c):02X}" for c in plain)


class AllRefused(SmtpClientError):
    """Every recipient was refused. `refused` are the answers in order."""

    def __init__(self, refused: Sequence[Response], detail: str) -> None:
        super().__init__(Kind.REFUSED, False, "rcptto", detail)
        self.refused = tuple(refused)


def _only(answers: list[Answer]) -> Response:
    answer = answers[0]
    if isinstance(answer, SmtpClientError):
        raise answer
    return answer


def _soften(response: Response, is_first: bool, pipelined: bool) -> Response:
    """552 for a recipient used to mean too many of them: try that one again. RFC 5321 §4.5.3.1.10

    With pipelining the server cannot tell us to stop, so it is taken so for all; otherwise not for the first."""
    if response.code != 552 or (is_first and not pipelined):
        return response
    return replace(response, softened=True)


def _pipelined(lines: list[bytes], chunked: bool) -> Generator[Action, list[Answer], Delivered]:
    """All commands at once (RFC 2920 §3.1). With BDAT the content waits for the answers, as it comes unasked."""
    count = len(lines) - 1
    names = ["mailfrom", *["rcptto"] * count]
    if not chunked:
        lines, names = [*lines, b"DATA\r\n"], [*names, "data"]
    answers = yield Commands(lines, names)
    mail, recipients = answers[0], answers[1 : count + 1]
    data = None if chunked else answers[-1]
    # A server that refuses the sender and closes has said why: that counts, not the closed connection.
    if isinstance(mail, SmtpClientError):
        raise mail
    if mail.code != 250:
        raise unexpected(mail, "250", "mailfrom")
    heard = [_soften(r, at == 0, True) for at, r in enumerate(recipients) if isinstance(r, Response)]
    accepted = [response for response in heard if response.code in _ACCEPTED]
    broken = next((r for r in (*recipients, data) if isinstance(r, SmtpClientError)), None)
    if broken is not None:
        if broken.kind is Kind.CLOSED and not accepted and heard:
            raise unexpected(heard[-1], "250", "rcptto", Kind.REFUSED)
        raise broken
    if not accepted:
        if isinstance(data, Response) and data.code == 354:
            # The server waits for content that nobody is to get: end it at once, to be in step again.
            yield Commands([b".\r\n"], ["data"])
        raise _refused(heard, "no recipients accepted in pipelined transaction", pipelined=True)
    if isinstance(data, Response) and data.code != 354:
        raise unexpected(data, "354", "data")
    final = _only((yield Content(chunked)))
    if final.code != 250:
        raise unexpected(final, "250", "data")
    return Delivered(tuple(heard), final)


def _one_by_one(lines: list[bytes], chunked: bool) -> Generator[Action, list[Answer], Delivered]:
    mail = _only((yield Commands(lines[:1], ["mailfrom"])))
    if mail.code != 250:
        raise unexpected(mail, "250", "mailfrom")
    heard: list[Response] = []
    for line in lines[1:]:
        response = _soften(_only((yield Commands([line], ["rcptto"]))), not heard, False)
        heard.append(response)
        if response.code in _TOO_MANY and len(heard) > 1:
            heard += [response] * (len(lines) - 1 - len(heard))
            break
    if not any(response.code in _ACCEPTED for response in heard):
        raise _refused(heard, "no recipients accepted in transaction", pipelined=False)
    if not chunked:
        data = _only((yield Commands([b"DATA\r\n"], ["data"])))
        if data.code != 354:
            raise unexpected(data, "354", "data")
    final = _only((yield Content(chunked)))
    if final.code != 250:
        raise unexpected(final, "250", "data")
    return Delivered(tuple(heard), final)


def _refused(heard: Sequence[Response], detail: str, pipelined: bool) -> SmtpClientError:
    if len(heard) == 1:
        return unexpected(heard[0], "250", "rcptto", Kind.REFUSED if pipelined else Kind.STATUS)
    return AllRefused(heard, detail)
