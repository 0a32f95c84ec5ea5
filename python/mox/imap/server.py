"""IMAP over connections: reads commands, checks the state they need, runs them, answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from mox import log, metrics
from mox._rust import Command
from mox.config.live import Config
from mox.config.model import Listener
from mox.imap import fetch, login, mailboxes, messages, search
from mox.imap.session import BadError, CloseError, NoError, Session
from mox.net.conn import Connection
from mox.net.limits import ConnectionLimiter, RateLimiter
from mox.net.tls import ServerTls
from mox.store.login import Logins
from mox.store.store import Store

AUTHENTICATED_TIMEOUT_S = 1800.0
ANONYMOUS_TIMEOUT_S = 30.0

_logger = log.get("imapserver")

Handler = Callable[[Session, Command], Awaitable[str]]

ANY: dict[str, Handler] = {
    "CAPABILITY": login.capability,
    "NOOP": login.noop,
    "LOGOUT": login.logout,
    "ID": login.identify,
}
ANONYMOUS: dict[str, Handler] = {
    "STARTTLS": login.starttls,
    "LOGIN": login.login,
    "AUTHENTICATE": login.authenticate,
}
AUTHENTICATED: dict[str, Handler] = {
    "ENABLE": login.enable,
    "IDLE": login.idle,
    "SELECT": mailboxes.select,
    "EXAMINE": mailboxes.select,
    "CREATE": mailboxes.create,
    "DELETE": mailboxes.delete,
    "RENAME": mailboxes.rename,
    "SUBSCRIBE": mailboxes.subscribe,
    "UNSUBSCRIBE": mailboxes.unsubscribe,
    "LIST": mailboxes.list_,
    "LSUB": mailboxes.lsub,
    "STATUS": mailboxes.status,
    "NAMESPACE": mailboxes.namespace,
}
SELECTED: dict[str, Handler] = {
    "CHECK": mailboxes.check,
    "CLOSE": mailboxes.close,
    "UNSELECT": mailboxes.unselect,
    "EXPUNGE": messages.expunge,
    "UID EXPUNGE": messages.expunge,
    "SEARCH": search.search,
    "UID SEARCH": search.search,
    "FETCH": fetch.fetch,
    "UID FETCH": fetch.fetch,
    "STORE": messages.store,
    "UID STORE": messages.store,
    "COPY": messages.copy,
    "UID COPY": messages.copy,
    "MOVE": messages.copy,
    "UID MOVE": messages.copy,
}
# RFC 9051 §7.5.1: no EXPUNGE response may be sent while these are answered.
KEEP_CHANGES = frozenset({"FETCH", "STORE", "SEARCH", "SELECT", "EXAMINE", "LOGIN", "AUTHENTICATE", "LOGOUT"})


class ImapContext:
    """What all IMAP connections of a process share."""

    def __init__(self, config: Config, store: Store, stopping: asyncio.Event) -> None:
        self.config, self.store, self.stopping = config, store, stopping
        self.logins = Logins(config, store)
        limits = config.static.Limits
        self.rate = RateLimiter(60, limits.IMAPConnectionsPerMinute)
        self.open = ConnectionLimiter(limits.IMAPConnections)

    @staticmethod
    def now_ms() -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def quota(self, account: str) -> int:
        """Largest size of all messages in bytes, 0 for no limit."""
        return self.config.account(account).QuotaMessageSize


def _handler(session: Session, name: str) -> Handler:
    """Raises NoError when the state does not fit."""
    found = ANY.get(name)
    if session.account is None:
        found = found or ANONYMOUS.get(name)
    else:
        found = found or AUTHENTICATED.get(name)
        if session.mailbox is not None:
            found = found or SELECTED.get(name)
    if found is None:
        raise NoError(f"{name.lower()} not allowed in this connection state")
    return found


class Shell:
    """Drives one session."""

    def __init__(self, session: Session, ctx: ImapContext) -> None:
        self._session, self._ctx = session, ctx
        self._append: messages.Append | None = None
        self._commands = 0
        self._log = _logger.bind(cid=session.conn.cid, remote=session.conn.remote[0])

    async def run(self) -> None:
        """Until the client goes, or the server stops."""
        session = self._session
        session.conn.write(f"* OK [CAPABILITY {login.capabilities(session)}] mox imap\r\n".encode())
        while not session.logged_out:
            event = await self._next_event()
            if self._ctx.stopping.is_set():
                raise CloseError("shutting down")
            match event[0]:
                case "continue":
                    session.conn.write(b"+ \r\n")
                case "command":
                    await self._command(event[1])
                case "append":
                    await self._append_message(event)
                case "error":
                    await self._bad(event)

    async def _next_event(self) -> tuple[Any, ...]:
        session = self._session
        anonymous = session.account is None
        try:
            return await session.next_event(ANONYMOUS_TIMEOUT_S if anonymous else AUTHENTICATED_TIMEOUT_S)
        except TimeoutError:
            raise CloseError("inactive") from None

    async def _append_message(self, event: tuple[Any, ...]) -> None:
        try:
            self._append = await messages.append_message(self._session, self._append, event)
        except NoError as err:
            self._append = None
            await self._result(str(event[1]), "APPEND", _failure(err, "append"))

    async def _bad(self, event: tuple[Any, ...]) -> None:
        _, tag, code, text, unknown, fatal = event
        if self._append is not None:
            await messages.discard(self._session, self._append)
            self._append = None
        if self._commands == 0 and unknown:
            raise CloseError("please try again speaking imap")
        self._log.info("bad command", err=text)
        if fatal:
            self._session.untagged(f"BYE [ALERT] {text}")
        prefix = f"[{code}] " if code else ""
        kind = "NO" if str(code).startswith("BADCHARSET") else "BAD"
        await self._result(str(tag), "", f"{kind} {prefix}{text}")
        if fatal:
            self._session.logged_out = True

    async def _command(self, command: Command) -> None:
        self._commands += 1
        started = time.monotonic()
        result = "ok"
        try:
            if command.name == "APPEND" and self._append is not None:
                state, self._append = self._append, None
                text = await messages.append_done(self._session, state)
            else:
                text = await _handler(self._session, command.name)(self._session, command)
            answer = f"OK {text or f'{command.name.lower()} done'}" if text != "-" else ""
        except NoError as err:
            result = "badsyntax" if isinstance(err, BadError) else "usererror"
            answer = _failure(err, command.name.lower())
        except (ConnectionError, TimeoutError, CloseError, asyncio.CancelledError):
            raise
        except Exception:
            metrics.panics.labels("imapserver").inc()
            self._log.exception("command failed", cmd=command.name)
            result, answer = "servererror", "NO internal error, see the server's log"
        metrics.imap_commands.labels(command.name.lower(), result).observe(time.monotonic() - started)
        if answer:
            await self._result(command.tag, command.name, answer)

    async def _result(self, tag: str, name: str, answer: str) -> None:
        session = self._session
        if name and name not in KEEP_CHANGES and not session.logged_out:
            await session.apply_changes()
        session.conn.write(f"{tag} {answer}\r\n".encode())


def _failure(err: NoError, name: str) -> str:
    kind = "BAD" if isinstance(err, BadError) else "NO"
    code = f"[{err.code}] " if err.code else ""
    return f"{kind} {code}{name} {err}"


async def serve_connection(
    conn: Connection, ctx: ImapContext, service: str, listener: Listener, tls: ServerTls | None
) -> None:
    """Serve IMAP until the connection ends."""
    ip = conn.remote[0]
    _logger.info("new connection", cid=conn.cid, remote=ip, service=service, tls=conn.tls is not None)
    metrics.imap_connections.labels(service).inc()
    refusal = ""
    if ctx.stopping.is_set():
        refusal = "mox shutting down"
    elif not ctx.rate.add(ip):
        refusal = "connection rate from your ip or network too high, slow down please"
    elif not ctx.logins.may_try(ip):
        refusal = "too many auth failures"
    elif not ctx.open.add(ip):
        refusal = "too many open connections from your ip or network"
    if refusal:
        conn.write(f"* BYE {refusal}\r\n".encode())
        return
    plain_allowed = bool(listener.IMAP and listener.IMAP.NoRequireSTARTTLS)
    session = Session(conn, ctx, tls, plain_allowed)
    try:
        await Shell(session, ctx).run()
    except CloseError as err:
        session.untagged(f"BYE {err}")
    finally:
        session.close()
        ctx.open.remove(ip)
