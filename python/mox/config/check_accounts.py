"""Checks of accounts in domains.conf; what follows from them goes into the tables."""

from mox.config.account import WEBHOOK_EVENTS, Account, Destination, IncomingWebhookSection, OutgoingWebhookSection
from mox.config.addresses import AddressError, parse_address
from mox.config.junkfilter import JunkFilterSection
from mox.config.mailbox_names import MailboxNameError, check_mailbox_name
from mox.config.model import Dynamic, Static
from mox.config.problems import Problems
from mox.config.routing import compile_routes
from mox.config.rules import compile_junk_mailboxes
from mox.config.tables import Tables, canonical_address
from mox.config.values import check_domain, check_nfc, check_reply_text
from mox.config.web_urls import check_url


def check_accounts(static: Static, dynamic: Dynamic, tables: Tables, problems: Problems) -> None:
    """Needs the addresses in `tables`."""
    for name, account in dynamic.Accounts.items():
        where = f"Accounts.{name}"
        _check_name(where, name, problems)
        _check_account(where, account, problems)
        for key, destination in account.Destinations.items():
            _check_destination(f"{where}.Destinations.{key}", destination, problems)
        _check_from_ids(where, name, account, tables, problems)
        junk_mailboxes = compile_junk_mailboxes(f"{where}.AutomaticJunkFlags", account, problems)
        if junk_mailboxes is not None:
            tables.junk_mailboxes[name] = junk_mailboxes
        tables.account_routes[name] = compile_routes(f"{where}.Routes", account.Routes, static.Transports, problems)


def _check_name(where: str, name: str, problems: Problems) -> None:
    if "/" in name or "\0" in name or name in (".", ".."):
        problems.add(where, "the name of an account is the name of a directory, and cannot hold a slash")


def _check_account(where: str, account: Account, problems: Problems) -> None:
    if account.Domain:
        check_domain(f"{where}.Domain", account.Domain, problems)
    check_reply_text(f"{where}.LoginDisabled", account.LoginDisabled, problems)
    check_nfc(f"{where}.RejectsMailbox", account.RejectsMailbox, problems)
    if account.RejectsMailbox.lower() == "inbox":
        problems.add(f"{where}.RejectsMailbox", "rejected messages cannot go to Inbox")
    _check_introbox(where, account, problems)
    if account.JunkFilter is not None:
        _check_junk_filter(f"{where}.JunkFilter", account.JunkFilter, problems)
    for option, hook in (("OutgoingWebhook", account.OutgoingWebhook), ("IncomingWebhook", account.IncomingWebhook)):
        if hook is not None:
            _check_webhook(f"{where}.{option}", hook, problems)


def _check_introbox(where: str, account: Account, problems: Problems) -> None:
    if not account.Introbox:
        return
    try:
        name = check_mailbox_name(account.Introbox, allow_inbox=False)
    except MailboxNameError as err:
        problems.add(f"{where}.Introbox", str(err))
        return
    if name == account.RejectsMailbox:
        problems.add(f"{where}.Introbox", "must be another mailbox than RejectsMailbox")


def _check_junk_filter(where: str, options: JunkFilterSection, problems: Problems) -> None:
    params = options.Params
    if not 0 <= options.Threshold <= 1:
        problems.add(f"{where}.Threshold", "must be between 0 and 1")
    for name, value in (("MaxPower", params.MaxPower), ("IgnoreWords", params.IgnoreWords)):
        if not 0 <= value <= 0.5:
            problems.add(f"{where}.Params.{name}", "must be between 0 and 0.5")
    for name, number in (("TopWords", params.TopWords), ("RareWords", params.RareWords)):
        if number < 0:
            problems.add(f"{where}.Params.{name}", "must not be negative")


def _check_webhook(where: str, hook: OutgoingWebhookSection | IncomingWebhookSection, problems: Problems) -> None:
    check_url(f"{where}.URL", hook.URL, problems)
    if isinstance(hook, OutgoingWebhookSection):
        for event in hook.Events:
            if event not in WEBHOOK_EVENTS:
                problems.add(f"{where}.Events", f"unknown event {event!r}; known are {', '.join(WEBHOOK_EVENTS)}")


def _check_destination(where: str, destination: Destination, problems: Problems) -> None:
    check_nfc(f"{where}.Mailbox", destination.Mailbox, problems)
    check_reply_text(f"{where}.MessageAuthRequiredSMTPError", destination.MessageAuthRequiredSMTPError, problems)
    error = destination.SMTPError
    if not error:
        return
    check_reply_text(f"{where}.SMTPError", error, problems)
    if destination.Mailbox or destination.Rulesets:
        problems.add(f"{where}.SMTPError", "excludes Mailbox and Rulesets")
    if error.partition(" ")[0] not in ("421", "550"):
        problems.add(f"{where}.SMTPError", "must start with 421 or 550")


def _check_from_ids(where: str, name: str, account: Account, tables: Tables, problems: Problems) -> None:
    """Each address must be the account's own, and its domain must have a separator to put an id behind."""
    place = f"{where}.FromIDLoginAddresses"
    for text in account.FromIDLoginAddresses:
        try:
            address = parse_address(text)
        except AddressError as err:
            problems.add(place, str(err))
            continue
        entry = tables.domain(address.domain.ascii)
        if entry is None:
            problems.add(place, f"the domain of {text!r} is not in Domains")
            continue
        if not entry.separators:
            problems.add(place, f"the domain of {text!r} has no catchall separator, which the unique address needs")
        found = tables.destinations.get(canonical_address(entry, address.localpart)) or tables.destinations.get(
            f"@{entry.name.name}"
        )
        if found is None or found.account != name:
            problems.add(place, f"{text!r} is not an address of this account")
