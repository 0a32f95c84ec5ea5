"""LOGIN and AUTHENTICATE (RFC 9051 §6.2.2 and §6.2.3, RFC 4959)."""

import asyncio
import base64
import binascii

from mox._rust import Command
from mox.imap.capabilities import capabilities, passwords_allowed
from mox.imap.errors import BadError, CloseError, NoError
from mox.imap.session import Session
from mox.sasl.errors import SaslError
from mox.store.login import LoginError, UnknownMechanismError

SASL_TIMEOUT_S = 30.0
SLOW_AFTER = 3


async def login(session: Session, command: Command) -> str:
    """RFC 9051 §6.2.3"""
    if not passwords_allowed(session):
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
    if mechanism == "PLAIN" and not passwords_allowed(session):
        raise NoError("tls required for login", "PRIVACYREQUIRED")
    await _check_rate(session)

    async def ask(challenge: bytes) -> bytes:
        session.write(b"+ " + base64.b64encode(challenge) + b"\r\n")
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
        await _failed(session, err)
        raise NoError(str(err)) from err
    except SaslError as err:
        await _failed(session, err)
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
    if session.failed_logins > SLOW_AFTER:
        await asyncio.sleep((session.failed_logins - SLOW_AFTER) * session.ctx.delays.auth_fail_s)


async def _failed(session: Session, err: Exception) -> NoError:
    session.failed_logins += 1
    if session.failed_logins >= SLOW_AFTER and session.ctx.delays.bad_client_s:
        session.is_slow = True
    await asyncio.sleep(session.ctx.delays.auth_fail_s)
    return NoError(str(err), "" if "disabled" in str(err) else "AUTHENTICATIONFAILED")


async def _done(session: Session, name: str, user: str, what: str) -> str:
    account = await session.ctx.store.open(name)
    session.log_in(account, name, user)
    # From here on the session is told of everything: the account may have let its state grow old without sessions.
    await account.sync()
    return f"[CAPABILITY {capabilities(session)}] {what} done"
