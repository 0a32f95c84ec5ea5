"""The SMTP session as a state machine: any input, all states, and what no transcript can show."""

import base64
import hmac
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mox.sasl import server as mechanisms
from mox.smtp.events import (
    AuthAborted,
    AuthRequested,
    AuthResponse,
    Closed,
    ContentRequested,
    MessageReceived,
    NeedInput,
    TlsRequested,
)
from mox.smtp.hello import MECHANISMS, Offer
from mox.smtp.reply import Reply
from mox.smtp.session import Session

REPLY = re.compile(rb"(\d{3}-[^\r\n]*\r\n)*\d{3}( [^\r\n]*)?\r\n")


class Memory:
    """Receives content without a file."""

    def __init__(self) -> None:
        self.data = b""
        self.done = False

    def feed(self, data: bytes) -> int:
        self.data += data
        at = self.data.find(b"\r\n.\r\n")
        self.done = at >= 0
        extra = len(self.data) - at - 5 if self.done else 0
        return len(data) - extra


def drive(session: Session, data: bytes) -> bytes:
    """Feed `data` and answer every event in some way; all output."""
    session.receive(data)
    output = b""
    while True:
        match session.next_event():
            case NeedInput() | Closed():
                return output + session.take_output()
            case ContentRequested():
                session.receive_into(Memory())
            case MessageReceived():
                session.message_done(Reply(250, "2.6.0", "ok"))
            case TlsRequested():
                session.tls_started()
            case AuthRequested(mechanism, _) if mechanism != "LOGIN":
                session.auth_failed(Reply(535, "5.7.8", "no"))
            case AuthRequested():
                session.challenge(b"Password:")
            case AuthAborted():
                pass
            case AuthResponse():
                session.authenticated("mjl", "mjl@mox.example")
            case event:
                if hash(str(event)) % 5:
                    session.accept()
                else:
                    session.refuse(Reply(550, "5.0.0", "no"))


def replies(output: bytes) -> list[bytes]:
    found = []
    while output:
        match = REPLY.match(output)
        assert match, output
        found.append(match[0])
        output = output[match.end() :]
    return found


WORDS = st.sampled_from(
    [b"EHLO x", b"HELO x", b"MAIL FROM:<a@b.example>", b"MAIL FROM:<>", b"RCPT TO:<c@d.example>", b"DATA", b"x\r\n.",
     b"BDAT 3", b"BDAT 0 LAST", b"abc", b"RSET", b"STARTTLS", b"AUTH LOGIN", b"AUTH PLAIN AAA=", b"*", b"eA==", b"NOOP",
     b"VRFY x", b"HELP", b"QUIT", b"MAIL FROM:<\xff@x> SMTPUTF8", b"RCPT TO:<a@[1.2.3.4]>"]
)  # fmt: skip
LINES = st.lists(st.one_of(WORDS, st.binary(max_size=40)), max_size=30).map(lambda lines: b"\r\n".join([*lines, b""]))


@settings(max_examples=300, deadline=None)
@given(data=st.one_of(LINES, st.binary(max_size=200)), is_submission=st.booleans(), cut=st.integers(0, 200))
@pytest.mark.holds("smtp-in-af81c4")
def test_any_bytes_get_only_replies(data: bytes, is_submission: bool, cut: int) -> None:
    session = Session(Offer("mox.example", is_submission, can_start_tls=True), "10.0.0.1", session_id="ID")
    output = drive(session, data[:cut]) + drive(session, data[cut:]) + drive(session, b"")
    assert len(replies(output)) >= 1
    assert isinstance(session.next_event(), Closed)


STATES: dict[str, bytes] = {
    "start": b"",
    "hello": b"EHLO x\r\n",
    "mail": b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n",
    "recipient": b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n",
    "chunks": b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 1\r\na",
}
# Codes of each command in each of the states, in the order of STATES. RFC 5321 §4.1.4.
TABLE = {
    b"EHLO x": [250, 250, 250, 250, 250],
    b"HELO x": [250, 250, 250, 250, 250],
    b"MAIL FROM:<a@b.example>": [503, 250, 503, 503, 503],
    b"RCPT TO:<c@d.example>": [503, 503, 250, 250, 503],
    b"DATA": [503, 503, 503, 354, 503],
    b"BDAT 0 LAST": [503, 503, 503, 250, 250],
    b"STARTTLS": [503, 220, 220, 220, 220],
    b"AUTH PLAIN": [503, 503, 503, 503, 503],
    b"RSET": [250, 250, 250, 250, 250],
    b"NOOP": [250, 250, 250, 250, 250],
    b"VRFY x": [252, 252, 252, 252, 252],
    b"EXPN x": [252, 252, 252, 252, 252],
    b"HELP": [214, 214, 214, 214, 214],
    b"QUIT": [221, 221, 221, 221, 221],
}


@pytest.mark.parametrize("command", TABLE, ids=lambda c: c.decode())
@pytest.mark.parametrize("state", STATES)
def test_every_command_in_every_state(state: str, command: bytes) -> None:
    session = Session(Offer("mox.example", False, can_start_tls=True), "10.0.0.1")
    accept_all(session, STATES[state])
    output = accept_all(session, command + b"\r\n")
    assert int(replies(output)[-1][:3]) == TABLE[command][list(STATES).index(state)]


def accept_all(session: Session, data: bytes) -> bytes:
    if data:
        session.receive(data)
    while True:
        match session.next_event():
            case NeedInput() | Closed() | TlsRequested():
                return session.take_output()
            case ContentRequested():
                session.receive_into(Memory())
            case MessageReceived():
                session.message_done(Reply(250, "2.6.0", "ok"))
            case _:
                session.accept()


def authenticate(session: Session, exchange: mechanisms.Exchange, answers: list[Any], respond: Any) -> None:
    """Run `exchange` against a client that is `respond(challenge)`."""
    request = exchange.send(None)
    while True:
        if isinstance(request, mechanisms.Challenge):
            session.challenge(request.data)
            accept_login(session, respond(request.data))
            event = session.next_event()
            assert isinstance(event, AuthResponse)
            answer: Any = event.data
        else:
            answer = answers.pop(0)
        try:
            request = exchange.send(answer)
        except StopIteration as done:
            session.authenticated("mjl", done.value)
            return


def accept_login(session: Session, response: bytes) -> None:
    session.receive(base64.b64encode(response) + b"\r\n")


def test_cram_md5_through_the_session() -> None:
    from mox.sasl import crammd5

    session = Session(Offer("mox.example", True), "10.0.0.1")
    accept_all(session, b"EHLO x\r\n")
    session.receive(b"AUTH CRAM-MD5\r\n")
    event = session.next_event()
    assert isinstance(event, AuthRequested)
    exchange = mechanisms.start(event.mechanism, event.initial, mechanisms.Facts("mox.example", False))

    def respond(challenge: bytes) -> bytes:
        return b"mjl@mox.example " + hmac.digest(b"secret", challenge, "md5").hex().encode()

    authenticate(session, exchange, [crammd5.derive("secret")], respond)
    assert session.user == "mjl@mox.example"
    assert session.take_output().endswith(b"235 2.7.0 nice\r\n")


def test_three_failures_make_slow_and_success_ends_it() -> None:
    session = Session(Offer("mox.example", True), "10.0.0.1")
    accept_all(session, b"EHLO x\r\n")
    for number in range(1, 4):
        assert session.is_slow == (number > 3)
        session.receive(b"AUTH PLAIN =\r\n")
        session.next_event()
        session.auth_failed(Reply(535, "5.7.8", "no"))
    assert session.is_slow
    session.receive(b"AUTH BOGUS\r\n")
    session.next_event()
    assert session.auth_failures == 4
    session.receive(b"AUTH PLAIN =\r\n")
    session.next_event()
    session.authenticated("mjl", "mjl@mox.example")
    assert not session.is_slow
    assert session.auth_failures == 0


def test_missing_secrets_do_not_count() -> None:
    session = Session(Offer("mox.example", True), "10.0.0.1")
    accept_all(session, b"EHLO x\r\n")
    session.receive(b"AUTH CRAM-MD5\r\n")
    session.next_event()
    session.auth_failed(Reply(535, "5.7.8", "no"), counts=False)
    assert session.auth_failures == 0


def test_failed_data_ends_the_transaction() -> None:
    """RFC 5321 §4.1.1.4: buffers are cleared, also after a refusal."""
    session = Session(Offer("mox.example", False), "10.0.0.1")
    accept_all(session, STATES["recipient"] + b"DATA\r\n")
    session.receive(b"\r\n.\r\n")
    assert isinstance(session.next_event(), MessageReceived)
    session.message_done(Reply(451, "4.3.0", "later"))
    assert session.transaction is None
    assert b"250 2.1.0" in accept_all(session, b"MAIL FROM:<a@b.example>\r\n")


def test_response_of_auth_may_be_long() -> None:
    """RFC 4954 §4: 12288 octets."""
    session = Session(Offer("mox.example", True), "10.0.0.1")
    accept_all(session, b"EHLO x\r\n")
    session.receive(b"AUTH SCRAM-SHA-256\r\n")
    session.next_event()
    session.challenge(b"")
    session.receive(base64.b64encode(b"x" * 9000) + b"\r\n")
    assert session.next_event() == AuthResponse(b"x" * 9000)


def test_shutting_down_between_commands() -> None:
    session = Session(Offer("mox.example", False), "10.0.0.1")
    session.take_output()
    session.shut_down()
    assert session.next_event() == Closed()
    assert session.take_output() == b"421 4.3.2 shutting down\r\n"


def test_bytes_behind_starttls_are_no_commands() -> None:
    session = Session(Offer("mox.example", False, can_start_tls=True), "10.0.0.1")
    accept_all(session, b"EHLO x\r\n")
    session.receive(b"STARTTLS\r\nMAIL FROM:<a@b.example>\r\n")
    assert isinstance(session.next_event(), TlsRequested)
    assert session.take_unread() == b"MAIL FROM:<a@b.example>\r\n"
    session.tls_started()
    assert isinstance(session.next_event(), NeedInput)


def test_a_certificate_survives_starttls_only_when_given_again() -> None:
    session = Session(Offer("mox.example", True, can_start_tls=True, external=True), "10.0.0.1")
    accept_all(session, b"EHLO x\r\n")
    session.receive(b"STARTTLS\r\n")
    session.next_event()
    session.tls_started("mjl", "mjl@mox.example")
    assert (session.account, session.is_sasl) == ("mjl", False)
    assert session.mechanisms() == ["EXTERNAL", *MECHANISMS]
    accept_all(session, b"EHLO x\r\nRSET\r\n")
    assert session.account == "mjl"
