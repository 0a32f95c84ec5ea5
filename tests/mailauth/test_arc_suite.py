"""The public ARC test suite (ValiMail): chain validation and sealing."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mox.dns.names import Domain
from mox.dns.static import StaticResolver
from mox.mailauth import arc
from mox.mailauth.canon import BytesBody, split_header
from mox.mailauth.taglist import parse_tags
from tests.conftest import DATA


@cache
def cases(name: str) -> list[Any]:
    path: Path = DATA / "arc" / name
    if not path.exists():
        return []
    return [
        pytest.param(document, case, id=test)
        for document in yaml.safe_load_all(path.read_text())
        for test, case in document["tests"].items()
    ]


def resolver_of(document: dict[str, Any]) -> StaticResolver:
    records = (document.get("txt-records") or {}).items()
    return StaticResolver({name: {"TXT": [text.replace("\n", "")]} for name, text in records})


def parts(text: str) -> tuple[bytes, BytesBody]:
    message = text.encode().replace(b"\n", b"\r\n")
    if message.startswith(b"\r\n"):
        return b"\r\n", BytesBody(message[2:])
    header, separator, body = message.partition(b"\r\n\r\n")
    return header.removesuffix(b"\r\n") + b"\r\n\r\n", BytesBody(body if separator else b"")


@pytest.mark.parametrize(("document", "case"), cases("arc-draft-validation-tests.yml"))
async def test_validation(document: dict[str, Any], case: dict[str, Any]) -> None:
    result = await arc.verify(resolver_of(document), *parts(case["message"]))
    # The suite leaves open what a chain is that says itself that it failed; RFC 8617 §5.2 says "fail".
    expected = case["cv"] or ("fail" if "cv=fail" in case["message"] else "none")
    assert result.status == expected.lower(), result.problem


def payload_of(header: bytes, host: str) -> str:
    """What the suite expects in ARC-Authentication-Results: the results of the host's own fields, joined."""
    texts = [
        re.sub(r"\s+", " ", field.raw.decode().partition(":")[2]).strip()
        for field in split_header(header)
        if field.name == "authentication-results"
    ]
    own = [text.partition(";")[2].strip() for text in texts if text.partition(";")[0].strip() == host]
    return f"{host}; " + "; ".join(own)


@pytest.mark.parametrize(("document", "case"), cases("arc-draft-sign-tests.yml"))
async def test_sealing(document: dict[str, Any], case: dict[str, Any]) -> None:
    header, body = parts(case["message"])
    key = load_pem_private_key(document["privatekey"].encode(), None)
    sealer = arc.Sealer(
        Domain(document["domain"]),
        document["sel"],
        key,
        case["sig-headers"].split(":"),  # type: ignore[arg-type]
    )
    chain = await arc.verify(resolver_of(document), header, body)
    sealed = await arc.seal(header, body, sealer, payload_of(header, case["srv-id"]), chain, int(case["t"]))
    if not case["AS"]:
        assert sealed == b""
        return
    got = {field.name: field.raw.partition(b":")[2].decode() for field in split_header(sealed + b"\r\n")}
    assert squeeze(got["arc-authentication-results"]) == squeeze(case["AAR"])
    assert tags(got["arc-message-signature"]) == tags(case["AMS"])
    # The seal covers the fold of the other signature, which is free: it is verified instead of compared.
    assert tags(got["arc-seal"]) | {"b": ""} == tags(case["AS"]) | {"b": ""}
    again = await arc.verify(resolver_of(document), sealed + header, body)
    assert again.status == ("fail" if chain.status == "fail" else "pass"), again.problem
    assert len(again.sets) == len(chain.sets) + 1


def squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def tags(text: str) -> dict[str, str]:
    return {name: re.sub(r"\s+", "", value) for name, value in parse_tags(squeeze(text)).items()}


@pytest.mark.skipif(not (DATA / "arc").exists(), reason="shared/data is not here")
def test_suites_are_complete() -> None:
    assert len(cases("arc-draft-validation-tests.yml")) == 171
    assert len(cases("arc-draft-sign-tests.yml")) == 17
