"""Which ruleset matches."""

from dataclasses import replace
from typing import Any

import pytest

from mox.config.account import Ruleset
from mox.config.problems import Problems
from mox.config.rules import CompiledRuleset, compile_ruleset
from mox.inbound.rulesets import RuleFacts, find

FACTS = RuleFacts(
    "sender@mail.example",
    "author@ö.example",
    ("lists.mail.example",),
    (("List-ID", " <Dev.Lists.Example> "), ("X", "1")),
)


def compiled(mailbox: str = "M", **conditions: Any) -> CompiledRuleset:
    return compile_ruleset("", Ruleset(Mailbox=mailbox, **conditions), Problems())


@pytest.mark.parametrize(
    ("conditions", "matches"),
    [
        ({"SMTPMailFromRegexp": r"@mail\.example$"}, True),
        ({"SMTPMailFromRegexp": r"^ender"}, False),
        ({"MsgFromRegexp": r"^author@ö\.example$"}, True),
        ({"MsgFromRegexp": r"other"}, False),
        ({"VerifiedDomain": "mail.example"}, True),
        ({"VerifiedDomain": "lists.mail.example"}, True),
        ({"VerifiedDomain": "ail.example"}, False),
        ({"HeadersRegexp": {"^list-id$": r"<dev\.lists\.example>"}}, True),
        ({"HeadersRegexp": {"^list-id$": r"<dev\.lists\.example>", "^x$": "2"}}, False),
        ({"HeadersRegexp": {"^list-id$": r"Dev"}}, False),
        ({"SMTPMailFromRegexp": "sender", "VerifiedDomain": "other.example"}, False),
    ],
)
def test_conditions(conditions: dict[str, Any], matches: bool) -> None:
    rule = compiled(**conditions)
    assert find([rule], FACTS) == (rule if matches else None)


def test_first_match_wins() -> None:
    first, second = (compiled(name, SMTPMailFromRegexp="sender") for name in ("A", "B"))
    assert find([compiled("C", SMTPMailFromRegexp="no"), first, second], FACTS) is first


def test_null_path_and_unusable_parts() -> None:
    assert find([compiled(SMTPMailFromRegexp="^$")], replace(FACTS, mail_from="")) is not None
    assert find([compiled(MsgFromRegexp="")], replace(FACTS, msg_from="")) is not None
    assert find([compiled(MsgFromRegexp="^$")], replace(FACTS, msg_from="")) is None
    assert find([compiled(SMTPMailFromRegexp="sender")], replace(FACTS, fields=None)) is None


def test_patterns_take_linear_time() -> None:
    """A backtracking matcher would never come to an end."""
    rule = compiled(SMTPMailFromRegexp="(a+)+$")
    assert find([rule], replace(FACTS, mail_from="a" * 5000 + "!")) is None
