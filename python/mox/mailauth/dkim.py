"""DKIM: who takes responsibility for a message, proven by a signature. RFC 6376, RFC 8301, RFC 8463.

`verify` judges every signature of a message, up to a bound; `sign` makes them. Fields, key records and canonical form
are in `dkimsignature`, `dkimkey` and `canon`.
"""

import asyncio
import base64
import enum
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from mox import metrics
from mox.dns import psl
from mox.dns.names import Domain
from mox.dns.resolver import DnsNotFound, DnsTemporary, Resolver
from mox.mailauth.canon import Body, BodySpec, signed_data, split_header
from mox.mailauth.dkimkey import (
    MAX_RSA_BITS,
    MIN_RSA_BITS,
    KeyRecord,
    KeyRecordError,
    PrivateKey,
    PublicKey,
    parse_key_record,
)
from mox.mailauth.dkimsignature import Signature, parse_signature, start_signature
from mox.mailauth.taglist import TagError

# Each costs DNS look-ups and CPU time, and strangers choose how many there are.
MAX_SIGNATURES = 10
# Hashing a body above this size is done in a thread.
_INLINE_BODY = 256 * 1024
_HASHES: dict[str, hashes.HashAlgorithm] = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}
_CANONS = frozenset({"simple", "relaxed"})
_PADDING = PKCS1v15()
DEFAULT_HEADERS = (
    "From",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "References",
    "In-Reply-To",
    "Subject",
    "Date",
    "Message-Id",
    "Content-Type",
)


class DkimStatus(enum.StrEnum):
    """RFC 8601 §2.7.1."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class DkimResult:
    """The verdict on one signature. `problem` says why it is not "pass"; `authentic`: the key record is, by DNSSEC."""

    status: DkimStatus
    signature: Signature | None = None
    record: KeyRecord | None = None
    authentic: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a verifier accepts. `domains` may sign although they are public suffixes (localserve)."""

    ignores_test_mode: bool = False
    allows_sha1: bool = False
    allows_length: bool = False
    domains: Collection[str] = ()


class Verdict(Exception):
    """Why a signature does not pass."""

    def __init__(self, status: DkimStatus, problem: str) -> None:
        super().__init__(problem)
        self.status = status


async def verify(
    resolver: Resolver, header: bytes, body: Body, policy: Policy | None = None, now: float | None = None
) -> list[DkimResult]:
    """Results in the order of the signatures, of the first MAX_SIGNATURES. RFC 6376 §6.

    `header` ends with the empty line. Raises MalformedHeader, when no signature can be judged.
    """
    policy = policy or Policy()
    now = time.time() if now is None else now
    fields = split_header(header)
    raw = [field.raw for field in fields if field.name == "dkim-signature"][:MAX_SIGNATURES]
    checks = [_Check(field, header, policy, now) for field in raw]
    keys = {(c.signature.selector, c.signature.domain.ascii): None for c in checks if c.signature and not c.failure}
    found = await lookup_all(resolver, keys)
    for check in checks:
        check.check_header(found)
    await _check_bodies([check for check in checks if check.is_good], body)
    return [check.result() for check in checks]


Keys = Mapping[tuple[str, str], tuple[KeyRecord, bool] | Verdict]


async def lookup_all(resolver: Resolver, wanted: Iterable[tuple[str, str]]) -> Keys:
    """What `lookup` gives or raises for each (selector, domain), asked at once."""
    names = list(wanted)
    found = await asyncio.gather(*(_lookup_or_verdict(resolver, *name) for name in names))
    return dict(zip(names, found, strict=True))


async def _lookup_or_verdict(resolver: Resolver, selector: str, domain: str) -> tuple[KeyRecord, bool] | Verdict:
    try:
        return await lookup(resolver, selector, domain)
    except Verdict as verdict:
        return verdict


async def lookup(resolver: Resolver, selector: str, domain: str) -> tuple[KeyRecord, bool]:
    """(record, authentic) of a selector. Raises Verdict. RFC 6376 §3.6.2.2."""
    name = f"{selector}._domainkey.{domain}"
    try:
        answer = await resolver.txt(name)
    except DnsNotFound as err:
        raise Verdict(DkimStatus.PERMERROR, "no key record") from err
    except DnsTemporary as err:
        raise Verdict(DkimStatus.TEMPERROR, f"looking up the key: {err}") from err
    records: list[KeyRecord] = []
    failure: KeyRecordError | None = None
    for text in answer.records:
        try:
            records.append(parse_key_record(text))
        except KeyRecordError as err:
            if err.is_dkim:
                raise Verdict(DkimStatus.PERMERROR, f"key record: {err}") from err
            failure = err
    if len(records) > 1:
        raise Verdict(DkimStatus.TEMPERROR, "more than one key record")
    if not records:
        raise Verdict(DkimStatus.TEMPERROR, f"no DKIM record at {name}: {failure}")
    return records[0], answer.authentic


class _Check:
    """One signature on its way through the steps of RFC 6376 §6.1."""

    def __init__(self, raw: bytes, header: bytes, policy: Policy, now: float) -> None:
        self._raw = raw
        self._header = header
        self._policy = policy
        self.signature: Signature | None = None
        self.failure: Verdict | None = None
        self._record: KeyRecord | None = None
        self._authentic = False
        try:
            self.signature = parse_signature(raw)
            check_signature(self.signature, policy, now)
        except TagError as err:
            self.failure = Verdict(DkimStatus.PERMERROR, str(err))
        except Verdict as err:
            self.failure = err

    @property
    def is_good(self) -> bool:
        return self.failure is None

    def check_header(self, keys: Keys) -> None:
        """Take the key and check the signature over the header."""
        if self.signature is None or self.failure is not None:
            return
        key = keys[self.signature.selector, self.signature.domain.ascii]
        if isinstance(key, Verdict):
            self.failure = key
            return
        self._record, self._authentic = key
        try:
            check_key(self.signature, self._record)
            data = signed_data(self._header, self.signature.headers, self._raw, self.signature.header_canon)
            verify_signature(self._record.public_key, self.signature.hash_name, self.signature.signature, data)
        except Verdict as err:
            self.failure = err

    def check_body(self, digest: bytes, length: int) -> None:
        """Compare with the hash of the canonical body, which is `length` octets."""
        assert self.signature is not None, "only good checks come here"
        if digest != self.signature.body_hash:
            self.failure = Verdict(DkimStatus.FAIL, "body hash does not match")
        elif self.signature.length is not None and self.signature.length > length:
            self.failure = Verdict(DkimStatus.PERMERROR, "body is shorter than l= says")

    def result(self) -> DkimResult:
        if self.failure is None:
            return DkimResult(DkimStatus.PASS, self.signature, self._record, self._authentic)
        status = self.failure.status
        if self._record is not None and self._record.is_testing and not self._policy.ignores_test_mode:
            status = DkimStatus.NONE
        return DkimResult(status, self.signature, self._record, self._authentic, str(self.failure))


async def _check_bodies(checks: Sequence[_Check], body: Body) -> None:
    """All signatures share one pass over the body."""
    if not checks:
        return
    specs = [body_spec(check.signature) for check in checks if check.signature is not None]
    for check, (digest, length) in zip(checks, await hash_bodies(body, specs), strict=True):
        check.check_body(digest, length)


async def hash_bodies(body: Body, specs: Sequence[BodySpec]) -> Sequence[tuple[bytes, int]]:
    """Hash in a thread when the body is large."""
    if body.size <= _INLINE_BODY:
        return body.body_hashes(specs)
    return await asyncio.to_thread(body.body_hashes, specs)


def body_spec(signature: Signature) -> BodySpec:
    """What of the body a signature covers."""
    return BodySpec(signature.body_canon, signature.hash_name, signature.length)


def check_signature(signature: Signature, policy: Policy, now: float) -> None:
    """What can be said without the key. Raises Verdict."""
    if "from" not in signature.headers:
        raise Verdict(DkimStatus.PERMERROR, "From is not signed")
    if signature.expires_at is not None and signature.expires_at < now:
        raise Verdict(DkimStatus.PERMERROR, "signature has expired")
    domain = signature.domain.ascii
    if psl.is_public_suffix(domain) and domain not in policy.domains:
        raise Verdict(DkimStatus.PERMERROR, "signed by a public suffix")
    check_algorithm(signature.key_type, signature.hash_name)
    if {signature.header_canon, signature.body_canon} - _CANONS:
        raise Verdict(DkimStatus.PERMERROR, "unknown canonicalization")
    if "dns/txt" not in signature.query_methods:
        raise Verdict(DkimStatus.PERMERROR, "unknown query method")
    if signature.hash_name == "sha1" and not policy.allows_sha1:
        raise Verdict(DkimStatus.POLICY, "sha1 is not secure")
    if signature.length is not None and not policy.allows_length:
        raise Verdict(DkimStatus.POLICY, "only part of the body is signed")
    if "subject" not in signature.headers:
        raise Verdict(DkimStatus.POLICY, "Subject is not signed")


def check_algorithm(key_type: str, hash_name: str) -> None:
    """Raises Verdict for a combination that nobody defines."""
    if hash_name not in _HASHES:
        raise Verdict(DkimStatus.PERMERROR, f"unknown hash {hash_name[:20]!r}")
    if key_type not in ("rsa", "ed25519") or (key_type == "ed25519" and hash_name != "sha256"):
        raise Verdict(DkimStatus.PERMERROR, f"unknown algorithm {key_type[:20]!r} with {hash_name}")


def check_key(signature: Signature, record: KeyRecord) -> None:
    """Whether the record's key may make this signature. Raises Verdict. RFC 6376 §6.1.2."""
    check_record(record, signature.key_type, signature.hash_name)
    if not record.allows_service("email"):
        raise Verdict(DkimStatus.PERMERROR, "key is not for mail")
    if record.is_strict and not signature.is_strictly_identified:
        raise Verdict(DkimStatus.PERMERROR, "key is not for subdomains")


def check_record(record: KeyRecord, key_type: str, hash_name: str) -> None:
    """Whether the record's key fits the algorithm and is strong enough. Raises Verdict."""
    if record.hashes and hash_name not in record.hashes:
        raise Verdict(DkimStatus.PERMERROR, "key is not for this hash")
    if record.key_type != key_type:
        raise Verdict(DkimStatus.PERMERROR, "key is of another type")
    if record.public_key is None:
        raise Verdict(DkimStatus.PERMERROR, "key is revoked")
    if isinstance(record.public_key, RSAPublicKey) and not MIN_RSA_BITS <= record.rsa_bits <= MAX_RSA_BITS:
        raise Verdict(DkimStatus.PERMERROR, f"RSA key of {record.rsa_bits} bits; allowed are 1024 to 8192")


def verify_signature(key: PublicKey | None, hash_name: str, signature: bytes, data: bytes) -> None:
    """Check octets. Raises Verdict. RFC 8463 §3: Ed25519 signs the hash of the data."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, _digest(hash_name, data))
        elif key is not None:
            key.verify(signature, data, _PADDING, _HASHES[hash_name])
    except InvalidSignature as err:
        raise Verdict(DkimStatus.FAIL, "signature does not match the header") from err


def _digest(hash_name: str, data: bytes) -> bytes:
    digest = hashes.Hash(_HASHES[hash_name])
    digest.update(data)
    return digest.finalize()


@dataclass(frozen=True, slots=True)
class Selector:
    """A key to sign with. `is_sealed`: nothing may be added to the signed fields. `lifetime_s` None: never expires."""

    name: str
    key: PrivateKey
    hash_name: str = "sha256"
    header_canon: str = "relaxed"
    body_canon: str = "relaxed"
    headers: Sequence[str] = DEFAULT_HEADERS
    is_sealed: bool = True
    lifetime_s: int | None = None


class SignError(ValueError):
    """The message cannot be signed; the text says why."""


async def sign(
    header: bytes,
    body: Body,
    domain: Domain,
    selectors: Sequence[Selector],
    localpart: str | None = None,
    now: float | None = None,
) -> bytes:
    """One DKIM-Signature field for each selector, to be prepended. `localpart` is that of i=; None leaves i= out.

    Raises SignError, and MalformedHeader. RFC 6376 §5.
    """
    names = [field.name for field in split_header(header)]
    if names.count("from") != 1:
        raise SignError("a message that is signed must have exactly one From field")
    now = time.time() if now is None else now
    specs = [BodySpec(selector.body_canon, selector.hash_name) for selector in selectors]
    digests = await hash_bodies(body, specs)
    unsigned = [
        _unsigned(selector, names, domain, localpart, digest, int(now))
        for selector, (digest, _) in zip(selectors, digests, strict=True)
    ]
    return b"".join(_sign_one(selector.key, sig, header) for selector, sig in zip(selectors, unsigned, strict=True))


def _unsigned(
    selector: Selector, names: Sequence[str], domain: Domain, localpart: str | None, body_hash: bytes, now: int
) -> Signature:
    key_type = "rsa" if isinstance(selector.key, RSAPrivateKey) else "ed25519"
    signed = oversigned(selector.headers, names) if selector.is_sealed else tuple(selector.headers)
    if "from" not in (name.lower() for name in signed):
        raise SignError(f"selector {selector.name} does not sign From")
    return Signature(
        key_type,
        selector.hash_name,
        b"",
        body_hash,
        selector.header_canon,
        selector.body_canon,
        domain,
        selector.name,
        signed,
        localpart,
        domain if localpart is not None else None,
        signed_at=now,
        expires_at=None if selector.lifetime_s is None else now + selector.lifetime_s,
    )


def oversigned(wanted: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
    """Each of `wanted` as often as it occurs in `present` (lower case), and once more, so that none can be added."""
    return tuple(name for name in wanted for _ in range(present.count(name.lower()) + 1))


def _sign_one(key: PrivateKey, unsigned: Signature, header: bytes) -> bytes:
    metrics.dkim_signatures.labels(unsigned.key_type).inc()
    field = start_signature(unsigned)
    data = signed_data(header, unsigned.headers, bytes(field), unsigned.header_canon)
    field.wrap(base64.b64encode(make_signature(key, unsigned.hash_name, data)).decode())
    return bytes(field)


def make_signature(key: PrivateKey, hash_name: str, data: bytes) -> bytes:
    """Sign octets; the counterpart of `verify_signature`."""
    if isinstance(key, RSAPrivateKey):
        return key.sign(data, _PADDING, _HASHES[hash_name])
    return key.sign(_digest(hash_name, data))
