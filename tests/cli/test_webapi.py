"""webapi on the command line (spec/cli.md section 15)."""

import io
import json
import sys

import msgspec
import pytest

from mox.cli.command import CommandError
from mox.cli.main import run
from mox.cli.webapi import example
from mox.webapi.examples import WEBHOOKS
from mox.webapi.types import METHODS, Bytes
from tests.server_process import MoxProcess


def test_methods_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["webapi"]) == 0
    assert {"Send", "MessageGet", "SuppressionList"} <= set(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", METHODS)
def test_examples_are_valid(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    method = METHODS[name]
    for kind in (method.request, method.result):
        if kind is not Bytes:
            msgspec.convert(msgspec.json.decode(msgspec.json.encode(example(kind))), kind, strict=False)
    assert run(["webapi", name]) == 0
    assert "# Example request" in capsys.readouterr().out


def test_calling(shared_mox: MoxProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    base = f"http://mox%40localhost:moxmoxmox@127.0.0.1:{shared_mox.ports['http']}/webapi/v0/"

    def call(method: str, request: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(request))
        status = run(["webapi", method, base])
        return status, capsys.readouterr().out

    status, answer = call("SuppressionPresent", '{"EmailAddress": "x@example.org"}')
    assert (status, json.loads(answer)) == (0, {"Present": False})
    status, answer = call("SuppressionRemove", '{"EmailAddress": "x@example.org"}')
    assert status == 1 and json.loads(answer)["Code"]
    with pytest.raises(CommandError, match="parsing request"):
        call("SuppressionPresent", '{"EmailAddress": 1}')
    with pytest.raises(CommandError, match="unknown method"):
        call("Nonsense", "{}")


@pytest.mark.parametrize("name", WEBHOOKS)
def test_examples_of_webhooks(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["example", name]) == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=type(WEBHOOKS[name])) == WEBHOOKS[name]


def test_examples_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["example"]) == 0
    assert capsys.readouterr().out.split() == list(WEBHOOKS)
    with pytest.raises(CommandError, match="not found"):
        run(["example", "webhook-nonsense"])
