"""DNS records and client settings of a domain (spec/config.md sections 15 and 17)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mox.admin.dnsrecords import domain_records, txt
from mox.cli.main import run
from mox.config.client_settings import NoSettings, Security, client_configs, client_settings
from mox.config.live import Config

Edit = Callable[[str, str, str], None]
SMTP = "\t\tSMTP:\n\t\t\tEnabled"


def records(config: Config, domain: str, **options: object) -> list[str]:
    """Without comments and empty lines."""
    entry = config.domain(domain)
    assert entry is not None
    lines = domain_records(config, entry, True, **options)  # type: ignore[arg-type]
    return [line for line in lines if line and not line.startswith("; ")]


def test_records_of_a_domain(config: Config) -> None:
    assert records(config, "example.org", issuer="letsencrypt.org") == [
        "$TTL 300",
        'mail.example.org. TXT "v=spf1 a -all"',
        '_smtp._tls.mail.example.org. TXT "v=TLSRPTv1; rua=mailto:tlsreports@mail.example.org"',
        "example.org. MX 10 mail.example.org.",
        'example.org. TXT "v=spf1 ip4:192.0.2.10 mx ~all"',
        '_dmarc.example.org. TXT "v=DMARC1;p=reject;rua=mailto:dmarcreports@example.org!10m"',
        "autoconfig.example.org. CNAME mail.example.org.",
        "_autodiscover._tcp.example.org. SRV 0 1 443 mail.example.org.",
        "_imaps._tcp.example.org. SRV 0 1 993 mail.example.org.",
        "_submissions._tcp.example.org. SRV 0 1 465 mail.example.org.",
        "_imap._tcp.example.org. SRV 0 0 0 .",
        "_submission._tcp.example.org. SRV 0 0 0 .",
        "_pop3._tcp.example.org. SRV 0 0 0 .",
        "_pop3s._tcp.example.org. SRV 0 0 0 .",
        'example.org. CAA 0 issue "letsencrypt.org"',
    ]


@pytest.mark.holds("cli-03838d")
def test_scripts_find_the_range_they_cut(config: Config) -> None:
    entry = config.domain("example.org")
    assert entry is not None
    lines = domain_records(config, entry, False, "letsencrypt.org")
    assert lines[0].startswith("; Time To Live")
    assert any("will be suggested" in line for line in lines[-2:])


def test_names_in_ascii_keys_policies_and_accounts(folder: Path, edit: Edit) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "host.pem").write_bytes(key)
    tls = "\t\tTLS:\n\t\t\tACME: a\n\t\t\tHostPrivateKeyFiles:\n\t\t\t\t- host.pem\n"
    edit("mox.conf", SMTP, tls + SMTP)
    edit("mox.conf", "Postmaster:\n", "ACME:\n\ta:\n\t\tDirectoryURL: d\n\t\tContactEmail: c\nPostmaster:\n")
    edit(
        "domains.conf",
        "\t\tLocalpartCaseSensitive: true\n",
        "\t\tClientSettingsDomain: mail.\u2615.example\n"
        "\t\tDKIM:\n\t\t\tSelectors:\n\t\t\t\ts:\n\t\t\t\t\tPrivateKeyFile: key.pem\n"
        "\t\tMTASTS:\n\t\t\tPolicyID: 7\n\t\t\tMode: testing\n\t\t\tMaxAge: 24h\n",
    )
    config = Config.load(folder / "mox.conf")
    lines = records(config, "\u2615.example", issuer="ca.example", account_uri="https://ca.example/1")
    assert lines[1].startswith("_25._tcp.mail.example.org. TLSA 3 1 1 ")
    assert any(line.startswith('s._domainkey.xn--53h.example. TXT "v=DKIM1;h=sha256;k=ed25519;p=') for line in lines)
    assert '_mta-sts.xn--53h.example. TXT "v=STSv1; id=7"' in lines
    assert "mail.xn--53h.example. CNAME mail.example.org." in lines
    assert "_imaps._tcp.xn--53h.example. SRV 0 1 993 mail.xn--53h.example." in lines
    accounts = [line.split()[1] for line in lines if line.startswith(";; ")]
    assert accounts == [f"{name}xn--53h.example." for name in ("", "autoconfig.", "mta-sts.", "mail.")]
    entry = config.domain("\u2615.example")
    assert entry is not None
    unsigned = domain_records(config, entry, False)
    assert any(line.startswith(";; _25._tcp") for line in unsigned) and any(
        "enable DNSSEC" in line for line in unsigned
    )


def test_long_texts_are_several_strings() -> None:
    assert txt("a" * 100) == f'"{"a" * 100}"'
    assert txt("a" * 101) == f'(\n\t\t"{"a" * 100}"\n\t\t"a"\n\t)'


SERVICES = "".join(
    f"\t\t{name}:\n\t\t\tEnabled: true\n\t\t\tNoRequireSTARTTLS: true\n" for name in ("IMAP", "Submission")
)


def test_client_settings(folder: Path, edit: Edit, config: Config) -> None:
    entry = config.domain("example.org")
    assert entry is not None
    with pytest.raises(NoSettings):
        client_settings(config.static, entry)
    edit("mox.conf", SMTP, SERVICES + SMTP)
    static = Config.load(folder / "mox.conf").static
    settings = client_settings(static, entry)
    assert (settings.imap.port, settings.submission.port, settings.imap.security) == (143, 587, Security.PLAIN)
    assert [(row.protocol, row.port, row.note) for row in client_configs(static, entry)] == [
        ("Submission (SMTP)", 587, "plain text, no STARTTLS configured"),
        ("IMAP", 143, "plain text, no STARTTLS configured"),
    ]


def test_clientconfig_command(folder: Path, edit: Edit, capsys: pytest.CaptureFixture[str]) -> None:
    edit("mox.conf", SMTP, SERVICES + SMTP)
    assert run(["-config", str(folder / "mox.conf"), "clientconfig", "example.org"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{'Protocol':<20} {'Host':<30}  Port {'Listener':<15} Note"
    assert lines[2] == f"{'IMAP':<20} {'mail.example.org':<30}   143 {'public':<15} plain text, no STARTTLS configured"
    assert "SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS" in lines[-1]
