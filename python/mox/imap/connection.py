"""Commands about the connection: CAPABILITY, NOOP, LOGOUT, ID, ENABLE, STARTTLS, COMPRESS, UNAUTHENTICATE."""

from mox import __version__
from mox._rust import Command, quote_string
from mox.imap.capabilities import ENABLEABLE, capabilities, is_disabled
from mox.imap.certificate import identify as identify_client
from mox.imap.errors import BadError, NoError
from mox.imap.session import Session


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


async def identify(session: Session, command: Command) -> str:
    """RFC 2971"""
    fields = command.args[0] or []
    session.user_agent = " ".join(f'{name}="{value or ""}"' for name, value in fields)[:1000]
    version = f' "version" {quote_string(__version__).decode()}' if session.account is not None else ""
    session.untagged(f'ID ("name" "mox"{version})')
    return ""


async def enable(session: Session, command: Command) -> str:
    """RFC 9051 §6.3.1, RFC 7162 §3.1 and §3.2.3"""
    known = [n for n in command.args[0] if n.upper() in ENABLEABLE and not is_disabled(session, n)]
    names = {name.upper() for name in known}
    if "QRESYNC" in names and not session.condstore and "CONDSTORE" not in names:
        known.append("CONDSTORE")
    if "QRESYNC" in names:
        session.enable_condstore()
    session.enabled |= names
    session.reader.set_utf8(session.utf8)
    session.untagged(" ".join(["ENABLED", *known]))
    return ""


async def starttls(session: Session, command: Command) -> str:
    """RFC 9051 §6.2.1; answers itself, because the handshake follows the answer."""
    if session.conn.tls is not None:
        raise BadError("tls already active")
    if session.tls is None:
        raise BadError("tls is not offered here")
    session.write(f"{command.tag} OK ready for TLS, cid {session.conn.cid}\r\n".encode())
    await session.flush()
    await session.conn.start_tls(session.tls, unread=session.reader.drain())
    session.certificate = await identify_client(session)
    return "-"


async def compress(session: Session, command: Command) -> str:
    """RFC 4978; answers itself, because everything after the answer is compressed."""
    if session.is_compressed:
        raise NoError("compression is active already", "COMPRESSIONACTIVE")
    if command.args[0] != "DEFLATE":
        raise NoError("only DEFLATE is supported")
    session.write(f"{command.tag} OK compress done\r\n".encode())
    await session.start_compression()
    return "-"


async def unauthenticate(session: Session, _command: Command) -> str:
    """RFC 8437"""
    session.log_out()
    return f"[CAPABILITY {capabilities(session)}] unauthenticate done"
