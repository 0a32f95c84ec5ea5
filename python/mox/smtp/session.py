"""The SMTP server session (RFC 5321), without I/O: lines in, replies and actions out.

Feed lines to `Session.line`; it returns the reply, and what the shell has to do in `Session.action`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from mox.smtp.address import AddressError, Path, parse_mailbox, parse_path

MAX_LINE = 2048
MAX_BAD_COMMANDS = 20


@dataclass(frozen=True, slots=True)
class Policy:
    """What a listener offers."""

    hostname: str
    is_submission: bool
    max_size: int
    max_recipients: int
    can_start_tls: bool
    need_tls_for_auth: bool
    # (command, path) to a reply that refuses it, or None.
    check_sender: Callable[[Path], bytes | None]
    check_recipient: Callable[[Path], bytes | None]


@dataclass(slots=True)
class Transaction:
    """What MAIL and RCPT gathered."""

    sender: Path
    size: int = 0
    utf8: bool = False
    eight_bit: bool = False
    recipients: list[Path] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StartTls:
    """Do the handshake after the reply was sent, then call `Session.tls_started`."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Run the SASL exchange, then call `Session.authenticated` on success."""

    mechanism: str
    initial: str | None


@dataclass(frozen=True, slots=True)
class Data:
    """Read the message, then call `Session.data_done`."""


@dataclass(frozen=True, slots=True)
class Quit:
    """Close after the reply."""


Action = StartTls | Authenticate | Data | Quit


class Session:
    """State of one connection."""

    def __init__(self, policy: Policy, has_tls: bool = False) -> None:
        self.policy = policy
        self.has_tls = has_tls
        self.hello = ""
        self.is_extended = False
        self.user = ""
        self.account = ""
        self.transaction: Transaction | None = None
        self.action: Action | None = None
        self._bad = 0

    def greeting(self) -> bytes:
        """The first line."""
        return f"220 {self.policy.hostname} ESMTP mox\r\n".encode()

    def line(self, raw: bytes) -> bytes:
        """Handle a line without its line end."""
        self.action = None
        if len(raw) > MAX_LINE:
            return self._refuse(b"500 5.5.6 line too long\r\n")
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return self._refuse(b"500 5.5.2 command is not UTF-8\r\n")
        word, _, rest = text.partition(" ")
        handler = _COMMANDS.get(word.upper())
        if handler is None:
            return self._refuse(b"500 5.5.1 unknown command\r\n")
        try:
            return handler(self, rest.rstrip(" \t"))
        except AddressError as err:
            return self._refuse(f"501 5.5.2 bad syntax: {err}\r\n".encode())

    def _refuse(self, reply: bytes) -> bytes:
        self._bad += 1
        if self._bad > MAX_BAD_COMMANDS:
            self.action = Quit()
            return b"421 4.7.0 too many bad commands\r\n"
        return reply

    def tls_started(self) -> None:
        """The handshake is done: everything known before it is forgotten (RFC 3207 §4.2)."""
        self.has_tls = True
        self.hello = ""
        self.transaction = None

    def authenticated(self, account: str, user: str) -> None:
        """The exchange succeeded."""
        self.account, self.user = account, user

    def data_done(self) -> Transaction:
        """The message was read; ends the transaction."""
        assert self.transaction is not None
        done, self.transaction = self.transaction, None
        return done

    def helo(self, rest: str) -> bytes:
        """RFC 5321 §4.1.1.1"""
        return self._hello(rest, False) or f"250 {self.policy.hostname}\r\n".encode()

    def ehlo(self, rest: str) -> bytes:
        """RFC 5321 §4.1.1.1"""
        refused = self._hello(rest, True)
        if refused:
            return refused
        lines = [self.policy.hostname, "PIPELINING", f"SIZE {self.policy.max_size}"]
        if self.policy.can_start_tls and not self.has_tls:
            lines.append("STARTTLS")
        mechanisms = self.mechanisms()
        if mechanisms:
            lines.append(f"AUTH {' '.join(mechanisms)}")
        lines += ["ENHANCEDSTATUSCODES", "8BITMIME", f"LIMITS RCPTMAX={self.policy.max_recipients}", "SMTPUTF8"]
        text = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
        return text.encode()

    def mechanisms(self) -> list[str]:
        """What AUTH offers now."""
        if not self.policy.is_submission:
            return []
        names = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"]
        if self.has_tls or not self.policy.need_tls_for_auth:
            names.append("PLAIN")
        return names

    def _hello(self, rest: str, extended: bool) -> bytes | None:
        if not rest or " " in rest or not rest.isprintable() or len(rest) > 255:
            return self._refuse(b"501 5.5.2 expected a domain or address literal\r\n")
        self.hello, self.is_extended, self.transaction = rest, extended, None
        return None

    def starttls(self, rest: str) -> bytes:
        """RFC 3207"""
        if rest:
            return self._refuse(b"501 5.5.2 STARTTLS takes no argument\r\n")
        if self.has_tls or not self.policy.can_start_tls:
            return self._refuse(b"503 5.5.1 STARTTLS is not possible now\r\n")
        self.action = StartTls()
        return b"220 2.0.0 go ahead\r\n"

    def auth(self, rest: str) -> bytes:
        """RFC 4954"""
        if not self.policy.is_submission or not self.is_extended:
            return self._refuse(b"503 5.5.1 authentication is not possible here\r\n")
        if self.account:
            return self._refuse(b"503 5.5.1 already authenticated\r\n")
        if self.transaction is not None:
            return self._refuse(b"503 5.5.1 not in a transaction\r\n")
        mechanism, _, initial = rest.partition(" ")
        if not re.fullmatch(r"[A-Z0-9_-]{1,20}", mechanism) or " " in initial:
            return self._refuse(b"501 5.5.2 bad syntax for AUTH\r\n")
        if mechanism == "PLAIN" and "PLAIN" not in self.mechanisms():
            return self._refuse(b"538 5.7.11 TLS is required for passwords\r\n")
        self.action = Authenticate(mechanism, initial or None)
        return b""

    def mail(self, rest: str) -> bytes:
        """RFC 5321 §4.1.1.2"""
        if not self.hello:
            return self._refuse(b"503 5.5.1 say EHLO first\r\n")
        if self.transaction is not None:
            return self._refuse(b"503 5.5.1 already have MAIL\r\n")
        if self.policy.is_submission and not self.account:
            return self._refuse(b"530 5.7.0 authentication required\r\n")
        if rest[:5].upper() != "FROM:":
            return self._refuse(b"501 5.5.2 expected FROM:\r\n")
        raw, rest = parse_path(rest[5:].lstrip(" "))
        transaction = Transaction(Path("", ""))
        refused = self._mail_parameters(transaction, rest)
        if refused:
            return refused
        transaction.sender = parse_mailbox(raw) if raw else transaction.sender
        if not transaction.utf8 and not raw.isascii():
            return b"550 5.6.7 SMTPUTF8 is needed for this address\r\n"
        refused = self.policy.check_sender(transaction.sender)
        if refused:
            return refused
        self.transaction = transaction
        return b"250 2.1.0 looks good\r\n"

    def _mail_parameters(self, transaction: Transaction, text: str) -> bytes | None:
        seen = set()
        for item in text.split():
            name, _, value = item.partition("=")
            name = name.upper()
            if name in seen:
                return self._refuse(b"501 5.5.4 duplicate parameter\r\n")
            seen.add(name)
            match name:
                case "SIZE" if value.isdecimal() and len(value) <= 20:
                    transaction.size = int(value)
                    if transaction.size > self.policy.max_size:
                        return b"552 5.3.4 message too large\r\n"
                case "BODY" if value.upper() in ("7BIT", "8BITMIME"):
                    transaction.eight_bit = value.upper() == "8BITMIME"
                case "SMTPUTF8" if not value:
                    transaction.utf8 = True
                case "AUTH" if self.policy.is_submission:
                    pass
                case _:
                    return self._refuse(f"555 5.5.4 unknown parameter {name[:40]!r}\r\n".encode())
        return None

    def rcpt(self, rest: str) -> bytes:
        """RFC 5321 §4.1.1.3"""
        if self.transaction is None:
            return self._refuse(b"503 5.5.1 MAIL first\r\n")
        if rest[:3].upper() != "TO:":
            return self._refuse(b"501 5.5.2 expected TO:\r\n")
        raw, rest = parse_path(rest[3:].lstrip(" "))
        if rest.strip():
            return self._refuse(b"555 5.5.4 unknown parameter\r\n")
        path = parse_mailbox(raw, allow_no_domain=raw.lower() == "postmaster")
        if not self.transaction.utf8 and not raw.isascii():
            return b"553 5.6.7 SMTPUTF8 is needed for this address\r\n"
        if len(self.transaction.recipients) >= self.policy.max_recipients:
            return b"452 4.5.3 too many recipients\r\n"
        refused = self.policy.check_recipient(path)
        if refused:
            return refused
        self.transaction.recipients.append(path)
        return b"250 2.1.0 now on the list\r\n"

    def data(self, rest: str) -> bytes:
        """RFC 5321 §4.1.1.4"""
        if self.transaction is None or rest:
            return self._refuse(b"503 5.5.1 MAIL and RCPT first\r\n")
        if not self.transaction.recipients:
            return self._refuse(b"554 5.5.1 no valid recipients\r\n")
        self.action = Data()
        return b"354 see you at the bare dot\r\n"

    def rset(self, rest: str) -> bytes:
        """RFC 5321 §4.1.1.5"""
        if rest:
            return self._refuse(b"501 5.5.2 RSET takes no argument\r\n")
        self.transaction = None
        return b"250 2.0.0 all clear\r\n"

    def noop(self, _rest: str) -> bytes:
        """RFC 5321 §4.1.1.9"""
        return b"250 2.0.0 alrighty\r\n"

    def vrfy(self, _rest: str) -> bytes:
        """RFC 5321 §4.1.1.6"""
        return b"252 2.5.2 not telling, but will try to deliver\r\n"

    def expn(self, _rest: str) -> bytes:
        """RFC 5321 §4.1.1.7"""
        return b"252 2.5.2 not telling\r\n"

    def help(self, _rest: str) -> bytes:
        """RFC 5321 §4.1.1.8"""
        return b"214 2.0.0 see RFC 5321\r\n"

    def quit(self, _rest: str) -> bytes:
        """RFC 5321 §4.1.1.10"""
        self.action = Quit()
        return b"221 2.0.0 okay thanks bye\r\n"


_COMMANDS: dict[str, Callable[[Session, str], bytes]] = {
    "HELO": Session.helo,
    "EHLO": Session.ehlo,
    "STARTTLS": Session.starttls,
    "AUTH": Session.auth,
    "MAIL": Session.mail,
    "RCPT": Session.rcpt,
    "DATA": Session.data,
    "RSET": Session.rset,
    "NOOP": Session.noop,
    "VRFY": Session.vrfy,
    "EXPN": Session.expn,
    "HELP": Session.help,
    "QUIT": Session.quit,
}
