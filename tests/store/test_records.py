"""Small records: sending limits, subject-pass keys, settings, web sessions; log-in attempts, TLS keys, removal of
accounts."""

import asyncio
import datetime
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from mox._rust import read_ranges
from mox.net.bus import LocalBus
from mox.store import attempts, passwords, sending, settings, tlskeys, websessions
from mox.store.attempts import Attempt
from mox.store.engine import Tx
from mox.store.errors import (
    AccountRemoved,
    BadCertificate,
    MessageLimit,
    NoSuchKey,
    RecipientLimit,
    SessionRefused,
)
from mox.store.policy import Policy
from mox.store.store import Store
from mox.store.types import Flag
from tests.store.helpers import ACCOUNT, Box, letter, until

DAY = sending.WINDOW_MS


class TestSendingLimits:
    async def test_messages_in_a_day(self, box: Box, rules: dict[str, Policy]) -> None:
        rules[ACCOUNT] = Policy(max_outgoing_per_day=3)
        await box.do(sending.record, ["a@x", "b@x"], 1000)
        await box.see(sending.check_limits, ["c@x"], 2000)
        with pytest.raises(MessageLimit) as caught:
            await box.see(sending.check_limits, ["c@x", "d@x"], 2000)
        assert caught.value.limit == 3
        await box.see(sending.check_limits, ["c@x", "d@x"], 1000 + DAY)

    async def test_first_time_recipients_in_a_day(self, box: Box, rules: dict[str, Policy]) -> None:
        rules[ACCOUNT] = Policy(max_first_time_per_day=2)
        await box.do(sending.record, ["old@x"], 1000)
        now = 1000 + DAY + 5
        await box.do(sending.record, ["old@x", "new@x"], now)
        # Of those in the window only one is new; two known ones do not matter.
        await box.see(sending.check_limits, ["another@x", "old@x", "new@x"], now)
        with pytest.raises(RecipientLimit) as caught:
            await box.see(sending.check_limits, ["another@x", "third@x"], now)
        assert caught.value.limit == 2


@pytest.mark.holds("store-02654d")
async def test_subjectpass_keys(box: Box) -> None:
    first = await box.do(settings.subjectpass_key, "a@x")
    assert len(first) == 16 and first.isalnum()
    assert await box.do(settings.subjectpass_key, "a@x") == first
    assert await box.do(settings.subjectpass_key, "b@x") != first


async def test_settings(box: Box) -> None:
    assert await box.see(settings.settings) == settings.Settings()
    new = settings.Settings("me\nhere", "top", True, True, True, ("X-A", "X-B"))
    await box.do(settings.save_settings, new)
    assert await box.see(settings.settings) == new
    assert await box.see(settings.view_mode, "a@x") == ""
    await box.do(settings.save_view_mode, "a@x", "html")
    await box.do(settings.save_view_mode, "a@x", "text")
    assert await box.see(settings.view_mode, "a@x") == "text"
    assert await box.see(settings.recipient_domain_tls, "x") is None
    for seen in (settings.DomainTls(True, False, 1), settings.DomainTls(False, True, 2)):
        await box.do(settings.save_recipient_domain_tls, "x", seen)
        assert await box.see(settings.recipient_domain_tls, "x") == seen


async def test_refused_rulesets(box: Box) -> None:
    for refuse, refuses, what in (
        (settings.refuse_ruleset_for_list, settings.refuses_ruleset_for_list, ("a@x", "list.x")),
        (settings.refuse_ruleset_for_sender, settings.refuses_ruleset_for_sender, ("a@x", "b@x")),
        (settings.refuse_ruleset_for_mailbox, settings.refuses_ruleset_for_mailbox, (1,)),
    ):
        assert not await box.see(refuses, *what, True)
        await box.do(refuse, *what, True)
        await box.do(refuse, *what, True)
        assert await box.see(refuses, *what, True)
        assert not await box.see(refuses, *what, False)


class TestWebSessions:
    async def test_life_of_a_session(self, box: Box) -> None:
        session = await box.do(websessions.add, "a@x", 1000)
        assert (len(session.token), len(session.csrf_token)) == (16, 16)
        assert await box.see(websessions.check, session.token, None, 1000) == session
        await box.see(websessions.check, session.token, session.csrf_token, 1000)
        with pytest.raises(SessionRefused, match="csrf"):
            await box.see(websessions.check, session.token, b"x" * 16, 1000)
        with pytest.raises(SessionRefused, match="unknown"):
            await box.see(websessions.check, b"x" * 16, None, 1000)
        late = 1000 + websessions.LIFETIME_MS
        with pytest.raises(SessionRefused, match="24 hours inactivity"):
            await box.see(websessions.check, session.token, None, late)
        assert not websessions.needs_extension(session, 2000)
        assert websessions.needs_extension(session, 1000 + websessions.EXTEND_AFTER_MS)
        await box.do(websessions.extend, session.token, 2000)
        assert (await box.see(websessions.check, session.token, None, late)).login_address == "a@x"
        await box.do(websessions.remove, session.token)
        with pytest.raises(SessionRefused):
            await box.see(websessions.check, session.token, None, 1000)

    async def test_there_are_at_most_a_hundred(self, box: Box) -> None:
        sessions = [await box.do(websessions.add, "a@x", 1000 + i) for i in range(websessions.MAX_SESSIONS + 1)]
        with pytest.raises(SessionRefused):
            await box.see(websessions.check, sessions[0].token, None, 2000)
        await box.see(websessions.check, sessions[1].token, None, 2000)

    async def test_a_new_password_ends_all(self, box: Box) -> None:
        session = await box.do(websessions.add, "a@x", 1000)
        await box.do(passwords.save, ("hash", "{}", "{}", b"{}"))
        with pytest.raises(SessionRefused):
            await box.see(websessions.check, session.token, None, 1000)
        await box.do(websessions.restore, session)
        await box.see(websessions.check, session.token, None, 1000)


def attempt(account: str = "a", result: str = "ok", user_agent: str = "") -> Attempt:
    return Attempt(account, "a@x", "192.0.2.1", "192.0.2.2", "", "", "imap", user_agent, "plain", result)


class TestLoginAttempts:
    async def test_equal_attempts_are_counted(self, store: Store) -> None:
        for who in (attempt(), attempt(), attempt("b"), attempt(result="badpassword")):
            await store.attempts.add(who)
        await store.attempts.flush()
        found = await store.read_auth(lambda tx: attempts.list_attempts(tx, "a"))
        assert sorted((r.attempt.result, r.count) for r in found) == [("badpassword", 1), ("ok", 2)]
        assert len(await store.read_auth(attempts.list_attempts)) == 3

    async def test_fields_do_not_run_into_each_other(self, store: Store) -> None:
        first = Attempt("a", "b", "", "", "", "", "imap", "", "", "ok")
        second = Attempt("ab", "", "", "", "", "", "imap", "", "", "ok")
        await store.write_auth(lambda tx: attempts.record(tx, [(first, 1), (second, 2)]))
        assert [r.count for r in await store.read_auth(attempts.list_attempts)] == [1, 1]

    @pytest.mark.holds("store-325a6f")
    async def test_cap_age_list_and_limit(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(attempts, "MAX_FAILED", 3)
        many = [(attempt("a", "badpassword", str(i)), 1000 + i) for i in range(5)]
        await store.write_auth(lambda tx: attempts.record(tx, [(attempt(), 1), (attempt("b", "baduser"), 2), *many]))
        found = await store.read_auth(lambda tx: attempts.list_attempts(tx, "a"))
        assert [r.attempt.user_agent for r in found] == ["4", "3", "2", ""]
        assert [r.last_ms for r in await store.read_auth(lambda tx: attempts.list_attempts(tx, None, 2))] == [
            1004,
            1003,
        ]
        await store.write_auth(lambda tx: attempts.clean(tx, 1004 + attempts.MAX_AGE_MS))
        assert [r.last_ms for r in await store.read_auth(attempts.list_attempts)] == [1004]


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, name: str) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 0xABC)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1))
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return built.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


class TestTlsKeys:
    def test_parsing(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        fingerprint, kind, name = tlskeys.parse_certificate(certificate(key, "laptop"))
        assert (kind, name, len(fingerprint)) == ("ecdsa-p256", "laptop", 43)
        # Another certificate of the same key is the same.
        assert tlskeys.parse_certificate(certificate(key, ""))[0::2] == (fingerprint, "serial abc")
        assert tlskeys.parse_certificate(certificate(ed25519.Ed25519PrivateKey.generate(), "x"))[1] == "ed25519"
        assert tlskeys.parse_certificate(certificate(rsa.generate_private_key(65537, 2048), "x"))[1] == "rsa-2048"

    def test_what_is_refused(self) -> None:
        with pytest.raises(BadCertificate, match="2048"):
            tlskeys.parse_certificate(certificate(rsa.generate_private_key(65537, 1024), "x"))
        with pytest.raises(BadCertificate, match="P-256"):
            tlskeys.parse_certificate(certificate(ec.generate_private_key(ec.SECP384R1()), "x"))
        with pytest.raises(BadCertificate, match="parsing"):
            tlskeys.parse_certificate(b"no certificate")

    async def test_records(self, store: Store) -> None:
        key = tlskeys.TlsPublicKey("fp", 1, "ed25519", "laptop", False, b"der", "a", "a@x")
        await store.write_auth(lambda tx: tlskeys.add(tx, key))
        with pytest.raises(BadCertificate, match="exists"):
            await store.write_auth(lambda tx: tlskeys.add(tx, key))
        assert await store.read_auth(lambda tx: tlskeys.find(tx, "fp")) == key
        assert await store.read_auth(lambda tx: tlskeys.list_keys(tx, "b")) == []
        with pytest.raises(NoSuchKey):
            await store.write_auth(lambda tx: tlskeys.update(tx, "b", "fp", "x", "b@x", True))
        await store.write_auth(lambda tx: tlskeys.update(tx, "a", "fp", "phone", "b@x", True))
        (found,) = await store.read_auth(tlskeys.list_keys)
        assert (found.name, found.login_address, found.no_imap_preauth) == ("phone", "b@x", True)
        with pytest.raises(NoSuchKey):
            await store.write_auth(lambda tx: tlskeys.remove(tx, "b", "fp"))
        await store.write_auth(lambda tx: tlskeys.remove(tx, "a", "fp"))
        assert await store.read_auth(tlskeys.list_keys) == []


def is_there(path: Path) -> bool:
    return path.exists()


class TestAccounts:
    @pytest.mark.holds("store-2b1312")
    async def test_removal_waits_for_the_last_user(self, store: Store, tmp_path: Path) -> None:
        account = await store.open("gone")
        session = account.subscribe()
        key = tlskeys.TlsPublicKey("fp", 1, "ed25519", "laptop", False, b"der", "gone", "a@x")
        await store.write_auth(lambda tx: tlskeys.add(tx, key))
        await store.write_auth(lambda tx: attempts.record(tx, [(attempt("gone"), 1), (attempt("stays"), 1)]))
        await store.remove("gone")
        with pytest.raises(AccountRemoved):
            await store.open("gone")
        await Box(account).add("Inbox", letter())
        assert is_there(tmp_path / "accounts" / "gone" / "index.db")
        account.unsubscribe(session)
        await store.removed("gone")
        assert not is_there(tmp_path / "accounts" / "gone")
        assert not is_there(tmp_path / "tmp" / "oldaccount-gone")
        assert await store.read_auth(tlskeys.list_keys) == []
        assert [r.attempt.account_name for r in await store.read_auth(attempts.list_attempts)] == ["stays"]
        assert await Box(await store.open("gone")).uids("Inbox") == []

    @pytest.mark.holds("store-2b1312")
    @pytest.mark.parametrize("moved", [False, True], ids=["before", "after the folder was moved"])
    async def test_an_interrupted_removal_ends_at_the_next_start(self, tmp_path: Path, moved: bool) -> None:
        folder, target = tmp_path / "accounts" / "gone", tmp_path / "tmp" / "oldaccount-gone"
        async with Store(tmp_path, LocalBus()).closing() as store:
            account = await store.open("gone")
            account.subscribe()
            await store.remove("gone")
        if moved:
            await asyncio.to_thread(folder.rename, target)
        async with Store(tmp_path, LocalBus()).closing() as store:
            await store.start()
            await store.removed("gone")
            assert not is_there(folder) and not is_there(target)
            assert await store.read_auth(lambda tx: tx.run("SELECT * FROM account_remove")) == []

    async def test_another_process_that_uses_the_account_keeps_it(self, tmp_path: Path) -> None:
        bus = LocalBus()
        async with Store(tmp_path, bus).closing() as one, Store(tmp_path, LocalBus()).closing() as two:
            await one.open("gone")
            await two.open("gone")
            await one.remove("gone")
            await one.removed("gone")
            assert is_there(tmp_path / "accounts" / "gone")
        async with Store(tmp_path, LocalBus()).closing() as store:
            await store.start()
            await store.removed("gone")
            assert not is_there(tmp_path / "accounts" / "gone")

    async def test_an_idle_account_closes_and_opens_again(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        from mox.store import account as accounts

        monkeypatch.setattr(accounts, "HOUSEKEEPING_S", 0.01)
        monkeypatch.setattr(accounts, "IDLE_S", 0.0)
        box = Box(await store.open("idle"))
        await until(lambda: not box.account.is_open)
        await box.add("Inbox", letter(), flags=Flag.SEEN)
        assert await box.problems() == []

    @pytest.mark.holds("store-750125")
    async def test_files_without_record(self, tmp_path: Path) -> None:
        """Left by a crash, or newer than a database restored from a backup: old ones are removed, those with names that
        do not belong there are ignored, and none is ever written over."""
        async with Store(tmp_path, LocalBus()).closing() as store:
            box = Box(await store.open("x"))
            kept = await blob_file(box, (await box.add("Inbox", letter())).message_ids[0])
            newer = await blob_file(box, (await box.add("Inbox", letter())).message_ids[0])
            await box.do(lambda tx: tx.run("DELETE FROM message_cold WHERE message_id = 2"))
            await box.do(lambda tx: tx.run("DELETE FROM message_hot WHERE message_id = 2"))
            await box.do(lambda tx: tx.run("DELETE FROM blob WHERE blob_id = ?", int(newer.name)))
        old = kept.with_name(str(int(kept.name) ^ 1))
        others = [kept.with_name(name) for name in ("1", "no-number")]
        for path in (old, *others):
            await asyncio.to_thread(path.touch)
        for path in (kept, old, *others):
            await asyncio.to_thread(os.utime, path, (1, 1))
        async with Store(tmp_path, LocalBus()).closing() as store:
            box = Box(await store.open("x"))
            await until(lambda: not is_there(old))
            assert all(map(is_there, (kept, newer, *others)))
            added = await blob_file(box, (await box.add("Inbox", letter())).message_ids[0])
            assert int(added.name) > int(newer.name)


async def blob_file(box: Box, message_id: int) -> Path:
    row = await box.cold(message_id, "blob_id")
    assert row is not None
    return Path(box.account.blob_path(row[0]))


@pytest.mark.holds("store-ff2b13")
async def test_an_account_is_open_until_the_last_call_ends(store: Store) -> None:
    """Whatever works on an account in the background keeps it from going."""
    account = await store.open("gone")
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(tx: Tx) -> bool:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        return bool(tx.one("SELECT 1 FROM mailbox"))

    working = asyncio.create_task(account.read(slow))
    await begun.wait()
    await store.remove("gone")
    removal = asyncio.create_task(store.removed("gone"))
    await asyncio.sleep(0.05)
    assert not removal.done()
    go_on.set()
    assert await working is True
    await removal


@pytest.mark.holds("store-10997f")
async def test_reading_over_prefix_and_file(box: Box, tmp_path: Path) -> None:
    prefix, content = b"X: y\r\n", letter(body="hello")
    added = await box.add("Inbox", content, prefix=prefix)
    path = str(await blob_file(box, added.message_ids[0]))
    whole = prefix + content
    octets = read_ranges([(prefix, path, at, at + 1) for at in range(len(whole))])
    assert b"".join(octet or b"" for octet in octets) == whole
    end = len(whole)
    assert read_ranges([(prefix, path, end, end + 5), (prefix, path, 3, end), (prefix, path, 2, 9)]) == [
        b"",
        whole[3:],
        whole[2:9],
    ]
    assert read_ranges([(prefix, str(tmp_path / "nope"), 0, 9)]) == [None]
