"""Which names mailboxes may have."""

import unicodedata

_SEPARATORS = "\u2028\u2029"


class MailboxNameError(ValueError):
    """Not a name for a mailbox; the text says why."""


def check_mailbox_name(name: str, allow_inbox: bool = True) -> str:
    """The name as it is stored: with `Inbox` in this spelling at its front. Raises MailboxNameError."""
    first, slash, rest = name.partition("/")
    if first.lower() == "inbox":
        name = f"Inbox{slash}{rest}"
    if name == "Inbox" and not allow_inbox:
        raise MailboxNameError("special mailboxname Inbox not allowed")
    if unicodedata.normalize("NFC", name) != name:
        raise MailboxNameError("mailbox name must be NFC-normalised")
    if name.startswith("#"):
        raise MailboxNameError("mailbox name may not start with #")
    if any(ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F or c in _SEPARATORS for c in name):
        raise MailboxNameError("mailbox name may not have control characters")
    if any(element in ("", ".", "..") for element in name.split("/")):
        raise MailboxNameError("mailbox name may not have empty, . or .. elements")
    return name
