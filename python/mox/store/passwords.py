"""Credentials of an account: a bcrypt hash and what SCRAM needs; the password itself is not kept."""

import bcrypt
import msgspec

from mox.sasl import crammd5
from mox.sasl.scram import ScramSecrets, derive
from mox.store import websessions
from mox.store.engine import Tx


def hashed(password: str) -> tuple[str, str, str, bytes]:
    """(bcrypt, SCRAM-SHA-1, SCRAM-SHA-256, CRAM-MD5) to store. Slow by intention: call it in a thread, outside a
    transaction."""
    stored = bcrypt.hashpw(_cut(password), bcrypt.gensalt(10)).decode()
    sha1, sha256 = (msgspec.json.encode(derive(name, password)).decode() for name in ("sha1", "sha256"))
    return stored, sha1, sha256, msgspec.json.encode(crammd5.derive(password))


def _cut(password: str) -> bytes:
    # bcrypt looks at 72 bytes; newer versions refuse longer input instead of cutting it.
    return password.encode()[:72]


def save(tx: Tx, secrets: tuple[str, str, str, bytes]) -> None:
    """Replace the credentials with what `hashed` gave, and end all web sessions."""
    websessions.remove_all(tx)
    tx.run("INSERT OR REPLACE INTO password VALUES (?, ?, ?, ?, ?)", tx.account_id, *secrets)


def bcrypt_hash(tx: Tx) -> str | None:
    """None when no password is set."""
    row = tx.one("SELECT bcrypt FROM password WHERE account_id = ?", tx.account_id)
    return None if row is None else str(row[0])


def matches(password: str, stored: str) -> bool:
    """Slow, constant-time comparison."""
    return bcrypt.checkpw(_cut(password), stored.encode())


def scram_secrets(tx: Tx, hash_name: str) -> ScramSecrets | None:
    """Secrets for `sha1` or `sha256`; None when no password is set."""
    column = {"sha1": "scram_sha1", "sha256": "scram_sha256"}[hash_name]
    row = tx.one(f"SELECT {column} FROM password WHERE account_id = ?", tx.account_id)
    return None if row is None else msgspec.json.decode(row[0], type=ScramSecrets)


def cram_secrets(tx: Tx) -> crammd5.CramSecrets | None:
    """None when no password is set, or one was set before these secrets were kept."""
    row = tx.one("SELECT cram_md5 FROM password WHERE account_id = ?", tx.account_id)
    return None if row is None or row[0] is None else msgspec.json.decode(row[0], type=crammd5.CramSecrets)
