"""config ensureacmehostprivatekeys (spec/cli.md section 8.7)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from mox.cli.command import CommandError
from mox.cli.main import run
from mox.config.live import Config
from tests.config.conftest import edit, folder

__all__ = ["edit", "folder"]

Edit = Callable[[str, str, str], None]
SMTP = "\t\tSMTP:\n\t\t\tEnabled"


def test_keys_are_made_once_and_taken_from_acme(folder: Path, edit: Edit, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["-config", str(folder / "mox.conf"), "config", "ensureacmehostprivatekeys"]
    with pytest.raises(CommandError, match="no listener has TLS with ACME"):
        run(command)
    edit("mox.conf", "Postmaster:\n", "ACME:\n\ta:\n\t\tDirectoryURL: d\n\t\tContactEmail: c\nPostmaster:\n")
    edit("mox.conf", SMTP, f"\t\tTLS:\n\t\t\tACME: a\n{SMTP}")
    cached = ec.generate_private_key(ec.SECP256R1())
    pem = cached.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    cache = folder / "data" / "acme" / "keycerts" / "a"
    cache.mkdir(parents=True)
    (cache / "mail.example.org").write_bytes(pem)
    assert run(command) == 0
    rsa_file, ecdsa_file = (line.removeprefix("\t- ") for line in capsys.readouterr().out.splitlines()[3:5])
    assert rsa_file.endswith(".rsa2048.privatekey.pkcs8.pem") and (folder / rsa_file).stat().st_mode & 0o777 == 0o600
    loaded = load_pem_private_key((folder / ecdsa_file).read_bytes(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    assert loaded.private_numbers() == cached.private_numbers()
    files = f"\t\t\tHostPrivateKeyFiles:\n\t\t\t\t- {rsa_file}\n\t\t\t\t- {ecdsa_file}\n"
    edit("mox.conf", "\t\t\tACME: a\n", f"\t\t\tACME: a\n{files}")
    Config.load(folder / "mox.conf")
    assert run(command) == 0
    assert capsys.readouterr().out == "listener public has keys of both kinds\n"
