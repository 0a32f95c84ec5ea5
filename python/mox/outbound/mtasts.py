"""MTA-STS of other domains: DNS record, policy, fetching over HTTPS. RFC 8461 §3."""

import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
import msgspec

from mox.dns.names import DomainError, parse_domain
from mox.dns.resolver import DnsNotFound, DnsTemporary, Resolver

FETCH_TIMEOUT_S = 60.0
MAX_POLICY_BYTES = 64 * 1024
_MAX_AGE_LIMIT = 2**31

_VERSION = re.compile(r"v=STSv1[ \t]*;")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_EXTENSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_EXTENSION_VALUE = re.compile(r"[!-:<>-~]+")
_MAX_AGE = re.compile(r"[0-9]{1,10}")


class StsError(Exception):
    """Base of all below."""


class NoRecord(StsError):
    """The domain has no MTA-STS record."""


class MultipleRecords(StsError):
    """More than one record: none counts."""


class RecordSyntax(StsError):
    """The record is malformed."""


class StsDnsError(StsError):
    """The record cannot be looked up now. `dns` says more."""

    def __init__(self, err: DnsTemporary) -> None:
        super().__init__(f"mta-sts dns lookup: {err}")
        self.dns = err


class NoPolicy(StsError):
    """There is a record and no policy."""


class PolicyFetch(StsError):
    """The policy cannot be fetched. `certificate` when the server could not be verified."""

    def __init__(self, text: str, certificate: bool = False) -> None:
        super().__init__(text)
        self.certificate = certificate


class PolicySyntax(StsError):
    """The policy is malformed or too large."""


@dataclass(frozen=True, slots=True)
class Record:
    """The TXT record; `id` changes with the policy."""

    id: str
    extensions: tuple[tuple[str, str], ...] = ()


class Policy(msgspec.Struct, frozen=True):
    """A policy. `mx` are names in A-labels, with `*.` for one more label."""

    mode: str
    max_age_s: int
    mx: list[str] = []
    version: str = "STSv1"

    def matches(self, host: str) -> bool:
        """Mail may go to this host. RFC 8461 §4.1"""
        _, _, parent = host.partition(".")
        return any(host == mx or (mx.startswith("*.") and parent == mx[2:]) for mx in self.mx)


def parse_record(text: str) -> Record | None:
    """A TXT record; None when it is about something else. Raises RecordSyntax. RFC 8461 §3.1"""
    if not _VERSION.match(text + (";" if text == "v=STSv1" else "")):
        return None
    fields = re.split(r"[ \t]*;[ \t]*", text.partition(";")[2].strip(" \t"))
    if fields and not fields[-1]:
        fields.pop()
    found_id, extensions = "", []
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals:
            raise RecordSyntax(f"no value in {field!r}")
        if name == "id":
            if not _ID.fullmatch(value):
                raise RecordSyntax(f"bad id {value!r}")
            found_id = found_id or value
        elif _EXTENSION_NAME.fullmatch(name) and _EXTENSION_VALUE.fullmatch(value):
            extensions.append((name, value))
        else:
            raise RecordSyntax(f"bad field {field!r}")
    if not found_id:
        raise RecordSyntax("no id")
    return Record(found_id, tuple(extensions))


def parse_policy(text: str) -> Policy:
    """A policy file. Raises PolicySyntax. RFC 8461 §3.2"""
    values: dict[str, str] = {}
    mx: list[str] = []
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    for line in lines:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or not _EXTENSION_NAME.fullmatch(name) or not value.isprintable() or not value:
            raise PolicySyntax(f"bad line {line[:100]!r}")
        if name == "mx":
            mx.append(_parse_mx(value))
        else:
            values.setdefault(name, value)
    for name in ("version", "mode", "max_age"):
        if name not in values:
            raise PolicySyntax(f"no {name}")
    if values["version"] != "STSv1":
        raise PolicySyntax(f"unknown version {values['version']!r}")
    if values["mode"] not in ("enforce", "testing", "none"):
        raise PolicySyntax(f"unknown mode {values['mode']!r}")
    if not _MAX_AGE.fullmatch(values["max_age"]) or int(values["max_age"]) >= _MAX_AGE_LIMIT:
        raise PolicySyntax(f"bad max_age {values['max_age']!r}")
    if values["mode"] != "none" and not mx:
        raise PolicySyntax("no mx")
    return Policy(values["mode"], int(values["max_age"]), mx)


def _parse_mx(value: str) -> str:
    name = value.removeprefix("*.")
    if not name.isascii():
        raise PolicySyntax(f"mx {value!r} is not in A-labels")
    try:
        return value[: len(value) - len(name)] + parse_domain(name).ascii
    except DomainError as err:
        raise PolicySyntax(f"mx {value!r}: {err}") from err


async def lookup_record(resolver: Resolver, domain: str) -> Record:
    """The record of a domain, in ASCII. Raises StsError."""
    try:
        answer = await resolver.txt(f"_mta-sts.{domain}")
    except DnsNotFound as err:
        raise NoRecord("no mta-sts dns record") from err
    except DnsTemporary as err:
        raise StsDnsError(err) from err
    records = [record for text in answer.records if (record := parse_record(text)) is not None]
    if len(records) > 1:
        raise MultipleRecords("multiple mta-sts records")
    if not records:
        raise NoRecord("no mta-sts dns record")
    return records[0]


# Fetches the policy text of a domain. Raises NoPolicy, PolicyFetch, PolicySyntax.
Fetch = Callable[[str], Awaitable[str]]


class HttpsFetcher:
    """Fetches policies. `verify` are the CAs to trust; `transport` replaces the network in tests."""

    def __init__(self, verify: ssl.SSLContext | bool = True, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._verify, self._transport = verify, transport

    async def fetch(self, domain: str) -> str:
        """The text of the policy of a domain. RFC 8461 §3.3: no redirects, verified certificate."""
        url = f"https://mta-sts.{domain}/.well-known/mta-sts.txt"
        try:
            async with (
                httpx.AsyncClient(
                    verify=self._verify,
                    transport=self._transport,
                    follow_redirects=False,
                    timeout=FETCH_TIMEOUT_S,
                    trust_env=False,
                    headers={"Connection": "close"},
                ) as client,
                client.stream("GET", url) as response,
            ):
                if response.status_code == 404:
                    raise NoPolicy("no policy served: status 404")
                if response.status_code != 200:
                    raise PolicyFetch(f"status {response.status_code} for {url}")
                return await self._read(response)
        except httpx.HTTPError as err:
            raise _fetch_error(err) from err

    async def _read(self, response: httpx.Response) -> str:
        body = b""
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_POLICY_BYTES:
                raise PolicySyntax(f"policy is larger than {MAX_POLICY_BYTES} bytes")
        try:
            return body.decode()
        except UnicodeDecodeError as err:
            raise PolicySyntax("policy is not UTF-8") from err


def _fetch_error(err: httpx.HTTPError) -> PolicyFetch:
    cause: BaseException | None = err
    is_certificate = False
    while cause is not None:
        is_certificate = is_certificate or isinstance(cause, ssl.SSLCertVerificationError)
        cause = cause.__cause__ or cause.__context__
    return PolicyFetch(f"fetching policy: {err or type(err).__name__}", is_certificate)
