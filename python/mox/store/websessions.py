"""Sessions of the web pages: a token in a cookie and one against request forgery, both 16 random bytes."""

import hmac
import secrets
from dataclasses import dataclass

from mox.store.engine import Tx
from mox.store.errors import SessionRefused

LIFETIME_MS = 86_400_000
MAX_SESSIONS = 100
TOKEN_BYTES = 16
# Extending a session costs a write; it is saved only when this much would be won.
EXTEND_AFTER_MS = 300_000


@dataclass(frozen=True, slots=True)
class WebSession:
    """A log-in. `expires_ms` moves with use."""

    token: bytes
    csrf_token: bytes
    created_ms: int
    expires_ms: int
    login_address: str


def add(tx: Tx, login_address: str, now_ms: int) -> WebSession:
    """A new session; expired ones go, and of too many those that expire soonest."""
    tx.run("DELETE FROM login_session WHERE account_id = ? AND expires_ms <= ?", tx.account_id, now_ms)
    tx.run(
        "DELETE FROM login_session WHERE account_id = ?1 AND token IN (SELECT token FROM login_session "
        "WHERE account_id = ?1 ORDER BY expires_ms DESC LIMIT -1 OFFSET ?2)",
        tx.account_id,
        MAX_SESSIONS - 1,
    )
    session = WebSession(
        secrets.token_bytes(TOKEN_BYTES), secrets.token_bytes(TOKEN_BYTES), now_ms, now_ms + LIFETIME_MS, login_address
    )
    restore(tx, session)
    return session


def restore(tx: Tx, session: WebSession) -> None:
    """Insert a session that was removed with all others, such as the one that set a new password."""
    tx.run(
        "INSERT INTO login_session VALUES (?, ?, ?, ?, ?, ?)",
        tx.account_id,
        session.token,
        session.csrf_token,
        session.created_ms,
        session.expires_ms,
        session.login_address,
    )


def check(tx: Tx, token: bytes, csrf_token: bytes | None, now_ms: int) -> WebSession:
    """The session of a token, not extended; `csrf_token` None is for requests that change nothing. Raises
    SessionRefused."""
    row = tx.one(
        "SELECT token, csrf_token, created_ms, expires_ms, login_address FROM login_session "
        "WHERE account_id = ? AND token = ?",
        tx.account_id,
        token,
    )
    if row is None:
        raise SessionRefused("unknown session token")
    session = WebSession(*row)
    if session.expires_ms <= now_ms:
        raise SessionRefused("session expired (after 24 hours inactivity)")
    if csrf_token is not None and not hmac.compare_digest(session.csrf_token, csrf_token):
        raise SessionRefused("csrf token does not match")
    return session


def needs_extension(session: WebSession, now_ms: int) -> bool:
    """Its use since the last `extend` would be lost."""
    return now_ms + LIFETIME_MS - session.expires_ms >= EXTEND_AFTER_MS


def extend(tx: Tx, token: bytes, now_ms: int) -> None:
    """The session was used."""
    tx.run(
        "UPDATE login_session SET expires_ms = ? WHERE account_id = ? AND token = ?",
        now_ms + LIFETIME_MS,
        tx.account_id,
        token,
    )


def remove(tx: Tx, token: bytes) -> None:
    """Log out."""
    tx.run("DELETE FROM login_session WHERE account_id = ? AND token = ?", tx.account_id, token)


def remove_all(tx: Tx) -> None:
    """Log all out, as after a change of the password."""
    tx.run("DELETE FROM login_session WHERE account_id = ?", tx.account_id)
