"""TLSRPT records in DNS: where a domain wants TLS reports. RFC 8460 §3."""

import re
from dataclasses import dataclass

from mox.dns.resolver import DnsNotFound, DnsTemporary, Resolver

_VERSION = re.compile(r"v=TLSRPTv1[ \t]*;")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_VALUE = re.compile(r"[!-:<-~]+(?:[ \t]+[!-:<-~]+)*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^,!;\s]+")


class TlsRptError(Exception):
    """No usable record. `is_temporary`: DNS may know one later; `is_missing`: there is none."""

    def __init__(self, text: str, is_temporary: bool = False, is_missing: bool = False) -> None:
        super().__init__(text)
        self.is_temporary, self.is_missing = is_temporary, is_missing


@dataclass(frozen=True, slots=True)
class Record:
    """URIs of all rua fields."""

    uris: tuple[str, ...]
    extensions: tuple[tuple[str, str], ...] = ()


def parse_record(text: str) -> Record | None:
    """A TXT record; None when it is about something else. Raises TlsRptError."""
    if not _VERSION.match(text):
        return None
    fields = [field.strip(" \t") for field in text.partition(";")[2].split(";")]
    if not fields[-1]:
        fields.pop()
    uris: list[str] = []
    extensions = []
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise TlsRptError(f"bad field {field!r}")
        if name == "rua":
            found = [uri.strip(" \t") for uri in value.split(",")]
            if not all(_URI.fullmatch(uri) for uri in found):
                raise TlsRptError(f"bad uri in {value!r}")
            uris += found
        else:
            extensions.append((name, value))
    if not uris:
        raise TlsRptError("no rua")
    return Record(tuple(uris), tuple(extensions))


async def lookup_record(resolver: Resolver, domain: str) -> Record:
    """The record of a domain in ASCII. Raises TlsRptError."""
    try:
        answer = await resolver.txt(f"_smtp._tls.{domain}")
    except DnsNotFound as err:
        raise TlsRptError("no tlsrpt record", is_missing=True) from err
    except DnsTemporary as err:
        raise TlsRptError(f"dns: {err}", is_temporary=True) from err
    records = [record for text in answer.records if (record := parse_record(text)) is not None]
    if not records:
        raise TlsRptError("no tlsrpt record", is_missing=True)
    if len(records) > 1:
        raise TlsRptError("multiple tlsrpt records", is_missing=True)
    return records[0]
