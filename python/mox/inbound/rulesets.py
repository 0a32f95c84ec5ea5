"""Which ruleset of a destination a message falls under. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mox.config.rules import CompiledRuleset


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What conditions look at. `mail_from` is empty for the null path, `msg_from` (domain in Unicode) without a usable
    From; `verified_domains` are those that SPF, DKIM or ARC passed for; `fields` are (name, value), None for a header
    that cannot be read."""

    mail_from: str
    msg_from: str
    verified_domains: tuple[str, ...]
    fields: tuple[tuple[str, str], ...] | None


def find(rulesets: Sequence[CompiledRuleset], facts: RuleFacts) -> CompiledRuleset | None:
    """The first ruleset all of whose conditions hold."""
    if facts.fields is None:
        return None
    return next((rule for rule in rulesets if all(holds(rule, facts) for holds in _CONDITIONS)), None)


def is_same_or_under(domain: str, parent: str) -> bool:
    """Both in one form and lower case."""
    return domain == parent or domain.endswith(f".{parent}")


def _mail_from(rule: CompiledRuleset, facts: RuleFacts) -> bool:
    return rule.mail_from is None or rule.mail_from.matches(facts.mail_from)


def _msg_from(rule: CompiledRuleset, facts: RuleFacts) -> bool:
    return rule.msg_from is None or (bool(facts.msg_from) and rule.msg_from.matches(facts.msg_from))


def _verified(rule: CompiledRuleset, facts: RuleFacts) -> bool:
    if rule.verified_domain is None:
        return True
    wanted = rule.verified_domain.name
    return any(is_same_or_under(domain, wanted) for domain in facts.verified_domains)


def _headers(rule: CompiledRuleset, facts: RuleFacts) -> bool:
    fields = [(name.lower(), value.lower().strip()) for name, value in facts.fields or ()] if rule.headers else []
    return all(
        any(name_pattern.matches(name) and value_pattern.matches(text) for name, text in fields)
        for name_pattern, value_pattern in rule.headers
    )


_CONDITIONS: tuple[Callable[[CompiledRuleset, RuleFacts], bool], ...] = (_mail_from, _msg_from, _verified, _headers)
