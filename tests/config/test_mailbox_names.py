"""Names of mailboxes (spec/config.md section 3)."""

import pytest

from mox.config.mailbox_names import MailboxNameError, check_mailbox_name


@pytest.mark.holds("config-af333d")
@pytest.mark.parametrize(
    ("name", "stored"),
    [("Introbox", "Introbox"), ("inbox/Intro", "Inbox/Intro"), ("INBOX/a", "Inbox/a"), ("a/b%*&", "a/b%*&")],
)
def test_names(name: str, stored: str) -> None:
    assert check_mailbox_name(name, allow_inbox=False) == stored


@pytest.mark.holds("config-af333d")
@pytest.mark.parametrize(
    "name", ["Inbox", "iNBOX", "bad//name", "/a", "a/", "", "a/./b", "..", "#a", "a\tb", "e\u0301"]
)
def test_refused_names(name: str) -> None:
    with pytest.raises(MailboxNameError):
        check_mailbox_name(name, allow_inbox=False)


def test_inbox_where_it_is_allowed() -> None:
    assert check_mailbox_name("inbox") == "Inbox"
