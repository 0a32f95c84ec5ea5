"""Log-ins with a password: right and wrong ones, the cache, disabled accounts, and what is recorded."""

from pathlib import Path

import pytest

from mox.config.live import Config
from mox.net.bus import LocalBus
from mox.store import attempts
from mox.store.login import Client, LoginDisabled, LoginError, Logins, has_password, set_password
from mox.store.store import Store
from tests.local_config import new_config

USER, ACCOUNT = "mox@localhost", "mox"


@pytest.fixture
async def logins(tmp_path: Path, store: Store) -> Logins:
    config = new_config(tmp_path / "config")
    await set_password(store, ACCOUNT, "sesame sesame")
    return Logins(config, store)


async def refused(logins: Logins, user: str, password: str) -> bool:
    try:
        await logins.password(user, password, "192.0.2.1", "imap")
    except LoginError:
        return True
    return False


@pytest.mark.holds("store-3d3b40")
async def test_wrong_fails_twice_and_right_works_twice(logins: Logins, store: Store) -> None:
    for _ in range(2):
        assert await refused(logins, USER, "sesame")
    for _ in range(2):
        assert await logins.password(USER, "sesame sesame", "192.0.2.1", "imap") == ACCOUNT
    assert await refused(logins, USER, "sesame")
    await set_password(store, ACCOUNT, "open sesame")
    assert await refused(logins, USER, "sesame sesame")
    assert await logins.password(USER, "open sesame", "192.0.2.1", "imap") == ACCOUNT


async def test_spellings_of_a_password_are_equal(logins: Logins, store: Store) -> None:
    await set_password(store, ACCOUNT, "cafe\u0301 cafe\u0301")
    assert await logins.password(USER, "caf\u00e9\u00a0caf\u00e9", "192.0.2.1", "imap") == ACCOUNT


async def test_what_is_recorded(logins: Logins, store: Store) -> None:
    await logins.password(USER, "sesame sesame", "192.0.2.1", "imap", client=Client(user_agent="thunder"))
    await refused(logins, USER, "wrong")
    await refused(logins, "nobody@nowhere.example", "wrong")
    await store.attempts.flush()
    found = await store.read_auth(attempts.list_attempts)
    assert {
        (r.attempt.account_name, r.attempt.login_address, r.attempt.result, r.attempt.user_agent) for r in found
    } == {
        (ACCOUNT, USER, "ok", "thunder"),
        (ACCOUNT, USER, "badpassword", ""),
        (attempts.UNKNOWN, "nobody@nowhere.example", "baduser", ""),
    }
    assert {r.attempt.remote_ip for r in found} == {"192.0.2.1"}


async def test_an_account_without_password(tmp_path: Path) -> None:
    config = new_config(tmp_path / "config")
    async with Store(tmp_path, LocalBus()).closing() as store:
        assert not await has_password(store, ACCOUNT)
        assert await refused(Logins(config, store), USER, "")


async def test_a_disabled_account_is_told_so_only_with_the_right_password(logins: Logins, store: Store) -> None:
    path = new_config(store.tmp_dir / "config").path
    domains = path.with_name("domains.conf")
    domains.write_text(domains.read_text().replace("\tmox:\n", "\tmox:\n\t\tLoginDisabled: moved away\n", 1))
    disabled = Logins(Config.load(path), store)
    with pytest.raises(LoginDisabled, match="moved away"):
        await disabled.password(USER, "sesame sesame", "192.0.2.1", "imap")
    with pytest.raises(LoginError, match="login failed"):
        await disabled.password(USER, "wrong", "192.0.2.1", "imap")
    await store.attempts.flush()
    found = await store.read_auth(lambda tx: attempts.list_attempts(tx, ACCOUNT))
    assert {r.attempt.result for r in found} == {"logindisabled", "badpassword"}
