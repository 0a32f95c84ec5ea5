"""How the results of the checks are written into a message's header. RFC 8601 §2.7, RFC 7208 §9.1, RFC 8617 §7."""

import base64
from collections.abc import Sequence

from mox.dns.names import Domain, DomainError, IPAddress, parse_domain
from mox.mailauth.arc import ArcResult, ArcStatus
from mox.mailauth.authres import AuthMethod, AuthProperty
from mox.mailauth.check import Authentication, MessageFacts
from mox.mailauth.dkim import DkimResult
from mox.mailauth.dmarc import DmarcResult
from mox.mailauth.iprev import IprevResult
from mox.mailauth.receivedspf import ReceivedSpf, envelope_address
from mox.mailauth.spf import SpfIdentity, SpfResult

# Enough to tell signatures apart, RFC 8601 §2.7.1.
_SIGNATURE_START = 12


def all_methods(
    facts: MessageFacts, found: Authentication, overrides: Sequence[str] = (), utf8: bool = False
) -> tuple[AuthMethod, ...]:
    """Everything for the Authentication-Results field; `overrides` say why DMARC's policy was not followed.

    With `utf8` (the message was sent with SMTPUTF8) domains are in Unicode, but for that of DMARC.
    """
    methods = [iprev_method(facts.remote_ip, found.iprev), *dkim_methods(found.dkim, found.dkim_problem, utf8)]
    methods += [spf_method(found.spf, utf8), dmarc_method(found.dmarc, facts.from_domain, overrides)]
    if found.arc.status is not ArcStatus.NONE:
        methods.append(arc_method(found.arc))
    return tuple(methods)


def _reason(problem: str, utf8: bool) -> str:
    """Problems may quote what a stranger wrote."""
    return problem if utf8 else problem.encode("ascii", "backslashreplace").decode()


def _dnssec(authentic: bool) -> str:
    return "with dnssec" if authentic else "without dnssec"


def iprev_method(ip: IPAddress, result: IprevResult) -> AuthMethod:
    """RFC 8601 §2.7.3."""
    return AuthMethod(
        "iprev", result.status, _dnssec(result.authentic), "", (AuthProperty("policy", "iprev", str(ip)),)
    )


def dkim_methods(results: Sequence[DkimResult], problem: str, utf8: bool = False) -> list[AuthMethod]:
    """One for each signature, or one that says that there is none. RFC 8601 §2.7.1."""
    if not results:
        return [AuthMethod("dkim", "none", reason=_reason(problem, utf8) or "no dkim signatures")]
    return [_dkim_method(result, utf8) for result in results]


def _dkim_method(result: DkimResult, utf8: bool) -> AuthMethod:
    comment = _dnssec(result.authentic)
    if result.record is not None and result.record.rsa_bits:
        comment = f"{result.record.rsa_bits} bit rsa, {comment}"
    properties: list[AuthProperty] = []
    if signature := result.signature:
        start = base64.b64encode(signature.signature).decode()[:_SIGNATURE_START]
        properties = [
            AuthProperty("header", "d", signature.domain.xname(utf8)),
            AuthProperty("header", "s", signature.selector),
            AuthProperty("header", "a", signature.algorithm),
            AuthProperty("header", "b", start),
        ]
        if signature.identity:
            properties.append(AuthProperty("header", "i", signature.identity, is_address=True))
    return AuthMethod("dkim", result.status, comment, _reason(result.problem, utf8), tuple(properties))


def spf_method(result: SpfResult, utf8: bool = False) -> AuthMethod:
    """RFC 8601 §2.7.2."""
    if result.identity is SpfIdentity.UNKNOWN:
        return AuthMethod("spf", result.status)
    properties = (AuthProperty("smtp", result.identity, _shown(result.domain, utf8)),)
    return AuthMethod("spf", result.status, _dnssec(result.authentic), "", properties)


def _shown(domain: str, utf8: bool) -> str:
    try:
        return parse_domain(domain, lax=True).xname(utf8)
    except DomainError:
        return domain


def dmarc_method(result: DmarcResult, from_domain: str, overrides: Sequence[str] = ()) -> AuthMethod:
    """RFC 7489 §11.1."""
    if not from_domain:
        return AuthMethod("dmarc", result.status)
    comment = _dnssec(result.authentic)
    if overrides:
        comment += ", override " + ",".join(overrides)
    return AuthMethod("dmarc", result.status, comment, "", (AuthProperty("header", "from", from_domain),))


def arc_method(result: ArcResult) -> AuthMethod:
    """RFC 8617 §7."""
    properties: list[AuthProperty] = []
    if result.status is ArcStatus.PASS:
        properties.append(AuthProperty("header", "oldest-pass", str(result.oldest_pass)))
    comment = f"{len(result.sets)} sets, {_dnssec(result.authentic)}"
    return AuthMethod("arc", result.status, comment, _reason(result.problem, False), tuple(properties))


def submission_method(mail_from: str, domain: Domain | None) -> AuthMethod:
    """For a submitted message: `mail_from` was used by a user who may. RFC 8601 §2.7.4."""
    comment = domain.ascii if domain is not None and domain.unicode else ""
    return AuthMethod("auth", "pass", "", "", (AuthProperty("smtp", "mailfrom", mail_from, True, comment),))


def received_spf(facts: MessageFacts, result: SpfResult) -> ReceivedSpf:
    """The trace field of SPF. RFC 7208 §9.1."""
    helo = facts.helo or facts.helo_literal
    if result.identity is SpfIdentity.UNKNOWN:
        comment = "no domain, ehlo is an ip literal and mailfrom is empty"
        sender = f'""@{helo}'
    else:
        from_helo = result.identity is SpfIdentity.HELO
        comment = f"domain {result.domain}" + (", from ehlo because mailfrom is empty" if from_helo else "")
        localpart = facts.mail_from_localpart if not from_helo else "postmaster"
        sender = envelope_address(localpart, result.domain)
    return ReceivedSpf(
        result.status,
        comment,
        str(facts.remote_ip),
        sender,
        helo,
        result.problem,
        result.mechanism,
        facts.receiver,
        result.identity,
    )
