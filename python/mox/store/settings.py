"""Small records that the web pages and the spam decisions keep for a user. None of them has a modseq."""

import secrets
import string
from dataclasses import dataclass

from mox.store.engine import Tx

_PASS_LETTERS = string.ascii_lowercase + string.digits + string.ascii_uppercase
_PASS_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the webmail. `quoting` is "", "bottom" or "top"."""

    signature: str = ""
    quoting: str = ""
    show_address_security: bool = False
    show_html: bool = False
    no_show_shortcuts: bool = False
    show_headers: tuple[str, ...] = ()


def initialize(tx: Tx) -> None:
    """For a new account."""
    tx.run("INSERT INTO settings VALUES (?, '', '', 0, 0, 0, '') ON CONFLICT DO NOTHING", tx.account_id)


def settings(tx: Tx) -> Settings:
    """The user's settings."""
    row = tx.one(
        "SELECT signature, quoting, show_address_security, show_html, no_show_shortcuts, show_headers FROM settings "
        "WHERE account_id = ?",
        tx.account_id,
    )
    if row is None:
        return Settings()
    return Settings(row[0], row[1], bool(row[2]), bool(row[3]), bool(row[4]), tuple(row[5].splitlines()))


def save_settings(tx: Tx, new: Settings) -> None:
    """Replace them."""
    tx.run(
        "UPDATE settings SET signature = ?, quoting = ?, show_address_security = ?, show_html = ?, "
        "no_show_shortcuts = ?, show_headers = ? WHERE account_id = ?",
        new.signature,
        new.quoting,
        new.show_address_security,
        new.show_html,
        new.no_show_shortcuts,
        "\n".join(new.show_headers),
        tx.account_id,
    )


def view_mode(tx: Tx, from_address: str) -> str:
    """How to show messages of this sender: "text", "html", "htmlext", or "" when the user did not choose."""
    row = tx.one(
        "SELECT view_mode FROM from_address_settings WHERE account_id = ? AND from_address = ?",
        tx.account_id,
        from_address,
    )
    return "" if row is None else str(row[0])


def save_view_mode(tx: Tx, from_address: str, mode: str) -> None:
    """Remember the user's choice."""
    tx.run(
        "INSERT INTO from_address_settings VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET view_mode = excluded.view_mode",
        tx.account_id,
        from_address,
        mode,
    )


def find_subjectpass_key(tx: Tx, address: str) -> str | None:
    """The secret for tokens of a canonical address, if it was made."""
    row = tx.one("SELECT secret FROM subjectpass WHERE account_id = ? AND address = ?", tx.account_id, address)
    return None if row is None else str(row[0])


def subjectpass_key(tx: Tx, address: str) -> str:
    """The secret for tokens of a canonical address, made on first use. Needs a write transaction."""
    found = find_subjectpass_key(tx, address)
    if found is not None:
        return found
    secret = "".join(secrets.choice(_PASS_LETTERS) for _ in range(_PASS_LENGTH))
    tx.run("INSERT INTO subjectpass VALUES (?, ?, ?)", tx.account_id, address, secret)
    return secret


@dataclass(frozen=True, slots=True)
class DomainTls:
    """What was seen of the servers of a recipient's domain."""

    starttls: bool
    require_tls: bool
    updated_ms: int


def recipient_domain_tls(tx: Tx, domain: str) -> DomainTls | None:
    """None when nothing was sent to the domain yet."""
    row = tx.one(
        "SELECT starttls, require_tls, updated_ms FROM recipient_domain_tls WHERE account_id = ? AND domain = ?",
        tx.account_id,
        domain,
    )
    return None if row is None else DomainTls(bool(row[0]), bool(row[1]), row[2])


def save_recipient_domain_tls(tx: Tx, domain: str, seen: DomainTls) -> None:
    """The queue delivered to the domain."""
    tx.run(
        "INSERT INTO recipient_domain_tls VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "updated_ms = excluded.updated_ms, starttls = excluded.starttls, require_tls = excluded.require_tls",
        tx.account_id,
        domain,
        seen.updated_ms,
        seen.starttls,
        seen.require_tls,
    )


def refuse_ruleset_for_list(tx: Tx, rcpt_to: str, list_id: str, to_inbox: bool) -> None:
    """The user does not want a ruleset for this mailing list; do not ask again."""
    tx.run(
        "INSERT INTO ruleset_no_list_id VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        tx.account_id,
        rcpt_to,
        list_id,
        to_inbox,
    )


def refuses_ruleset_for_list(tx: Tx, rcpt_to: str, list_id: str, to_inbox: bool) -> bool:
    """Whether `refuse_ruleset_for_list` was called with this."""
    sql = (
        "SELECT 1 FROM ruleset_no_list_id WHERE account_id = ? AND rcpt_to_address = ? AND list_id = ? AND to_inbox = ?"
    )
    return tx.one(sql, tx.account_id, rcpt_to, list_id, to_inbox) is not None


def refuse_ruleset_for_sender(tx: Tx, rcpt_to: str, msg_from: str, to_inbox: bool) -> None:
    """The user does not want a ruleset for this sender; do not ask again."""
    tx.run(
        "INSERT INTO ruleset_no_msg_from VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        tx.account_id,
        rcpt_to,
        msg_from,
        to_inbox,
    )


def refuses_ruleset_for_sender(tx: Tx, rcpt_to: str, msg_from: str, to_inbox: bool) -> bool:
    """Whether `refuse_ruleset_for_sender` was called with this."""
    sql = (
        "SELECT 1 FROM ruleset_no_msg_from WHERE account_id = ? AND rcpt_to_address = ? AND msg_from_address = ? "
        "AND to_inbox = ?"
    )
    return tx.one(sql, tx.account_id, rcpt_to, msg_from, to_inbox) is not None


def refuse_ruleset_for_mailbox(tx: Tx, mailbox_id: int, to_mailbox: bool) -> None:
    """The user does not want rulesets for moves from or to this mailbox; do not ask again."""
    tx.run(
        "INSERT INTO ruleset_no_mailbox VALUES (?, ?, ?) ON CONFLICT DO NOTHING", tx.account_id, mailbox_id, to_mailbox
    )


def refuses_ruleset_for_mailbox(tx: Tx, mailbox_id: int, to_mailbox: bool) -> bool:
    """Whether `refuse_ruleset_for_mailbox` was called with this."""
    sql = "SELECT 1 FROM ruleset_no_mailbox WHERE account_id = ? AND mailbox_id = ? AND to_mailbox = ?"
    return tx.one(sql, tx.account_id, mailbox_id, to_mailbox) is not None
