"""What a listener offers, and the greeting commands: names in HELO and EHLO, and the answer (RFC 5321 §4.1.1.1)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mox.smtp import arguments
from mox.smtp.address import AddressError, literal, parse_domain, parse_literal
from mox.smtp.arguments import FUTURE_RELEASE_MAX_S
from mox.smtp.reply import bad_syntax

MECHANISMS = (
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-1",
    "CRAM-MD5",
    "PLAIN",
    "LOGIN",
)
CLEARTEXT = ("PLAIN", "LOGIN")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a listener offers."""

    hostname: str
    is_submission: bool
    max_size: int = arguments.DEFAULT_MAX_SIZE
    max_recipients: int = 1000
    can_start_tls: bool = False
    # Passwords and, on submission, everything else need TLS.
    needs_tls: bool = False
    require_tls: bool = True
    # EXTERNAL by TLS client certificate (RFC 4422 appendix A).
    external: bool = False
    pedantic: bool = False


def parse_name(rest: str, is_extended: bool, offer: Offer, remote_ip: str) -> str:
    """The name of a client: a domain, or with EHLO also an address literal. Raises SmtpError."""
    if offer.is_submission and not offer.pedantic:
        # User agents send anything here, and nothing depends on it.
        return literal(remote_ip)
    name, blank, more = rest.removeprefix(" ").partition(" ")
    if not rest.startswith(" "):
        raise bad_syntax("expected a domain or address literal")
    try:
        if is_extended and name.startswith("["):
            return parse_literal(name)
        if (blank + more) if offer.is_submission else more.strip(" \t"):
            raise bad_syntax("unexpected text after the name")
        return parse_domain(name)
    except AddressError as err:
        raise bad_syntax(str(err)) from err


def offered_mechanisms(offer: Offer, has_tls: bool, has_certificate: bool) -> list[str]:
    """What AUTH may be given now."""
    if not offer.is_submission or (offer.needs_tls and not has_tls):
        return []
    return [*(["EXTERNAL"] if offer.external and has_certificate else []), *MECHANISMS]


def extensions(offer: Offer, has_tls: bool, mechanisms: list[str], now: datetime) -> list[str]:
    """The lines of an answer to EHLO after the first."""
    lines = ["PIPELINING", f"SIZE {offer.max_size}"]
    if offer.can_start_tls and not has_tls:
        lines.append("STARTTLS")
    elif offer.require_tls:
        lines.append("REQUIRETLS")
    if mechanisms:
        lines.append(f"AUTH {' '.join(mechanisms)}")
    if offer.is_submission:
        until = now + timedelta(seconds=FUTURE_RELEASE_MAX_S)
        lines.append(f"FUTURERELEASE {FUTURE_RELEASE_MAX_S} {until:%Y-%m-%dT%H:%M:%SZ}")
    lines += ["ENHANCEDSTATUSCODES", "8BITMIME", "CHUNKING"]
    if not offer.is_submission:
        lines.append("BINARYMIME")
    return [*lines, "DSN", f"LIMITS RCPTMAX={offer.max_recipients}", "SMTPUTF8"]
