"""The queue of a running server (spec/cli.md sections 9 and 23)."""

import json
import re

import pytest

from mox.cli.command import CommandError
from mox.server.control import ControlError
from tests.cli.conftest import Mox
from tests.cli.test_running_server import submit
from tests.server_process import PASSWORD, USER, MoxProcess


@pytest.mark.holds("cli-039218")
def test_hold_rules(mox: Mox) -> None:
    assert mox("queue", "holdrules", "list") == "hold rules:\n(none)\n"
    mox("queue", "holdrules", "add")
    mox("queue", "holdrules", "add", "-account", "mox")
    mox("queue", "holdrules", "add", "-senderdom", "\u263a.mox.example")
    mox(
        "queue", "holdrules", "add", "-account", "gone", "-senderdom", "a.example", "-recipientdom", "xn--74h.b.example"
    )
    lines = mox("queue", "holdrules", "list").splitlines()
    assert [line.partition(": ")[2] for line in lines[1:]] == [
        "all messages",
        'account "mox"',
        'sender domain "\u263a.mox.example"',
        'account "gone", sender domain "a.example", recipient domain "\u263a.b.example"',
    ]
    for line in lines[1:]:
        mox("queue", "holdrules", "remove", line.removeprefix("id ").partition(":")[0])
    assert mox("queue", "holdrules", "list") == "hold rules:\n(none)\n"
    with pytest.raises(ControlError, match="there is no hold rule"):
        mox("queue", "holdrules", "remove", "99")


@pytest.mark.holds("cli-84c1b9")
def test_a_queued_message(mox: Mox, server: MoxProcess) -> None:
    assert mox("queue", "list") == "messages:\n(none)\n"
    submit(server, USER, PASSWORD, "queuetemperror@localhost")
    listed = mox("queue", "list", "-to", "@localhost", "-account", "mox", "-hold", "false", "-submitted", "<1h")
    found = re.search(r"^ *(\d+) \S+ from:mox@localhost to:queuetemperror@localhost next .* last ", listed, re.M)
    assert found is not None, listed
    number = found[1]
    assert mox("queue", "list", "-to", "elsewhere") == "messages:\n(none)\n"
    assert mox("queue", "hold", "-ids", number) == "1 messages changed\n"
    assert number in mox("queue", "list", "-hold", "true")
    assert mox("queue", "unhold") == "1 messages changed\n"
    assert mox("queue", "hold") == "1 messages changed\n"
    assert mox("queue", "schedule", "-now", "1m") == "1 message(s) rescheduled\n"
    assert "next 1m" in mox("queue", "list") or "next 59s" in mox("queue", "list")
    assert mox("queue", "schedule", "-30s") == "1 message(s) rescheduled\n"
    assert mox("queue", "transport", "") == "1 message(s) changed\n"
    with pytest.raises(ControlError, match="no such transport 'gone'"):
        mox("queue", "transport", "gone")
    assert mox("queue", "requiretls", "default") == "1 message(s) changed\n"
    with pytest.raises(ControlError, match="is not yes, no or default"):
        mox("queue", "requiretls", "maybe")
    assert mox("queue", "fail", "-ids", number) == "1 message(s) marked as failed\n"
    assert mox("queue", "drop") == "0 message(s) dropped\n"
    assert "failure from:mox@localhost to:queuetemperror@localhost" in mox("queue", "retired", "list", "-asc")
    assert mox("queue", "retired", "list", "-result", "success") == "retired messages:\n(none)\n"
    record = json.loads(mox("queue", "retired", "print", number))
    assert (record["SenderAccount"], record["Success"], record["Subject"]) == ("mox", False, "x")
    assert record["RecipientDomain"]["Domain"]["ASCII"] == "localhost"
    with pytest.raises(ControlError, match="not found"):
        mox("queue", "retired", "print", "999")
    with pytest.raises(ControlError, match="no such message"):
        mox("queue", "dump", number)


def test_dumping_a_message(mox: Mox, server: MoxProcess) -> None:
    submit(server, USER, PASSWORD, "queuetemperror@localhost")
    number = mox("queue", "list").splitlines()[1].split()[0]
    mox("queue", "hold")
    dumped = mox("queue", "dump", number).replace("\r\n", "\n")
    assert dumped.endswith("\n\nbody\n") and "\nSubject: x\n" in dumped
    mox("queue", "drop")


@pytest.mark.holds("cli-9991af")
def test_suppression_lists_and_webhooks(mox: Mox) -> None:
    mox("queue", "suppress", "add", "mox", "No.body+x@example.org")
    mox("queue", "suppress", "add", "mox", "other@example.org")
    with pytest.raises(ControlError, match="already on the suppression list"):
        mox("queue", "suppress", "add", "mox", "nobody@example.org")
    with pytest.raises(ControlError, match="no such account"):
        mox("queue", "suppress", "add", "gone", "nobody@example.org")
    header, *lines = mox("queue", "suppress", "list", "-account", "mox").splitlines()
    assert header == "suppressions (account, address, manual, time added, base address, reason):"
    assert sorted(line.split("\t")[4] for line in lines) == ['"nobody@example.org"', '"other@example.org"']
    shown = mox("queue", "suppress", "lookup", "nobody@example.org").splitlines()
    assert shown[0] == "present" and shown[2:4] == ["manual: yes", "base address: nobody@example.org"]
    mox("queue", "suppress", "remove", "mox", "nobody@example.org")
    assert mox("queue", "suppress", "lookup", "-account", "mox", "nobody@example.org") == "not present\n"
    mox("queue", "suppress", "remove", "mox", "other@example.org")
    for command in (("list",), ("retired", "list")):
        assert mox("queue", "webhook", *command, "-sort", "queued").endswith("webhooks:\n(none)\n")
    assert mox("queue", "webhook", "schedule", "1m") == "0 webhook(s) rescheduled\n"
    assert mox("queue", "webhook", "cancel") == "0 webhook(s) marked as canceled\n"
    for command in (("print", "1"), ("retired", "print", "1")):
        with pytest.raises(ControlError, match="not found"):
            mox("queue", "webhook", *command)


@pytest.mark.parametrize(
    "words",
    [("-submitted", "yesterday"), ("-ids", "a"), ("-hold", "maybe"), ("-sort", "size"), ("-n", "x")],
    ids=lambda words: words[0],
)
def test_filters_that_make_no_sense(mox: Mox, words: tuple[str, str]) -> None:
    with pytest.raises((CommandError, ControlError)):
        mox("queue", "list", *words)
