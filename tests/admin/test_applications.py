"""What an account sets for its applications (spec/webaccount-webadmin.md section 7)."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec
import pytest

from mox.admin import applications
from mox.admin.context import Admin, RequestError
from mox.config.account import OutgoingWebhookSection
from mox.config.live import Config, ConfigError
from mox.outbound.hookcalls import HookCaller
from mox.webapi.examples import WEBHOOKS
from tests.admin.conftest import Unchanged
from tests.web.receiver import Receiver

Operation = Callable[[Admin], Awaitable[object]]


async def test_webhooks(admin: Admin) -> None:
    await applications.save_outgoing_webhook(admin, "mjl", "https://app.example/out", "Bearer x", ["failed"])
    await applications.save_incoming_webhook(admin, "mjl", "http://app.example/in", "")
    options = admin.config.account("mjl")
    assert options.OutgoingWebhook is not None and options.IncomingWebhook is not None
    assert (options.OutgoingWebhook.URL, options.OutgoingWebhook.Events) == ("https://app.example/out", ["failed"])
    assert options.OutgoingWebhook.Authorization == "Bearer x"
    await applications.save_outgoing_webhook(admin, "mjl", "", "", [])
    await applications.save_incoming_webhook(admin, "mjl", "", "")
    options = admin.config.account("mjl")
    assert options.OutgoingWebhook is None and options.IncomingWebhook is None


async def test_signing_key_stays(admin: Admin) -> None:
    hook = OutgoingWebhookSection(URL="https://a.example/", SigningKey="key")
    with_key = applications.edit_account("mjl", lambda a: msgspec.structs.replace(a, OutgoingWebhook=hook))
    await admin.change(with_key)
    await applications.save_outgoing_webhook(admin, "mjl", "https://b.example/", "", [])
    saved = admin.config.account("mjl").OutgoingWebhook
    assert saved is not None and (saved.URL, saved.SigningKey) == ("https://b.example/", "key")


async def test_unique_senders_and_periods(admin: Admin) -> None:
    await applications.save_from_id_logins(admin, "mjl", ["mjl@example.org", "mjl+app@example.org"])
    await applications.save_keep_periods(admin, "mjl", timedelta(days=1), timedelta(hours=2))
    options = admin.config.account("mjl")
    assert options.FromIDLoginAddresses == ["mjl@example.org", "mjl+app@example.org"]
    assert (options.KeepRetiredMessagePeriod, options.KeepRetiredWebhookPeriod) == (
        timedelta(days=1),
        timedelta(hours=2),
    )
    await applications.save_from_id_logins(admin, "mjl", [])
    assert admin.config.account("mjl").FromIDLoginAddresses == []


@pytest.mark.parametrize(
    "operation",
    [
        lambda a: applications.save_outgoing_webhook(a, "mjl", "https://app.example/", "", ["unknown"]),
        lambda a: applications.save_outgoing_webhook(a, "mjl", "ftp://app.example/", "", []),
        lambda a: applications.save_incoming_webhook(a, "mjl", "app.example", ""),
        lambda a: applications.save_incoming_webhook(a, "nobody", "https://app.example/", ""),
        lambda a: applications.save_from_id_logins(a, "mjl", ["mjl@elsewhere.example"]),
        lambda a: applications.save_from_id_logins(a, "mjl", ["nonsense"]),
        lambda a: applications.save_keep_periods(a, "mjl", timedelta(-1), timedelta()),
    ],
    ids=["event", "scheme", "no scheme", "account", "other domain", "no address", "negative"],
)
async def test_refused(admin: Admin, unchanged: Unchanged, operation: Operation) -> None:
    with pytest.raises((RequestError, ConfigError)):
        await operation(admin)
    unchanged()


async def test_suppressions(admin: Admin) -> None:
    added = await applications.add_suppression(admin, "mjl", "Remote.Last-x@xn--74h.example", True, "asked")
    assert (added.base_address, added.manual, added.reason) == ("remotelast@☺.example", True, "asked")
    assert await applications.list_suppressions(admin, "mjl") == [added]
    for address in ("remotelast+y@☺.example", "nonsense", "x@[127.0.0.1]"):
        with pytest.raises(RequestError):
            await applications.add_suppression(admin, "mjl", address, True, "")
    await applications.remove_suppression(admin, "mjl", "remote.LAST@☺.example")
    with pytest.raises(RequestError):
        await applications.remove_suppression(admin, "mjl", "remote.LAST@☺.example")
    with pytest.raises(RequestError):
        await applications.list_suppressions(admin, "nobody")


@pytest.mark.parametrize("name", WEBHOOKS)
async def test_calls_to_try_a_receiver(config: Config, name: str) -> None:
    caller = HookCaller(config)
    with Receiver() as receiver:
        outcome = await applications.test_webhook(caller, receiver.url("/try"), "Bearer x", WEBHOOKS[name])
        assert (outcome.code, outcome.error) == (200, "")
        call = receiver.wait(lambda call: call.path == "/try")
    await caller.close()
    assert call.headers["authorization"] == "Bearer x"
    assert (call.headers["x-mox-webhook-id"], call.headers["x-mox-webhook-attempt"]) == ("1", "1")
    assert call.payload == json.loads(msgspec.json.encode(WEBHOOKS[name]))
    with pytest.raises(RequestError):
        await applications.test_webhook(caller, "ftp://x.example/", "", WEBHOOKS[name])
