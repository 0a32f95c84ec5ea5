"""Following domains.conf, and writing it (spec/config.md section 8)."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from mox.config import live
from mox.config.live import Config, ConfigError
from mox.config.model import Domain, Dynamic

Edit = Callable[[str, str, str], None]


def describe(dynamic: Dynamic, text: str) -> Dynamic:
    """`dynamic` with a description for other.example."""
    domains = {**dynamic.Domains, "other.example": Domain(Description=text)}
    return msgspec.structs.replace(dynamic, Domains=domains)


def description(config: Config) -> str:
    return config.dynamic.Domains["other.example"].Description


@pytest.mark.holds("config-a66bf0")
def test_an_edit_is_followed_and_a_broken_one_is_not(config: Config, edit: Edit) -> None:
    edit("domains.conf", "\tother.example: nil\n", "\tother.example:\n\t\tDescription: one\n")
    config.reload_if_changed()
    assert description(config) == "one" and not config.reload_error
    edit("domains.conf", "Description: one", "Dscription: two")
    config.reload_if_changed()
    assert description(config) == "one" and "domains.conf:16: unknown key 'Dscription'" in config.reload_error
    edit("domains.conf", "Dscription: two", "Description: two")
    config.reload_if_changed()
    assert description(config) == "two" and not config.reload_error


def test_a_broken_file_is_logged_once(config: Config, edit: Edit, capfd: pytest.CaptureFixture[str]) -> None:
    edit("domains.conf", "Accounts:", "Acounts:")
    for _ in range(3):
        config.reload_if_changed()
    printed = capfd.readouterr()
    assert (printed.out + printed.err).count("unknown key 'Acounts'") == 1


async def test_the_watch_follows_the_file(config: Config, edit: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RELOAD_INTERVAL_S", 0.01)
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    config.on_change(lambda: loop.call_soon_threadsafe(changed.set))
    watch = asyncio.create_task(config.watch())
    edit("domains.conf", "\tother.example: nil\n", "\tother.example:\n\t\tDescription: one\n")
    await asyncio.wait_for(changed.wait(), 10)
    watch.cancel()
    assert description(config) == "one"


def test_a_change_is_written_with_comments_and_in_force(config: Config, folder: Path) -> None:
    before = (folder / "domains.conf").read_text()
    config.change(lambda dynamic: describe(dynamic, "new"))
    text = (folder / "domains.conf").read_text()
    assert text == before.replace("\tother.example: nil\n", "\tother.example:\n\t\tDescription: new\n")
    assert description(config) == "new" and description(Config.load(folder / "mox.conf")) == "new"


def test_mode_and_neighbours_stay(config: Config, folder: Path) -> None:
    (folder / "domains.conf").chmod(0o640)
    config.reload_if_changed()
    config.change(lambda dynamic: describe(dynamic, "new"))
    assert (folder / "domains.conf").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(folder)) == ["domains.conf", "key.pem", "mox.conf"]


@pytest.mark.holds("config-ada341")
def test_what_cannot_be_written_changes_nothing(config: Config, folder: Path) -> None:
    before = (folder / "domains.conf").read_text()
    with pytest.raises(ConfigError, match="unsupported multiline string"):
        config.change(lambda dynamic: describe(dynamic, "two\nlines"))
    assert (folder / "domains.conf").read_text() == before and description(config) == ""


def test_an_invalid_change_changes_nothing(config: Config, folder: Path) -> None:
    before = (folder / "domains.conf").read_text()
    with pytest.raises(ConfigError, match=r"Postmaster\.Account: there is no account 'mjl'"):
        config.change(lambda dynamic: msgspec.structs.replace(dynamic, Accounts={}))
    assert (folder / "domains.conf").read_text() == before and "mjl" in config.dynamic.Accounts


@pytest.mark.holds("config-11b5d3")
def test_a_change_keeps_an_edit_by_hand_and_refuses_a_broken_one(config: Config, folder: Path, edit: Edit) -> None:
    edit("domains.conf", "# The first one.", "# The first two.")
    edit("domains.conf", "\tother:\n", "\tother:\n\t\tDescription: by hand\n")
    config.change(lambda dynamic: describe(dynamic, "new"))
    assert config.account("other").Description == "by hand" and description(config) == "new"
    assert "# The first two." in (folder / "domains.conf").read_text()
    edit("domains.conf", "Description: by hand", "Description: by hand\n\t\tNope: x")
    with pytest.raises(ConfigError, match="must be mended first"):
        config.change(lambda dynamic: describe(dynamic, "newer"))
    assert description(config) == "new" and "Nope: x" in (folder / "domains.conf").read_text()


def test_changes_of_two_processes_are_both_kept(config: Config, folder: Path) -> None:
    other = Config.load(folder / "mox.conf")
    config.change(lambda dynamic: describe(dynamic, "new"))
    other.change(lambda dynamic: msgspec.structs.replace(dynamic, MonitorDNSBLs=["bl.example"]))
    config.reload_if_changed()
    assert (description(other), config.dynamic.MonitorDNSBLs) == ("new", ["bl.example"])


@pytest.mark.holds("config-1f3d77")
def test_readers_never_see_half_a_change(config: Config) -> None:
    """`dynamic` and what was derived from it belong to one state, whatever another thread changes."""
    done = threading.Event()
    wrong: list[tuple[str, str]] = []

    def read() -> None:
        while not done.is_set():
            state = config._state
            options = state.tables.domains["other.example"].options
            if options is not state.dynamic.Domains["other.example"]:
                wrong.append((options.Description, state.dynamic.Domains["other.example"].Description))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(20):
            config.change(lambda dynamic, number=number: describe(dynamic, str(number)))
    finally:
        done.set()
        reader.join()
    assert not wrong


def test_certificates_that_cannot_be_used_are_named(folder: Path, edit: Edit) -> None:
    tls = "\t\tTLS:\n\t\t\tKeyCerts:\n\t\t\t\t-\n\t\t\t\t\tCertFile: mox.conf\n\t\t\t\t\tKeyFile: key.pem\n"
    edit("mox.conf", "\t\tSMTP:\n\t\t\tEnabled", f"{tls}\t\tSMTP:\n\t\t\tEnabled")
    config = Config.load(folder / "mox.conf")
    with pytest.raises(ConfigError, match=r"mox\.conf with key\.pem"):
        config.server_tls("public")
    (folder / "key.pem").unlink()
    with pytest.raises(ConfigError, match="No such file"):
        config.server_tls("public")
