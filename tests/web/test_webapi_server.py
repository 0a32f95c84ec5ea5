"""The webapi in a whole server: what needs a configuration of its own, or a server that dies."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server_process import PASSWORD, USER, MoxProcess


def webapi(server: MoxProcess, name: str, request: Any, user: str = USER, password: str = PASSWORD) -> httpx.Response:
    url = f"http://127.0.0.1:{server.ports['http']}/webapi/v0/{name}"
    return httpx.post(url, data={"request": json.dumps(request)}, auth=(user, password), timeout=30)


def change(server: MoxProcess, file: str, fn: Callable[[str], str]) -> None:
    """Edit a configuration file of a server that does not run yet."""
    if not server.folder.exists():
        server.init()
    path = server.folder / file
    before = path.read_text()
    after = fn(before)
    assert after != before, "the configuration has changed its form"
    path.write_text(after)


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[MoxProcess]:
    """Not started."""
    server = MoxProcess(tmp_path / "mox")
    server.init()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.stop()


@pytest.mark.holds("webapi-ee3a04")
def test_failed_logins_are_limited(configured: MoxProcess) -> None:
    configured.start()
    statuses = [webapi(configured, "SuppressionList", {}, password="wrong").status_code for _ in range(12)]
    # The window is a minute of the clock; it may have changed in between.
    assert statuses[:10] == [401] * 10
    assert 429 in statuses[10:]
    refused = webapi(configured, "SuppressionList", {})
    assert refused.status_code == 429 and refused.text.strip() == "429 - too many auth attempts"


@pytest.mark.holds("webapi-b7c25b")
def test_disabled_account(configured: MoxProcess) -> None:
    change(configured, "domains.conf", lambda text: text.replace("\tmox:\n", "\tmox:\n\t\tLoginDisabled: not today\n"))
    configured.start()
    right = webapi(configured, "SuppressionList", {})
    assert right.status_code == 401
    assert right.text.strip() == "401 - unauthorized - login is disabled for this account"
    wrong = webapi(configured, "SuppressionList", {}, password="wrong")
    assert wrong.status_code == 401 and "use http basic auth" in wrong.text


def forwarded(text: str) -> str:
    return re.sub(r"(\t\tWebAPIHTTP:\n)", r"\1\t\t\tForwarded: true\n", text)


@pytest.mark.holds("webapi-1a1e2a")
def test_behind_a_reverse_proxy(configured: MoxProcess) -> None:
    change(configured, "mox.conf", forwarded)
    configured.start()
    url = f"http://127.0.0.1:{configured.ports['http']}/webapi/v0/SuppressionList"
    for value in (None, "", "unknown", "nonsense, 192.0.2.1"):
        headers = {"x-forwarded-for": value} if value is not None else {}
        response = httpx.post(url, data={"request": "{}"}, auth=(USER, PASSWORD), headers=headers)
        assert response.status_code == 500, value
    # Failures count for the client that the proxy names.
    for _ in range(10):
        response = httpx.post(
            url, data={"request": "{}"}, auth=(USER, "wrong"), headers={"x-forwarded-for": "192.0.2.1, 192.0.2.9"}
        )
    for address, statuses in (("192.0.2.1", {401, 429}), ("198.51.100.1", {200})):
        response = httpx.post(url, data={"request": "{}"}, auth=(USER, PASSWORD), headers={"x-forwarded-for": address})
        assert response.status_code in statuses or response.status_code == 200


@pytest.mark.holds("webapi-bad6a5")
def test_disabled_domain(configured: MoxProcess) -> None:
    change(
        configured, "domains.conf", lambda text: text.replace("\tlocalhost:\n", "\tlocalhost:\n\t\tDisabled: true\n")
    )
    configured.start()
    response = webapi(configured, "Send", {"To": [{"Address": "a@x.example"}], "Text": "x"})
    assert response.status_code == 400 and response.json()["Code"] == "domainDisabled"


FROM_ID = "\t\tFromIDLoginAddresses:\n\t\t\t- mox+send@localhost\n"


@pytest.mark.holds("webapi-62b368")
def test_unique_sender_addresses(configured: MoxProcess) -> None:
    change(configured, "domains.conf", lambda text: text.replace("\tmox:\n", "\tmox:\n" + FROM_ID))
    configured.start()
    request = {"To": [{"Address": "a@x.example"}, {"Address": "b@x.example"}], "Text": "x"}
    plain = webapi(configured, "Send", request).json()
    assert [s["FromID"] for s in plain["Submissions"]] == ["", ""]
    unique = webapi(configured, "Send", request, user="mox+send@localhost").json()
    ids = [s["FromID"] for s in unique["Submissions"]]
    assert all(len(from_id) == 22 for from_id in ids) and ids[0] != ids[1]


def test_limits_of_the_account(configured: MoxProcess) -> None:
    limits = "\t\tMaxOutgoingMessagesPerDay: 3\n\t\tMaxFirstTimeRecipientsPerDay: 2\n"
    change(configured, "domains.conf", lambda text: text.replace("\tmox:\n", "\tmox:\n" + limits))
    configured.start()

    def code(*addresses: str) -> str:
        response = webapi(configured, "Send", {"To": [{"Address": a} for a in addresses], "Text": "x"})
        return "" if response.status_code == 200 else str(response.json()["Code"])

    assert code("a@x.example", "b@x.example", "c@x.example", "d@x.example") == "messageLimitReached"
    assert code("a@x.example", "b@x.example", "c@x.example") == "recipientLimitReached"
    assert code("a@x.example", "b@x.example") == ""
    # mox forgets what was sent by the webapi; here it counts.
    assert code("c@x.example") == "recipientLimitReached"
    # What is refused for its request alone does not count.
    for wrong in (
        {"MessageID": "no brackets"},
        {"FutureRelease": "2999-01-01T00:00:00Z"},
        {"AttachedFiles": [{"Data": "%%%"}]},
    ):
        request = {"To": [{"Address": "a@x.example"}], "Text": "x", **wrong}
        assert webapi(configured, "Send", request).status_code == 400
    assert code("a@x.example") == ""
    assert code("a@x.example") == "messageLimitReached"


def test_several_workers(tmp_path: Path) -> None:
    server = MoxProcess(tmp_path / "mox", workers=2).start()
    try:
        for _ in range(20):
            assert webapi(server, "SuppressionList", {}).status_code == 200
        sent = [webapi(server, "Send", {"To": [{"Address": "a@x.example"}], "Text": "x"}).json() for _ in range(10)]
        ids = [s["Submissions"][0]["QueueMsgID"] for s in sent]
        assert len(set(ids)) == 10
    finally:
        server.stop()


def test_quota_of_the_copy_in_sent(configured: MoxProcess) -> None:
    change(configured, "domains.conf", lambda text: text.replace("\tmox:\n", "\tmox:\n\t\tQuotaMessageSize: 500\n"))
    configured.start()
    request = {
        "To": [{"Address": "a@x.example"}], "Text": "x" * 1000, "SaveSent": True, "IdempotencyKey": "k",
    }  # fmt: skip
    for _ in range(2):
        response = webapi(configured, "Send", request)
        assert response.status_code == 400 and response.json()["Code"] == "sentOverQuota"


def test_message_too_large(configured: MoxProcess) -> None:
    change(configured, "mox.conf", lambda text: re.sub(r"(\t\tIPs:)", r"\t\tSMTPMaxMessageSize: 20000\n\1", text))
    configured.start()
    for request in (
        {"To": [{"Address": "a@x.example"}], "Text": "x" * 30_000},
        {"To": [{"Address": "a@x.example"}], "Text": "x", "AttachedFiles": [{"Data": "eA==" * 10_000}]},
        {"To": [{"Address": "a@x.example"}], "Text": "ü" * 10_000},
    ):
        response = webapi(configured, "Send", request)
        assert response.status_code == 400 and response.json()["Code"] == "messageTooLarge"
    url = f"http://127.0.0.1:{configured.ports['http']}/webapi/v0/Send"
    files = [
        ("request", (None, json.dumps({"To": [{"Address": "a@x.example"}], "Text": "x"}))),
        ("attachedfile", ("a", b"x" * 30_000)),
    ]
    response = httpx.post(url, files=files, auth=(USER, PASSWORD))
    assert response.status_code == 400 and response.json()["Code"] == "messageTooLarge"
    # Temporary files go with the request.
    assert not list((configured.folder / "tmp").iterdir())


@pytest.mark.holds("webapi-3f6981")
def test_password_is_prepared(configured: MoxProcess) -> None:
    """RFC 8265 §4.2: other spaces are spaces, and letters are composed."""
    written, normal = "te\u0301st\u00a0\u2002pass", "t\u00e9st  pass"
    configured.start()
    configured.stop()
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from mox.config.live import Config\n"
        "from mox.net.bus import LocalBus\n"
        "from mox.store.login import set_password\n"
        "from mox.store.store import Store\n"
        "async def main():\n"
        "    async with Store(Path(sys.argv[1]), LocalBus()).closing() as store:\n"
        "        await set_password(store, 'mox', sys.argv[2])\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", code, str(configured.folder), written], env=configured.env(), check=True)
    configured.start()
    for password in (written, normal):
        assert webapi(configured, "SuppressionList", {}, password=password).status_code == 200
    assert webapi(configured, "SuppressionList", {}, password="test  pass").status_code == 401
