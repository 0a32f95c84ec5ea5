"""What ends a command, and what ends a connection. The shell in `server` turns these into responses."""

from collections.abc import Iterator
from contextlib import contextmanager

from mox.store.errors import BadName, HasChildren, MailboxExists, NoSuchMailbox, NoUidsLeft, OverQuota


class NoError(Exception):
    """Answered with NO; `code` is a response code without brackets, may be empty."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class BadError(NoError):
    """Answered with BAD."""


class CloseError(Exception):
    """The connection ends; the text is said with BYE."""


def uid_required() -> BadError:
    """RFC 9586 §3"""
    return BadError("cannot use message sequence numbers with uidonly", "UIDREQUIRED")


@contextmanager
def store_errors(missing: str = "NONEXISTENT") -> Iterator[None]:
    """Turn refusals of the store into NO; `missing` is the response code for a mailbox that does not exist."""
    try:
        yield
    except NoSuchMailbox as err:
        raise NoError(str(err), missing) from err
    except MailboxExists as err:
        raise NoError(str(err), "ALREADYEXISTS") from err
    except HasChildren as err:
        raise NoError(str(err), "HASCHILDREN") from err
    except BadName as err:
        raise NoError(str(err), "CANNOT") from err
    except OverQuota as err:
        raise NoError(str(err), "OVERQUOTA") from err
    except NoUidsLeft as err:
        raise NoError(str(err), "LIMIT") from err
