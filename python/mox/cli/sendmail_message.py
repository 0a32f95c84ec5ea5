"""What `sendmail` makes of its arguments and of the message on its standard input."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formataddr

from mox._rust import parse_address_list
from mox.cli.command import CommandError

_BARE_LF = re.compile(rb"(?<!\r)\n")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")


@dataclass(frozen=True, slots=True)
class Arguments:
    """`name` is for the From header; `reads_recipients`: they are in the header."""

    recipients: tuple[str, ...] = ()
    reads_recipients: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message ready to submit."""

    content: bytes
    recipients: tuple[str, ...]


def parse_arguments(words: Sequence[str]) -> Arguments:
    """Options are read leniently: programs call sendmail with all that any of its kind has ever known. Raises
    CommandError."""
    recipients: list[str] = []
    reads_recipients, name = False, ""
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            recipients += queue
            break
        if not word.startswith("-") or word == "-":
            recipients.append(word)
        elif word == "-t":
            reads_recipients = True
        elif word.startswith("-F"):
            name = word[2:] or (queue.pop(0) if queue else "")
        elif len(word) == 2 and word[1] in "fr" and queue:
            queue.pop(0)
    if reads_recipients and recipients:
        raise CommandError("recipients cannot be given together with -t")
    if not reads_recipients and not recipients:
        raise CommandError("no recipients; give addresses, or -t to take them from the header")
    return Arguments(tuple(recipients), reads_recipients, name)


def compose(raw: bytes, arguments: Arguments, sender: str, default_destination: str, opts_out_of_tls: bool) -> Outgoing:
    """The message with our From, a To if it has none, and without Bcc. Raises CommandError."""
    fields, body = _split(_BARE_LF.sub(b"\r\n", raw))
    named = {name: value for name, value in fields}
    recipients = arguments.recipients
    if arguments.reads_recipients:
        recipients = tuple(
            address
            for name, value in fields
            if name in (b"to", b"cc", b"bcc")
            for address in _addresses(value.partition(b":")[2])
        )
        if not recipients:
            raise CommandError("no recipients in To, Cc and Bcc of the message")
    recipients = tuple(dict.fromkeys(_destination(recipient, default_destination) for recipient in recipients))
    head = [b"From: " + _from(sender, arguments.name) + b"\r\n"]
    if opts_out_of_tls and b"tls-required" not in named:
        head.append(b"TLS-Required: No\r\n")
    if b"to" not in named and b"cc" not in named:
        head.append(f"To: {', '.join(f'<{recipient}>' for recipient in recipients)}\r\n".encode())
    kept = [value for name, value in fields if name not in (b"from", b"bcc")]
    return Outgoing(b"".join([*head, *kept, b"\r\n", body]), recipients)


def _split(message: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Fields, each with its lower-case name and all its lines, and the body."""
    head, _, body = message.partition(b"\r\n\r\n")
    if message.startswith(b"\r\n"):
        head, body = b"", message[2:]
    fields: list[tuple[bytes, bytes]] = []
    for line in head.split(b"\r\n") if head else []:
        if not line:
            continue
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] = fields[-1][0], fields[-1][1] + line + b"\r\n"
            continue
        found = _FIELD.match(line)
        if found is None:
            text = line.decode(errors="replace")
            raise CommandError(f"line of the header without a colon: {text!r}; put an empty line before the body")
        fields.append((found[1].lower(), line + b"\r\n"))
    return fields, body


def _addresses(value: bytes) -> list[str]:
    return [f"{local}@{domain}" if domain else local for _name, local, domain in parse_address_list(value.strip())]


def _destination(recipient: str, default: str) -> str:
    if "@" in recipient:
        return recipient
    if not default:
        raise CommandError(f"recipient {recipient!r} is not an address, and no DefaultDestination is configured")
    return default


def _from(sender: str, name: str) -> bytes:
    if not name:
        return f"<{sender}>".encode()
    return formataddr((" ".join(name.split()), sender)).encode()
