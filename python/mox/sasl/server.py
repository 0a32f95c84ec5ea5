"""Server side of SASL mechanisms, without I/O: PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), CRAM-MD5 (RFC
2195), SCRAM (RFC 5802, 7677), EXTERNAL (RFC 4422 appendix A).

A mechanism is a generator. It yields what it needs: `Challenge` is answered with the client's response, the others with
what their docstrings say. It returns the address that logged in, and raises SaslError. Whether that address belongs to
an account that may log in is for the caller to find out.
"""

import unicodedata
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from mox.sasl import crammd5
from mox.sasl.crammd5 import CramSecrets
from mox.sasl.errors import Failure, SaslError
from mox.sasl.scram import ScramSecrets, ScramServer, parse_plain


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send to the client; the answer is its response in bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """The answer is whether the password is right."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class GetScram:
    """The answer is ScramSecrets; for an unknown user made up ones (`scram.fake_secrets`)."""

    user: str
    hash_name: str


@dataclass(frozen=True, slots=True)
class GetCram:
    """The answer is CramSecrets, or None."""

    user: str


Request = Challenge | CheckPassword | GetScram | GetCram
Exchange = Generator[Request, Any, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a mechanism may need to know of its connection. `binding` is the tls-exporter value (RFC 9266)."""

    hostname: str
    has_tls: bool
    binding: bytes | None = None
    # The address that the TLS client certificate stands for.
    certificate_user: str = ""


def start(mechanism: str, initial: bytes | None, facts: Facts) -> Exchange:
    """The exchange of a mechanism. Raises KeyError for one that is not known."""
    name, _, hash_variant = mechanism.partition("-SHA-")
    if name == "SCRAM" and hash_variant:
        hash_name = {"1": "sha1", "256": "sha256"}[hash_variant.removesuffix("-PLUS")]
        return _scram(hash_name, mechanism.endswith("-PLUS"), initial, facts)
    return _SIMPLE[mechanism](initial, facts)


def _plain(initial: bytes | None, _facts: Facts) -> Exchange:
    response = initial if initial is not None else (yield Challenge(b""))
    user, password = parse_plain(response)
    return (yield from _password(user, password))


def _login(initial: bytes | None, _facts: Facts) -> Exchange:
    # Some clients check for exactly these texts; Outlook 365 needs them to be there.
    user = initial if initial is not None else (yield Challenge(b"Username:"))
    password = yield Challenge(b"Password:")
    return (yield from _password(_name(user), _text(password)))


def _password(user: str, password: str) -> Exchange:
    if not (yield CheckPassword(user, password)):
        raise SaslError("bad user or password", Failure.CREDENTIALS)
    return user


def _cram_md5(initial: bytes | None, facts: Facts) -> Exchange:
    if initial is not None:
        raise SaslError("CRAM-MD5 has no initial response")
    challenge = crammd5.make_challenge(facts.hostname)
    parsed = crammd5.parse_response((yield Challenge(challenge)))
    if parsed is None:
        raise SaslError("malformed CRAM-MD5 response")
    user = _name(parsed[0])
    secrets: CramSecrets | None = yield GetCram(user)
    if secrets is None or not crammd5.verify(secrets, challenge, parsed[1]):
        raise SaslError("bad user or password", Failure.CREDENTIALS)
    return user


def _scram(hash_name: str, plus: bool, initial: bytes | None, facts: Facts) -> Exchange:
    if plus and not facts.has_tls:
        raise SaslError("channel binding needs TLS", Failure.NEEDS_TLS)
    server = ScramServer(hash_name, plus, facts.binding)
    first = server.client_first(initial if initial is not None else (yield Challenge(b"")))
    secrets: ScramSecrets = yield GetScram(first.username, hash_name)
    response = yield Challenge(server.server_first(secrets))
    try:
        final = server.client_final(response)
    except SaslError as err:
        # RFC 5802 §7: the client learns why, acknowledges, and then gets the protocol's own failure.
        yield Challenge(f"e={err}".encode())
        raise
    yield Challenge(final)
    return first.username


def _external(initial: bytes | None, facts: Facts) -> Exchange:
    response = initial if initial is not None else (yield Challenge(b""))
    user = _name(response)
    if not facts.has_tls:
        raise SaslError("EXTERNAL needs TLS", Failure.NEEDS_TLS)
    if not facts.certificate_user:
        raise SaslError("no TLS client certificate", Failure.CREDENTIALS)
    return user or facts.certificate_user


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as err:
        raise SaslError("response is not UTF-8") from err


def _name(data: bytes) -> str:
    return unicodedata.normalize("NFC", _text(data))


_SIMPLE = {"PLAIN": _plain, "LOGIN": _login, "CRAM-MD5": _cram_md5, "EXTERNAL": _external}
