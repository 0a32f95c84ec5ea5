"""LOGIN and AUTHENTICATE (RFC 9051 §6.2.2 and §6.2.3, RFC 4959)."""

import asyncio
import base64
import binascii

from mox import log
from mox._rust import Command
from mox.imap.capabilities import capabilities, passwords_allowed
from mox.imap.errors import BadError, CloseError, NoError
from mox.imap.session import Session
from mox.sasl.errors import Failure, SaslError
from mox.store.login import Client, LoginDisabled, LoginError, UnknownMechanismError

SASL_TIMEOUT_S = 30.0
SLOW_AFTER = 3

_logger = log.get("imapserver")


async def login(session: Session, command: Command) -> str:
    """RFC 9051 §6.2.3"""
    if not passwords_allowed(session):
        raise NoError("tls required for login", "PRIVACYREQUIRED")
    user, password = command.args
    await _check_rate(session)
    logins, ip = session.ctx.logins, session.conn.remote[0]
    try:
        name = await logins.password(user, password, ip, "imap", client=_client(session))
    except LoginError as err:
        raise await _failed(session, err, "login") from err
    await _check_certificate(session, name, "login")
    return await _done(session, name, user, "login")


async def authenticate(session: Session, command: Command) -> str:
    """RFC 9051 §6.2.2"""
    mechanism, initial = command.args
    if mechanism == "PLAIN" and not passwords_allowed(session):
        raise NoError("tls required for login", "PRIVACYREQUIRED")
    await _check_rate(session)
    logins, conn, certificate = session.ctx.logins, session.conn, session.certificate

    async def ask(challenge: bytes) -> bytes:
        session.write(b"+ " + base64.b64encode(challenge) + b"\r\n")
        line = await session.line(SASL_TIMEOUT_S)
        if line == b"*" and challenge.startswith(b"e="):
            # The mechanism failed already, and says how.
            return b""
        if line == b"*":
            raise SaslError("authenticate aborted by client")
        return _base64(line)

    try:
        first = None if initial is None else b"" if initial == "=" else _base64(initial.encode())
        name, user = await logins.sasl(
            mechanism,
            first,
            ask,
            conn.channel_binding(),
            conn.remote[0],
            "imap",
            has_tls=conn.tls is not None,
            certificate_user=certificate.address if certificate is not None else "",
            client=_client(session),
        )
    except UnknownMechanismError as err:
        await _failed(session, err, mechanism)
        raise NoError(str(err)) from err
    except (SaslError, LoginError) as err:
        raise await _failed(session, err, mechanism) from err
    await _check_certificate(session, name, mechanism)
    return await _done(session, name, user, "authenticate")


async def _check_certificate(session: Session, account: str, mechanism: str) -> None:
    """Another address of the certificate's account is fine. Raises NoError for another account."""
    if session.certificate is not None and session.certificate.account != account:
        wrong = LoginError("tls client certificate public key belongs to another account")
        raise await _failed(session, wrong, mechanism)


def _client(session: Session) -> Client:
    """What is kept of an attempt."""
    tls = session.conn.tls
    return Client(
        session.conn.local[0],
        f"{tls.version} {tls.cipher_suite}" if tls is not None else "",
        tls.peer_key_fingerprint if tls is not None else "",
        session.user_agent,
    )


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


async def _failed(session: Session, err: Exception, mechanism: str) -> NoError:
    """Count and log a failure, in one line of a form that does not change, for programs that block addresses; what to
    answer."""
    failure = err.failure if isinstance(err, (SaslError, LoginError)) else Failure.SYNTAX
    result = "logindisabled" if isinstance(err, LoginDisabled) else failure.result
    _logger.info(
        "failed authentication attempt",
        cid=session.conn.cid,
        remote=session.conn.remote[0],
        mechanism=mechanism.lower(),
        result=result,
    )
    if failure is Failure.NO_SECRETS:
        return NoError(str(err))
    session.failed_logins += 1
    if session.failed_logins >= SLOW_AFTER and session.ctx.delays.bad_client_s:
        session.is_slow = True
    await asyncio.sleep(session.ctx.delays.auth_fail_s)
    if isinstance(err, LoginDisabled):
        return NoError(str(err))
    match failure:
        case Failure.CHANNEL_BINDING:
            text = "channel bindings do not match, potential mitm"
            _logger.warning(text, cid=session.conn.cid, remote=session.conn.remote[0])
            return NoError(text, "AUTHENTICATIONFAILED")
        case Failure.CREDENTIALS:
            return NoError(str(err), "AUTHENTICATIONFAILED")
        case Failure.OTHER_IDENTITY:
            return NoError(str(err), "AUTHORIZATIONFAILED")
        case Failure.NEEDS_TLS:
            return NoError(str(err), "PRIVACYREQUIRED")
        case Failure.FIRST_MESSAGE:
            return NoError(str(err))
    return BadError(str(err))


async def _done(session: Session, name: str, user: str, what: str) -> str:
    account = await session.ctx.store.open(name)
    session.log_in(account, name, user)
    # From here on the session is told of everything: the account may have let its state grow old without sessions.
    await account.sync()
    return f"[CAPABILITY {capabilities(session)}] {what} done"
