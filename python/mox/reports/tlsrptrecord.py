"""TLSRPT records in DNS: where a domain wants TLS reports. RFC 8460 §3."""

import re
import time
from dataclasses import dataclass

from mox import metrics
from mox.dns.resolver import DnsNotFound, DnsTemporary, Resolver

_VERSION = re.compile(r"v=TLSRPTv1[ \t]*;")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_VALUE = re.compile(r"[!-:<-~]+(?:[ \t]+[!-:<-~]+)*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^,!;\s]+")


class TlsRptError(Exception):
    """No usable record. `result`, as in metrics: notfound, multiple (as good as none), malformed, or temperror."""

    def __init__(self, text: str, result: str = "malformed") -> None:
        super().__init__(text)
        self.result = result

    @property
    def is_temporary(self) -> bool:
        """DNS may know one later."""
        return self.result == "temperror"


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
    started = time.monotonic()
    result = "error"
    try:
        record = await _lookup(resolver, domain)
        result = "ok"
    except TlsRptError as err:
        result = err.result
        raise
    finally:
        metrics.tlsrpt_seconds.labels(result).observe(time.monotonic() - started)
    return record


async def _lookup(resolver: Resolver, domain: str) -> Record:
    try:
        answer = await resolver.txt(f"_smtp._tls.{domain}")
    except DnsNotFound as err:
        raise TlsRptError("no tlsrpt record", "notfound") from err
    except DnsTemporary as err:
        raise TlsRptError(f"dns: {err}", "temperror") from err
    records = [record for text in answer.records if (record := parse_record(text)) is not None]
    if not records:
        raise TlsRptError("no tlsrpt record", "notfound")
    if len(records) > 1:
        raise TlsRptError("multiple tlsrpt records", "multiple")
    return records[0]
