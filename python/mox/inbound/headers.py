"""Lines that delivery puts before a message: the decision and its reasons, the envelope, what the checks found."""

import re
from collections.abc import Sequence

from mox.inbound.incoming import Incoming
from mox.mailauth.authres import AuthResults
from mox.mailauth.headerwriter import HeaderWriter
from mox.mailauth.results import all_methods, received_spf

_NOT_ASCII = re.compile(r"[^\s,;()]*[^\x00-\x7f][^\s,;()]*")
_LINE_ENDS = re.compile(r"[\r\n]+")


def prefix(
    incoming: Incoming,
    recipient: str,
    delivered_to: str,
    reason: str,
    texts: Sequence[str],
    overrides: Sequence[str],
    problems: Sequence[tuple[str, str]] = (),
) -> bytes:
    """All lines, for one mailbox. `recipient` is the RCPT address, `problems` further fields (name, value)."""
    methods = all_methods(incoming.facts, incoming.found, overrides, incoming.envelope.utf8)
    lines = [x_mox_reason(reason, texts, incoming.envelope.utf8)]
    lines += [f"{name}: {_plain(value, incoming.envelope.utf8)}\r\n" for name, value in problems]
    lines += [
        f"Delivered-To: {delivered_to}\r\n",
        f"Return-Path: <{incoming.envelope.sender}>\r\n",
        str(AuthResults(incoming.envelope.hostname, methods)),
        str(received_spf(incoming.facts, incoming.spf)),
    ]
    reverse_name = incoming.iprev.name or next(iter(incoming.iprev.names), "")
    return "".join(lines).encode() + incoming.envelope.received(recipient, reverse_name)


def x_mox_reason(reason: str, texts: Sequence[str], utf8: bool) -> str:
    """The decision for people who wonder about it."""
    if not texts:
        return f"X-Mox-Reason: {reason}\r\n"
    writer = HeaderWriter("X-Mox-Reason:")
    writer.add(" ", f"{reason};")
    for text in texts:
        writer.newline()
        writer.wrap_text(f"{_plain(text, utf8)};")
    return str(writer)


def _plain(text: str, utf8: bool) -> str:
    if not text.isprintable():
        text = _LINE_ENDS.sub(" ", text)
    return text if utf8 or text.isascii() else _NOT_ASCII.sub("(non-ascii)", text)
