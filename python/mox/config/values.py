"""Checks of single values that several parts of the configuration share."""

import unicodedata
from collections.abc import Sequence

from mox._rust import Regexp
from mox.config.problems import Problems
from mox.dns.names import Domain, DomainError, parse_domain

MAX_REPLY_TEXT = 256


def check_domain(where: str, text: str, problems: Problems) -> Domain | None:
    """A domain in either form."""
    try:
        return parse_domain(text)
    except DomainError as err:
        problems.add(where, f"{text!r} is not a domain: {err}")
        return None


def check_canonical_domain(where: str, text: str, problems: Problems) -> Domain | None:
    """A domain that must be written in Unicode and lower case, because it is a key."""
    domain = check_domain(where, text, problems)
    if domain is not None and domain.name != text:
        problems.add(where, f"write {text!r} as {domain.name!r}")
    return domain


def check_nfc(where: str, mailbox: str, problems: Problems) -> None:
    """The name of a mailbox must be in Unicode normal form C."""
    wanted = unicodedata.normalize("NFC", mailbox)
    if wanted != mailbox:
        problems.add(where, f"mailbox {mailbox!r} must be written in Unicode normal form C: {wanted!r}")


def check_reply_text(where: str, text: str, problems: Problems) -> None:
    """Text that is sent in replies."""
    if len(text.encode()) > MAX_REPLY_TEXT:
        problems.add(where, f"text is longer than {MAX_REPLY_TEXT} bytes")
    if not all(" " <= char <= "~" for char in text):
        problems.add(where, "only printable ASCII is allowed in this text")


def check_regexp(where: str, pattern: str, problems: Problems) -> Regexp | None:
    """A regular expression; None for an empty or a bad one."""
    if not pattern:
        return None
    try:
        return Regexp(pattern)
    except ValueError as err:
        problems.add(where, f"bad regular expression {pattern!r}: {' '.join(str(err).split())}")
        return None


def check_unique(where: str, items: Sequence[str], problems: Problems) -> None:
    """Every item only once."""
    for item in sorted({item for item in items if items.count(item) > 1}):
        problems.add(where, f"{item!r} is there twice")
