"""Which ruleset of a destination a message falls under. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mox.config.account import Ruleset
from mox.dns.names import DomainError, parse_domain


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What conditions look at. `mail_from` is empty for the null path, `msg_from` (domain in Unicode) without a usable
    From; `verified_domains` are those that SPF or DKIM passed for; `fields` are (name, value), None for a header that
    cannot be read."""

    mail_from: str
    msg_from: str
    verified_domains: tuple[str, ...]
    fields: tuple[tuple[str, str], ...] | None


def find(rulesets: Sequence[Ruleset], facts: RuleFacts) -> Ruleset | None:
    """The first ruleset all of whose conditions hold."""
    if facts.fields is None:
        return None
    return next((rule for rule in rulesets if all(holds(rule, facts) for holds in _CONDITIONS)), None)


def is_same_or_under(domain: str, parent: str) -> bool:
    """Both in one form and lower case."""
    return domain == parent or domain.endswith(f".{parent}")


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


@lru_cache(maxsize=1024)
def unicode_domain(text: str) -> str:
    """A configured domain in Unicode and lower case."""
    try:
        return parse_domain(text).name
    except DomainError:
        return text.lower()


def _mail_from(rule: Ruleset, facts: RuleFacts) -> bool:
    return not rule.SMTPMailFromRegexp or bool(_pattern(rule.SMTPMailFromRegexp).search(facts.mail_from))


def _msg_from(rule: Ruleset, facts: RuleFacts) -> bool:
    if not rule.MsgFromRegexp:
        return True
    return bool(facts.msg_from) and bool(_pattern(rule.MsgFromRegexp).search(facts.msg_from))


def _verified(rule: Ruleset, facts: RuleFacts) -> bool:
    if not rule.VerifiedDomain:
        return True
    wanted = unicode_domain(rule.VerifiedDomain)
    return any(is_same_or_under(domain, wanted) for domain in facts.verified_domains)


def _headers(rule: Ruleset, facts: RuleFacts) -> bool:
    fields = [(name.lower(), value.lower().strip()) for name, value in facts.fields or ()] if rule.HeadersRegexp else []
    return all(
        any(_pattern(key).search(name) and _pattern(value).search(text) for name, text in fields)
        for key, value in rule.HeadersRegexp.items()
    )


_CONDITIONS: tuple[Callable[[Ruleset, RuleFacts], bool], ...] = (_mail_from, _msg_from, _verified, _headers)
