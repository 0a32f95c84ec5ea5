"""OpenDKIM verifies what we sign, and we verify what it signs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mox.mailauth.dkim import Selector
from mox.mailauth.dkimkey import record_for
from tests.mailauth.test_dkim import MESSAGE, ed_key, rsa_key, sign, verify

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("opendkim") is None, reason="opendkim is not installed (`make peers`)"),
]

SELECTORS = [
    Selector("rr", rsa_key(2048), header_canon="relaxed", body_canon="relaxed"),
    Selector("rs", rsa_key(2048), header_canon="relaxed", body_canon="simple"),
    Selector("ss", rsa_key(2048), header_canon="simple", body_canon="simple", is_sealed=False),
    Selector("ed", ed_key(), header_canon="simple", body_canon="relaxed"),
]
BODIES = {
    "plain": MESSAGE,
    "no-body": MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
    "white-space": MESSAGE + b"a  b\t c \t\r\n \t\r\n\r\n\r\n",
    "folded": MESSAGE.replace(b"Subject: Is ", b"Subject: Is\r\n\t  "),
}


def opendkim(tmp_path: Path, config: str, message: bytes) -> str:
    (tmp_path / "conf").write_text(config + "Syslog no\nRequireSafeKeys no\n")
    (tmp_path / "message").write_bytes(message)
    command = ["opendkim", "-x", str(tmp_path / "conf"), "-v", "-v", "-t", str(tmp_path / "message")]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).stdout.decode()


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda s: s.name)
@pytest.mark.parametrize("message", BODIES.values(), ids=BODIES.keys())
async def test_it_verifies_ours(tmp_path: Path, selector: Selector, message: bytes) -> None:
    (tmp_path / "keys").write_text(f"{selector.name}._domainkey.example.org {record_for(selector.key)}\n")
    config = f"Mode v\nTestPublicKeys {tmp_path}/keys\n"
    signed = await sign(message, selector)
    assert "dkim=pass" in opendkim(tmp_path, config, signed)
    assert "dkim=fail" in opendkim(tmp_path, config, signed.replace(b"dinner", b"supper"))


@pytest.mark.parametrize("canon", ["simple/simple", "relaxed/relaxed", "relaxed/simple", "simple/relaxed"])
@pytest.mark.parametrize("message", BODIES.values(), ids=BODIES.keys())
async def test_we_verify_its(tmp_path: Path, canon: str, message: bytes) -> None:
    key = rsa_key(2048)
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    config = (
        f"Mode s\nDomain football.example.com\nSelector s\nKeyFile {tmp_path}/key.pem\nCanonicalization {canon}\n"
        "SignatureAlgorithm rsa-sha256\nInternalHosts 0.0.0.0/0,::/0,localhost\n"
    )
    found = re.search(r"hname='DKIM-Signature' hvalue='([^']*)'", opendkim(tmp_path, config, message))
    assert found is not None
    # A milter's value stands behind one space.
    field = b"DKIM-Signature: " + found[1].replace("\n", "\r\n").encode() + b"\r\n"
    records = {"s._domainkey.football.example.com": str(record_for(key))}
    (result,) = await verify(field + message, records)
    assert result.status == "pass", result
    (changed,) = await verify(field + message.replace(b"dinner", b"supper"), records)
    assert changed.status == "fail"
