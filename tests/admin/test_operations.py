"""Operations that change the configuration, and their refusals (spec/config.md sections 10 and 27)."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from mox.admin import accounts, addresses, aliases, domains, selectors
from mox.admin.context import Admin, RequestError
from mox.admin.selectors import NewSelector
from mox.config.live import Config, ConfigError
from mox.config.model import Alias, Domain, MTASTSSection, ReportAddress, Route, Selector
from tests.admin.conftest import Unchanged

Operation = Callable[[Admin], Awaitable[object]]


def target(localpart: str, account: str = "mjl") -> ReportAddress:
    return ReportAddress(Localpart=localpart, Account=account, Mailbox="R")


def alias(*members: str) -> Alias:
    return Alias(Addresses=list(members))


def policy(admin: Admin, mode: str) -> MTASTSSection:
    return MTASTSSection(PolicyID="1", Mode=mode, MaxAge=admin.config.account("mjl").KeepRetiredMessagePeriod)


def keys(folder: Path, directory: str) -> list[str]:
    """Names of the key files in a directory of an installation."""
    return sorted(path.name for path in (folder / directory).glob("*.pem"))


def with_client_settings(domain: Domain) -> Domain:
    return msgspec.structs.replace(domain, ClientSettingsDomain="-")


def with_routes(domain: Domain) -> Domain:
    return msgspec.structs.replace(domain, Routes=[Route(Transport="gone")])


REFUSED: Mapping[str, tuple[str, Operation, str]] = {
    "domain twice": ("15143d", lambda a: domains.add_domain(a, "example.org", "mjl"), "is present already"),
    "domain and a localpart for an account that exists": (
        "15143d",
        lambda a: domains.add_domain(a, "new.example", "mjl", "x"),
        "leave out the localpart",
    ),
    "domain and no localpart for a new account": (
        "15143d",
        lambda a: domains.add_domain(a, "new.example", "new"),
        "give a localpart",
    ),
    "domain without account": ("15143d", lambda a: domains.add_domain(a, "new.example", ""), "is empty"),
    "removing a domain with addresses": (
        "15143d",
        lambda a: domains.remove_domain(a, "other.example"),
        "is not in Domains",
    ),
    "removing no domain": ("15143d", lambda a: domains.remove_domain(a, "gone.example"), "no such domain"),
    "client settings": (
        "e58f43",
        lambda a: domains.save_domain(a, "example.org", with_client_settings),
        "not a domain",
    ),
    "route": ("230925", lambda a: domains.save_domain(a, "example.org", with_routes), "there is no transport"),
    "report address with separator": (
        "748ef7",
        lambda a: domains.save_dmarc_address(a, "example.org", target("dmarc+reports")),
        "holds '\\+'",
    ),
    "TLS report address with separator": (
        "748ef7",
        lambda a: domains.save_tlsrpt_address(a, "example.org", target("tls+reports")),
        "holds '\\+'",
    ),
    "report address of nobody": (
        "748ef7",
        lambda a: domains.save_dmarc_address(a, "example.org", target("reports", "gone")),
        "there is no account 'gone'",
    ),
    "MTA-STS mode": ("ebf6f7", lambda a: domains.save_mtasts(a, "example.org", policy(a, "maybe")), "unknown mode"),
    "selector of an unknown kind": (
        "e174a8",
        lambda a: selectors.add_selector(a, "example.org", "s", NewSelector("dsa")),
        "unknown algorithm",
    ),
    "selector with an unknown hash": (
        "e174a8",
        lambda a: selectors.add_selector(a, "example.org", "s", NewSelector("rsa", hash="md5")),
        "unknown hash",
    ),
    "removing no selector": ("e174a8", lambda a: selectors.remove_selector(a, "example.org", "s"), "no such selector"),
    "selectors that are not there": (
        "e174a8",
        lambda a: selectors.save_selectors(a, "example.org", {"s": Selector(PrivateKeyFile="x")}, []),
        "not those of the domain",
    ),
    "signing with no selector": (
        "e174a8",
        lambda a: selectors.save_selectors(a, "example.org", {}, ["s"]),
        "no such selector 's'",
    ),
    "alias twice": ("de84da", lambda a: aliases.add_alias(a, "team@example.org", alias("mjl@example.org")), "present"),
    "alias in capitals": (
        "de84da",
        lambda a: aliases.add_alias(a, "TEAM@example.org", alias("mjl@example.org")),
        "is present already",
    ),
    "alias without members": (
        "de84da",
        lambda a: aliases.add_alias(a, "x@example.org", alias()),
        "at least one member",
    ),
    "alias with a member twice": (
        "de84da",
        lambda a: aliases.add_alias(a, "x@example.org", alias("mjl@example.org", "mjl@example.org")),
        "is there twice",
    ),
    "alias with an unknown member": (
        "de84da",
        lambda a: aliases.add_alias(a, "x@example.org", alias("gone@example.org")),
        "is not an address of an account",
    ),
    "alias in an alias": (
        "de84da",
        lambda a: aliases.add_alias(a, "x@example.org", alias("team@example.org")),
        "is not an address of an account",
    ),
    "removing all members": (
        "de84da",
        lambda a: aliases.remove_members(a, "team@example.org", ["mjl@example.org", "other@example.org"]),
        "needs at least one member",
    ),
    "removing no member": (
        "de84da",
        lambda a: aliases.remove_members(a, "team@example.org", ["x@example.org"]),
        "address not found: x@example.org",
    ),
    "members for no alias": (
        "de84da",
        lambda a: aliases.add_members(a, "x@example.org", ["mjl@example.org"]),
        "no such alias",
    ),
    "address twice": ("f075b5", lambda a: addresses.add_address(a, "MJL@example.org", "other"), "is present already"),
    "address with separator": ("f075b5", lambda a: addresses.add_address(a, "a+b@example.org", "mjl"), "separator"),
    "address of an alias": ("f075b5", lambda a: addresses.add_address(a, "Team@example.org", "mjl"), "is an alias"),
    "catchall twice": (
        "f075b5",
        lambda a: addresses.add_address(a, "@other.example", "other"),
        "a catchall address",
    ),
    "removing a report address": (
        "f075b5",
        lambda a: addresses.remove_address(a, "dmarcreports@example.org"),
        "is not an address of an account",
    ),
    "account twice": ("f075b5", lambda a: accounts.add_account(a, "mjl", "new@example.org"), "is present already"),
    "removing the postmaster": ("e77b0b", lambda a: accounts.remove_account(a, "mjl"), "Postmaster.Account"),
}


@pytest.mark.holds("config-15143d")
@pytest.mark.holds("config-748ef7")
@pytest.mark.holds("config-e174a8")
@pytest.mark.holds("config-de84da")
@pytest.mark.holds("config-f075b5")
@pytest.mark.parametrize("case", REFUSED)
async def test_refusals_change_nothing(admin: Admin, unchanged: Unchanged, folder: Path, case: str) -> None:
    _line, operation, message = REFUSED[case]
    with pytest.raises((RequestError, ConfigError), match=message):
        await operation(admin)
    unchanged()
    assert not keys(folder, "dkim")


@pytest.mark.holds("config-748ef7")
async def test_a_separator_that_a_report_address_holds(admin: Admin) -> None:
    await domains.save_localparts(admin, "example.org", [], False)
    await domains.save_dmarc_address(admin, "example.org", target("dmarc+reports"))
    with pytest.raises(RequestError, match="holds the separator"):
        await domains.save_localparts(admin, "example.org", ["+"], False)
    await domains.save_localparts(admin, "example.org", ["-", "--"], True)
    options = admin.config.dynamic.Domains["example.org"]
    assert (options.LocalpartCatchallSeparators, options.LocalpartCaseSensitive) == (["-", "--"], True)


@pytest.mark.holds("config-f075b5")
async def test_the_last_member_of_an_alias_keeps_its_address(admin: Admin) -> None:
    await addresses.remove_address(admin, "other@example.org")
    assert admin.config.dynamic.Domains["example.org"].Aliases["team"].Addresses == ["mjl@example.org"]
    with pytest.raises(RequestError, match="last member of alias"):
        await addresses.remove_address(admin, "mjl@example.org")


@pytest.mark.holds("config-15143d")
async def test_adding_and_removing_a_domain(admin: Admin, folder: Path) -> None:
    await domains.add_domain(admin, "B\u00fccher.example", "other")
    options = admin.config.dynamic.Domains["b\u00fccher.example"]
    first, second = options.DKIM.Selectors
    assert (first[-1], second[-1], options.DKIM.Sign) == ("a", "b", [first])
    assert options.MTASTS is not None and options.MTASTS.MX == ["mail.example.org"]
    key = folder / options.DKIM.Selectors[first].PrivateKeyFile
    assert b"\nNote: RSA-2048 DKIM private key for" in key.read_bytes()
    assert admin.config.lookup("postmaster", "xn--bcher-kva.example").account == "other"
    assert Config.load(folder / "mox.conf").dynamic == admin.config.dynamic
    await addresses.remove_address(admin, "postmaster@b\u00fccher.example")
    await domains.remove_domain(admin, "b\u00fccher.example")
    assert not key.exists() and (key.parent / "old" / key.name).exists()


async def test_a_new_account_comes_with_a_domain(admin: Admin) -> None:
    await domains.add_domain(admin, "new.example", "new", "info", is_disabled=True)
    assert list(admin.config.account("new").Destinations) == ["info@new.example"]
    assert admin.config.dynamic.Domains["new.example"].Disabled
    await domains.disable_domain(admin, "new.example", False)
    assert not admin.config.dynamic.Domains["new.example"].Disabled


@pytest.mark.holds("config-e174a8")
async def test_selectors(admin: Admin, folder: Path) -> None:
    await selectors.add_selector(admin, "example.org", "s1", NewSelector("ed25519"))
    with pytest.raises(RequestError, match="is present already"):
        await selectors.add_selector(admin, "example.org", "S1", NewSelector("ed25519"))
    options = admin.config.dynamic.Domains["example.org"].DKIM
    assert options.Sign == [] and options.Selectors["s1"].Canonicalization.HeaderRelaxed
    changed = {"s1": msgspec.structs.replace(options.Selectors["s1"], PrivateKeyFile="elsewhere", DontSealHeaders=True)}
    await selectors.save_selectors(admin, "example.org", changed, ["s1"])
    saved = admin.config.dynamic.Domains["example.org"].DKIM
    assert saved.Sign == ["s1"] and saved.Selectors["s1"].DontSealHeaders
    assert saved.Selectors["s1"].PrivateKeyFile == options.Selectors["s1"].PrivateKeyFile
    await selectors.remove_selector(admin, "example.org", "s1")
    assert admin.config.dynamic.Domains["example.org"].DKIM.Selectors == {}
    assert [name.split(".")[0] for name in keys(folder, "dkim/old")] == ["s1"]
    with pytest.raises(RequestError, match="no such selector"):
        await selectors.remove_selector(admin, "example.org", "s1")


async def test_a_failed_addition_leaves_no_keys(admin: Admin, folder: Path) -> None:
    (folder / "domains.conf").write_text((folder / "domains.conf").read_text() + "Broken\n")
    with pytest.raises(ConfigError, match="must be mended first"):
        await domains.add_domain(admin, "new.example", "mjl")
    assert not keys(folder, "dkim")


@pytest.mark.holds("config-e77b0b")
async def test_an_account_whose_directory_exists_is_refused(admin: Admin, unchanged: Unchanged) -> None:
    (admin.config.data_dir / "accounts" / "new").mkdir(parents=True)
    with pytest.raises(RequestError, match=r"directory .* exists"):
        await accounts.add_account(admin, "new", "new@example.org")
    unchanged()
