"""The Received header field (RFC 5321 §4.4), and the ids by which others may ask about a session."""

import base64
import contextlib
import os
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path as FilePath

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from msgspec import Struct

from mox.mailauth.headerwriter import HeaderWriter
from mox.smtp.address import literal, to_unicode

KEY_BYTES = 16
RANDOM_BYTES = 8


class ReceivedIds:
    """Ids of sessions as they are shown to others: only this installation can tell the number behind them."""

    def __init__(self, key: bytes) -> None:
        """`key` is the content of receivedid.key."""
        if len(key) != KEY_BYTES + RANDOM_BYTES:
            raise ValueError(f"receivedid.key must have {KEY_BYTES + RANDOM_BYTES} bytes")
        # One block, and never the same twice: ECB leaks nothing here.
        self._cipher = Cipher(algorithms.AES(key[:KEY_BYTES]), modes.ECB())
        self._random = key[KEY_BYTES:]

    @classmethod
    def load(cls, path: FilePath) -> "ReceivedIds":
        """With the key in a file, which is made when it is missing. Raises OSError, ValueError."""
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o660)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(KEY_BYTES + RANDOM_BYTES))
        return cls(path.read_bytes())

    def encode(self, cid: int) -> str:
        """22 characters for a connection id."""
        encryptor = self._cipher.encryptor()
        block = encryptor.update(self._random + cid.to_bytes(8)) + encryptor.finalize()
        return base64.urlsafe_b64encode(block).decode().rstrip("=")

    def decode(self, text: str) -> int:
        """The connection id. Raises ValueError for an id of another installation."""
        block = base64.urlsafe_b64decode(text + "==")
        if len(block) != KEY_BYTES:
            raise ValueError("not a received id")
        decryptor = self._cipher.decryptor()
        plain = decryptor.update(block) + decryptor.finalize()
        if plain[:RANDOM_BYTES] != self._random:
            raise ValueError("received id was not made with this key")
        return int.from_bytes(plain[RANDOM_BYTES:])


class TraceFacts(Struct, frozen=True):
    """What Received tells of a transaction. `client_name` is a domain or literal in A-labels."""

    client_name: str
    # Empty on submission, which does not show where users are.
    client_ip: str
    reverse_name: str
    hostname: str
    local_ip: str
    is_extended: bool
    is_authenticated: bool
    needs_utf8: bool
    require_tls: bool
    tls_version: str
    cipher_suite: str
    session_id: str
    at: datetime

    @property
    def protocol(self) -> str:
        """RFC 3848, RFC 6531 §4.3"""
        name = "UTF8SMTP" if self.needs_utf8 else "ESMTP" if self.is_extended else "SMTP"
        if name == "SMTP":
            return name
        return name + ("S" if self.tls_version else "") + ("A" if self.is_authenticated else "")


def received(facts: TraceFacts, recipient: str = "") -> str:
    """The Received field (RFC 5321 §4.4); `for` is left out without a recipient."""
    writer = HeaderWriter("Received:")
    writer.add(" ", "from", _shown(facts.client_name, facts.needs_utf8))
    if facts.client_ip:
        name = facts.reverse_name if facts.reverse_name and facts.reverse_name != facts.client_name else ""
        writer.add(" ", f"({name} {literal(facts.client_ip)})" if name else f"({literal(facts.client_ip)})")
    if facts.needs_utf8 and _shown(facts.client_name, True) != facts.client_name:
        writer.add(" ", f"({facts.client_name})")
    writer.add(" ", "by", _shown(facts.hostname, facts.needs_utf8), f"({literal(facts.local_ip)})")
    writer.add(" ", "via", "tcp", "with", facts.protocol)
    if facts.require_tls:
        writer.add(" ", "(requiretls)")
    writer.add(" ", "id", facts.session_id)
    if facts.tls_version:
        writer.add(" ", f"({facts.tls_version} {facts.cipher_suite})")
    date = _date(facts.at.replace(microsecond=0), facts.at.utcoffset())
    if recipient:
        writer.add(" ", "for", f"<{recipient}>;", date)
    else:
        # The semicolon is not optional (RFC 5321 §4.4).
        writer.add("", ";")
        writer.add(" ", date)
    return str(writer)


@lru_cache(maxsize=8)
def _date(at: datetime, _offset: timedelta | None) -> str:
    """The same for all messages of a second. Moments are equal in different zones, hence the offset."""
    return format_datetime(at)


def _shown(name: str, utf8: bool) -> str:
    return to_unicode(name) if utf8 else name
