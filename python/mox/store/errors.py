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


class TooManyAnnotations(StoreError):
    """RFC 5464 TOOMANY."""


class AnnotationsTooBig(StoreError):
    """RFC 5464 MAXSIZE."""


class MessageLimit(StoreError):
    """The account sent as many messages in 24 hours as it may; `limit` is how many."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"account sent to the most recipients it may within 24 hours, {limit}")
        self.limit = limit


class RecipientLimit(StoreError):
    """The account sent to as many first-time recipients in 24 hours as it may; `limit` is how many."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"account sent to the most first-time recipients it may within 24 hours, {limit}")
        self.limit = limit


class SessionRefused(StoreError):
    """A web session is unknown or expired, or a request may be forged."""


class BadCertificate(StoreError):
    """A certificate whose key cannot be used for log-ins."""


class NoSuchKey(StoreError):
    """The account has no such TLS public key."""


class AccountRemoved(StoreError):
    """The account is being removed."""


class BadArchive(StoreError):
    """A file to import is not what it should be."""


class ExportError(StoreError):
    """Something could not be exported, and there is no place to tell it but here."""


class EngineClosed(Exception):
    """The database was closed; the program is shutting down."""


class DatabaseVersionError(Exception):
    """The database was written by a newer mox."""
