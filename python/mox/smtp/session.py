"""The SMTP server session (RFC 5321, RFC 6409) without I/O: bytes in, events and bytes out.

Feed what the peer sends to `Session.receive`, take events with `next_event`, answer those that ask for a decision, send
`take_output`. Everything that one can decide by the protocol alone is decided here; who may send what to whom, and
what becomes of a message, is decided by whoever answers the events. It knows no socket and no clock but the one it is
given. Arguments are parsed in `arguments` and `address`; extensions: PIPELINING (RFC 2920), SIZE (1870), STARTTLS
(3207), AUTH (4954), 8BITMIME (6152), CHUNKING and BINARYMIME (3030), DSN (3461), ENHANCEDSTATUSCODES (2034), SMTPUTF8
(6531), FUTURERELEASE (4865), REQUIRETLS (8689), LIMITS (9422).
"""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime

from mox.smtp import arguments
from mox.smtp.address import AddressError, NotAsciiError, parse_forward_path
from mox.smtp.address import parse_reverse_path as parse_reverse
from mox.smtp.arguments import Capabilities
from mox.smtp.content import Content, Progress
from mox.smtp.events import (
    AuthAborted,
    AuthRequested,
    AuthResponse,
    Closed,
    ContentRequested,
    Event,
    HelloGiven,
    MailGiven,
    MessageReceived,
    NeedInput,
    Receiver,
    Recipient,
    RecipientGiven,
    TlsRequested,
    Transaction,
)
from mox.smtp.hello import CLEARTEXT, MECHANISMS, Offer, extensions, offered_mechanisms, parse_name
from mox.smtp.reply import SHUTTING_DOWN, Reply, SmtpError, bad_sequence, bad_syntax

MAX_LINE = 2048
# RFC 4954 §4: responses may be long (tokens, Kerberos tickets).
MAX_AUTH_LINE = 12288
# A peer with more refused commands than this in a connection is not worth talking to.
MAX_BAD_COMMANDS = 20
# From this many failed AUTHs on the connection is slow.
SLOW_AFTER_FAILURES = 3
# A client with more refused and no accepted transactions guesses addresses.
MAX_BAD_TRANSACTIONS = 10

_STRING = re.compile(r' (?:"(?:[^"\\\ud800-\udfff]|\\[ -~])+"|[^\x00-\x20\x7f\ud800-\udfff]+)[ \t]*')


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Session:
    """State of one connection. `session_id` goes to the end of each refusal, for finding it in the logs."""

    def __init__(
        self,
        offer: Offer,
        remote_ip: str,
        *,
        has_tls: bool = False,
        session_id: str = "",
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.offer = offer
        self.remote_ip = remote_ip
        self.has_tls = has_tls
        self.hello = ""
        self.is_extended = False
        # Whom the client is: by SASL, or by its TLS certificate.
        self.account = ""
        self.user = ""
        self.is_sasl = False
        self.auth_failures = 0
        self.is_slow = False
        self.transaction: Transaction | None = None
        self.replies: list[tuple[str, Reply]] = []
        self._id = session_id
        self._now = now
        self._certificate: tuple[str, str] | None = None
        self._buffer = bytearray()
        self._output = bytearray()
        self._eof = False
        self._command = "(greeting)"
        self._is_first = True
        self._bad_commands = 0
        self._bad_transactions = self._good_transactions = 0
        self._asked: Event | None = None
        self._mechanism = ""
        self._in_auth = False
        self._content = Content()
        self._closing = False
        self._send(Reply(220, "", f"{offer.hostname} ESMTP mox"))

    # Input, output, events

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; b"" is the end of the stream."""
        if data:
            self._buffer += data
        else:
            self._eof = True

    def take_output(self) -> bytes:
        """What is to be sent."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def take_unread(self) -> bytes:
        """Bytes after STARTTLS: they belong to the handshake, and are never commands."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def next_event(self) -> Event:
        """Work on what was received until something is needed from outside."""
        assert self._asked is None, "the last event was not answered"
        while True:
            if self._closing:
                return Closed()
            event = self._take_content() if self._content.is_active else self._next_line()
            if event is None:
                continue
            if isinstance(event, NeedInput) and self._eof:
                self._closing = True
                continue
            if not isinstance(event, (NeedInput, AuthAborted)):
                self._asked = event
            return event

    def _next_line(self) -> Event | None:
        limit = MAX_AUTH_LINE if self._in_auth else MAX_LINE
        end = self._buffer.find(b"\n")
        if end > limit or (end < 0 and len(self._buffer) > limit):
            self._send(Reply(500, "5.5.0", "line too long", closes=True))
            return None
        if end < 0:
            return NeedInput()
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        try:
            return self._auth_line(line) if self._in_auth else self._run(line.decode(errors="surrogateescape"))
        except SmtpError as err:
            self._refuse(err.reply)
            return AuthAborted(self._mechanism, False) if self._command == "auth" and self._mechanism else None

    def _send(self, reply: Reply) -> None:
        self.replies.append((self._command, reply))
        self._output += reply.render()
        if reply.closes:
            self._closing = True

    def _refuse(self, reply: Reply) -> None:
        self._bad_commands += 1
        if self._bad_commands > MAX_BAD_COMMANDS and not reply.closes:
            reply = Reply(421, "4.7.0", "too many bad commands", closes=True)
        self._send(reply.tagged(self._id))

    def shut_down(self) -> None:
        """The program stops: say so at the next event, unless an answer is owed."""
        self._asked = None
        if not self._closing:
            self._send(SHUTTING_DOWN)

    def fail(self, reply: Reply) -> None:
        """Say why and close: a time-out, a fault of ours."""
        self._asked = None
        self._send(Reply(reply.code, reply.enhanced, reply.text, closes=True))

    # Commands

    def _run(self, line: str) -> Event | None:
        word, blank, rest = line.partition(" ")
        name = word.upper()
        handler = _COMMANDS.get(name)
        was_first, self._is_first = self._is_first, False
        self._command = name.lower() if handler else "(unknown)"
        self._mechanism = ""
        if handler is None:
            if was_first:
                raise SmtpError(500, "5.5.2", "unknown command, is this SMTP?", closes=True)
            raise SmtpError(500, "5.5.1", "unknown command")
        return handler(self, blank + rest)

    def _end(self, text: str) -> None:
        """Nothing may follow: exactly on submission; elsewhere trailing blanks are common (RFC 5321 §4.1.1.1)."""
        if text if self.offer.is_submission else text.strip(" \t"):
            raise bad_syntax("unexpected text at the end" + (f": {text!r}" if self.account else ""))

    def _need_hello(self) -> None:
        if not self.hello:
            raise bad_sequence("say EHLO first")

    def _need_account(self) -> None:
        if self.offer.is_submission and not self.account:
            raise SmtpError(530, "5.7.0", "authentication required")

    def _helo(self, rest: str) -> Event:
        return HelloGiven(parse_name(rest, False, self.offer, self.remote_ip), False)

    def _ehlo(self, rest: str) -> Event:
        return HelloGiven(parse_name(rest, True, self.offer, self.remote_ip), True)

    def _hello_accepted(self, given: HelloGiven) -> Reply:
        self.hello, self.is_extended = given.name, given.is_extended
        self._reset()
        if not given.is_extended:
            return Reply(250, "", self.offer.hostname)
        offered = extensions(self.offer, self.has_tls, self.mechanisms(), self._now())
        return Reply(250, "", "\n".join([self.offer.hostname, *offered]))

    def mechanisms(self) -> list[str]:
        """What AUTH offers now."""
        return offered_mechanisms(self.offer, self.has_tls, self._certificate is not None)

    def _starttls(self, rest: str) -> Event:
        """RFC 3207"""
        self._need_hello()
        self._end(rest)
        if self.has_tls:
            raise bad_sequence("TLS is active already")
        if self.account:
            raise bad_sequence("not after authentication")
        if not self.offer.can_start_tls:
            raise bad_sequence("STARTTLS is not offered")
        self._send(Reply(220, "2.0.0", "go ahead").tagged(self._id))
        return TlsRequested()

    def tls_started(self, account: str = "", user: str = "") -> None:
        """The handshake is done; with `account` its certificate was a known key. What was known before is forgotten
        (RFC 3207 §4.2)."""
        self._asked = None
        self.has_tls = True
        self.hello, self.is_extended, self.is_sasl = "", False, False
        self.account = self.user = ""
        if account:
            self.known_by_certificate(account, user)
        self._reset()

    def known_by_certificate(self, account: str, user: str) -> None:
        """The client's TLS key belongs to an account: no AUTH is needed, but possible once."""
        self._certificate = (account, user)
        self.account, self.user = account, user

    @property
    def certificate_account(self) -> str:
        """The account of the TLS client key, if any."""
        return self._certificate[0] if self._certificate else ""

    # AUTH (RFC 4954)

    def _auth(self, rest: str) -> Event:
        self._need_hello()
        if not self.offer.is_submission:
            raise bad_sequence("authentication is not possible on this port")
        if self.is_sasl:
            raise bad_sequence("authenticated already")
        if self.transaction is not None:
            raise bad_sequence("not during a transaction")
        self._mechanism = "(unrecognized)"
        self.auth_failures += 1
        self.is_slow = self.is_slow or self.auth_failures >= SLOW_AFTER_FAILURES
        found = re.fullmatch(r" ([A-Z0-9_-]{1,20})(?:( +)(\S*))?", rest)
        if found is None or (self.offer.pedantic and (found[2] or " ") != " "):
            raise bad_syntax("expected a mechanism in upper case, and an initial response or nothing")
        mechanism = found[1]
        if mechanism not in MECHANISMS and mechanism != "EXTERNAL":
            raise SmtpError(504, "5.5.4", "mechanism is not supported")
        self._mechanism = mechanism
        if mechanism in CLEARTEXT and self.offer.needs_tls and not self.has_tls:
            raise SmtpError(538, "5.7.11", "this mechanism needs TLS")
        if mechanism == "EXTERNAL" and not self.has_tls:
            raise SmtpError(538, "5.7.11", "this mechanism needs TLS")
        return AuthRequested(mechanism, None if found[3] is None else self._response(found[3].encode(), True))

    def _response(self, text: bytes, is_initial: bool = False) -> bytes:
        if is_initial and not text:
            raise bad_syntax("empty initial response is written as =")
        if is_initial and text == b"=":
            return b""
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error as err:
            raise bad_syntax("response is not base64") from err

    def _auth_line(self, line: bytes) -> Event:
        self._in_auth = False
        if line == b"*":
            self._refuse(Reply(501, "5.5.0", "authentication cancelled"))
            return AuthAborted(self._mechanism, True)
        return AuthResponse(self._response(line))

    def challenge(self, data: bytes) -> None:
        """Ask the client on."""
        assert isinstance(self._asked, (AuthRequested, AuthResponse))
        self._asked = None
        self._in_auth = True
        self.replies.append((self._command, Reply(334, "", "")))
        self._output += b"334 " + base64.b64encode(data) + b"\r\n"

    def authenticated(self, account: str, user: str) -> None:
        """The exchange succeeded."""
        self._asked = None
        self.auth_failures = 0
        self.is_slow = False
        self.is_sasl = True
        self.account, self.user = account, user
        self._send(Reply(235, "2.7.0", "nice"))

    def auth_failed(self, reply: Reply, counts: bool = True) -> None:
        """The exchange failed; it does not count when only derived secrets are missing."""
        self._asked = None
        if not counts:
            self.auth_failures -= 1
        self._refuse(reply)

    # Transactions

    def _mail(self, rest: str) -> Event:
        """RFC 5321 §4.1.1.2"""
        if self._bad_transactions > MAX_BAD_TRANSACTIONS and not self._good_transactions:
            raise SmtpError(550, "5.1.0", "too many failed transactions", closes=True)
        self._need_hello()
        self._need_account()
        if self.transaction is not None:
            raise bad_sequence("there is a transaction already")
        raw, rest = arguments.split_path(rest.removeprefix(" "), "FROM:", self.offer.pedantic)
        offer = self.offer
        can = Capabilities(
            offer.max_size, offer.is_submission, self.has_tls, offer.require_tls, binary=not offer.is_submission
        )
        given = arguments.parse_mail_parameters(self._trailing(rest), can, self._now())
        try:
            sender = parse_reverse(raw, allow_utf8=given.utf8, pedantic=offer.pedantic)
        except NotAsciiError as err:
            raise SmtpError(550, "5.6.7", str(err)) from err
        except AddressError as err:
            raise self._bad_path(err, raw) from err
        if sender.is_literal and not offer.is_submission:
            raise SmtpError(550, "5.7.0", "sender with an address literal is not accepted")
        if sender.is_literal:
            raise SmtpError(550, "5.7.1", "not an address of yours")
        return MailGiven(Transaction(sender, given))

    def _trailing(self, rest: str) -> str:
        return rest if self.offer.is_submission else rest.rstrip(" \t")

    def _bad_path(self, err: AddressError, raw: str) -> SmtpError:
        # What was sent is repeated only to users who authenticated.
        return bad_syntax(f"{err}: {raw[:100]!r}" if self.account else str(err))

    def _rcpt(self, rest: str) -> Event:
        """RFC 5321 §4.1.1.3"""
        self._need_hello()
        self._need_account()
        if self.transaction is None or self._content.is_chunked:
            raise bad_sequence("MAIL first")
        raw, rest = arguments.split_path(rest.removeprefix(" "), "TO:", self.offer.pedantic)
        utf8 = self.transaction.parameters.utf8
        given = arguments.parse_rcpt_parameters(self._trailing(rest), utf8)
        try:
            path = parse_forward_path(raw, allow_utf8=utf8, pedantic=self.offer.pedantic)
        except NotAsciiError as err:
            raise SmtpError(553, "5.6.7", str(err)) from err
        except AddressError as err:
            raise self._bad_path(err, raw) from err
        if len(self.transaction.recipients) >= self.offer.max_recipients:
            raise SmtpError(452, "4.5.3", "too many recipients")
        if not self.offer.is_submission and self.transaction.sender.is_null and self.transaction.recipients:
            raise SmtpError(452, "4.5.3", "only one recipient for a notification")
        return RecipientGiven(self.transaction, Recipient(path, given))

    def accept(self) -> None:
        """Yes to HelloGiven, MailGiven, RecipientGiven."""
        asked, self._asked = self._asked, None
        match asked:
            case HelloGiven():
                self._send(self._hello_accepted(asked))
            case MailGiven():
                self.transaction = asked.transaction
                self._send(Reply(250, "2.1.0", "looking good"))
            case RecipientGiven():
                asked.transaction.recipients.append(asked.recipient)
                self._send(Reply(250, "2.1.0", "now on the list"))
            case _:
                raise AssertionError(f"nothing to accept: {asked}")

    def refuse(self, reply: Reply) -> None:
        """No to HelloGiven, MailGiven, RecipientGiven, ContentRequested."""
        asked, self._asked = self._asked, None
        if isinstance(asked, ContentRequested):
            self._transaction_over(False)
            if asked.is_chunked:
                self._content.skip_chunk()
        self._send(reply.tagged(self._id))

    def _data(self, rest: str) -> Event:
        """RFC 5321 §4.1.1.4"""
        transaction = self._ready_for_content()
        self._end(rest)
        if transaction.parameters.body == "BINARYMIME":
            raise bad_sequence("BINARYMIME goes with BDAT only")
        if self._content.is_chunked:
            raise bad_sequence("BDAT was used already")
        return ContentRequested(False, False)

    def _ready_for_content(self) -> Transaction:
        self._need_hello()
        self._need_account()
        if self.transaction is None:
            raise bad_sequence("MAIL first")
        if not self.transaction.recipients:
            raise SmtpError(503 if not self.offer.is_submission else 554, "5.5.1", "no valid recipients")
        return self.transaction

    def _bdat(self, rest: str) -> Event | None:
        """RFC 3030 §2"""
        self._content.announce(rest)
        try:
            transaction = self._ready_for_content()
        except SmtpError:
            self._content.skip_chunk()
            raise
        if self._content.is_chunked:
            return None
        return ContentRequested(True, transaction.parameters.body == "BINARYMIME")

    def receive_into(self, receiver: Receiver) -> None:
        """Yes to ContentRequested: the content goes to `receiver`."""
        asked, self._asked = self._asked, None
        assert isinstance(asked, ContentRequested)
        self._content.start(receiver, asked.is_chunked)
        if not asked.is_chunked:
            self._send(Reply(354, "", "see you at the bare dot"))

    def _take_content(self) -> Event | None:
        match self._content.take(self._buffer):
            case Progress.NEEDS_MORE:
                return NeedInput(is_data=True)
            case Progress.MESSAGE_DONE:
                assert self.transaction is not None and self._content.receiver is not None
                return MessageReceived(self.transaction, self._content.receiver)
            case Progress.CHUNK_DONE:
                self._send(Reply(250, "2.0.0", "chunk received"))
        return None

    def message_done(self, reply: Reply) -> None:
        """The answer to MessageReceived."""
        self._asked = None
        self._transaction_over(not reply.is_error)
        self._send(reply.tagged(self._id) if reply.is_error else reply)

    def _transaction_over(self, is_good: bool) -> None:
        if is_good:
            self._good_transactions += 1
        else:
            self._bad_transactions += 1
        self._reset()

    def _reset(self) -> None:
        self.transaction = None
        self._content.reset()

    def _rset(self, rest: str) -> None:
        """RFC 5321 §4.1.1.5"""
        self._end(rest)
        self._reset()
        self._send(Reply(250, "2.0.0", "all clear"))

    # The rest

    def _vrfy(self, rest: str) -> None:
        """RFC 5321 §4.1.1.6"""
        self._argument(re.sub(r" SMTPUTF8[ \t]*$", "", rest, flags=re.IGNORECASE))
        raise SmtpError(252, "2.7.0", "no verification, but will take mail and try to deliver it")

    def _expn(self, rest: str) -> None:
        """RFC 5321 §4.1.1.7"""
        self._argument(re.sub(r" SMTPUTF8[ \t]*$", "", rest, flags=re.IGNORECASE))
        raise SmtpError(252, "2.7.0", "no expansion, but will take mail and try to deliver it")

    def _argument(self, rest: str) -> None:
        """One String (RFC 5321 §4.1.2)."""
        if not _STRING.fullmatch(rest):
            raise bad_syntax("expected a string")

    def _help(self, _rest: str) -> None:
        """RFC 5321 §4.1.1.8"""
        self._send(Reply(214, "2.0.0", "see RFC 5321"))

    def _noop(self, rest: str) -> None:
        """RFC 5321 §4.1.1.9"""
        if rest.strip(" \t"):
            self._argument(rest)
        self._send(Reply(250, "2.0.0", "alrighty"))

    def _quit(self, rest: str) -> None:
        """RFC 5321 §4.1.1.10"""
        self._end(rest)
        self._send(Reply(221, "2.0.0", "okay thanks bye", closes=True))


_COMMANDS: dict[str, Callable[[Session, str], Event | None]] = {
    "HELO": Session._helo,
    "EHLO": Session._ehlo,
    "STARTTLS": Session._starttls,
    "AUTH": Session._auth,
    "MAIL": Session._mail,
    "RCPT": Session._rcpt,
    "DATA": Session._data,
    "BDAT": Session._bdat,
    "RSET": Session._rset,
    "VRFY": Session._vrfy,
    "EXPN": Session._expn,
    "HELP": Session._help,
    "NOOP": Session._noop,
    "QUIT": Session._quit,
}
