"""The public SPF test suites (OpenSPF / pyspf) for RFC 7208 and RFC 4408."""

from functools import cache
from typing import Any

import pytest
import yaml

from mox.dns.names import parse_ip
from mox.dns.resolver import Mx
from mox.dns.static import StaticResolver
from mox.mailauth import spf
from tests.conftest import DATA

_KINDS = {"A", "AAAA", "MX", "TXT", "PTR", "CNAME"}
_DEFAULT_EXPLANATION = "DEFAULT"


@cache
def cases(name: str) -> list[Any]:
    path = DATA / "spf" / name
    if not path.exists():
        return []
    return [
        pytest.param(document["zonedata"], case, id=f"{number}-{test}")
        for number, document in enumerate(yaml.safe_load_all(path.read_text()))
        for test, case in document["tests"].items()
    ]


def resolver_of(zonedata: dict[str, list[Any]]) -> StaticResolver:
    """A table with the suite's conventions: SPF records stand for TXT ones, TIMEOUT fails whatever is not listed."""
    fail: list[tuple[str, str]] = []
    zone: dict[str, dict[str, list[Any]]] = {}
    for name, records in zonedata.items():
        kinds = [next(iter(record)) for record in records if isinstance(record, dict)]
        for record in records:
            if record == "TIMEOUT":
                given = {k for r in records if isinstance(r, dict) for k, v in r.items() if v != "NONE"}
                listed = {*given, *({"TXT"} if "SPF" in kinds and "TXT" not in kinds else set())}
                fail += [(kind, name.lower()) for kind in _KINDS - listed]
                continue
            kind, value = next(iter(record.items()))
            if kind == "SPF":
                if "TXT" in kinds:
                    continue
                kind = "TXT"
            if value == "NONE" or kind not in _KINDS:
                continue
            zone.setdefault(name, {}).setdefault(kind, []).append(converted(kind, value))
    return StaticResolver(zone, fail=fail)


def converted(kind: str, value: Any) -> Any:
    if kind == "TXT":
        text = "".join(value) if isinstance(value, list) else value
        return text.encode("latin-1", "replace").decode("utf-8", "surrogateescape")
    return Mx(value[0], value[1] or ".") if kind == "MX" else value


def facts_of(case: dict[str, Any]) -> spf.SpfFacts:
    sender = case["mailfrom"]
    localpart, _, domain = sender.rpartition("@")
    return spf.SpfFacts(parse_ip(case["host"]), localpart, domain, case["helo"], "receiver.example.org")


async def check(zonedata: dict[str, list[Any]], case: dict[str, Any]) -> None:
    result = await spf.verify(resolver_of(zonedata), facts_of(case))
    allowed = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert result.status in allowed, result
    if result.status == "fail" and "explanation" in case:
        wanted = case["explanation"]
        assert result.explanation == ("" if wanted == _DEFAULT_EXPLANATION else wanted)


@pytest.mark.parametrize(("zonedata", "case"), cases("rfc7208-tests.yml"))
async def test_rfc7208(zonedata: dict[str, list[Any]], case: dict[str, Any]) -> None:
    await check(zonedata, case)


@pytest.mark.parametrize(("zonedata", "case"), cases("rfc4408-tests.yml"))
async def test_rfc4408(zonedata: dict[str, list[Any]], case: dict[str, Any]) -> None:
    await check(zonedata, case)


@pytest.mark.skipif(not (DATA / "spf").exists(), reason="shared/data is not here")
def test_suites_are_complete() -> None:
    assert len(cases("rfc7208-tests.yml")) > 100
    assert len(cases("rfc4408-tests.yml")) > 100
