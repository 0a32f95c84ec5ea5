"""dane makerecord."""

import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mox.cli.command import CommandError
from mox.cli.main import run
from mox.config.localserve import self_signed
from mox.config.pem import render_pem

CERTIFICATE, KEY = self_signed("mail.example.org")
PARSED = x509.load_pem_x509_certificate(CERTIFICATE)
DER = PARSED.public_bytes(Encoding.DER)
SPKI = PARSED.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
SPKI_RECORD = f"3 1 1 {hashlib.sha256(SPKI).hexdigest()}"


@pytest.mark.parametrize(
    ("words", "pem", "record"),
    [
        (["dane-ee", "spki", "sha2-256"], CERTIFICATE, SPKI_RECORD),
        (["dane-ee", "spki", "sha2-256"], KEY, SPKI_RECORD),
        (["3", "1", "1"], render_pem("PUBLIC KEY", SPKI), SPKI_RECORD),
        (["dane-ee", "spki", "sha2-256"], render_pem("OTHER", b"x") + KEY, SPKI_RECORD),
        (["DANE-TA", "cert", "sha2-512"], KEY + CERTIFICATE, f"2 0 2 {hashlib.sha512(DER).hexdigest()}"),
        (["pkix-ee", "cert", "full"], CERTIFICATE, f"1 0 0 {DER.hex()}"),
        (["255", "spki", "1"], KEY, SPKI_RECORD.replace("3", "255", 1)),
    ],
    ids=[
        "certificate",
        "private-key",
        "public-key",
        "other-block-first",
        "key-without-certificate",
        "full",
        "usage-255",
    ],
)
def test_records(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], pem: bytes, record: str) -> None:
    (tmp_path / "file.pem").write_bytes(pem)
    assert run(["dane", "makerecord", *words, str(tmp_path / "file.pem")]) == 0
    assert capsys.readouterr().out == record + "\n"


@pytest.mark.parametrize(
    ("words", "pem", "text"),
    [
        (["x", "spki", "full"], KEY, "unknown usage"),
        (["256", "spki", "full"], KEY, "unknown usage"),
        (["3", "2", "full"], KEY, "unknown selector"),
        (["3", "1", "3"], KEY, "unknown matchtype"),
        (["3", "cert", "1"], KEY, "no usable PEM block"),
        (["3", "1", "1"], b"", "no usable PEM block"),
        (["3", "1", "1"], render_pem("PUBLIC KEY", b"x"), "PUBLIC KEY: "),
    ],
)
def test_failures(tmp_path: Path, words: list[str], pem: bytes, text: str) -> None:
    (tmp_path / "file.pem").write_bytes(pem)
    with pytest.raises(CommandError, match=text):
        run(["dane", "makerecord", *words, str(tmp_path / "file.pem")])
