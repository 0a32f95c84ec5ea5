"""Clients that TLS knows by the key of their certificate (RFC 8446 §4.4.2, RFC 4422 appendix A): who they are, and
whether they are logged in at once.

Unknown keys fail the handshake already. What is left here is a key that was removed since, and the account's state.
"""

from dataclasses import dataclass

from mox.imap.errors import CloseError
from mox.imap.session import Session
from mox.store import tlskeys


@dataclass(frozen=True, slots=True)
class Identity:
    """The account and the address of a known key."""

    account: str
    address: str
    # The client must not be logged in by the greeting: some cannot handle that.
    no_preauth: bool


async def identify(session: Session) -> Identity | None:
    """Who presented a certificate. Raises CloseError for one that may not be used any more."""
    fingerprint = session.conn.tls.peer_key_fingerprint if session.conn.tls is not None else ""
    if not fingerprint or not session.ctx.logins.may_try(session.conn.remote[0]):
        return None
    key = await session.ctx.store.read_auth(lambda tx: tlskeys.find(tx, fingerprint))
    localpart, _, domain = key.login_address.rpartition("@") if key is not None else ("", "", "")
    found = session.ctx.config.lookup_address(localpart, domain) if key is not None else None
    if key is None or found is None or found.account != key.account_name:
        raise CloseError("[ALERT] Error verifying client certificate after TLS session resumption: unknown key")
    disabled = session.ctx.config.account(key.account_name).LoginDisabled
    if disabled and not key.no_imap_preauth:
        raise CloseError(f"[ALERT] login disabled for account: {disabled}")
    return Identity(key.account_name, key.login_address, key.no_imap_preauth)


async def preauthenticate(session: Session) -> bool:
    """At the start of a connection with TLS: whether its certificate logs it in."""
    session.certificate = identity = await identify(session)
    if identity is None or identity.no_preauth:
        return False
    account = await session.ctx.store.open(identity.account)
    session.log_in(account, identity.account, identity.address)
    await account.sync()
    return True
