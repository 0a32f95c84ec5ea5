"""Every check of the two files (spec/config.md sections 5 and 7), each by one edit of a good installation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mox.config.live import Config, ConfigError

Edit = Callable[[str, str, str], None]

DOMAIN = "\tother.example: nil\n"
ACCOUNT = "\tother:\n\t\tDomain: example.org\n"
LISTENER = "\t\tIPs:\n\t\t\t- 192.0.2.10\n"
END = "Transports:\n"


def option(block: str, text: str) -> tuple[str, str]:
    """More lines at the end of a block's beginning."""
    return block, block + text


def domain(text: str) -> tuple[str, str]:
    return DOMAIN, f"\tother.example:\n{text}"


STATIC_ERRORS = [
    pytest.param(("LogLevel: info", "LogLevel: loud"), "LogLevel: unknown level 'loud'", id="level"),
    pytest.param(
        ("LogLevel: info", "LogLevel: info\nPackageLogLevels:\n\tqueue: loud"),
        "PackageLogLevels.queue: unknown level",
        id="package level",
    ),
    pytest.param(("User: 1000", "User: no-such-user"), "User: there is no user 'no-such-user'", id="user"),
    pytest.param(("mail.example.org", "mail..example.org"), "Hostname: 'mail..example.org' is not a domain", id="host"),
    pytest.param(("Hostname: mail", "Hostname: MAIL"), "Hostname: write 'MAIL.example.org' as", id="host name case"),
    pytest.param(
        ("Localpart: tlsreports", "Localpart: tlsr\u00e9ports"), "HostTLSRPT.Localpart: must be ASCII", id="eai"
    ),
    pytest.param(option(LISTENER, "\t\tHostname: -x\n"), "Listeners.public.Hostname: '-x'", id="listener host"),
    pytest.param(option(LISTENER, "\t\tTLS:\n\t\t\tACME: le\n"), "there is no provider 'le' in ACME", id="provider"),
    pytest.param(
        option(LISTENER, "\t\tTLS:\n\t\t\tMinVersion: x\n"), "TLS: needs ACME or KeyCerts", id="no certificate"
    ),
    pytest.param(
        option(LISTENER, "\t\tTLS:\n\t\t\tACME: a\n\t\t\tMinVersion: TLS1\n"),
        "unknown version 'TLS1'",
        id="TLS version",
    ),
    pytest.param(
        ("\t\t\tNoSTARTTLS: true\n", ""), "Listeners.public: TLS is missing, which is needed for SMTP", id="TLS"
    ),
    pytest.param(
        option(LISTENER, "\t\tIMAP:\n\t\t\tEnabled: true\n\t\tWebmailHTTPS:\n\t\t\tEnabled: true\n"),
        "needed for IMAP, WebmailHTTPS",
        id="TLS of others",
    ),
    pytest.param(("- 192.0.2.10", "- 192.0.2.1000"), "'192.0.2.1000' is not an IP address", id="IP"),
    pytest.param(("- 192.0.2.10", "- fe80::1%eth0"), "is not an IP address", id="zone"),
    pytest.param(option(LISTENER, "\t\tNATIPs:\n\t\t\t- 127.0.0.1\n"), "127.0.0.1 is not a public address", id="NAT"),
    pytest.param(
        option(LISTENER, "\t\tIPsNATed: true\n\t\tNATIPs:\n\t\t\t- 1.1.1.1\n"), "IPsNATed: excludes NATIPs", id="NATed"
    ),
    pytest.param(
        option(LISTENER, "\t\tAdminHTTP:\n\t\t\tEnabled: true\n\t\t\tPath: admin\n"),
        "'admin' must start with /",
        id="path",
    ),
    pytest.param(
        option(LISTENER, "\t\tAutoconfigHTTPS:\n\t\t\tEnabled: true\n\t\tIMAPS:\n\t\t\tEnabled: false\n"),
        "share a port, so NonTLS must be the same",
        id="one port with and without TLS",
    ),
    pytest.param(
        option(LISTENER, "\t\tMetricsHTTP:\n\t\t\tEnabled: true\n\t\t\tPort: 25\n"),
        "Listeners.public.MetricsHTTP.Port: 192.0.2.10 port 25 is used by Listeners.public.SMTP already",
        id="port twice",
    ),
    pytest.param(
        ("relay.example.net\n", "relay.example.net\n\t\tDirect:\n\t\t\tDisableIPv4: true\n"), "one method", id="two"
    ),
    pytest.param(("Host: relay.example.net", "Host: -"), "Transports.relay.SMTP.Host: '-' is not a domain", id="relay"),
    pytest.param(
        ("SMTP:\n\t\t\tHost: relay.example.net", "Submissions:\n\t\t\tHost: a.b\n\t\t\tNoSTARTTLS: true"),
        "has TLS from the start",
        id="STARTTLS without sense",
    ),
    pytest.param(
        option(
            "relay.example.net\n",
            "\t\t\tAuth:\n\t\t\t\tUsername: u\n\t\t\t\tPassword: p\n\t\t\t\tMechanisms:\n\t\t\t\t\t- X\n",
        ),
        "unknown 'X'; known are SCRAM",
        id="mechanism",
    ),
    pytest.param(
        (
            "SMTP:\n\t\t\tHost: relay.example.net",
            "Socks:\n\t\t\tAddress: here\n\t\t\tRemoteIPs:\n\t\t\t\t- x\n\t\t\tRemoteHostname: h.i",
        ),
        "'here' is not host:port",
        id="proxy",
    ),
    pytest.param(
        (
            "SMTP:\n\t\t\tHost: relay.example.net",
            "Socks:\n\t\t\tAddress: h.i:1\n\t\t\tRemoteIPs:\n\t\t\t\t- 10.0.0.1\n\t\t\tRemoteHostname: h.i\n"
            "\t\t\tUsername: u",
        ),
        "user name and password go together",
        id="proxy password",
    ),
    pytest.param(
        ("SMTP:\n\t\t\tHost: relay.example.net", "Direct:\n\t\t\tDisableIPv4: true\n\t\t\tDisableIPv6: true"),
        "disables both address families",
        id="no family",
    ),
    pytest.param(
        ("SMTP:\n\t\t\tHost: relay.example.net", "Fail:\n\t\t\tSMTPCode: 250"), "must be between 400 and 599", id="code"
    ),
    pytest.param(
        option(END, "\tbad:\n\t\tFail:\n\t\t\tSMTPMessage: \u00e9\n"), "only printable ASCII is allowed", id="message"
    ),
    pytest.param((END, "InitialMailboxes:\n\tRegular:\n\t\t- INBOX\n" + END), "Inbox is always there", id="inbox"),
    pytest.param((END, "DefaultMailboxes:\n\t- a/b\n" + END), "mailbox 'a/b' is below another one", id="child"),
    pytest.param(
        (END, "DefaultMailboxes:\n\t- a\nInitialMailboxes:\n\tRegular:\n\t\t- b\n" + END),
        "excludes InitialMailboxes",
        id="both",
    ),
    pytest.param((END, "TLS:\n\tCA:\n\t\tCertFiles:\n\t\t\t- gone.pem\n" + END), "gone.pem: No such file", id="CA"),
    pytest.param(
        (END, "TLS:\n\tCA:\n\t\tCertFiles:\n\t\t\t- key.pem\n" + END), "key.pem holds no certificate", id="CA key"
    ),
    pytest.param(
        (END, "ACME:\n\ta:\n\t\tDirectoryURL: \n\t\tContactEmail: a@b\n" + END), "must not be empty", id="ACME"
    ),
    pytest.param((END, "Limits:\n\tSMTPConnections:\n\t\t- 1\n" + END), "needs three numbers", id="limits"),
]


@pytest.mark.parametrize(("change", "message"), STATIC_ERRORS)
def test_bad_mox_conf(folder: Path, edit: Edit, change: tuple[str, str], message: str) -> None:
    if change[1].startswith("\t\tIPs") and "ACME: a" in change[1]:
        edit("mox.conf", END, "ACME:\n\ta:\n\t\tDirectoryURL: d\n\t\tContactEmail: c\n" + END)
    edit("mox.conf", *change)
    with pytest.raises(ConfigError) as caught:
        Config.load(folder / "mox.conf")
    assert message in str(caught.value)


SELECTOR = "\t\tDKIM:\n\t\t\tSelectors:\n\t\t\t\ts:\n"
KEY = "\t\t\t\t\tPrivateKeyFile: key.pem\n"
RULE = "\t\t\tother@example.org:\n\t\t\t\tRulesets:\n\t\t\t\t\t-\n\t\t\t\t\t\tMailbox: A\n"
RULE_OLD = "\t\t\tother@example.org: nil\n"
MTASTS = "\t\tMTASTS:\n\t\t\tPolicyID: 1\n\t\t\tMode: enforce\n\t\t\tMaxAge: 24h\n"
FILTER = (
    "\t\tJunkFilter:\n\t\t\tThreshold: 0.95\n\t\t\tParams:\n\t\t\t\tMaxPower: 0.01\n\t\t\t\tTopWords: 10\n"
    "\t\t\t\tIgnoreWords: 0.1\n\t\t\t\tRareWords: 1\n"
)
HANDLER = "WebHandlers:\n\t-\n\t\tDomain: a.b\n\t\tPathRegexp: ^/\n"
TOP = "# Kept by hand.\n"

DYNAMIC_ERRORS = [
    pytest.param(
        ("\tmjl:\n\t\tDomain", "\tMJL:\n\t\tDomain"), "Postmaster.Account: there is no account 'mjl'", id="postmaster"
    ),
    pytest.param(
        (TOP, "Routes:\n\t-\n\t\tTransport: no\n"), "Routes.0.Transport: there is no transport 'no'", id="route"
    ),
    pytest.param(
        (TOP, "Routes:\n\t-\n\t\tTransport: relay\n\t\tToDomain:\n\t\t\t- ..a\n"), "Routes.0.ToDomain", id="to"
    ),
    pytest.param(
        domain("\t\tRoutes:\n\t\t\t-\n\t\t\t\tTransport: no\n"), "Domains.other.example.Routes.0", id="domain route"
    ),
    pytest.param(
        option(ACCOUNT, "\t\tRoutes:\n\t\t\t-\n\t\t\t\tTransport: no\n"), "Accounts.other.Routes.0", id="account route"
    ),
    pytest.param(
        (DOMAIN, "\tOther.example: nil\n"), "write 'Other.example' as 'other.example'", id="domain in capitals"
    ),
    pytest.param((DOMAIN, "\ta_b.example: nil\n"), "'a_b.example' is not a domain", id="underscore"),
    pytest.param(
        domain("\t\tClientSettingsDomain: -\n"), "ClientSettingsDomain: '-' is not a domain", id="client settings"
    ),
    pytest.param(
        domain("\t\tLocalpartCatchallSeparator: -\n\t\tLocalpartCatchallSeparators:\n\t\t\t- +\n"),
        "excludes",
        id="separators",
    ),
    pytest.param(
        domain("\t\tLocalpartCatchallSeparators:\n\t\t\t- +\n\t\t\t- +\n"), "'+' is there twice", id="separator twice"
    ),
    pytest.param(domain("\t\tLocalpartCatchallSeparators:\n\t\t\t- \n"), "an empty separator", id="empty separator"),
    pytest.param(domain(SELECTOR + KEY + "\t\t\tSign:\n\t\t\t\t- t\n"), "there is no selector 't'", id="sign"),
    pytest.param(
        domain(SELECTOR + KEY + "\t\t\t\t\tExpiration: 3d\n"), "s.Expiration: '3d' is not a duration", id="expiration"
    ),
    pytest.param(domain(SELECTOR + KEY + "\t\t\t\t\tHash: md5\n"), "s.Hash: unknown hash 'md5'", id="hash"),
    pytest.param(domain(SELECTOR + KEY + "\t\t\t\t\tHash: sha1\n"), "ed25519 keys need sha256", id="hash of ed25519"),
    pytest.param(domain(SELECTOR + KEY + "\t\t\t\t\tHeaders:\n\t\t\t\t\t\t- To\n"), "From must be among", id="headers"),
    pytest.param(domain(SELECTOR + "\t\t\t\t\tPrivateKeyFile: gone\n"), "PrivateKeyFile: [Errno 2]", id="no key file"),
    pytest.param(
        domain(SELECTOR + "\t\t\t\t\tPrivateKeyFile: mox.conf\n"), "no PEM block of type PRIVATE KEY", id="no key"
    ),
    pytest.param(domain(MTASTS.replace("enforce", "on")), "MTASTS.Mode: unknown mode 'on'", id="MTA-STS mode"),
    pytest.param(domain(MTASTS.replace(": 1", ": ")), "MTASTS.PolicyID: '' is not 1 to 32", id="policy id"),
    pytest.param(domain(MTASTS + "\t\t\tMX:\n\t\t\t\t- *.-\n"), "MTASTS.MX: '-' is not a domain", id="MX"),
    pytest.param(option(ACCOUNT, "\t\tRejectsMailbox: INBOX\n"), "rejected messages cannot go to Inbox", id="rejects"),
    pytest.param(
        option(ACCOUNT, "\t\tRejectsMailbox: e\u0301\n"), "must be written in Unicode normal form C", id="NFC"
    ),
    pytest.param(option(ACCOUNT, "\t\tIntrobox: inbox\n"), "Introbox: special mailboxname Inbox", id="introbox"),
    pytest.param(
        option(ACCOUNT, "\t\tRejectsMailbox: R\n\t\tIntrobox: R\n"),
        "must be another mailbox than RejectsMailbox",
        id="same",
    ),
    pytest.param(
        option(ACCOUNT, "\t\tLoginDisabled: \u00e9\n"), "LoginDisabled: only printable ASCII", id="login disabled"
    ),
    pytest.param(option(ACCOUNT, f"\t\tLoginDisabled: {'x' * 257}\n"), "longer than 256 bytes", id="long text"),
    pytest.param(
        option(ACCOUNT, "\t\tAutomaticJunkFlags:\n\t\t\tEnabled: true\n\t\t\tJunkMailboxRegexp: (\n"),
        "AutomaticJunkFlags.JunkMailboxRegexp: bad regular expression '('",
        id="junk mailbox",
    ),
    pytest.param(option(ACCOUNT, FILTER.replace("0.95", "1.1")), "Threshold: must be between 0 and 1", id="threshold"),
    pytest.param(option(ACCOUNT, FILTER.replace("0.01", "0.6")), "MaxPower: must be between 0 and 0.5", id="power"),
    pytest.param(option(ACCOUNT, FILTER.replace(": 10", ": -1")), "TopWords: must not be negative", id="top words"),
    pytest.param(
        option(ACCOUNT, "\t\tIncomingWebhook:\n\t\t\tURL: ftp://a\n"), "is not a URL with scheme http", id="webhook"
    ),
    pytest.param(
        option(ACCOUNT, "\t\tOutgoingWebhook:\n\t\t\tURL: http://a\n\t\t\tEvents:\n\t\t\t\t- x\n"),
        "unknown event 'x'",
        id="event",
    ),
    pytest.param(
        option(ACCOUNT, "\t\tFromIDLoginAddresses:\n\t\t\t- mjl@example.org\n"),
        "not an address of this account",
        id="from id",
    ),
    pytest.param(
        option(ACCOUNT, "\t\tFromIDLoginAddresses:\n\t\t\t- x@\u2615.example\n"),
        "has no catchall separator",
        id="no separator",
    ),
    pytest.param(
        (RULE_OLD, RULE_OLD + "\t\t\tOTHER@example.org: nil\n"), "belongs to account 'other' already", id="twice"
    ),
    pytest.param((RULE_OLD, "\t\t\tmjl@example.org: nil\n"), "belongs to account 'mjl' already", id="two accounts"),
    pytest.param((RULE_OLD, "\t\t\t@other.example: nil\n"), "belongs to account 'mjl' already", id="catchall twice"),
    pytest.param(
        (RULE_OLD, "\t\t\ta+b@example.org: nil\n"), "holds '+', a catchall separator", id="separator in localpart"
    ),
    pytest.param(
        (RULE_OLD, "\t\t\ta@gone.example: nil\n"), "the domain of 'a@gone.example' is not in Domains", id="no domain"
    ),
    pytest.param((RULE_OLD, "\t\t\ta b@example.org: nil\n"), "'a b@example.org'", id="no address"),
    pytest.param(
        (RULE_OLD, "\t\t\tother@example.org:\n\t\t\t\tSMTPError: 450 x\n"),
        "must start with 421 or 550",
        id="SMTP error",
    ),
    pytest.param(
        (RULE_OLD, "\t\t\tother@example.org:\n\t\t\t\tSMTPError: 550\n\t\t\t\tMailbox: A\n"),
        "excludes Mailbox",
        id="error and box",
    ),
    pytest.param((RULE_OLD, RULE), "a ruleset needs at least one of", id="no condition"),
    pytest.param(
        (RULE_OLD, RULE + "\t\t\t\t\t\tSMTPMailFromRegexp: [\n"), "bad regular expression '['", id="ruleset regexp"
    ),
    pytest.param(
        (RULE_OLD, RULE + "\t\t\t\t\t\tVerifiedDomain: -\n"), "VerifiedDomain: '-' is not a domain", id="verified"
    ),
    pytest.param(
        (RULE_OLD, RULE + "\t\t\t\t\t\tHeadersRegexp:\n\t\t\t\t\t\t\tList-Id: a\n"),
        "'List-Id' must be in lower case",
        id="header",
    ),
    pytest.param(
        (RULE_OLD, RULE + "\t\t\t\t\t\tMsgFromRegexp: a\n\t\t\t\t\t\tIsForward: true\n"),
        "IsForward needs",
        id="forward",
    ),
    pytest.param(
        (RULE_OLD, RULE + "\t\t\t\t\t\tMsgFromRegexp: a\n\t\t\t\t\t\tAcceptRejectsToMailbox: Inbox\n"),
        "rejected messages cannot go to Inbox",
        id="accept rejects",
    ),
    pytest.param(("\tother:\n\t\tDomain", "\ta/b:\n\t\tDomain"), "cannot hold a slash", id="account name"),
    pytest.param(("Account: mjl", "Account: gone"), "DMARC: Account: there is no account 'gone'", id="report account"),
    pytest.param(("Localpart: dmarcreports", "Localpart: \u00e9"), "is not ASCII", id="report localpart"),
    pytest.param(
        ("Localpart: dmarcreports", "Localpart: d\n\t\t\tDomain: gone.example"),
        "'gone.example' is not in Domains",
        id="report domain",
    ),
    pytest.param(("\t\t\tteam:", "\t\t\tte+am:"), "holds a catchall separator", id="alias with separator"),
    pytest.param(("\t\t\tteam:", "\t\t\tMJL:"), "is an address of account 'mjl' already", id="alias is an address"),
    pytest.param(("\t\t\t\t\t- other@example.org", "\t\t\t\t\t- mjl@example.org"), "is there twice", id="member twice"),
    pytest.param(
        ("\t\t\t\t\t- other@example.org", "\t\t\t\t\t- team@example.org"), "is not an address", id="alias in alias"
    ),
    pytest.param((TOP, "WebDomainRedirects:\n\ta.b: A.b\n"), "redirects to itself", id="redirect"),
    pytest.param((TOP, HANDLER), "needs exactly one of WebStatic", id="handler kind"),
    pytest.param(
        (TOP, HANDLER.replace("^/", "/") + "\t\tWebStatic:\n\t\t\tRoot: .\n"), "must start with ^", id="path regexp"
    ),
    pytest.param(
        (TOP, HANDLER + "\t\tWebStatic:\n\t\t\tRoot: .\n\t\t\tStripPrefix: a\n"), "'a' must start with /", id="prefix"
    ),
    pytest.param(
        (TOP, HANDLER + "\t\tWebStatic:\n\t\t\tRoot: .\n\t\t\tResponseHeaders:\n\t\t\t\ta b: c\n"),
        "'a b' is not the name",
        id="name",
    ),
    pytest.param(
        (TOP, HANDLER + "\t\tWebRedirect:\n\t\t\tStatusCode: 301\n"), "needs BaseURL", id="redirect to nothing"
    ),
    pytest.param(
        (TOP, HANDLER + "\t\tWebRedirect:\n\t\t\tBaseURL: https://a/b\n"), "must have no path", id="base path"
    ),
    pytest.param(
        (TOP, HANDLER + "\t\tWebRedirect:\n\t\t\tBaseURL: https://a\n\t\t\tStatusCode: 200\n"),
        "between 300 and 399",
        id="status",
    ),
    pytest.param(
        (TOP, HANDLER + "\t\tWebRedirect:\n\t\t\tReplacePath: /\n"), "go together", id="replace without regexp"
    ),
    pytest.param((TOP, HANDLER + "\t\tWebForward:\n\t\t\tURL: //a\n"), "is not a URL", id="forward URL"),
    pytest.param(
        (TOP, HANDLER + "\t\tWebInternal:\n\t\t\tBasePath: /a\n\t\t\tService: imap\n"),
        "unknown service 'imap'",
        id="internal",
    ),
    pytest.param((TOP, "MonitorDNSBLs:\n\t- a.b\n\t- a.b\n"), "MonitorDNSBLs: 'a.b' is there twice", id="monitor"),
]


@pytest.mark.holds("config-230925")
@pytest.mark.holds("config-e58f43")
@pytest.mark.holds("config-ebf6f7")
@pytest.mark.parametrize(("change", "message"), DYNAMIC_ERRORS)
def test_bad_domains_conf(folder: Path, edit: Edit, change: tuple[str, str], message: str) -> None:
    edit("domains.conf", *change)
    with pytest.raises(ConfigError) as caught:
        Config.load(folder / "mox.conf")
    assert message in str(caught.value)


@pytest.mark.holds("config-ebf6f7")
def test_mta_sts_needs_a_listener_that_serves_it(folder: Path, edit: Edit) -> None:
    edit("mox.conf", "\t\tMTASTSHTTPS:\n\t\t\tEnabled: true\n\t\t\tNonTLS: true\n", "")
    edit("domains.conf", *domain(MTASTS))
    with pytest.raises(ConfigError, match="has MTASTSHTTPS, which serves the policy"):
        Config.load(folder / "mox.conf")


def test_all_problems_of_a_file_are_listed(folder: Path, edit: Edit) -> None:
    edit("mox.conf", "LogLevel: info", "LogLevel: loud")
    edit("mox.conf", "User: 1000", "User: nobody-here")
    with pytest.raises(ConfigError) as caught:
        Config.load(folder / "mox.conf")
    assert len(str(caught.value).split("\n")) == 2


def test_broken_syntax_names_file_and_line(folder: Path, edit: Edit) -> None:
    edit(
        "domains.conf",
        "Domain: example.org\n\t\tDestinations:\n\t\t\tother@",
        "Dmain: example.org\n\t\tDestinations:\n\t\t\tother@",
    )
    with pytest.raises(ConfigError, match=r"domains\.conf:27: unknown key 'Dmain'"):
        Config.load(folder / "mox.conf")


def test_a_missing_file_says_how_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config"):
        Config.load(tmp_path / "mox.conf")


@pytest.mark.holds("config-18a872")
def test_deprecated_and_minimal_forms_are_read(folder: Path, edit: Edit) -> None:
    edit("mox.conf", "Listeners:\n", "DefaultMailboxes:\n\t- Archive\nListeners:\n\tlocal: nil\n")
    edit("mox.conf", LISTENER, "\t\tIPsNATed: true\n" + LISTENER)
    edit("domains.conf", "\t\t\tother@example.org: nil\n", "\t\t\tother:\n\t\t\t\tMailbox: A\n")
    config = Config.load(folder / "mox.conf")
    assert list(config.account("other").Destinations) == ["other@example.org"]
    assert config.static.Listeners["local"].IPs == []
