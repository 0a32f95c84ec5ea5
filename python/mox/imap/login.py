"""Commands about the connection: CAPABILITY, LOGIN, AUTHENTICATE, ENABLE, ID, STARTTLS, IDLE, NOOP, LOGOUT."""

import asyncio
import base64
import binascii

from mox import __version__
from mox._rust import Command, quote_string
from mox.imap.session import BadError, CloseError, NoError, Session
from mox.sasl.errors import SaslError
from mox.store.login import LoginError, UnknownMechanismError

CAPABILITIES = (
    "IMAP4rev2 IMAP4rev1 ENABLE LITERAL+ IDLE SASL-IR BINARY UNSELECT UIDPLUS ESEARCH SEARCHRES MOVE UTF8=ACCEPT "
    "LIST-EXTENDED SPECIAL-USE CREATE-SPECIAL-USE LIST-STATUS AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 "
    "AUTH=SCRAM-SHA-1-PLUS AUTH=SCRAM-SHA-1 ID CONDSTORE STATUS=SIZE SAVEDATE WITHIN NAMESPACE MULTIAPPEND PREVIEW"
)
ENABLEABLE = {"IMAP4REV2", "UTF8=ACCEPT", "CONDSTORE"}
AUTH_FAIL_DELAY_S = 1.0
SASL_TIMEOUT_S = 30.0
IDLE_TIMEOUT_S = 1800.0


def capabilities(session: Session) -> str:
    """What is announced now."""
    words = [CAPABILITIES]
    if session.conn.tls is None and session.tls is not None:
        words.append("STARTTLS")
    words.append("AUTH=PLAIN" if _passwords_allowed(session) else "LOGINDISABLED")
    return " ".join(words)


def _passwords_allowed(session: Session) -> bool:
    return session.conn.tls is not None or session.plain_allowed


async def capability(session: Session, _command: Command) -> str:
    """RFC 9051 §6.1.1"""
    session.untagged(f"CAPABILITY {capabilities(session)}")
    return ""


async def noop(_session: Session, _command: Command) -> str:
    """RFC 9051 §6.1.2"""
    return ""


async def logout(session: Session, _command: Command) -> str:
    """RFC 9051 §6.1.3"""
    session.unselect()
    session.untagged("BYE thanks")
    session.logged_out = True
    return ""


async def identify(session: Session, _command: Command) -> str:
    """RFC 2971"""
    version = f' "version" {quote_string(__version__).decode()}' if session.account is not None else ""
    session.untagged(f'ID ("name" "mox"{version})')
    return ""


async def enable(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.1"""
    known = [name for name in command.args[0] if name.upper() in ENABLEABLE]
    session.enabled |= {name.upper() for name in known}
    session.reader.set_utf8(session.utf8)
    session.untagged(" ".join(["ENABLED", *known]))
    return ""


async def starttls(session: Session, command: Command) -> str:
    """RFC 9051 §6.2.1; answers itself, because the handshake follows the answer."""
    if session.conn.tls is not None or session.tls is None:
        raise BadError("TLS is already active or not offered")
    session.conn.write(f"{command.tag} OK ready for TLS, cid {session.conn.cid}\r\n".encode())
    await session.flush()
    await session.conn.start_tls(session.tls, unread=session.reader.drain())
    return "-"


async def login(session: Session, command: Command) -> str:
    """RFC 9051 §6.2.3"""
    if not _passwords_allowed(session):
        raise NoError("tls required for login", "PRIVACYREQUIRED")
    user, password = command.args
    await _check_rate(session)
    try:
        name = await session.ctx.logins.password(user, password, session.conn.remote[0], "imap")
    except LoginError as err:
        raise await _failed(session, err) from err
    return await _done(session, name, user, "login")


async def authenticate(session: Session, command: Command) -> str:
    """RFC 9051 §6.2.2"""
    mechanism, initial = command.args
    if mechanism == "PLAIN" and not _passwords_allowed(session):
        raise NoError("tls required for login", "PRIVACYREQUIRED")
    await _check_rate(session)

    async def ask(challenge: bytes) -> bytes:
        session.conn.write(b"+ " + base64.b64encode(challenge) + b"\r\n")
        line = await session.line(SASL_TIMEOUT_S)
        if line == b"*":
            raise SaslError("authenticate aborted by client")
        return _base64(line)

    try:
        first = None if initial is None else b"" if initial == "=" else _base64(initial.encode())
        name, user = await session.ctx.logins.sasl(
            mechanism, first, ask, session.conn.channel_binding(), session.conn.remote[0], "imap"
        )
    except UnknownMechanismError as err:
        raise NoError(str(err)) from err
    except SaslError as err:
        if "another user" in str(err):
            raise NoError(str(err), "AUTHORIZATIONFAILED") from err
        raise BadError(str(err)) from err
    except LoginError as err:
        raise await _failed(session, err) from err
    return await _done(session, name, user, "authenticate")


def _base64(data: bytes) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as err:
        raise SaslError("bad base64") from err


async def _check_rate(session: Session) -> None:
    if not session.ctx.logins.may_try(session.conn.remote[0]):
        raise CloseError("too many auth failures")
    if session.failed_logins > 3:
        await asyncio.sleep(min(session.failed_logins - 3, 10))


async def _failed(session: Session, err: LoginError) -> NoError:
    session.failed_logins += 1
    await asyncio.sleep(AUTH_FAIL_DELAY_S)
    return NoError(str(err), "" if "disabled" in str(err) else "AUTHENTICATIONFAILED")


async def _done(session: Session, name: str, user: str, what: str) -> str:
    account = await session.ctx.store.open(name)
    session.log_in(account, name, user)
    return f"[CAPABILITY {capabilities(session)}] {what} done"


async def idle(session: Session, _command: Command) -> str:
    """RFC 9051 §6.3.13"""
    session.conn.write(b"+ waiting\r\n")
    await session.apply_changes()
    await session.flush()
    done = asyncio.ensure_future(session.line(IDLE_TIMEOUT_S))
    stopping = asyncio.ensure_future(session.ctx.stopping.wait())
    try:
        while True:
            changed = asyncio.ensure_future(session.wait_for_changes())
            await asyncio.wait({done, changed, stopping}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            if done.done():
                break
            if stopping.done():
                raise CloseError("shutting down")
            await session.apply_changes()
            await session.flush()
    finally:
        stopping.cancel()
        if not done.done():
            done.cancel()
    if done.result().upper() != b"DONE":
        raise CloseError("expected DONE")
    return ""
