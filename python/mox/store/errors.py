"""What the store refuses. The texts are for clients."""


class StoreError(Exception):
    """Base of the refusals below."""


class NoSuchMailbox(StoreError):
    """The mailbox does not exist (any more)."""


class MailboxExists(StoreError):
    """A mailbox with the name exists."""


class HasChildren(StoreError):
    """The mailbox has child mailboxes."""


class BadName(StoreError):
    """Not a possible mailbox name."""


class OverQuota(StoreError):
    """The account would be over its size limit."""


class NoUidsLeft(StoreError):
    """The mailbox has used all its UIDs."""


class DatabaseVersionError(Exception):
    """The database was written by a newer mox."""
