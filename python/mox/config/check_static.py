"""Checks of mox.conf that need nothing but the file and the files that it names."""

import base64
import binascii
import ipaddress
import pwd
import re
import unicodedata
from pathlib import Path

from cryptography import x509

from mox.config.addresses import AddressError, parse_localpart
from mox.config.check_listeners import check_listener, check_ports
from mox.config.model import ACMEProvider, Static
from mox.config.problems import Problems
from mox.config.transport import MECHANISMS, Transport, TransportSMTP
from mox.config.values import check_canonical_domain, check_domain, check_nfc, check_reply_text, check_unique
from mox.log import LEVELS

DEFAULT_USER = "mox"
_UID_LIMIT = 1 << 32


def check_static(static: Static, folder: Path, problems: Problems) -> None:
    """`folder` is that of mox.conf."""
    for where, level in [("LogLevel", static.LogLevel), *_package_levels(static)]:
        if level not in LEVELS:
            problems.add(where, f"unknown level {level!r}; known are {', '.join(LEVELS)}")
    _check_user(static, problems)
    check_canonical_domain("Hostname", static.Hostname, problems)
    _check_host_reports(static, problems)
    _check_initial_mailboxes(static, problems)
    _check_authorities(static, folder, problems)
    for name, provider in static.ACME.items():
        _check_acme(f"ACME.{name}", name, provider, folder, problems)
    for name, listener in static.Listeners.items():
        check_listener(name, listener, static.ACME, folder, problems)
    check_ports(static.Listeners, problems)
    for name, transport in static.Transports.items():
        _check_transport(f"Transports.{name}", transport, problems)
    _check_limits(static, problems)


def _package_levels(static: Static) -> list[tuple[str, str]]:
    return [(f"PackageLogLevels.{name}", level) for name, level in static.PackageLogLevels.items()]


def run_as(user: str) -> tuple[int, int] | None:
    """(uid, gid) of a user by name, or by number, which is then both; None if there is none."""
    try:
        entry = pwd.getpwnam(user or DEFAULT_USER)
    except KeyError:
        if re.fullmatch(r"[0-9]+", user) and int(user) < _UID_LIMIT:
            return int(user), int(user)
        return None
    return entry.pw_uid, entry.pw_gid


def _check_user(static: Static, problems: Problems) -> None:
    if run_as(static.User) is None:
        user = static.User or DEFAULT_USER
        problems.add("User", f"there is no user {user!r}; make one with `useradd -d $PWD {user}`, or name another")


def _check_host_reports(static: Static, problems: Problems) -> None:
    target = static.HostTLSRPT
    if target is None or not target.Account:
        return
    try:
        localpart = parse_localpart(target.Localpart)
    except AddressError as err:
        problems.add("HostTLSRPT.Localpart", str(err))
        return
    if not localpart.isascii():
        problems.add("HostTLSRPT.Localpart", "must be ASCII, which many senders of reports need")


def _check_initial_mailboxes(static: Static, problems: Problems) -> None:
    special = static.InitialMailboxes.SpecialUse
    named = [name for name in (special.Sent, special.Archive, special.Trash, special.Draft, special.Junk) if name]
    initial = [*named, *static.InitialMailboxes.Regular]
    if static.DefaultMailboxes and initial:
        problems.add("DefaultMailboxes", "excludes InitialMailboxes; remove it")
    for where, names in (("InitialMailboxes", initial), ("DefaultMailboxes", static.DefaultMailboxes)):
        for name in names:
            check_nfc(where, name, problems)
            if "/" in unicodedata.normalize("NFC", name):
                problems.add(where, f"mailbox {name!r} is below another one, which is not possible here")
    for name in initial:
        if name.lower() == "inbox":
            problems.add("InitialMailboxes", "Inbox is always there; do not list it")


def _check_authorities(static: Static, folder: Path, problems: Problems) -> None:
    authorities = static.TLS.CA
    for name in authorities.CertFiles if authorities is not None else []:
        try:
            x509.load_pem_x509_certificates((folder / name).read_bytes())
        except OSError as err:
            problems.add("TLS.CA.CertFiles", f"reading {folder / name}: {err.strerror}")
        except ValueError:
            problems.add("TLS.CA.CertFiles", f"{folder / name} holds no certificate")


def _check_acme(where: str, name: str, provider: ACMEProvider, folder: Path, problems: Problems) -> None:
    if "/" in name or name in (".", ".."):
        problems.add(where, "the name stands in file names and cannot hold a slash")
    if not provider.DirectoryURL:
        problems.add(f"{where}.DirectoryURL", "must not be empty")
    if not provider.ContactEmail:
        problems.add(f"{where}.ContactEmail", "must not be empty")
    binding = provider.ExternalAccountBinding
    if binding is not None:
        try:
            read_binding_key(folder / binding.KeyFile)
        except (OSError, ValueError) as err:
            problems.add(f"{where}.ExternalAccountBinding.KeyFile", f"reading {folder / binding.KeyFile}: {err}")


def read_binding_key(path: Path) -> bytes:
    """The MAC key of an external account binding; white space and padding are accepted. Raises OSError, ValueError."""
    text = b"".join(path.read_bytes().split()).rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as err:
        raise ValueError(f"not base64url: {err}") from err


def _check_transport(where: str, transport: Transport, problems: Problems) -> None:
    methods = [name for name in transport.__struct_fields__ if getattr(transport, name) is not None]
    if len(methods) > 1:
        problems.add(where, f"has {' and '.join(methods)}; a transport has one method")
    for name in ("Submissions", "Submission", "SMTP"):
        relay = getattr(transport, name)
        if relay is not None:
            _check_relay(f"{where}.{name}", relay, name == "Submissions", problems)
    _check_socks(where, transport, problems)
    if transport.Direct is not None and transport.Direct.DisableIPv4 and transport.Direct.DisableIPv6:
        problems.add(f"{where}.Direct", "disables both address families")
    if transport.Fail is not None:
        if not 400 <= transport.Fail.code < 600:
            problems.add(f"{where}.Fail.SMTPCode", "must be between 400 and 599")
        check_reply_text(f"{where}.Fail.SMTPMessage", transport.Fail.SMTPMessage, problems)


def _check_relay(where: str, relay: TransportSMTP, is_immediate: bool, problems: Problems) -> None:
    check_domain(f"{where}.Host", relay.Host, problems)
    if is_immediate and (relay.NoSTARTTLS or relay.STARTTLSInsecureSkipVerify):
        problems.add(where, "has TLS from the start; NoSTARTTLS and STARTTLSInsecureSkipVerify have no meaning there")
    if relay.Auth is not None:
        check_unique(f"{where}.Auth.Mechanisms", relay.Auth.Mechanisms, problems)
        for mechanism in relay.Auth.Mechanisms:
            if mechanism not in MECHANISMS:
                problems.add(f"{where}.Auth.Mechanisms", f"unknown {mechanism!r}; known are {', '.join(MECHANISMS)}")


def _check_socks(where: str, transport: Transport, problems: Problems) -> None:
    socks = transport.Socks
    if socks is None:
        return
    host, colon, port = socks.Address.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        problems.add(f"{where}.Socks.Address", f"{socks.Address!r} is not host:port")
    for name, text in (("Username", socks.Username), ("Password", socks.Password)):
        if len(text.encode()) > 255 or bool(text) != bool(socks.Username):
            problems.add(f"{where}.Socks.{name}", "user name and password go together, each up to 255 bytes")
    for ip in socks.RemoteIPs:
        check_ip(f"{where}.Socks.RemoteIPs", ip, problems)
    check_domain(f"{where}.Socks.RemoteHostname", socks.RemoteHostname, problems)


def check_ip(where: str, text: str, problems: Problems) -> None:
    """An address without zone."""
    try:
        if "%" in text:
            raise ValueError
        ipaddress.ip_address(text)
    except ValueError:
        problems.add(where, f"{text!r} is not an IP address")


def _check_limits(static: Static, problems: Problems) -> None:
    limits = static.Limits
    for name in limits.__struct_fields__:
        value = getattr(limits, name)
        if isinstance(value, list) and (len(value) != 3 or min(value) < 0):
            problems.add(f"Limits.{name}", "needs three numbers: for an address, and for the networks around it")
    if limits.MaxRecipients < 1:
        problems.add("Limits.MaxRecipients", "must be at least 1")
