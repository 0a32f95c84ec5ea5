"""The DNS records that a domain needs, as text for people and zone files.

Lines are as in a zone file, but without class; comments say why a record is there. RFC 6376 §3.6, RFC 7208 §3,
RFC 7489 §6, RFC 8460 §3, RFC 8461 §3, RFC 7672 §3, RFC 6186 §3, RFC 8314 §5.1, RFC 8659 §4, RFC 8657 §3.
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mox.config.addresses import render_localpart
from mox.config.keys import HostKey, load_host_key
from mox.config.live import Config
from mox.config.model import ReportAddress, Static
from mox.config.tables import DomainEntry
from mox.dns import names
from mox.mailauth.dkimkey import record_for

STRING_LENGTH = 100


def sending_ips(static: Static) -> list[str]:
    """Public addresses that outgoing mail comes from, as far as they are configured; for SPF."""
    found: list[str] = []
    for name in sorted(static.Listeners):
        listener = static.Listeners[name]
        if listener.SMTP.Enabled and not listener.IPsNATed:
            found += listener.NATIPs or listener.IPs
    for name in sorted(static.Transports):
        socks = static.Transports[name].Socks
        found += socks.RemoteIPs if socks is not None else []
    return list(dict.fromkeys(ip for ip in found if not ipaddress.ip_address(ip).is_unspecified))


def host_keys(static: Static, folder: Path) -> list[HostKey]:
    """Keys of the public listener that certificates keep, ECDSA first. Raises OSError, PemError."""
    public = static.Listeners.get("public")
    files = public.TLS.HostPrivateKeyFiles if public is not None and public.TLS is not None else []
    keys = [key for key in (load_host_key(folder / name) for name in files) if key is not None]
    return sorted(keys, key=lambda key: not isinstance(key, ec.EllipticCurvePrivateKey))


def txt(value: str) -> str:
    """The text of a TXT record: one string, or several in parentheses."""
    if len(value) <= STRING_LENGTH:
        return f'"{value}"'
    parts = [value[at : at + STRING_LENGTH] for at in range(0, len(value), STRING_LENGTH)]
    return "(\n" + "".join(f'\t\t"{part}"\n' for part in parts) + "\t)"


def domain_records(
    config: Config, entry: DomainEntry, has_dnssec: bool, issuer: str = "", account_uri: str = ""
) -> list[str]:
    """The lines for a domain. `has_dnssec`: its zone is signed. `issuer` and `account_uri` are of the provider of
    certificates, empty when unknown. Raises OSError, PemError."""
    domain, host = entry.name.ascii, names.parse_domain(config.static.Hostname).ascii
    client = (
        names.parse_domain(entry.options.ClientSettingsDomain).ascii if entry.options.ClientSettingsDomain else host
    )
    lines = [
        "; Time To Live of 5 minutes: changes and mistakes are gone soon. Use a higher value once all is well.",
        "$TTL 300",
        "",
    ]
    for part in (
        _dane(config, host, has_dnssec),
        _host(config, domain, host),
        _receiving(domain, host),
        _signing(config, entry),
        _policies(config, entry, domain, host),
        _clients(domain, host, client),
        _certificates(domain, host, client, issuer, account_uri),
    ):
        lines += part
    return lines


def _dane(config: Config, host: str, has_dnssec: bool) -> Iterator[str]:
    keys = host_keys(config.static, config.path.parent)
    if not keys:
        return
    yield "; DANE: other servers may deliver only to one of these keys. For the machine, so only needed once."
    if not has_dnssec:
        yield "; WARNING: Domain does not seem to be DNSSEC-signed. First enable DNSSEC, then add these records."
    for key in keys:
        info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        prefix = "" if has_dnssec else ";; "
        yield f"{prefix}_25._tcp.{host}. TLSA 3 1 1 {hashlib.sha256(info).hexdigest()}"
    yield ""


def _host(config: Config, domain: str, host: str) -> Iterator[str]:
    if domain == host:
        return
    yield "; For the machine, so only needed once: its name in greetings and in notifications of failed delivery."
    yield f'{host}. TXT "v=spf1 a -all"'
    yield ""
    target = config.static.HostTLSRPT
    if target is not None:
        yield "; Reports on TLS with this machine, for DANE."
        yield f"_smtp._tls.{host}. TXT {txt(f'v=TLSRPTv1; rua={_mailto(target.Localpart, host)}')}"
        yield ""


def _mailto(localpart: str, domain: str) -> str:
    return f"mailto:{quote(render_localpart(localpart), safe='')}@{domain}"


def _report_mailto(target: ReportAddress, domain: str) -> str:
    return _mailto(target.Localpart, names.parse_domain(target.Domain).ascii if target.Domain else domain)


def _receiving(domain: str, host: str) -> Iterator[str]:
    yield "; Mail for the domain is delivered to this machine."
    yield f"{domain}. MX 10 {host}."
    yield ""


def _signing(config: Config, entry: DomainEntry) -> Iterator[str]:
    domain = entry.name.ascii
    selectors = config.tables.selectors[entry.name.name]
    if selectors:
        yield "; Outgoing mail is signed with the private halves of these keys. Those that do not sign yet are spares."
    is_long = False
    for name in sorted(selectors):
        key = selectors[name]
        value = str(record_for(key.key, (key.hash,)))
        is_long = is_long or len(value) > STRING_LENGTH
        yield f"{key.selector.ascii}._domainkey.{domain}. TXT {txt(value)}"
    if is_long:
        yield "; In a web form, write the strings of a record in parentheses as one, without quotes and spaces between."
    if selectors:
        yield ""


def _policies(config: Config, entry: DomainEntry, domain: str, host: str) -> Iterator[str]:
    options = entry.options
    ips = "".join(f" ip{ipaddress.ip_address(ip).version}:{ip}" for ip in sending_ips(config.static))
    yield "; Who may send mail for the domain. The end is a softfail: with -all, some receivers would not look at DKIM."
    yield f"{domain}. TXT {txt(f'v=spf1{ips} mx ~all')}"
    yield ""
    reports = f";rua={_report_mailto(options.DMARC, domain)}!10m" if options.DMARC is not None else ""
    yield "; Mail that is neither from such a machine nor signed is to be rejected, and reported once a day."
    yield f"_dmarc.{domain}. TXT {txt(f'v=DMARC1;p=reject{reports}')}"
    yield ""
    if options.MTASTS is not None:
        yield "; Other servers must deliver over verified TLS. Change the id whenever the policy changes, after it."
        yield f"mta-sts.{domain}. CNAME {host}."
        yield f'_mta-sts.{domain}. TXT "v=STSv1; id={options.MTASTS.PolicyID}"'
    else:
        yield "; Note: No MTA-STS policy is configured for the domain."
    yield ""
    if options.TLSRPT is not None:
        yield "; Reports on TLS with the domain."
        yield f"_smtp._tls.{domain}. TXT {txt(f'v=TLSRPTv1; rua={_report_mailto(options.TLSRPT, domain)}')}"
        yield ""


def _clients(domain: str, host: str, client: str) -> Iterator[str]:
    if client != host:
        yield "; The name that mail programs connect to, so that the domain can move without a change in them."
        yield f"{client}. CNAME {host}."
        yield ""
    yield "; Mail programs find their settings here. Thunderbird:"
    yield f"autoconfig.{domain}. CNAME {host}."
    yield f"_autodiscover._tcp.{domain}. SRV 0 1 443 {host}."
    yield ""
    yield "; Other programs, for IMAP and submission with TLS from the start:"
    yield f"_imaps._tcp.{domain}. SRV 0 1 993 {client}."
    yield f"_submissions._tcp.{domain}. SRV 0 1 465 {client}."
    yield "; Services that are not there; you may leave these out:"
    for service in ("imap", "submission", "pop3", "pop3s"):
        yield f"_{service}._tcp.{domain}. SRV 0 0 0 ."
    yield ""


def _certificates(domain: str, host: str, client: str, issuer: str, account_uri: str) -> Iterator[str]:
    if not issuer:
        return
    yield "; Optional: only this provider may issue certificates for the domain and names below it."
    yield f'{domain}. CAA 0 issue "{issuer}"'
    if not account_uri:
        yield "; Optional: records that only let your own account at the provider request certificates"
        yield "; will be suggested once mox has an account there; see `mox config dnsrecords`."
        return
    yield "; Optional: only your own account at the provider may request certificates, in these ways:"
    value = f"{issuer}; accounturi={account_uri}; validationmethods=tls-alpn-01,http-01"
    yield from _accounts(value, [domain, f"autoconfig.{domain}", f"mta-sts.{domain}"], domain, host, client)


def _accounts(value: str, found: Iterable[str], domain: str, host: str, client: str) -> Iterator[str]:
    more = [client] if client != host else []
    more += [host] if host != domain and names.is_same_or_below(host, domain) else []
    for name in [*found, *more]:
        yield f';; {name}. CAA 0 issue "{value}"'
