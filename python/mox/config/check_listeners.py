"""Checks of listeners: addresses, certificates, paths, and ports that are asked for twice."""

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from mox.config.keys import load_host_key
from mox.config.listener import Listener, ListenerTLS
from mox.config.model import ACMEProvider
from mox.config.pem import PemError
from mox.config.problems import Problems
from mox.config.values import check_domain

TLS_VERSIONS = ("", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
MAIL_PORTS = {"SMTP": 25, "Submission": 587, "Submissions": 465, "IMAP": 143, "IMAPS": 993}
WEB_SERVICES = ("Account", "Admin", "Webmail", "WebAPI")
HTTP_PORTS = {
    **{f"{name}HTTP": 80 for name in WEB_SERVICES},
    **{f"{name}HTTPS": 443 for name in WEB_SERVICES},
    "MetricsHTTP": 8010,
    "PprofHTTP": 8011,
    "AutoconfigHTTPS": 443,
    "MTASTSHTTPS": 443,
    "WebserverHTTP": 80,
    "WebserverHTTPS": 443,
}


def check_listener(
    name: str, listener: Listener, providers: Mapping[str, ACMEProvider], folder: Path, problems: Problems
) -> None:
    """`folder` is that of mox.conf."""
    where = f"Listeners.{name}"
    if listener.Hostname:
        check_domain(f"{where}.Hostname", listener.Hostname, problems)
    if listener.TLS is not None:
        _check_tls(f"{where}.TLS", listener.TLS, providers, folder, problems)
    elif needing := _services_with_tls(listener):
        problems.add(where, f"TLS is missing, which is needed for {', '.join(needing)}")
    _check_ips(where, listener, problems)
    for zone in listener.SMTP.DNSBLs:
        check_domain(f"{where}.SMTP.DNSBLs", zone, problems)
    _check_paths(where, listener, problems)


def _services_with_tls(listener: Listener) -> list[str]:
    needing = [
        ("SMTP", listener.SMTP.Enabled and not listener.SMTP.NoSTARTTLS),
        ("Submission", listener.Submission.Enabled and not listener.Submission.NoRequireSTARTTLS),
        ("Submissions", listener.Submissions.Enabled),
        ("IMAP", listener.IMAP.Enabled and not listener.IMAP.NoRequireSTARTTLS),
        ("IMAPS", listener.IMAPS.Enabled),
        *((f"{name}HTTPS", getattr(listener, f"{name}HTTPS").Enabled) for name in WEB_SERVICES),
        ("AutoconfigHTTPS", listener.AutoconfigHTTPS.Enabled and not listener.AutoconfigHTTPS.NonTLS),
        ("MTASTSHTTPS", listener.MTASTSHTTPS.Enabled and not listener.MTASTSHTTPS.NonTLS),
        ("WebserverHTTPS", listener.WebserverHTTPS.Enabled),
    ]
    return [service for service, needs in needing if needs]


def _check_tls(
    where: str, tls: ListenerTLS, providers: Mapping[str, ACMEProvider], folder: Path, problems: Problems
) -> None:
    if tls.ACME and tls.KeyCerts:
        problems.add(where, "ACME and KeyCerts exclude each other")
    if not tls.ACME and not tls.KeyCerts:
        problems.add(where, "needs ACME or KeyCerts")
    if tls.ACME and tls.ACME not in providers:
        problems.add(f"{where}.ACME", f"there is no provider {tls.ACME!r} in ACME")
    if tls.MinVersion not in TLS_VERSIONS:
        problems.add(f"{where}.MinVersion", f"unknown version {tls.MinVersion!r}; use TLSv1.2 or TLSv1.3")
    kinds = set()
    for name in tls.HostPrivateKeyFiles:
        try:
            key = load_host_key(folder / name)
        except (OSError, PemError) as err:
            problems.add(f"{where}.HostPrivateKeyFiles", str(err))
            continue
        if key is None:
            problems.warn(f"{where}.HostPrivateKeyFiles", f"{name} is neither RSA-2048 nor ECDSA P-256 and not used")
        else:
            kinds.add("RSA-2048" if isinstance(key, rsa.RSAPrivateKey) else "ECDSA P-256")
    if tls.ACME and len(kinds) == 1:
        problems.warn(f"{where}.HostPrivateKeyFiles", f"only {kinds.pop()}; add a key of the other kind")


def _check_ips(where: str, listener: Listener, problems: Problems) -> None:
    for ip in listener.IPs:
        if _parse_ip(ip) is None:
            problems.add(f"{where}.IPs", f"{ip!r} is not an IP address")
    if listener.IPsNATed and listener.NATIPs:
        problems.add(f"{where}.IPsNATed", "excludes NATIPs; remove it")
    for ip in listener.NATIPs:
        address = _parse_ip(ip)
        if address is None:
            problems.add(f"{where}.NATIPs", f"{ip!r} is not an IP address")
        elif address.is_unspecified or address.is_loopback:
            problems.add(f"{where}.NATIPs", f"{ip} is not a public address")


def _parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def _check_paths(where: str, listener: Listener, problems: Problems) -> None:
    for service in (f"{name}{scheme}" for name in WEB_SERVICES for scheme in ("HTTP", "HTTPS")):
        options = getattr(listener, service)
        if not options.Enabled or not options.Path:
            continue
        if not options.Path.startswith("/"):
            problems.add(f"{where}.{service}.Path", f"{options.Path!r} must start with /")
        elif not options.Path.endswith("/"):
            problems.warn(f"{where}.{service}.Path", f"{options.Path!r} should end with /, which is added")
    autoconfig, policy = listener.AutoconfigHTTPS, listener.MTASTSHTTPS
    if (
        autoconfig.Enabled
        and policy.Enabled
        and (autoconfig.Port or 443) == (policy.Port or 443)
        and autoconfig.NonTLS != policy.NonTLS
    ):
        problems.add(where, "AutoconfigHTTPS and MTASTSHTTPS share a port, so NonTLS must be the same")


def _ports(listener: Listener) -> Iterator[tuple[str, int, str]]:
    """(option, port, what is spoken there) of each service; HTTP services may share a port."""
    for option, port in MAIL_PORTS.items():
        if getattr(listener, option).Enabled:
            yield option, getattr(listener, option).Port or port, option
    for option, port in HTTP_PORTS.items():
        options = getattr(listener, option)
        if options.Enabled:
            is_tls = option.endswith("HTTPS") and not getattr(options, "NonTLS", False)
            spoken = "profiles" if option == "PprofHTTP" else "HTTPS" if is_tls else "HTTP"
            yield option, options.Port or port, spoken


def check_ports(listeners: Mapping[str, Listener], problems: Problems) -> None:
    """The same address and port for two services, which only HTTP services of one listener can share."""
    used: dict[tuple[str, int], tuple[str, str, str]] = {}
    for name in sorted(listeners):
        for option, port, spoken in _ports(listeners[name]):
            where = f"Listeners.{name}.{option}"
            if not 0 < port < 65536:
                problems.add(f"{where}.Port", f"{port} is not a port")
            for ip in listeners[name].IPs:
                other = used.setdefault((ip, port), (name, spoken, where))
                if other[:2] != (name, spoken):
                    problems.add(f"{where}.Port", f"{ip} port {port} is used by {other[2]} already")
