"""Credentials of an account: a bcrypt hash and what SCRAM needs; the password itself is not kept."""

import bcrypt
import msgspec

from mox.sasl.scram import ScramSecrets, derive
from mox.store.engine import Tx


def hashed(password: str) -> tuple[str, str, str]:
    """(bcrypt, SCRAM-SHA-1, SCRAM-SHA-256) to store. Slow by intention: call it in a thread, outside a transaction."""
    stored = bcrypt.hashpw(_cut(password), bcrypt.gensalt(10)).decode()
    sha1, sha256 = (msgspec.json.encode(derive(name, password)).decode() for name in ("sha1", "sha256"))
    return stored, sha1, sha256


def _cut(password: str) -> bytes:
    # bcrypt looks at 72 bytes; newer versions refuse longer input instead of cutting it.
    return password.encode()[:72]


def save(tx: Tx, secrets: tuple[str, str, str]) -> None:
    """Replace the credentials with what `hashed` gave."""
    tx.run("INSERT OR REPLACE INTO password VALUES (?, ?, ?, ?, NULL)", tx.account_id, *secrets)


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
