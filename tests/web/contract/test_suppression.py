"""The suppression list: spec/webapi.md section 7."""

from collections.abc import Iterator

import pytest

from tests.web.contract.conftest import Api

IDN = "Remote.Last-catchall@xn--74h.localhost"
VARIANT = "remote.LAST+more@☺.LocalHost"
BASE = "remotelast@☺.localhost"


@pytest.fixture
def added(api: Api) -> Iterator[None]:
    assert api.call("SuppressionAdd", {"EmailAddress": IDN, "Manual": True, "Reason": "tests"}) == {}
    yield
    api.post("SuppressionRemove", {"EmailAddress": IDN})


@pytest.mark.holds("webapi-64c583")
@pytest.mark.usefixtures("added")
def test_add_twice(api: Api) -> None:
    assert api.error("SuppressionAdd", {"EmailAddress": IDN})[0] == "error"
    assert api.error("SuppressionAdd", {"EmailAddress": VARIANT})[0] == "error"


@pytest.mark.holds("webapi-64c583")
@pytest.mark.usefixtures("added")
def test_every_form_finds_it(api: Api) -> None:
    for address in (IDN, VARIANT, BASE, "remotelast@xn--74h.localhost"):
        assert api.call("SuppressionPresent", {"EmailAddress": address}) == {"Present": True}
    assert api.call("SuppressionPresent", {"EmailAddress": "other@xn--74h.localhost"}) == {"Present": False}
    listed = api.call("SuppressionList", {})["Suppressions"]
    entry = next(e for e in listed if e["BaseAddress"] == BASE)
    assert set(entry) == {"ID", "Created", "Account", "BaseAddress", "OriginalAddress", "Manual", "Reason"}
    assert (entry["Manual"], entry["Reason"]) == (True, "tests")
    assert entry["OriginalAddress"] == "Remote.Last-catchall@☺.localhost"


@pytest.mark.holds("webapi-64c583")
def test_remove_twice(api: Api) -> None:
    api.call("SuppressionAdd", {"EmailAddress": IDN})
    assert api.call("SuppressionRemove", {"EmailAddress": VARIANT}) == {}
    assert api.error("SuppressionRemove", {"EmailAddress": IDN})[0] == "error"


@pytest.mark.holds("webapi-64c583")
@pytest.mark.parametrize("name", ["SuppressionAdd", "SuppressionRemove", "SuppressionPresent"])
@pytest.mark.parametrize("address", ["", "mox", "@x.example", "a b@x.example", "x@[127.0.0.1]", "a@b..c", "a@-b.c"])
def test_bad_address(api: Api, name: str, address: str) -> None:
    code, message = api.error(name, {"EmailAddress": address})
    assert code == "badAddress"
    assert message.startswith("parsing address")


def test_list_is_in_order(api: Api) -> None:
    addresses = ["zz@order.example", "aa@order.example", "mm@order.example"]
    for address in addresses:
        api.call("SuppressionAdd", {"EmailAddress": address})
    try:
        listed = [e["BaseAddress"] for e in api.call("SuppressionList", {})["Suppressions"]]
        assert listed == sorted(listed, key=str.encode)
        assert set(addresses) <= set(listed)
    finally:
        for address in addresses:
            api.call("SuppressionRemove", {"EmailAddress": address})


def test_nothing_left_of_an_address(api: Api) -> None:
    api.call("SuppressionAdd", {"EmailAddress": "+x@empty.example"})
    listed = api.call("SuppressionList", {})["Suppressions"]
    api.call("SuppressionRemove", {"EmailAddress": "+x@empty.example"})
    assert '""@empty.example' in [e["BaseAddress"] for e in listed]
