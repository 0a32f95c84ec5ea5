"""Where addresses lead (spec/config.md section 9), and other look-ups."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mox.config.live import Config
from mox.config.tables import AddressNotFound, DomainDisabled, DomainNotFound, Reports

Edit = Callable[[str, str, str], None]


@pytest.mark.parametrize(
    ("localpart", "domain", "account", "canonical"),
    [
        pytest.param("mjl", "example.org", "mjl", "mjl@example.org", id="exact"),
        pytest.param("MJL", "EXAMPLE.org", "mjl", "mjl@example.org", id="any case"),
        pytest.param("mjl+x+y", "example.org", "mjl", "mjl@example.org", id="separator"),
        pytest.param("x", "\u2615.example", "mjl", "x@\u2615.example", id="Unicode domain"),
        pytest.param("x", "xn--53h.example", "mjl", "x@\u2615.example", id="ASCII form of it"),
        pytest.param("any", "other.example", "mjl", "@other.example", id="catchall"),
        pytest.param("dmarcreports", "example.org", "mjl", "dmarcreports@example.org", id="report address"),
        pytest.param(
            "DMARCreports+x", "example.org", "mjl", "dmarcreports@example.org", id="report address with separator"
        ),
        pytest.param("postmaster", "example.org", "mjl", "postmaster", id="postmaster of a domain"),
        pytest.param("PostMaster", "", "mjl", "postmaster", id="postmaster without domain"),
        pytest.param("postmaster", "mail.example.org", "mjl", "postmaster", id="postmaster of the host"),
        pytest.param("postmaster", "other.example", "mjl", "@other.example", id="catchall before postmaster"),
        pytest.param("tlsreports", "mail.example.org", "mjl", "tlsreports@mail.example.org", id="host reports"),
    ],
)
def test_found(config: Config, localpart: str, domain: str, account: str, canonical: str) -> None:
    found = config.lookup(localpart, domain, allow_postmaster=True)
    assert (found.account, found.canonical) == (account, canonical)


@pytest.mark.parametrize(
    ("localpart", "domain", "error"),
    [
        pytest.param("x", "example.org", AddressNotFound, id="no such address"),
        pytest.param("X", "\u2615.example", AddressNotFound, id="case counts"),
        pytest.param("team", "example.org", AddressNotFound, id="alias not allowed"),
        pytest.param("postmaster", "example.org", AddressNotFound, id="postmaster not allowed"),
        pytest.param("postmaster", "", AddressNotFound, id="postmaster without domain not allowed"),
        pytest.param("x", "mail.example.org", DomainNotFound, id="host name"),
        pytest.param("x", "gone.example", DomainNotFound, id="no such domain"),
        pytest.param("x", "a..b", DomainNotFound, id="no domain"),
        pytest.param("x", "", DomainNotFound, id="empty domain"),
        pytest.param("dmarcreportsx", "example.org", AddressNotFound, id="longer than the report address"),
    ],
)
def test_not_found(config: Config, localpart: str, domain: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        config.lookup(localpart, domain)
    assert config.lookup_address(localpart, domain) is None


def test_several_separators_cut_at_the_first_of_each(folder: Path, edit: Edit) -> None:
    edit(
        "domains.conf",
        "\t\tLocalpartCatchallSeparator: +\n",
        "\t\tLocalpartCatchallSeparators:\n\t\t\t- +\n\t\t\t- --\n",
    )
    config = Config.load(folder / "mox.conf")
    entry = config.domain("example.org")
    assert entry is not None and entry.separators == ("+", "--")
    assert [entry.canonical_localpart(x) for x in ("a--b+c", "A+b", "a-b", "dmarcreports--x")] == [
        "a",
        "a",
        "a-b",
        "dmarcreports",
    ]


def test_alias(config: Config) -> None:
    found = config.lookup("Team", "example.org", allow_alias=True)
    assert found.alias is not None and found.canonical == "team@example.org" and found.account == ""
    assert [s.address for s in config.tables.subscriptions["mjl"]] == ["mjl@example.org"]


def test_addresses_that_an_account_may_send_from(folder: Path, edit: Edit) -> None:
    edit("domains.conf", "\t\t\tteam:\n", "\t\t\tteam:\n\t\t\t\tAllowMsgFrom: true\n")
    config = Config.load(folder / "mox.conf")
    allowed = [
        ("mjl", "mjl"),
        ("mjl", "team"),
        ("other", "team"),
        ("other", "mjl"),
        ("mjl", "x"),
        ("mjl", "postmaster"),
    ]
    assert [config.may_use_from(account, localpart, "example.org") for account, localpart in allowed] == [
        *(True, True, True),
        *(False, False, False),
    ]
    edit("domains.conf", "\t\t\t\tAllowMsgFrom: true\n", "")
    assert not Config.load(folder / "mox.conf").may_use_from("mjl", "team", "example.org")


def test_disabled_domain(folder: Path, edit: Edit) -> None:
    edit("domains.conf", "\t\tLocalpartCatchallSeparator: +\n", "\t\tDisabled: true\n")
    config = Config.load(folder / "mox.conf")
    assert config.lookup("mjl", "example.org").account == "mjl"
    with pytest.raises(DomainDisabled):
        config.lookup("mjl", "example.org", check_disabled=True)
    with pytest.raises(DomainDisabled):
        config.may_use_from("mjl", "mjl", "example.org")


def test_a_domain_without_addresses_is_not_ours(folder: Path, edit: Edit) -> None:
    edit(
        "domains.conf",
        "\tother.example: nil\n",
        "\tother.example: nil\n\treports.example:\n\t\tDMARC:\n\t\t\tLocalpart: r\n"
        "\t\t\tDomain: example.org\n\t\t\tAccount: mjl\n\t\t\tMailbox: R\n",
    )
    config = Config.load(folder / "mox.conf")
    entry = config.domain("reports.example")
    assert entry is not None and entry.is_reports_only
    with pytest.raises(DomainNotFound):
        config.lookup("postmaster", "reports.example", allow_postmaster=True)
    assert config.lookup("r", "example.org").reports is Reports.DMARC


@pytest.mark.parametrize(
    ("account", "sender", "recipient", "attempts", "transport"),
    [
        pytest.param("other", "example.org", "a.example", 0, "own", id="account first"),
        pytest.param("mjl", "example.org", "a.example", 0, "domain", id="then domain"),
        pytest.param("mjl", "other.example", "b.example", 0, "exact", id="then global"),
        pytest.param("mjl", "other.example", "sub.b.example", 0, None, id="exact is not below"),
        pytest.param("mjl", "other.example", "c.example", 0, "below", id="dot matches the domain"),
        pytest.param("mjl", "other.example", "x.c.example", 0, "below", id="dot matches below"),
        pytest.param("mjl", "other.example", "xc.example", 0, None, id="dot is a border"),
        pytest.param("mjl", "other.example", "", 0, "exact", id="single dot is no domain"),
        pytest.param("mjl", "other.example", "xn--bcher-kva.example", 0, "exact", id="unicode"),
        pytest.param("mjl", "other.example", "d.example", 2, None, id="too few attempts"),
        pytest.param("mjl", "other.example", "d.example", 3, "late", id="enough attempts"),
    ],
)
def test_routes(
    folder: Path, edit: Edit, account: str, sender: str, recipient: str, attempts: int, transport: str | None
) -> None:
    names = ("own", "domain", "exact", "below", "late")
    edit(
        "mox.conf",
        "Transports:\n",
        "Transports:\n" + "".join(f"\t{n}:\n\t\tFail:\n\t\t\tSMTPCode: 554\n" for n in names),
    )
    edit("domains.conf", "\t\tLocalpartCatchallSeparator: +\n", "\t\tRoutes:\n\t\t\t-\n\t\t\t\tTransport: domain\n")
    own = "\t\tRoutes:\n\t\t\t-\n\t\t\t\tFromDomain:\n\t\t\t\t\t- example.org\n\t\t\t\tTransport: own\n"
    edit("domains.conf", "\tother:\n", f"\tother:\n{own}")
    edit(
        "domains.conf",
        "# Kept by hand.\n",
        "Routes:\n"
        "\t-\n\t\tToDomain:\n\t\t\t- .\n\t\t\t- b.example\n\t\t\t- bücher.example\n\t\tTransport: exact\n"
        "\t-\n\t\tToDomain:\n\t\t\t- .c.example\n\t\tTransport: below\n"
        "\t-\n\t\tToDomain:\n\t\t\t- d.example\n\t\tMinimumAttempts: 3\n\t\tTransport: late\n",
    )
    route = Config.load(folder / "mox.conf").route(account, sender, recipient, attempts)
    assert (route.transport if route else None) == transport


@pytest.mark.parametrize(
    ("own", "general", "expected"), [("", "", 0), ("5", "7", 5), ("", "7", 7), ("-1", "7", 0), ("-1", "", 0)]
)
def test_quota(folder: Path, edit: Edit, own: str, general: str, expected: int) -> None:
    if own:
        edit("domains.conf", "\tother:\n", f"\tother:\n\t\tQuotaMessageSize: {own}\n")
    if general:
        edit("mox.conf", "Transports:\n", f"QuotaMessageSize: {general}\nTransports:\n")
    assert Config.load(folder / "mox.conf").quota("other") == expected
