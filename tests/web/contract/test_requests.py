"""Paths, methods, log-in and forms: spec/webapi.md sections 2 to 4."""

from typing import Any

import httpx
import pytest

from tests.web.contract.conftest import Api

METHODS = (
    "Send",
    "SuppressionList",
    "SuppressionAdd",
    "SuppressionRemove",
    "SuppressionPresent",
    "MessageGet",
    "MessageRawGet",
    "MessagePartGet",
    "MessageDelete",
    "MessageFlagsAdd",
    "MessageFlagsRemove",
    "MessageMove",
)


@pytest.mark.holds("webapi-f25c36")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 303),
        ("POST", "/", 405),
        ("HEAD", "/", 405),
        ("GET", "/v0/", 200),
        ("GET", "/other/", 404),
        ("GET", "/v0/Send", 200),
        ("GET", "/v0/MessageRawGet", 200),
        ("GET", "/v0/Bogus", 404),
        ("POST", "/v0/Bogus", 404),
        ("GET", "/v0/send", 404),
        ("GET", "/v0/Send/", 404),
        ("PUT", "/v0/Send", 405),
        ("HEAD", "/v0/Send", 405),
        ("DELETE", "/v0/Send", 405),
    ],
)
def test_paths(api: Api, method: str, path: str, status: int) -> None:
    response = api.raw(method, path)
    assert response.status_code == status
    if status == 200:
        assert response.headers["content-type"] == "text/html; charset=utf-8"
    if status == 303:
        assert response.headers["location"].endswith("/webapi/v0/")


def test_mount_point_without_slash(api: Api) -> None:
    response = api.client.get(api.url.rstrip("/"))
    assert response.status_code == 303
    assert response.headers["location"].endswith("/webapi/")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_page(api: Api, name: str) -> None:
    response = api.raw("GET", f"/v0/{name}")
    assert response.status_code == 200
    assert name in response.text and "<textarea" in response.text
    for header, value in (("x-frame-options", "deny"), ("x-content-type-options", "nosniff")):
        assert response.headers[header] == value
    assert response.headers["referrer-policy"] == "same-origin"
    assert response.headers["content-security-policy"]


@pytest.mark.holds("webapi-f25c36")
@pytest.mark.parametrize("authorization", [None, "Basic", "Basic !!!", "Basic YWJj", "Bearer abc"])
def test_without_credentials(api: Api, authorization: str | None) -> None:
    headers = {"authorization": authorization} if authorization else {}
    # More often than failed log-ins are possible: these are none.
    for _ in range(12):
        response = api.raw("POST", "/v0/SuppressionList", data={"request": "{}"}, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Basic realm=webapi"
        assert response.text.strip() == "401 - unauthorized - use http basic auth with email address as username"
    assert api.post("SuppressionList", {}).status_code == 200


MULTIPART = "multipart/form-data; boundary=b"


@pytest.mark.holds("webapi-a0d88f")
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", "{}"),
        ("bad/type/indeed", "request={}"),
        (MULTIPART, "--b\r\nbroken"),
        (MULTIPART, ""),
        ("multipart/form-data", "--b--"),
        ("application/x-www-form-urlencoded", "request=%zz"),
        ("application/x-www-form-urlencoded", "request=%"),
        ("application/x-www-form-urlencoded", ""),
        ("application/x-www-form-urlencoded", "other={}"),
        ("application/x-www-form-urlencoded", "request="),
        ("application/x-www-form-urlencoded", "request=notjson"),
        ("application/x-www-form-urlencoded", "request=[]"),
        ("application/x-www-form-urlencoded", "request=7"),
        ("application/x-www-form-urlencoded", 'request={"Unknown":1}'),
        ("application/x-www-form-urlencoded", 'request={"EmailAddress":1}'),
        ("application/x-www-form-urlencoded", 'request={"EmailAddress":"a@b.example"'),
        ("application/x-www-form-urlencoded", 'request={"EmailAddress":NaN}'),
        ("application/x-www-form-urlencoded", "request=" + "[" * 100_000),
    ],
)
def test_malformed_requests(api: Api, content_type: str, body: str) -> None:
    response = api.raw(
        "POST",
        "/v0/SuppressionPresent",
        content=body.encode(),
        headers={"content-type": content_type},
        auth=(api.user, api.password),
    )
    assert response.status_code == 400
    assert response.json()["Code"] == "protocol"
    assert len(response.content) < 10 << 10


def test_request_in_the_query_does_not_count(api: Api) -> None:
    response = api.raw("POST", "/v0/SuppressionList?request={}", auth=(api.user, api.password))
    assert response.status_code == 400
    assert response.json() == {"Code": "protocol", "Message": "missing/empty request"}


@pytest.mark.parametrize(
    "text",
    [
        '{"emailaddress":"a@b.example"}',
        '{"EMAILADDRESS":"a@b.example"}',
        ' \n\t{"EmailAddress":"a@b.example"} and more',
        '{"EmailAddress":"x","EmailAddress":"a@b.example"}',
        '{"EmailAddress":"a@b.example","emailAddress":null}',
    ],
    ids=["lower case", "upper case", "trailing data", "twice", "null"],
)
def test_json_is_read_leniently(api: Api, text: str) -> None:
    response = api.raw("POST", "/v0/SuppressionPresent", data={"request": text}, auth=(api.user, api.password))
    assert response.status_code == 200
    assert response.json() == {"Present": False}


def test_null_is_an_empty_object(api: Api) -> None:
    response = api.raw("POST", "/v0/SuppressionList", data={"request": "null"}, auth=(api.user, api.password))
    assert response.status_code == 200


@pytest.mark.parametrize(
    "options", [{"data": {"request": "{}"}}, {"files": {"request": (None, "{}")}}], ids=["urlencoded", "multipart"]
)
def test_both_forms(api: Api, options: dict[str, Any]) -> None:
    response = api.raw("POST", "/v0/SuppressionList", auth=(api.user, api.password), **options)
    assert response.status_code == 200
    assert isinstance(response.json()["Suppressions"], list)


def test_user_is_not_an_address(api: Api) -> None:
    response = api.post("SuppressionList", {}, auth=("mox", api.password))
    assert response.status_code == 401
    # Good credentials forget the failure.
    assert api.post("SuppressionList", {}).status_code == 200


def test_other_hosts_do_not_reach_it(api: Api) -> None:
    response = api.raw("GET", "/v0/", headers={"host": "other.example"})
    assert response.status_code == 404


def test_connection_is_kept(api: Api) -> None:
    with httpx.Client() as client:
        for _ in range(3):
            response = client.post(
                api.url + "v0/SuppressionList", data={"request": "{}"}, auth=(api.user, api.password)
            )
            assert response.status_code == 200
