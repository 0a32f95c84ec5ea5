"""DKIM canonicalization: whole signatures of the RFCs, and dkimpy as a second opinion on real messages."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from dkim.canonicalization import Relaxed, Simple

from mox._rust import BodyHasher, body_hashes, canon_header, signed_data, split_fields, stage_bytes
from tests.conftest import DATA

# RFC 8463 appendix A.2 and A.3.
ED25519_KEY = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
RSA_KEY = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3F"
    "utACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
)
RFC8463 = b"""DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")


def tag(field: bytes, name: str) -> str:
    match = re.search(rb"(?:^|[;:])\s*" + name.encode() + rb"\s*=([^;]*)", field)
    assert match is not None
    return re.sub(r"\s", "", match[1].decode())


def test_both_signatures_of_rfc8463_verify() -> None:
    body = RFC8463.partition(b"\r\n\r\n")[2]
    signatures = [field for name, field in split_fields(RFC8463) if name == "DKIM-Signature"]
    for signature in signatures:
        ((digest, _),) = body_hashes(body, [("relaxed", "sha256", None)])
        assert base64.b64encode(digest).decode() == tag(signature, "bh")
        data = signed_data(RFC8463, tag(signature, "h").split(":"), signature, "relaxed")
        value = base64.b64decode(tag(signature, "b"))
        if tag(signature, "a").startswith("ed25519"):
            key = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(ED25519_KEY))
            key.verify(value, hashlib.sha256(data).digest())
        else:
            rsa_key = serialization.load_der_public_key(base64.b64decode(RSA_KEY))
            assert isinstance(rsa_key, rsa.RSAPublicKey)
            rsa_key.verify(value, data, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize(
    ("canon", "value"),
    [
        ("simple", "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="),
        ("relaxed", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ],
)
def test_empty_body(canon: str, value: str) -> None:
    """RFC 6376 §3.4.3, §3.4.4."""
    assert base64.b64encode(BodyHasher(canon, "sha256").finish()[0]).decode() == value


def test_hasher_in_pieces_with_limit() -> None:
    hasher = BodyHasher("relaxed", "sha1", 7)
    for piece in (b"one ", b" two", b" \r", b"\nthree"):
        hasher.feed(piece)
    assert hasher.finish() == (hashlib.sha1(b"one two").digest(), len(b"one two\r\nthree\r\n"))
    with pytest.raises(ValueError):
        hasher.finish()
    with pytest.raises(ValueError):
        hasher.feed(b"")


@pytest.mark.parametrize(("canon", "algorithm"), [("loose", "sha256"), ("simple", "md5")])
def test_unknown_names(canon: str, algorithm: str) -> None:
    with pytest.raises(ValueError):
        BodyHasher(canon, algorithm)
    with pytest.raises(ValueError):
        body_hashes(b"", [(canon, algorithm, None)])


def test_body_of_a_staged_message() -> None:
    specs = [("relaxed", "sha256", None), ("simple", "sha1", 3)]
    assert stage_bytes(b"A: b\r\n\r\nc  d\r\n").body_hashes(specs) == body_hashes(b"c  d\r\n", specs)


def test_broken_header() -> None:
    with pytest.raises(ValueError, match="octet 6"):
        split_fields(b"A: 1\r\nnothing\r\n\r\n")


def test_agrees_with_dkimpy_on_real_messages(corpus: list[Path]) -> None:
    dkim = sorted(p for p in (DATA / "dkim").iterdir() if p.suffix in {".msg", ".message", ".mbox"})
    for path in corpus + dkim:
        message = re.sub(rb"\r?\n", b"\r\n", path.read_bytes())
        header, _, body = message.partition(b"\r\n\r\n")
        (relaxed, _), (simple, _) = body_hashes(body, [("relaxed", "sha256", None), ("simple", "sha256", None)])
        # Up to the CRLF that a body without one gets, which dkimpy leaves out.
        if body.endswith(b"\r\n") and not re.search(rb"\r(?!\n)|[\x0b\x0c]", body):
            assert relaxed == hashlib.sha256(Relaxed.canonicalize_body(body)).digest(), path
            assert simple == hashlib.sha256(Simple.canonicalize_body(body)).digest(), path
        try:
            fields = split_fields(header + b"\r\n\r\n")
        except ValueError:
            continue
        for name, field in fields:
            value = field.partition(b":")[2]
            ((their_name, their_value),) = Relaxed.canonicalize_headers([(name.encode(), value)])
            if not re.search(rb"[\x0b\x0c\x85]|\r(?!\n)", value):
                assert canon_header(field, "relaxed") == their_name.lower() + b":" + their_value, path
