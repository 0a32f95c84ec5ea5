"""IMAP over connections: reads commands, checks the state they need, runs them, answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from prometheus_client import Histogram

from mox import log, metrics
from mox._rust import Command, CommandError, MessageLiteral
from mox.config.live import Config
from mox.config.model import Listener
from mox.imap import (
    append,
    connection,
    fetch,
    listing,
    login,
    mailboxes,
    messages,
    metadata,
    notify,
    search,
    select,
    sorting,
)
from mox.imap.capabilities import capabilities
from mox.imap.certificate import preauthenticate
from mox.imap.errors import BadError, CloseError, NoError, uid_required
from mox.imap.session import Session
from mox.imap.updates import apply_changes
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
    "CAPABILITY": connection.capability,
    "NOOP": connection.noop,
    "LOGOUT": connection.logout,
    "ID": connection.identify,
}
ANONYMOUS: dict[str, Handler] = {
    "STARTTLS": connection.starttls,
    "LOGIN": login.login,
    "AUTHENTICATE": login.authenticate,
}
AUTHENTICATED: dict[str, Handler] = {
    "ENABLE": connection.enable,
    "COMPRESS": connection.compress,
    "UNAUTHENTICATE": connection.unauthenticate,
    "IDLE": notify.idle,
    "NOTIFY": notify.notify,
    "SELECT": select.select,
    "EXAMINE": select.select,
    "CREATE": mailboxes.create,
    "DELETE": mailboxes.delete,
    "RENAME": mailboxes.rename,
    "SUBSCRIBE": mailboxes.subscribe,
    "UNSUBSCRIBE": mailboxes.unsubscribe,
    "LIST": listing.list_,
    "LSUB": listing.lsub,
    "STATUS": listing.status,
    "NAMESPACE": listing.namespace,
    "GETQUOTAROOT": metadata.quota_root,
    "GETQUOTA": metadata.quota,
    "GETMETADATA": metadata.get,
    "SETMETADATA": metadata.set_,
    "ESEARCH": search.esearch,
}
SELECTED: dict[str, Handler] = {
    "CHECK": select.check,
    "CLOSE": select.close,
    "UNSELECT": select.unselect,
    "EXPUNGE": messages.expunge,
    "UID EXPUNGE": messages.expunge,
    "SEARCH": search.search,
    "UID SEARCH": search.search,
    "SORT": sorting.sort,
    "UID SORT": sorting.sort,
    "THREAD": sorting.thread,
    "UID THREAD": sorting.thread,
    "FETCH": fetch.fetch,
    "UID FETCH": fetch.fetch,
    "STORE": messages.store,
    "UID STORE": messages.store,
    "COPY": messages.copy,
    "UID COPY": messages.copy,
    "MOVE": messages.move,
    "UID MOVE": messages.move,
}
# RFC 9051 §7.5.1: no EXPUNGE response may be sent while these are answered, well or badly.
NUMBERED = frozenset({"FETCH", "STORE", "SEARCH", "SORT", "THREAD"})
KEEP_CHANGES = NUMBERED | {"SELECT", "EXAMINE", "LOGOUT"}
# With UIDONLY (RFC 9586 §3).
NEED_UIDS = NUMBERED | {"COPY", "MOVE"}
# APPENDs of a connection that are stored at once.
MAX_STORING = 32
# Response codes of the command parser that are said with NO.
REFUSALS = ("BADCHARSET", "BADEVENT")


@dataclass(frozen=True, slots=True)
class Delays:
    """How long clients wait that do wrong, and how often those are told who wait for a search; in seconds."""

    bad_client_s: float = 1.0
    auth_fail_s: float = 1.0
    progress_s: float = 10.0


class ImapContext:
    """What all IMAP connections of a process share."""

    def __init__(self, config: Config, store: Store, stopping: asyncio.Event, delays: Delays | None = None) -> None:
        self.config, self.store, self.stopping = config, store, stopping
        self.delays = delays or Delays()
        self.logins = Logins(config, store)
        limits = config.static.Limits
        self.rate = RateLimiter(60, limits.IMAPConnectionsPerMinute)
        self.open = ConnectionLimiter(limits.IMAPConnections)
        self.sessions: set[Session] = set()
        self._watch: asyncio.Task[None] | None = None

    @staticmethod
    def now_ms() -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def add(self, session: Session) -> None:
        """A session began; it is ended when the server stops."""
        self.sessions.add(session)
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._end_all(), name="imap shutdown")

    async def _end_all(self) -> None:
        await self.stopping.wait()
        for session in self.sessions:
            session.kick("shutting down")

    def keep_client_keys(self, fingerprints: frozenset[str]) -> None:
        """End the sessions of clients whose TLS key is none of these, the known ones: it was removed."""
        for session in self.sessions:
            tls = session.conn.tls
            if session.certificate is not None and tls is not None and tls.peer_key_fingerprint not in fingerprints:
                session.kick("your TLS public key was removed")

    def kick(self, account: str, text: str) -> None:
        """End all sessions of an account, for example because its password changed."""
        for session in self.sessions:
            if session.account_name == account:
                session.kick(text)


@cache
def _durations(name: str, result: str) -> Histogram:
    """Looking it up by its labels takes as long as a small command. Names are those of known commands."""
    return metrics.imap_commands.labels(name, result)


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
        raise NoError("not allowed in this connection state")
    if session.uid_only and name in NEED_UIDS:
        raise uid_required()
    return found


class Shell:
    """Drives one session."""

    __slots__ = ("_commands", "_ctx", "_incoming", "_session", "_storing", "_turn")

    def __init__(self, session: Session, ctx: ImapContext) -> None:
        self._session, self._ctx = session, ctx
        self._incoming: append.Incoming | None = None
        # APPENDs that are being stored while the next one is read; they are answered in order.
        self._storing: list[tuple[Command, asyncio.Task[append.Stored]]] = []
        # Set when the last of them is stored; None before the first.
        self._turn: asyncio.Event | None = None
        self._commands = 0

    @property
    def _log(self) -> Any:
        return _logger.bind(cid=self._session.conn.cid, remote=self._session.conn.remote[0])

    async def run(self) -> None:
        """Until the client goes, or the server stops."""
        session = self._session
        if await preauthenticate(session):
            session.untagged(f"PREAUTH [CAPABILITY {capabilities(session)}] mox imap welcomes {session.user}")
        else:
            session.untagged(f"OK [CAPABILITY {capabilities(session)}] mox imap")
        while not session.logged_out:
            event = await self._next_event()
            session.is_current = False
            if self._ctx.stopping.is_set():
                raise CloseError("shutting down")
            if event[0] != "append" and self._incoming is None:
                await self._answer_appends()
            match event[0]:
                case "continue":
                    session.write(b"+ \r\n")
                case "command":
                    await self._command(event[1])
                case "append":
                    await self._message(event[1])
                case "error":
                    await self._bad(event[1])
        await session.finish_output()

    async def _next_event(self) -> tuple[Any, ...]:
        session = self._session
        timeout_s = ANONYMOUS_TIMEOUT_S if session.account is None else AUTHENTICATED_TIMEOUT_S
        if session.is_slow:
            await asyncio.sleep(self._ctx.delays.bad_client_s)
        try:
            while (event := session.reader.next()) is None:
                await self._answer_appends()
                watch = session.notify is not None and self._incoming is None
                if not await session.receive(timeout_s, watch):
                    await apply_changes(session, with_delayed=False)
        except TimeoutError:
            raise CloseError("inactive") from None
        return event

    async def _message(self, literal: MessageLiteral) -> None:
        self._commands += 1
        try:
            self._incoming = await append.take_message(self._session, self._incoming, literal)
        except NoError as err:
            self._incoming = None
            await self._answer_appends()
            await self._result(literal.tag, literal.name, _failure(err, literal.name))

    def _store(self, command: Command, state: append.Incoming) -> None:
        """Store the messages of an APPEND meanwhile; the order of commands is the order of UIDs."""
        turn, self._turn = self._turn, asyncio.Event()
        task = asyncio.ensure_future(append.store(self._session, state, turn, self._turn))
        self._storing.append((command, task))

    async def _answer_appends(self, leave: int = 0) -> None:
        """Answer APPENDs until `leave` of them are unanswered."""
        while len(self._storing) > leave:
            command, task = self._storing.pop(0)
            await self._answer(command, self._stored(task))

    async def _stored(self, task: asyncio.Task[append.Stored]) -> str:
        return await append.show(self._session, await task)

    async def end(self) -> None:
        """The connection ends: let what is being stored come to its end."""
        await self._give_up()
        for _, task in self._storing:
            await asyncio.wait({task})
            # Nobody is left to be told.
            task.exception()

    async def _give_up(self) -> None:
        if self._incoming is not None:
            await append.discard(self._session, self._incoming)
            self._incoming = None

    async def _bad(self, error: CommandError) -> None:
        await self._give_up()
        await self._answer_appends()
        if self._commands == 0 and (error.unknown or not error.name):
            raise CloseError("please try again speaking imap")
        self._commands += not error.unknown
        self._log.info("bad command", cmd=error.name, err=error.text)
        if error.fatal:
            self._session.untagged(f"BYE [ALERT] {error.text}")
            self._session.logged_out = True
        name = error.name.lower()
        if error.code.startswith(REFUSALS):
            answer = f"NO [{error.code}] {name} {error.text}"
        else:
            code = f"[{error.code}] " if error.code else ""
            answer = f"BAD {code}{name} unrecognized syntax/command: {error.text}"
        await self._result(error.tag, error.name, answer)

    async def _command(self, command: Command) -> None:
        self._commands += 1
        state, self._incoming = self._incoming, None
        if state is None:
            await self._answer(command, self._run(command))
        elif command.name == "APPEND":
            self._store(command, state)
            await self._answer_appends(MAX_STORING)
        else:
            await self._answer(command, append.replace(self._session, state))

    async def _run(self, command: Command) -> str:
        return await _handler(self._session, command.name)(self._session, command)

    async def _answer(self, command: Command, work: Awaitable[str]) -> None:
        started = time.monotonic()
        result = "ok"
        name = command.name.lower()
        try:
            text = await work
            answer = f"OK {text or f'{name} done'}" if text != "-" else ""
        except NoError as err:
            result = "badsyntax" if isinstance(err, BadError) else "usererror"
            answer = _failure(err, name)
        except (ConnectionError, TimeoutError, CloseError, asyncio.CancelledError):
            raise
        except Exception:
            metrics.panics.labels("imapserver").inc()
            self._log.exception("command failed", cmd=command.name)
            result, answer = "servererror", f"NO {name} internal error, see the server's log"
        _durations(name, result).observe(time.monotonic() - started)
        if answer:
            await self._result(command.tag, command.name, answer)

    async def _result(self, tag: str, name: str, answer: str) -> None:
        session = self._session
        if name not in KEEP_CHANGES and not session.logged_out:
            # Uploads are many; what others did to mailboxes meanwhile is told with the next command that looks.
            await apply_changes(session, catches_up=name != "APPEND" or session.mailbox is not None)
        session.write(f"{tag} {answer}\r\n".encode())
        if session.said_uids:
            session.own_uids.difference_update(session.said_uids)
            session.said_uids = []


def _failure(err: NoError, name: str) -> str:
    kind = "BAD" if isinstance(err, BadError) else "NO"
    code = f"[{err.code}] " if err.code else ""
    return f"{kind} {code}{name.lower()} {err}"


def _refusal(ctx: ImapContext, ip: str) -> str:
    """Why a connection from this address is not served now; empty when it is, and then it is counted."""
    if ctx.stopping.is_set():
        return "mox shutting down"
    if not ctx.rate.add(ip):
        return "connection rate from your ip or network too high, slow down please"
    if not ctx.logins.may_try(ip):
        return "too many auth failures"
    if not ctx.open.add(ip):
        return "too many open connections from your ip or network"
    return ""


async def serve_connection(
    conn: Connection, ctx: ImapContext, service: str, listener: Listener, tls: ServerTls | None
) -> None:
    """Serve IMAP until the connection ends."""
    ip = conn.remote[0]
    _logger.info("new connection", cid=conn.cid, remote=ip, service=service, tls=conn.tls is not None)
    metrics.imap_connections.labels(service).inc()
    if refusal := _refusal(ctx, ip):
        conn.write(f"* BYE {refusal}\r\n".encode())
        return
    plain_allowed = bool(listener.IMAP and listener.IMAP.NoRequireSTARTTLS)
    session = Session(conn, ctx, tls, plain_allowed)
    ctx.add(session)
    shell = Shell(session, ctx)
    try:
        await shell.run()
    except CloseError as err:
        session.untagged(f"BYE {err}")
        await session.finish_output()
    finally:
        await shell.end()
        ctx.sessions.discard(session)
        session.close()
        ctx.open.remove(ip)
