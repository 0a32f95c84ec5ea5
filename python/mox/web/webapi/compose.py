"""From a Send request to a message: header, texts, files (spec/webapi.md section 6, steps 7 to 11).

Text that is not ASCII is quoted-printable, not 8bit as in mox, so that every server takes it; only messages with
addresses that need SMTPUTF8 go out as 8bit.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from mox import __version__
from mox.config.addresses import Address
from mox.message.compose import (
    ComposeError,
    Header,
    NamedAddress,
    Part,
    base64_part,
    format_date,
    multipart,
    new_message_id,
    now,
    text_part,
)
from mox.web.forms import UploadedFile
from mox.web.sniff import sniff
from mox.web.webapi.errors import ApiError, user_error
from mox.webapi.types import Code, File, SendRequest

# Header fields that are made from other parts of the request, or that only servers write.
_RESERVED = frozenset(("bcc", "dkim-signature", "return-path", "received", "mime-version"))
_SINGLE = frozenset(
    ("from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references")
)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of the message, decoded."""

    name: str
    content_type: str
    content_id: str
    data: bytes

    def part(self, disposition: str) -> Part:
        """As a part of the message."""
        content_type = self.content_type or sniff(self.data)
        fields = [("Content-Disposition", f"{disposition}; {_filename(self.name)}")]
        if self.content_id:
            fields.append(("Content-Id", self.content_id))
        return base64_part(self.data, content_type, tuple(fields))


@dataclass(frozen=True, slots=True)
class Files:
    """Files by their place in the message."""

    alternative: Sequence[Attachment] = ()
    inline: Sequence[Attachment] = ()
    attached: Sequence[Attachment] = ()


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a request, with their display names."""

    sender: tuple[str, Address]
    to: Sequence[tuple[str, Address]] = ()
    cc: Sequence[tuple[str, Address]] = ()
    bcc: Sequence[tuple[str, Address]] = ()
    reply_to: Sequence[tuple[str, Address]] = ()

    @property
    def recipients(self) -> list[Address]:
        """In the order of submissions."""
        return [address for _, address in (*self.to, *self.cc, *self.bcc)]

    @property
    def need_smtputf8(self) -> bool:
        """A localpart is not ASCII."""
        named = (self.sender, *self.to, *self.cc, *self.bcc, *self.reply_to)
        return any(not address.localpart.isascii() for _, address in named)


@dataclass(frozen=True, slots=True)
class Composed:
    """A message ready for signing. `bcc_field` goes before it in the copy for Sent."""

    message_id: str
    content: bytes
    bcc_field: bytes = b""
    smtputf8: bool = field(default=False)


def decode_files(files: Iterable[File], what: str) -> list[Attachment]:
    """Files of the JSON. Raises ApiError."""
    found = []
    for file in files:
        try:
            data = base64.b64decode(file.Data.replace("\r", "").replace("\n", ""), validate=True)
        except (binascii.Error, ValueError) as err:
            raise user_error(f"parsing data of {what} file", err) from err
        found.append(_checked(Attachment(file.Name, file.ContentType, file.ContentID, data)))
    return found


def read_uploads(files: Iterable[UploadedFile]) -> list[Attachment]:
    """Files of the form. Raises ApiError. Blocks for large ones."""
    return [_checked(Attachment(f.name, f.content_type, f.content_id, f.read())) for f in files]


def _checked(attachment: Attachment) -> Attachment:
    for name, value in (("ContentType", attachment.content_type), ("ContentID", attachment.content_id)):
        # Line ends would begin other header fields.
        if not value.isascii() or not value.isprintable():
            raise user_error(f"checking {name} of file", "only printable ASCII characters are possible")
    return attachment


def _filename(name: str) -> str:
    """The parameter `filename` (RFC 2183 §2.3), encoded for other than ASCII (RFC 2231 §4)."""
    if _TOKEN.fullmatch(name):
        return f"filename={name}"
    if name.isascii() and name.isprintable():
        return 'filename="' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "filename*=utf-8''" + quote(name, safe="")


def check_fields(request: SendRequest) -> None:
    """What can be told of the header fields before anything is composed. Raises ApiError."""
    message_id = request.MessageID
    if message_id and not (message_id.startswith("<") and message_id.endswith(">")):
        raise ApiError(Code.MALFORMED_MESSAGE_ID, "missing <> in message-id")
    if any(c.isspace() or not c.isprintable() for c in message_id):
        raise user_error("checking message-id", "white space and control characters are not possible")
    made = {"from", "date", "message-id", "subject"} - ({"subject"} if not request.Subject else set())
    made |= {name for name, given in (("to", request.To), ("cc", request.CC), ("reply-to", request.ReplyTo)) if given}
    made |= {"references", "in-reply-to"} if request.References else set()
    seen: set[str] = set()
    for name, _ in request.Headers:
        lower = name.lower()
        if lower in _RESERVED or lower.startswith("content-"):
            raise user_error("adding custom header", f"field {name!r} cannot be set")
        if lower in made or (lower in _SINGLE and lower in seen):
            raise user_error("adding custom header", f"field {name!r} would be there twice")
        seen.add(lower)


def compose(request: SendRequest, addresses: Addresses, files: Files, hostname: str, message_id: str = "") -> Composed:
    """The message. `message_id` is given for a message that is composed once more. Raises ApiError."""
    smtputf8 = addresses.need_smtputf8
    message_id = message_id or request.MessageID or new_message_id(hostname)
    header = Header(smtputf8)
    bcc = Header(smtputf8)
    try:
        _add_fields(header, request, addresses, message_id, request.Date or now())
        bcc.addresses("Bcc", _named(addresses.bcc))
        content = header.render() + _body(request, files, smtputf8).render()
    except ComposeError as err:
        raise user_error("composing message", err) from err
    return Composed(message_id, content, bcc.render(), smtputf8)


def _named(addresses: Iterable[tuple[str, Address]]) -> list[NamedAddress]:
    return [NamedAddress(name, str(address)) for name, address in addresses]


def _add_fields(header: Header, request: SendRequest, addresses: Addresses, message_id: str, date: datetime) -> None:
    header.addresses("From", _named([addresses.sender]))
    header.addresses("Reply-To", _named(addresses.reply_to))
    header.addresses("To", _named(addresses.to))
    header.addresses("Cc", _named(addresses.cc))
    if request.Subject:
        header.subject(request.Subject)
    header.add("Date", format_date(date))
    header.add("Message-Id", message_id)
    if request.References:
        header.add("References", " ".join(request.References))
        header.add("In-Reply-To", request.References[-1])
    header.add("MIME-Version", "1.0")
    for name, value in request.Headers:
        if value.isascii():
            header.add(name, value)
        else:
            header.text(name, value)
    if not any(name.lower() in ("user-agent", "x-mailer") for name, _ in request.Headers):
        header.add("User-Agent", f"mox/{__version__}")


def _body(request: SendRequest, files: Files, smtputf8: bool) -> Part:
    """mixed(related(alternative(text, html, alternative files), inline files), attached files), each only if needed."""
    leaves = [
        text_part(text, smtputf8, kind)
        for text, kind in ((request.Text, "text/plain"), (request.HTML, "text/html"))
        if text
    ]
    leaves += [file.part("inline") for file in files.alternative]
    body = leaves[0] if len(leaves) == 1 else multipart("alternative", leaves)
    if files.inline:
        body = multipart("related", [body, *(file.part("inline") for file in files.inline)])
    if files.attached:
        body = multipart("mixed", [body, *(file.part("attachment") for file in files.attached)])
    return body
