"""rdap domainage against a scripted network."""

import datetime
from typing import Any

import httpx
import pytest

from mox.cli import rdap
from mox.cli.command import CommandError
from mox.dns.names import Domain

NOW = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)
SERVERS = {
    "services": [
        [["org"], ["http://a.example/rdap/", "https://b.example/rdap/"]],
        [["co.org"], ["https://c.example/"]],
    ]
}
EVENTS = [
    {"eventAction": "registration", "eventDate": "2010-01-01T00:00:00Z"},
    {"eventAction": "reregistration", "eventDate": "2022-05-31T00:00:00+00:00"},
    {"eventAction": "reregistration", "eventDate": "2030-01-01T00:00:00Z"},
    {"eventAction": "last changed", "eventDate": "2024-01-01T00:00:00Z"},
    {"eventAction": "registration", "eventDate": "bad"},
    "bad",
]


def network(answers: dict[str, Any]) -> httpx.MockTransport:
    def handle(request: httpx.Request) -> httpx.Response:
        answer = answers.get(str(request.url), (404, ""))
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, text=body) if isinstance(body, str) else httpx.Response(status, json=body)

    return httpx.MockTransport(handle)


async def test_last_registration_from_the_https_server() -> None:
    transport = network({rdap.BOOTSTRAP: SERVERS, "https://b.example/rdap/domain/x.org": {"events": EVENTS}})
    found = await rdap.registered_at(Domain("x.org"), NOW, transport)
    assert rdap.age_text(NOW - found) == "2 years, 2 days"


async def test_the_next_server_is_asked_when_one_fails() -> None:
    transport = network(
        {
            rdap.BOOTSTRAP: SERVERS,
            "https://b.example/rdap/domain/x.org": (500, "broken"),
            "http://a.example/rdap/domain/x.org": {"events": EVENTS},
        }
    )
    assert (await rdap.registered_at(Domain("x.org"), NOW, transport)).year == 2022


@pytest.mark.parametrize(
    ("domain", "answers", "text"),
    [
        ("x.test", {rdap.BOOTSTRAP: SERVERS}, "not available"),
        ("x.org", {rdap.BOOTSTRAP: SERVERS}, "domain not found"),
        ("x.co.org", {rdap.BOOTSTRAP: SERVERS, "https://c.example/domain/x.co.org": {}}, "date not found"),
        ("x.co.org", {rdap.BOOTSTRAP: SERVERS, "https://c.example/domain/x.co.org": "no json"}, "no JSON"),
        (
            "x.co.org",
            {rdap.BOOTSTRAP: SERVERS, "https://c.example/domain/x.co.org": (429, "slow " * 99)},
            "429: slow",
        ),
        ("x.org", {rdap.BOOTSTRAP: {"services": 1}}, "malformed"),
        ("x.org", {rdap.BOOTSTRAP: []}, "malformed"),
    ],
    ids=["no-server", "not-found", "no-date", "no-json", "refused", "malformed-list", "other-list"],
)
async def test_failures(domain: str, answers: dict[str, Any], text: str) -> None:
    with pytest.raises(CommandError, match=text) as caught:
        await rdap.registered_at(Domain(domain), NOW, network(answers))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("days", "text"),
    [(0, "0 days"), (1, "1 day"), (364, "364 days"), (365, "1 year, 0 days"), (731, "2 years, 1 day")],
)
def test_age(days: int, text: str) -> None:
    assert rdap.age_text(datetime.timedelta(days=days)) == text
