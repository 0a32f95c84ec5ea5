"""The server under test: a localserve of ours, or any mox that is named with --webapi-url (which ends in /webapi/),
--webapi-user and --webapi-password; its account must be able to send to itself. See docs/webapi.md."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.server_process import PASSWORD, USER, MoxProcess


@dataclass
class Api:
    """What a program knows: an address, a user, a password."""

    url: str
    user: str
    password: str
    is_ours: bool
    client: httpx.Client

    def raw(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request below the mount point."""
        return self.client.request(method, self.url.rstrip("/") + path, **options)

    def post(self, name: str, request: object, **options: Any) -> httpx.Response:
        """A call with the account's credentials."""
        auth = options.pop("auth", (self.user, self.password))
        return self.raw("POST", f"/v0/{name}", data={"request": json.dumps(request)}, auth=auth, **options)

    def call(self, name: str, request: object, **options: Any) -> Any:
        """The result of a call that must succeed."""
        response = self.post(name, request, **options)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert response.text.endswith("}\n")
        return response.json()

    def error(self, name: str, request: object, **options: Any) -> tuple[str, str]:
        """(code, message) of a call that must be refused."""
        response = self.post(name, request, **options)
        assert response.status_code == 400, response.text
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        answer = response.json()
        assert set(answer) == {"Code", "Message"}
        return answer["Code"], answer["Message"]

    def delivered(self, request: dict[str, Any]) -> int:
        """Send a message to the own account; the id of the copy that arrives.

        The webapi cannot list messages, so the ids are looked through: they are small numbers.
        """
        marker = f"marker-{time.monotonic_ns()}"
        sent = {"To": [{"Address": self.user}], "Text": "x", **request}
        sent["Subject"] = f"{sent.get('Subject', '')} {marker}".strip()
        self.call("Send", sent)
        deadline = time.monotonic() + 20
        known = 1
        while time.monotonic() < deadline:
            response = self.post("MessageGet", {"MsgID": known})
            if response.status_code == 200:
                got = response.json()
                if marker in got["Message"]["Subject"] and got["Meta"]["RcptTo"]:
                    return known
                known += 1
                continue
            later = next((n for n in range(known + 1, known + 10) if self._exists(n)), None)
            if later is not None:
                known = later
                continue
            time.sleep(0.02)
        raise AssertionError("the message did not arrive")

    def _exists(self, number: int) -> bool:
        return self.post("MessageGet", {"MsgID": number}).status_code == 200


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("webapi contract")
    group.addoption("--webapi-url", help="a server to test instead of our own, such as http://localhost:1080/webapi/")
    group.addoption("--webapi-user", default=USER, help="the address of an account there")
    group.addoption("--webapi-password", default=PASSWORD, help="its password")


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Api]:
    # The options are there when pytest is called for this folder.
    url = pytestconfig.getoption("--webapi-url", None)
    with httpx.Client(timeout=30) as client:
        if url:
            user, password = pytestconfig.getoption("--webapi-user"), pytestconfig.getoption("--webapi-password")
            yield Api(url, user, password, False, client)
            return
        server = MoxProcess(tmp_path_factory.mktemp("contract") / "mox").start()
        yield Api(f"http://localhost:{server.ports['http']}/webapi/", USER, PASSWORD, True, client)
        server.stop()
