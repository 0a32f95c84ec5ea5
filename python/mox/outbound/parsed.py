"""Received messages in the form of the webapi, for its methods and for webhooks."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mox._rust import header_fields, header_values, parse_address_list
from mox.config.addresses import render_localpart
from mox.dns.names import DomainError, parse_domain
from mox.message.tree import TreePart, readable
from mox.webapi.types import Message, NameAddress, Structure


def message_of(tree: TreePart, data: bytes) -> Message:
    """A parsed message in the form of the webapi."""
    header = data[: tree.start]
    texts = readable(tree)

    def addresses(name: str) -> list[NameAddress]:
        value = header_fields(header, [name], False)[len(name) + 1 :]
        return [NameAddress(n, _address(local, domain)) for n, local, domain in parse_address_list(value)]

    return Message(
        From=addresses("From"),
        To=addresses("To"),
        CC=addresses("Cc"),
        BCC=addresses("Bcc"),
        ReplyTo=addresses("Reply-To"),
        MessageID=first_value(header, "Message-Id"),
        References=references(header),
        Date=date_of(header),
        Subject=first_value(header, "Subject"),
        Text=texts.text.text(data) if texts.text else "",
        HTML=texts.html.text(data) if texts.html else "",
    )


def first_value(header: bytes, name: str) -> str:
    """The value of a field, unfolded; empty without one."""
    return next((value.replace("\t", " ").strip() for value in header_values(header, name)), "")


def _address(localpart: str, domain: str) -> str:
    """With the domain in Unicode. What is no address stays as it is."""
    if not domain:
        return localpart
    try:
        return f"{render_localpart(localpart)}@{parse_domain(domain, lax=True).name}"
    except DomainError:
        return f"{localpart}@{domain}"


def references(header: bytes) -> list[str]:
    """Message-IDs of References, with that of In-Reply-To before them if it is not among them."""
    found = first_value(header, "References").split()
    reply = first_value(header, "In-Reply-To").split()
    return [*(word for word in reply if word not in found), *found]


def date_of(header: bytes) -> datetime | None:
    """The Date field; None without one that can be understood."""
    try:
        found = parsedate_to_datetime(first_value(header, "Date"))
    except (ValueError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def structure_of(part: TreePart, data: bytes) -> Structure:
    """The tree in the form of the webapi. Decodes every part for its size: for a thread."""
    return Structure(
        part.content_type or "/",
        part.parameters,
        part.content_id,
        part.disposition,
        part.filename,
        0 if part.is_multipart else len(part.decoded(data)),
        [structure_of(child, data) for child in part.parts],
    )
