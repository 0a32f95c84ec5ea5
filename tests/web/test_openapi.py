"""The OpenAPI document describes what the server does: schemathesis makes requests from it and checks the answers."""

import json
import types
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mox.webapi.types import METHODS
from tests.server_process import PASSWORD, USER, MoxProcess

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoxProcess]:
    server = MoxProcess(tmp_path_factory.mktemp("openapi") / "mox").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def base(server: MoxProcess) -> str:
    return f"http://127.0.0.1:{server.ports['http']}/webapi/v0"


@pytest.fixture(scope="module")
def document(base: str) -> dict[str, Any]:
    response = httpx.get(f"{base}/openapi.json")
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    found: dict[str, Any] = response.json()
    return found


def test_document(document: dict[str, Any]) -> None:
    assert sorted(document["paths"]) == sorted(f"/{name}" for name in METHODS)
    operations = list(schemathesis.openapi.from_dict(document).get_all_operations())
    assert len(operations) == len(METHODS)
    assert all(result.ok() for result in operations)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_answers_conform(document: dict[str, Any], base: str, name: str) -> None:
    """Bodies of any kind: no failure of the server, and only answers that are documented."""
    operation = schemathesis.openapi.from_dict(document)[f"/{name}"]["POST"]

    @FEW
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        response = case.call(base_url=base, auth=(USER, PASSWORD))
        # What the text of the form must hold, a schema cannot say: requests that it allows may be refused.
        case.validate_response(response, checks=CHECKS)

    check()


def values(hint: Any) -> st.SearchStrategy[Any]:
    """JSON for a type of the webapi."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return values(arguments[0])
    if origin in (Union, types.UnionType):
        return st.none() | values(next(a for a in arguments if a is not type(None)))
    if origin is list:
        return st.lists(values(arguments[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=2)
    if origin is tuple:
        return st.lists(st.text(max_size=12), max_size=3)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return st.fixed_dictionaries({}, optional={n: values(h) for n, h in get_type_hints(hint).items()})
    if hint is datetime:
        return st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(max_size=30)
        | st.sampled_from(["mox@localhost", "a@x.example", "<a@b>", "eA==", "\\seen", "Inbox"]),
        int: st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3),
        bool: st.booleans(),
    }
    return simple[hint]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_well_formed_requests(document: dict[str, Any], base: str, name: str) -> None:
    """What is of the right types is carried out, or refused for a reason that the document knows."""
    codes = document["components"]["schemas"]["Error"]["properties"]["Code"]["enum"]

    @FEW
    @given(request=values(METHODS[name].request))
    def check(request: dict[str, Any]) -> None:
        response = httpx.post(f"{base}/{name}", data={"request": json.dumps(request)}, auth=(USER, PASSWORD))
        assert response.status_code in (200, 400), response.text
        if response.status_code == 400:
            answer = response.json()
            assert answer["Message"] and answer["Code"] in codes
            assert answer["Code"] != "protocol", answer
            assert answer["Code"] != "server" or not request.get("MsgID"), answer

    check()
