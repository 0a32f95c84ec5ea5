"""Rulesets and junk mailboxes of accounts, compiled."""

from dataclasses import dataclass

from mox._rust import Regexp
from mox.config.account import Account, Ruleset
from mox.config.problems import Problems
from mox.config.values import check_domain, check_nfc, check_regexp
from mox.dns.names import Domain


@dataclass(frozen=True, slots=True)
class CompiledRuleset:
    """A ruleset. Conditions that are None do not count; all others must hold."""

    ruleset: Ruleset
    mail_from: Regexp | None
    msg_from: Regexp | None
    verified_domain: Domain | None
    headers: tuple[tuple[Regexp, Regexp], ...]
    list_allow_domain: Domain | None


@dataclass(frozen=True, slots=True)
class JunkMailboxes:
    """Which mailboxes make messages junk, or not junk. Names are matched in lower case."""

    junk: Regexp | None
    neutral: Regexp | None
    not_junk: Regexp | None

    def flags(self, mailbox: str) -> tuple[bool, bool]:
        """(junk, not junk) of a message that comes into a mailbox."""
        name = mailbox.lower()
        if self.junk is not None and self.junk.matches(name):
            return True, False
        if self.neutral is not None and self.neutral.matches(name):
            return False, False
        if self.not_junk is not None and self.not_junk.matches(name):
            return False, True
        # With two of three, the third stands for all other mailboxes.
        missing = [kind for kind in (self.junk, self.neutral, self.not_junk) if kind is None]
        if len(missing) != 1:
            return False, False
        return self.junk is None, self.not_junk is None


def compile_junk_mailboxes(where: str, account: Account, problems: Problems) -> JunkMailboxes | None:
    """None when flags do not come with mailboxes."""
    flags = account.AutomaticJunkFlags
    compiled = JunkMailboxes(
        check_regexp(f"{where}.JunkMailboxRegexp", flags.JunkMailboxRegexp, problems),
        check_regexp(f"{where}.NeutralMailboxRegexp", flags.NeutralMailboxRegexp, problems),
        check_regexp(f"{where}.NotJunkMailboxRegexp", flags.NotJunkMailboxRegexp, problems),
    )
    return compiled if flags.Enabled else None


def compile_ruleset(where: str, ruleset: Ruleset, problems: Problems) -> CompiledRuleset:
    """Checks a ruleset on the way."""
    compiled = CompiledRuleset(
        ruleset,
        check_regexp(f"{where}.SMTPMailFromRegexp", ruleset.SMTPMailFromRegexp, problems),
        check_regexp(f"{where}.MsgFromRegexp", ruleset.MsgFromRegexp, problems),
        _domain(f"{where}.VerifiedDomain", ruleset.VerifiedDomain, problems),
        _headers(f"{where}.HeadersRegexp", ruleset.HeadersRegexp, problems),
        _domain(f"{where}.ListAllowDomain", ruleset.ListAllowDomain, problems),
    )
    _check_mailboxes(where, ruleset, problems)
    if not (ruleset.SMTPMailFromRegexp or ruleset.MsgFromRegexp or ruleset.VerifiedDomain or ruleset.HeadersRegexp):
        problems.add(
            where, "a ruleset needs at least one of SMTPMailFromRegexp, MsgFromRegexp, VerifiedDomain, HeadersRegexp"
        )
    if ruleset.IsForward and ruleset.ListAllowDomain:
        problems.add(where, "IsForward and ListAllowDomain exclude each other")
    if ruleset.IsForward and not (ruleset.SMTPMailFromRegexp and ruleset.VerifiedDomain):
        problems.add(where, "IsForward needs SMTPMailFromRegexp and VerifiedDomain")
    return compiled


def _domain(where: str, text: str, problems: Problems) -> Domain | None:
    return check_domain(where, text, problems) if text else None


def _headers(where: str, headers: dict[str, str], problems: Problems) -> tuple[tuple[Regexp, Regexp], ...]:
    compiled = []
    for name, value in headers.items():
        for text in (name, value):
            if text != text.lower():
                problems.add(where, f"{text!r} must be in lower case: header fields are matched so")
        # An empty pattern matches everything, and so says that the header must be there.
        pair = check_regexp(where, name or "^", problems), check_regexp(where, value or "^", problems)
        if pair[0] is not None and pair[1] is not None:
            compiled.append((pair[0], pair[1]))
    return tuple(compiled)


def _check_mailboxes(where: str, ruleset: Ruleset, problems: Problems) -> None:
    check_nfc(f"{where}.Mailbox", ruleset.Mailbox, problems)
    check_nfc(f"{where}.AcceptRejectsToMailbox", ruleset.AcceptRejectsToMailbox, problems)
    if ruleset.AcceptRejectsToMailbox.lower() == "inbox":
        problems.add(f"{where}.AcceptRejectsToMailbox", "rejected messages cannot go to Inbox")
