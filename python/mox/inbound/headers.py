"""Lines that delivery puts before a message: the decision and its reasons, the envelope, what the checks found."""

import base64
import re
from collections.abc import Sequence

from mox.inbound.incoming import Incoming
from mox.mailauth.authres import AuthMethod, AuthProperty, AuthResults
from mox.mailauth.dkim import DkimResult
from mox.mailauth.headerwriter import HeaderWriter
from mox.mailauth.receivedspf import ReceivedSpf
from mox.mailauth.spf import SpfIdentity, SpfStatus
from mox.smtp.address import literal, to_unicode

_SHOWN_SIGNATURE = 12
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
    lines = [x_mox_reason(reason, texts, incoming.envelope.utf8)]
    lines += [f"{name}: {_plain(value, incoming.envelope.utf8)}\r\n" for name, value in problems]
    lines += [
        f"Delivered-To: {delivered_to}\r\n",
        f"Return-Path: <{incoming.envelope.sender}>\r\n",
        str(auth_results(incoming, overrides)),
        str(received_spf(incoming)),
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
    text = _LINE_ENDS.sub(" ", text)
    return text if utf8 else _NOT_ASCII.sub("(non-ascii)", text)


def auth_results(incoming: Incoming, overrides: Sequence[str]) -> AuthResults:
    """RFC 8601"""
    methods = [_iprev(incoming), *_dkim(incoming), _spf(incoming), _dmarc(incoming, overrides)]
    return AuthResults(incoming.envelope.hostname, tuple(methods))


def _dnssec(authentic: bool) -> str:
    return "with dnssec" if authentic else "without dnssec"


def _iprev(incoming: Incoming) -> AuthMethod:
    found = incoming.iprev
    shown = AuthProperty("policy", "iprev", incoming.envelope.remote_ip)
    return AuthMethod("iprev", found.status.value, _dnssec(found.authentic), properties=(shown,))


def _dkim(incoming: Incoming) -> list[AuthMethod]:
    if not incoming.dkim:
        return [AuthMethod("dkim", "none", reason=incoming.dkim_problem or "no dkim signatures")]
    return [_signature(result, incoming.envelope.utf8) for result in incoming.dkim]


def _signature(result: DkimResult, utf8: bool) -> AuthMethod:
    signature, record = result.signature, result.record
    properties: list[AuthProperty] = []
    bits = ""
    if signature is not None:
        value = base64.b64encode(signature.signature).decode()
        properties = [
            AuthProperty("header", "d", signature.domain.xname(utf8)),
            AuthProperty("header", "s", signature.selector),
            AuthProperty("header", "a", signature.algorithm),
            AuthProperty("header", "b", value[:_SHOWN_SIGNATURE]),
        ]
        if signature.identity:
            properties.append(AuthProperty("header", "i", signature.identity, is_address=True))
    if record is not None:
        bits = f"{record.rsa_bits} bit rsa, " if record.rsa_bits else ""
    reason = _plain(result.problem, utf8)
    return AuthMethod("dkim", result.status.value, f"{bits}{_dnssec(result.authentic)}", reason, tuple(properties))


def _spf(incoming: Incoming) -> AuthMethod:
    found = incoming.spf
    if found.identity is SpfIdentity.UNKNOWN:
        return AuthMethod("spf", "none")
    shown = to_unicode(found.domain) if incoming.envelope.utf8 else found.domain
    name = "helo" if found.identity is SpfIdentity.HELO else "mailfrom"
    properties = (AuthProperty("smtp", name, shown),)
    return AuthMethod("spf", found.status.value, _dnssec(found.authentic), properties=properties)


def _dmarc(incoming: Incoming, overrides: Sequence[str]) -> AuthMethod:
    if incoming.author is None:
        return AuthMethod("dmarc", "none")
    comment = _dnssec(incoming.dmarc.authentic)
    if overrides:
        comment += f" override {','.join(overrides)}"
    properties = (AuthProperty("header", "from", incoming.author.domain),)
    return AuthMethod("dmarc", incoming.dmarc.status.value, comment, properties=properties)


def received_spf(incoming: Incoming) -> ReceivedSpf:
    """RFC 7208 §9.1"""
    envelope, found = incoming.envelope, incoming.spf
    helo = envelope.hello_domain or envelope.remote_ip
    if found.identity is SpfIdentity.UNKNOWN:
        return ReceivedSpf(
            SpfStatus.NONE,
            "no domain, ehlo is an ip literal and mailfrom is empty",
            envelope.remote_ip,
            f'""@{literal(envelope.remote_ip)}',
            helo,
            receiver=envelope.hostname,
        )
    is_helo = found.identity is SpfIdentity.HELO
    comment = f"domain {found.domain}" + (", from ehlo because mailfrom is empty" if is_helo else "")
    sender = f"postmaster@{found.domain}" if is_helo else str(envelope.sender)
    return ReceivedSpf(
        found.status,
        comment,
        envelope.remote_ip,
        sender,
        helo,
        found.problem,
        found.mechanism,
        envelope.hostname,
        found.identity.value,
    )
