"""SASL mechanisms against the vectors of their RFCs and against wrong clients."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.sasl import crammd5, scram
from mox.sasl import server as mechanisms
from mox.sasl.crammd5 import derive, parse_response, verify
from mox.sasl.errors import Failure, SaslError
from mox.sasl.precis import opaque_string
from mox.sasl.scram import ScramSecrets, ScramServer, parse_client_first

PLAIN_FACTS = mechanisms.Facts("mox.example", has_tls=False)
TLS_FACTS = mechanisms.Facts("mox.example", has_tls=True, binding=b"b" * 32, certificate_user="mjl@mox.example")


def run(
    mechanism: str, respond: Callable[[bytes], bytes], initial: bytes | None = None, facts: mechanisms.Facts = TLS_FACTS
) -> str:
    """The user of an exchange in which only user/pencil is right."""
    exchange = mechanisms.start(mechanism, initial, facts)
    answer: Any = None
    try:
        while True:
            match exchange.send(answer):
                case mechanisms.Challenge(data):
                    answer = respond(data)
                case mechanisms.CheckPassword(user, password):
                    answer = (user, password) == ("user", "pencil")
                case mechanisms.GetScram(user, name):
                    answer = scram.derive(name, "pencil")
                case mechanisms.GetCram(user):
                    answer = derive("pencil") if user == "user" else None
    except StopIteration as done:
        return str(done.value)


def failure(mechanism: str, respond: Callable[[bytes], bytes], **options: Any) -> Failure:
    with pytest.raises(SaslError) as caught:
        run(mechanism, respond, **options)
    return caught.value.failure


class ScramClient:
    """A client of RFC 5802."""

    def __init__(self, name: str, password: str, gs2: str = "n,,", binding: bytes = b"", final_extra: str = "") -> None:
        self.name, self.password, self.gs2, self.binding, self.extra = name, password, gs2, binding, final_extra
        self.bare = "n=user,r=clientnonce,x=extra"
        self.count = 0
        self.last = b""

    def __call__(self, challenge: bytes) -> bytes:
        self.count += 1
        if self.count == 1:
            return f"{self.gs2}{self.bare}".encode()
        self.last = challenge
        return self.final(challenge) if self.count == 2 else b""

    def final(self, challenge: bytes) -> bytes:
        values = dict(item.split("=", 1) for item in challenge.decode().split(","))
        bound = base64.b64encode(self.gs2.encode() + self.binding).decode()
        without = f"c={bound},r={values['r']}{self.extra}"
        salt, count = base64.b64decode(values["s"]), int(values["i"])
        salted = hashlib.pbkdf2_hmac(self.name, self.password.encode(), salt, count)
        key = hmac.digest(salted, b"Client Key", self.name)
        message = f"{self.bare},{challenge.decode()},{without}".encode()
        signature = hmac.digest(hashlib.new(self.name, key).digest(), message, self.name)
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return f"{without},p={base64.b64encode(proof).decode()}".encode()


@pytest.mark.parametrize("name", ["sha1", "sha256"])
@pytest.mark.holds("smtp-in-cf53d0")
def test_scram(name: str) -> None:
    mechanism = {"sha1": "SCRAM-SHA-1", "sha256": "SCRAM-SHA-256"}[name]
    assert run(mechanism, ScramClient(name, "pencil", final_extra=",y=ignored")) == "user"
    assert run(f"{mechanism}-PLUS", ScramClient(name, "pencil", "p=tls-exporter,,", b"b" * 32)) == "user"
    assert run(mechanism, ScramClient(name, "pencil", "p=tls-exporter,,", b"b" * 32)) == "user"
    assert run(mechanism, ScramClient(name, "pencil", "n,a=user,")) == "user"
    client = ScramClient(name, "wrong")
    assert failure(mechanism, client) is Failure.CREDENTIALS
    assert client.last == b"e=invalid-proof"
    assert failure(f"{mechanism}-PLUS", ScramClient(name, "pencil", "p=tls-exporter,,", b"c" * 32)) is (
        Failure.CHANNEL_BINDING
    )


@pytest.mark.parametrize(
    ("mechanism", "first", "facts", "expected"),
    [
        ("SCRAM-SHA-256", "y,,n=user,r=clientnonce", TLS_FACTS, Failure.FIRST_MESSAGE),
        ("SCRAM-SHA-256", "y,,n=user,r=clientnonce", PLAIN_FACTS, Failure.FIRST_MESSAGE),
        ("SCRAM-SHA-256-PLUS", "n,,n=user,r=clientnonce", TLS_FACTS, Failure.FIRST_MESSAGE),
        ("SCRAM-SHA-256-PLUS", "n,,n=user,r=clientnonce", PLAIN_FACTS, Failure.NEEDS_TLS),
        ("SCRAM-SHA-256", "p=tls-exporter,,n=user,r=clientnonce", PLAIN_FACTS, Failure.FIRST_MESSAGE),
        ("SCRAM-SHA-256", "p=tls-unique,,n=user,r=clientnonce", TLS_FACTS, Failure.FIRST_MESSAGE),
        ("SCRAM-SHA-256", "n,,n=user,r=short", TLS_FACTS, Failure.FIRST_MESSAGE),
        ("SCRAM-SHA-256", "n,,m=x,n=user,r=clientnonce", TLS_FACTS, Failure.FIRST_MESSAGE),
        ("SCRAM-SHA-256", "n,,n=u\u0308,r=clientnonce", TLS_FACTS, Failure.FIRST_MESSAGE),
        ("SCRAM-SHA-256", "n,a=other,n=user,r=clientnonce", TLS_FACTS, Failure.OTHER_IDENTITY),
        ("SCRAM-SHA-256", "n", TLS_FACTS, Failure.FIRST_MESSAGE),
        ("SCRAM-SHA-256", "", TLS_FACTS, Failure.FIRST_MESSAGE),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
@pytest.mark.holds("smtp-in-cf53d0")
def test_scram_first_message(mechanism: str, first: str, facts: mechanisms.Facts, expected: Failure) -> None:
    assert failure(mechanism, lambda _: first.encode(), facts=facts) is expected


@pytest.mark.parametrize("final", [b"", b"junk", b"c=biws,r=x,p=!!", b"c=biws,r=other,p=AAAA", b"\xff,p=AAAA"])
def test_scram_last_message(final: bytes) -> None:
    answers = iter([b"n,,n=user,r=clientnonce", final, b"*"])
    assert failure("SCRAM-SHA-256", lambda _: next(answers)) in (Failure.ENCODING, Failure.CREDENTIALS)


def exchange_of_rfc(name: str, salt: str, server_nonce: str, first: str, final: str) -> bytes:
    secrets = ScramSecrets(
        base64.b64decode(salt), 4096, hashlib.pbkdf2_hmac(name, b"pencil", base64.b64decode(salt), 4096)
    )
    server = ScramServer(name, False, None, nonce=server_nonce)
    server.client_first(first.encode())
    server.server_first(secrets)
    return server.client_final(final.encode())


@pytest.mark.holds("smtp-in-cf53d0")
def test_scram_vectors() -> None:
    """RFC 5802 §5 and RFC 7677 §3."""
    assert (
        exchange_of_rfc(
            "sha1",
            "QSXCR+Q6sek8bf92",
            "3rfcNHYJY1ZVvWVs7j",
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        )
        == b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
    )
    assert (
        exchange_of_rfc(
            "sha256",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        )
        == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )


def test_scram_names_are_unescaped() -> None:
    assert parse_client_first(b"n,,n=a=2Cb=3d,r=clientnonce").username == "a,b="


def test_plain() -> None:
    assert run("PLAIN", lambda _: b"", b"\0user\0pencil") == "user"
    assert run("PLAIN", lambda _: b"user\0user\0pencil") == "user"
    assert failure("PLAIN", lambda _: b"\0user\0wrong") is Failure.CREDENTIALS
    assert failure("PLAIN", lambda _: b"other\0user\0pencil") is Failure.OTHER_IDENTITY
    assert failure("PLAIN", lambda _: b"user\0pencil") is Failure.SYNTAX
    assert failure("PLAIN", lambda _: b"\0\xff\0pencil") is Failure.SYNTAX


def test_login() -> None:
    answers = {b"Username:": b"user", b"Password:": b"pencil"}
    assert run("LOGIN", answers.__getitem__) == "user"
    assert run("LOGIN", lambda c: answers[b"Password:"], b"user") == "user"
    assert failure("LOGIN", lambda _: b"user") is Failure.CREDENTIALS
    assert failure("LOGIN", lambda _: b"\xff") is Failure.SYNTAX


def test_cram_md5() -> None:
    def client(user: bytes, password: bytes) -> Callable[[bytes], bytes]:
        return lambda challenge: user + b" " + hmac.digest(password, challenge, "md5").hex().encode()

    assert run("CRAM-MD5", client(b"user", b"pencil")) == "user"
    assert failure("CRAM-MD5", client(b"user", b"wrong")) is Failure.CREDENTIALS
    assert failure("CRAM-MD5", client(b"nobody", b"pencil")) is Failure.CREDENTIALS
    assert failure("CRAM-MD5", lambda _: b"user abc") is Failure.SYNTAX
    assert failure("CRAM-MD5", lambda _: b"", initial=b"user") is Failure.SYNTAX
    assert crammd5.make_challenge("h") != crammd5.make_challenge("h")


def test_cram_md5_vector() -> None:
    """RFC 2195 §2"""
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    response = b"tim b913a602c7eda7a495b4e6e7334d3890"
    assert parse_response(response) == (b"tim", b"b913a602c7eda7a495b4e6e7334d3890")
    assert verify(derive("tanstaaftanstaaf"), challenge, b"b913a602c7eda7a495b4e6e7334d3890")
    assert not verify(derive("tanstaaftanstaaf"), challenge, b"b913a602c7eda7a495b4e6e7334d3891")


@given(st.text(max_size=100), st.binary(max_size=200))
def test_cram_md5_is_hmac(password: str, challenge: bytes) -> None:
    try:
        key = password.encode()
    except UnicodeEncodeError:
        return
    assert verify(derive(password), challenge, hmac.digest(key, challenge, "md5").hex().encode())


def test_external() -> None:
    assert run("EXTERNAL", lambda _: b"") == "mjl@mox.example"
    assert run("EXTERNAL", lambda _: b"", b"other@mox.example") == "other@mox.example"
    assert failure("EXTERNAL", lambda _: b"", facts=PLAIN_FACTS) is Failure.NEEDS_TLS
    bare = mechanisms.Facts("mox.example", has_tls=True)
    assert failure("EXTERNAL", lambda _: b"", facts=bare) is Failure.CREDENTIALS


def test_opaque_strings() -> None:
    """RFC 8265 §4.3"""
    assert opaque_string("correct horse") == "correct horse"
    assert opaque_string("te\u0301st\u1680x") == "t\u00e9st x"
    assert opaque_string("\u03c0\u00df\u00e5") == "\u03c0\u00df\u00e5"
    for bad in ("", "my\tname", "\ue000"):
        with pytest.raises(ValueError):
            opaque_string(bad)


@given(st.binary(max_size=60), st.sampled_from(["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "EXTERNAL"]))
def test_any_response_ends_in_a_failure_or_a_user(data: bytes, mechanism: str) -> None:
    try:
        assert isinstance(run(mechanism, lambda _: data), str)
    except SaslError as err:
        assert err.failure.result
