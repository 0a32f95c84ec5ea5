"""SASL mechanisms as clients speak them, without I/O: PLAIN (RFC 4616), CRAM-MD5 (RFC 2195), SCRAM with and without
channel binding (RFC 5802, RFC 7677, RFC 9266), EXTERNAL (RFC 4422 appendix A)."""

import base64
import binascii
import hashlib
import hmac
import os
from typing import Protocol

# A server may make guessing expensive, not us.
MAX_ITERATIONS = 1_000_000
MIN_ITERATIONS = 1024


class SaslClientError(Exception):
    """The exchange cannot go on: the server breaks the mechanism's rules or does not know the password."""


class ClientMechanism(Protocol):
    """One exchange."""

    name: str

    def initial(self) -> bytes | None:
        """What goes with the AUTH command; None when the server speaks first."""

    def step(self, challenge: bytes) -> bytes:
        """The answer to a challenge. Raises SaslClientError."""

    @property
    def is_done(self) -> bool:
        """The server may report success."""


class Plain:
    """The password itself; only for encrypted connections."""

    name = "PLAIN"
    is_done = True

    def __init__(self, user: str, password: str) -> None:
        self._message = b"\0" + user.encode() + b"\0" + password.encode()

    def initial(self) -> bytes | None:
        """Everything at once."""
        return self._message

    def step(self, challenge: bytes) -> bytes:
        """There is nothing more to say."""
        raise SaslClientError("unexpected challenge for PLAIN")


class External:
    """Identity by the TLS client certificate."""

    name = "EXTERNAL"
    is_done = True

    def __init__(self, authzid: str = "") -> None:
        self._message = authzid.encode()

    def initial(self) -> bytes | None:
        """The identity to act as; empty for that of the certificate."""
        return self._message

    def step(self, challenge: bytes) -> bytes:
        """Some servers ask again with an empty challenge."""
        if challenge:
            raise SaslClientError("unexpected challenge for EXTERNAL")
        return self._message


class CramMd5:
    """A keyed digest of the server's challenge."""

    name = "CRAM-MD5"

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user, password
        self.is_done = False

    def initial(self) -> bytes | None:
        """The server speaks first."""
        return None

    def step(self, challenge: bytes) -> bytes:
        """User and digest."""
        if self.is_done:
            raise SaslClientError("unexpected second challenge for CRAM-MD5")
        if not (challenge.startswith(b"<") and challenge.endswith(b">")):
            raise SaslClientError("malformed challenge for CRAM-MD5")
        self.is_done = True
        digest = hmac.digest(self._password.encode(), challenge, "md5").hex()
        return f"{self._user} {digest}".encode()


class Scram:
    """Proof of the password by both sides. `binding` is the tls-exporter value for the -PLUS variants;
    `server_lacks_plus` says that we could bind and the server did not offer it, so that a removed offer is noticed."""

    def __init__(
        self,
        hash_name: str,
        user: str,
        password: str,
        binding: bytes | None = None,
        server_lacks_plus: bool = False,
        nonce: str = "",
    ) -> None:
        self._hash = hash_name
        self.name = f"SCRAM-{'SHA-1' if hash_name == 'sha1' else 'SHA-256'}{'-PLUS' if binding is not None else ''}"
        self._password = password
        self._binding = binding or b""
        flag = "p=tls-exporter" if binding is not None else "y" if server_lacks_plus else "n"
        self._gs2_header = f"{flag},,".encode()
        self._nonce = nonce or base64.b64encode(os.urandom(18)).decode()
        escaped = user.replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={escaped},r={self._nonce}".encode()
        self._signature = b""
        self.is_done = False

    def initial(self) -> bytes | None:
        """client-first-message"""
        return self._gs2_header + self._bare

    def step(self, challenge: bytes) -> bytes:
        """client-final-message, then the empty answer to the server's signature."""
        if self.is_done:
            raise SaslClientError("unexpected challenge after the end of SCRAM")
        return self._verify(challenge) if self._signature else self._prove(challenge)

    def _prove(self, server_first: bytes) -> bytes:
        fields = _fields(server_first)
        nonce, salt, iterations = fields.get("r", ""), fields.get("s", ""), fields.get("i", "")
        if "m" in fields:
            raise SaslClientError("server needs a SCRAM extension that is not supported")
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise SaslClientError("server does not repeat the nonce of SCRAM")
        if not iterations.isdigit() or not MIN_ITERATIONS <= int(iterations) <= MAX_ITERATIONS:
            raise SaslClientError(f"server asks for {iterations} iterations of SCRAM")
        bound = base64.b64encode(self._gs2_header + self._binding).decode()
        without_proof = f"c={bound},r={nonce}".encode()
        message = b",".join((self._bare, server_first, without_proof))
        salted = hashlib.pbkdf2_hmac(self._hash, self._password.encode(), _decode(salt), int(iterations))
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        stored_key = hashlib.new(self._hash, client_key).digest()
        signature = hmac.digest(stored_key, message, self._hash)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", self._hash), message, self._hash)
        return without_proof + b",p=" + base64.b64encode(proof)

    def _verify(self, server_final: bytes) -> bytes:
        fields = _fields(server_final)
        if "e" in fields:
            raise SaslClientError(f"server refuses: {fields['e']}")
        if not hmac.compare_digest(_decode(fields.get("v", "")), self._signature):
            raise SaslClientError("server does not know the password")
        self.is_done = True
        return b""


def _fields(message: bytes) -> dict[str, str]:
    try:
        pairs = [item.partition("=") for item in message.decode().split(",")]
    except UnicodeDecodeError as err:
        raise SaslClientError("SCRAM message of the server is not UTF-8") from err
    return {name: value for name, _, value in pairs}


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as err:
        raise SaslClientError("bad base64 in SCRAM message of the server") from err
