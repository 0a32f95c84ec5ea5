"""SCRAM server (RFC 5802, RFC 7677, RFC 9266), without I/O."""

import base64
import hashlib
import hmac
import os
import re
import unicodedata
from dataclasses import dataclass

import msgspec

from mox.sasl.errors import Failure, SaslError

ITERATIONS = {"sha1": 8192, "sha256": 4096}
SALT_BYTES = 12
MIN_NONCE = 8


class ScramSecrets(msgspec.Struct, frozen=True):
    """What is stored for a password."""

    salt: bytes
    iterations: int
    salted_password: bytes


def derive(hash_name: str, password: str) -> ScramSecrets:
    """New secrets for a password."""
    salt, iterations = os.urandom(SALT_BYTES), ITERATIONS[hash_name]
    return ScramSecrets(salt, iterations, hashlib.pbkdf2_hmac(hash_name, password.encode(), salt, iterations))


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """The client's first message."""

    username: str
    authzid: str
    gs2_header: bytes
    binding_name: str
    bare: bytes
    nonce: str


def _attributes(text: str) -> dict[str, str]:
    """By lower-case name; the first of a name counts. Raises ValueError."""
    found: dict[str, str] = {}
    for item in text.split(","):
        name, mark, value = item.partition("=")
        if len(name) != 1 or not name.isascii() or not name.isalpha() or not mark:
            raise ValueError("malformed SCRAM message")
        found.setdefault(name.lower(), value)
    return found


def _name(text: str) -> str:
    name = re.sub("=(2[Cc]|3[Dd])", lambda m: chr(int(m[1], 16)), text)
    if unicodedata.normalize("NFC", name) != name:
        raise _bad_first("name must be NFC-normalised")
    return name


def _bad_first(text: str) -> SaslError:
    return SaslError(text, Failure.FIRST_MESSAGE)


def parse_client_first(data: bytes) -> ClientFirst:
    """Raises SaslError."""
    try:
        text = data.decode()
        flag, _, rest = text.partition(",")
        authzid, comma, bare = rest.partition(",")
        attributes = _attributes(bare)
    except ValueError as err:
        raise _bad_first("malformed SCRAM message") from err
    if not comma or flag[:2].lower() not in ("n", "y", "p=") or (authzid and authzid[:2].lower() != "a="):
        raise _bad_first("malformed SCRAM message")
    if "m" in attributes:
        raise _bad_first("extensions-not-supported")
    if not attributes.get("n") or len(attributes.get("r", "")) < MIN_NONCE:
        raise _bad_first("malformed SCRAM message")
    binding = flag[2:] if len(flag) > 1 else flag.lower()
    header = f"{flag},{authzid},".encode()
    return ClientFirst(_name(attributes["n"]), _name(authzid[2:]), header, binding, bare.encode(), attributes["r"])


class ScramServer:
    """One exchange. `binding` is the tls-exporter value where there is one; `plus` the mechanism's variant."""

    def __init__(self, hash_name: str, plus: bool, binding: bytes | None, nonce: str | None = None) -> None:
        """`nonce` is random unless given."""
        self._hash = hash_name
        self._plus = plus
        self._binding = binding
        self._first: ClientFirst | None = None
        self._server_first = ""
        self._secrets: ScramSecrets | None = None
        self._own_nonce = nonce if nonce is not None else base64.b64encode(os.urandom(12)).decode()
        self._nonce = ""

    def client_first(self, data: bytes) -> ClientFirst:
        """Take the first message; its user name says whose secrets to look up. Raises SaslError."""
        first = parse_client_first(data)
        if first.binding_name == "y":
            raise _bad_first("server-does-support-channel-binding")
        if first.binding_name == "n" and self._plus:
            raise _bad_first("channel-bindings-dont-match")
        if first.binding_name not in ("n", "tls-exporter"):
            raise _bad_first("unsupported-channel-binding-type")
        if first.binding_name != "n" and self._binding is None:
            raise _bad_first("channel-bindings-dont-match")
        if first.authzid and first.authzid != first.username:
            raise SaslError("cannot act for another user", Failure.OTHER_IDENTITY)
        self._first = first
        return first

    def server_first(self, secrets: ScramSecrets) -> bytes:
        """The challenge."""
        assert self._first is not None
        self._secrets = secrets
        self._nonce = self._first.nonce + self._own_nonce
        salt = base64.b64encode(secrets.salt).decode()
        self._server_first = f"r={self._nonce},s={salt},i={secrets.iterations}"
        return self._server_first.encode()

    def client_final(self, data: bytes) -> bytes:
        """Verify the proof; the server's signature. Raises SaslError with the error value of RFC 5802 §7."""
        assert self._first is not None and self._secrets is not None
        without_proof, _, proof_text = data.decode(errors="replace").rpartition(",p=")
        try:
            attributes = _attributes(without_proof)
            proof = base64.b64decode(proof_text, validate=True)
        except ValueError as err:
            raise SaslError("invalid-encoding", Failure.ENCODING) from err
        bound = self._first.gs2_header + (self._binding or b"" if self._first.binding_name != "n" else b"")
        if attributes.get("r") != self._nonce:
            raise SaslError("invalid-proof", Failure.CREDENTIALS)
        if attributes.get("c") != base64.b64encode(bound).decode():
            raise SaslError("channel-bindings-dont-match", Failure.CHANNEL_BINDING)
        message = b",".join([self._first.bare, self._server_first.encode(), without_proof.encode()])
        salted = self._secrets.salted_password
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        stored_key = hashlib.new(self._hash, client_key).digest()
        signature = hmac.digest(stored_key, message, self._hash)
        expected = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        if not hmac.compare_digest(proof, expected):
            raise SaslError("invalid-proof", Failure.CREDENTIALS)
        server_key = hmac.digest(salted, b"Server Key", self._hash)
        return b"v=" + base64.b64encode(hmac.digest(server_key, message, self._hash))


def fake_secrets(hash_name: str, username: str, key: bytes) -> ScramSecrets:
    """Secrets for a user who does not exist, always the same, so that existence cannot be observed."""
    digest = hmac.digest(key, f"{hash_name}:{username}".encode(), "sha512")
    return ScramSecrets(digest[:SALT_BYTES], ITERATIONS[hash_name], os.urandom(hashlib.new(hash_name).digest_size))


def parse_plain(data: bytes) -> tuple[str, str]:
    """(user, password) of PLAIN (RFC 4616). Raises SaslError."""
    parts = data.split(b"\0")
    if len(parts) != 3:
        raise SaslError("malformed PLAIN message")
    try:
        authzid, user, password = (part.decode() for part in parts)
    except UnicodeDecodeError as err:
        raise SaslError("PLAIN message is not UTF-8") from err
    user, authzid = unicodedata.normalize("NFC", user), unicodedata.normalize("NFC", authzid)
    if authzid and authzid != user:
        raise SaslError("cannot act for another user", Failure.OTHER_IDENTITY)
    return user, password
