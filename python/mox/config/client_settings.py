"""Which host, port and TLS mail programs use for a domain: for people, for autoconfiguration, for DNS records."""

from dataclasses import dataclass
from enum import Enum

from mox.config.listener import Listener
from mox.config.model import Static
from mox.config.tables import DomainEntry
from mox.dns import names


class Security(Enum):
    """How a connection is protected."""

    TLS = "TLS from the start"
    STARTTLS = "STARTTLS"
    PLAIN = "no TLS"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service is. `also_on_443`: also on the HTTPS port, for clients that ask for it by ALPN."""

    host: names.Domain
    port: int
    security: Security
    also_on_443: bool
    listener: str


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What a mail program needs."""

    imap: Endpoint
    submission: Endpoint


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """One way to reach a service, for a table."""

    protocol: str
    host: names.Domain
    port: int
    listener: str
    note: str


class NoSettings(LookupError):
    """No listener offers both IMAP and submission."""


def _host(static: Static, listener: Listener, entry: DomainEntry) -> names.Domain:
    return names.parse_domain(entry.options.ClientSettingsDomain or listener.Hostname or static.Hostname)


def _ordered(static: Static) -> list[str]:
    return sorted(static.Listeners, key=lambda name: (name != "public", name))


def client_settings(static: Static, entry: DomainEntry) -> ClientSettings:
    """The best settings: of listener `public` first, with TLS from the start before STARTTLS. Raises NoSettings."""
    imap: Endpoint | None = None
    submission: Endpoint | None = None
    for name in _ordered(static):
        listener = static.Listeners[name]
        host = _host(static, listener, entry)
        starttls = Security.PLAIN if listener.TLS is None else Security.STARTTLS
        if imap is None and listener.IMAPS.Enabled:
            service = listener.IMAPS
            imap = Endpoint(host, service.Port or 993, Security.TLS, service.EnabledOnHTTPS, name)
        elif imap is None and listener.IMAP.Enabled:
            imap = Endpoint(host, listener.IMAP.Port or 143, starttls, False, name)
        if submission is None and listener.Submissions.Enabled:
            offered = listener.Submissions
            submission = Endpoint(host, offered.Port or 465, Security.TLS, offered.EnabledOnHTTPS, name)
        elif submission is None and listener.Submission.Enabled:
            submission = Endpoint(host, listener.Submission.Port or 587, starttls, False, name)
    if imap is None or submission is None:
        raise NoSettings("no listener has both IMAP and submission enabled")
    return ClientSettings(imap, submission)


def client_configs(static: Static, entry: DomainEntry) -> list[ClientConfig]:
    """Every way to reach IMAP and submission, listeners by name."""
    found = []
    for name in sorted(static.Listeners):
        listener = static.Listeners[name]
        host = _host(static, listener, entry)
        submission, imap = "Submission (SMTP)", "IMAP"
        for protocol, service, port in ((submission, listener.Submissions, 465), (imap, listener.IMAPS, 993)):
            if service.Enabled:
                note = "with TLS" + (", also served on port 443 with TLS ALPN" if service.EnabledOnHTTPS else "")
                found.append(ClientConfig(protocol, host, service.Port or port, name, note))
        for protocol, plain, port in ((submission, listener.Submission, 587), (imap, listener.IMAP, 143)):
            if plain.Enabled:
                note = _starttls_note(listener, plain.NoRequireSTARTTLS)
                found.append(ClientConfig(protocol, host, plain.Port or port, name, note))
    return found


def _starttls_note(listener: Listener, is_optional: bool) -> str:
    if listener.TLS is None:
        return "plain text, no STARTTLS configured"
    return "STARTTLS optional" if is_optional else "STARTTLS required"
