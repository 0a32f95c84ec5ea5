"""Mechanisms as clients: the examples of the RFCs, and the rules that servers must keep."""

import pytest

from mox.sasl.client import CramMd5, External, Plain, SaslClientError, Scram


def test_scram_sha_1_example() -> None:
    """RFC 5802 §5"""
    scram = Scram("sha1", "user", "pencil", nonce="fyko+d2lbbFgONRv9qkxdawL")
    assert scram.initial() == b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
    final = scram.step(b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096")
    assert final == b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    assert not scram.is_done
    assert scram.step(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=") == b"" and scram.is_done


def test_scram_sha_256_example() -> None:
    """RFC 7677 §3"""
    scram = Scram("sha256", "user", "pencil", nonce="rOprNGfwEbeRWgbNEkqO")
    final = scram.step(b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert final.endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    assert scram.step(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b""


@pytest.mark.parametrize(
    ("options", "name", "header"),
    [
        ({}, "SCRAM-SHA-256", b"n,,"),
        ({"server_lacks_plus": True}, "SCRAM-SHA-256", b"y,,"),
        ({"binding": b"x"}, "SCRAM-SHA-256-PLUS", b"p=tls-exporter,,"),
    ],
)
def test_channel_binding_flags(options: dict[str, object], name: str, header: bytes) -> None:
    scram = Scram("sha256", "a,b=c", "p", nonce="n", **options)  # type: ignore[arg-type]
    assert scram.name == name
    assert scram.initial() == header + b"n=a=2Cb=3Dc,r=n"


@pytest.mark.parametrize(
    ("challenge", "why"),
    [
        (b"r=other,s=QSXC,i=4096", "nonce"),
        (b"r=nonce,s=QSXC,i=4096", "nonce"),
        (b"r=nonceX,s=QSXC,i=1", "iterations"),
        (b"r=nonceX,s=QSXC,i=99999999", "iterations"),
        (b"r=nonceX,s=QSXC,i=x", "iterations"),
        (b"m=x,r=nonceX,s=QSXC,i=4096", "extension"),
        (b"r=nonceX,s=!,i=4096", "base64"),
        (b"\xff", "UTF-8"),
    ],
)
def test_bad_scram_challenges(challenge: bytes, why: str) -> None:
    with pytest.raises(SaslClientError, match=why):
        Scram("sha256", "u", "p", nonce="nonce").step(challenge)


@pytest.mark.parametrize("final", [b"v=AAAA", b"e=invalid-proof", b"x"])
def test_server_that_does_not_know_the_password(final: bytes) -> None:
    scram = Scram("sha1", "user", "pencil", nonce="n")
    scram.step(b"r=nX,s=QSXC,i=4096")
    with pytest.raises(SaslClientError):
        scram.step(final)
    assert not scram.is_done


def test_others_say_no_to_odd_challenges() -> None:
    for mechanism, challenge in ((Plain("u", "p"), b""), (External(), b"x"), (CramMd5("u", "p"), b"x")):
        with pytest.raises(SaslClientError):
            mechanism.step(challenge)
