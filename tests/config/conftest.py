"""A small installation in a folder of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from mox.config.live import Config

STATIC = """\
DataDir: data
LogLevel: info
User: 1000
Hostname: mail.example.org
Listeners:
	public:
		IPs:
			- 192.0.2.10
		SMTP:
			Enabled: true
			NoSTARTTLS: true
		MTASTSHTTPS:
			Enabled: true
			NonTLS: true
		WebserverHTTP:
			Enabled: true
Postmaster:
	Account: mjl
	Mailbox: Postmaster
HostTLSRPT:
	Account: mjl
	Mailbox: TLSRPT
	Localpart: tlsreports
Transports:
	relay:
		SMTP:
			Host: relay.example.net
"""

DYNAMIC = """\
# Kept by hand.
Domains:
	# The first one.
	example.org:
		LocalpartCatchallSeparator: +
		DMARC:
			Localpart: dmarcreports
			Account: mjl
			Mailbox: DMARC
		Aliases:
			team:
				Addresses:
					- mjl@example.org
					- other@example.org
	other.example: nil
	\u2615.example:
		LocalpartCaseSensitive: true
Accounts:
	mjl:
		Domain: example.org
		Destinations:
			mjl@example.org: nil
			x@\u2615.example: nil
			# Everything else.
			@other.example: nil
	other:
		Domain: example.org
		Destinations:
			other@example.org: nil
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with mox.conf, domains.conf and a key."""
    (tmp_path / "mox.conf").write_text(STATIC)
    (tmp_path / "domains.conf").write_text(DYNAMIC)
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    return tmp_path


@pytest.fixture
def config(folder: Path) -> Config:
    """The installation of `folder`."""
    return Config.load(folder / "mox.conf")


Edit = Callable[[str, str, str], None]


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Replace one text, which must be there once, in a file of `folder`."""

    def replace(name: str, old: str, new: str) -> None:
        text = (folder / name).read_text()
        assert text.count(old) == 1
        (folder / name).write_text(text.replace(old, new))

    return replace
