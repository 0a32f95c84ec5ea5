"""ARC: what earlier hosts found out about a message, signed by each of them. RFC 8617.

A chain of sets, one for each host, each of three fields: ARC-Authentication-Results, ARC-Message-Signature over the
message as the host saw it, and ARC-Seal over the sets so far. `verify` validates the chain, `seal` adds a set.
"""

import base64
import enum
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from msgspec import Struct

from mox.dns.names import Domain
from mox.dns.resolver import Resolver
from mox.mailauth.canon import Body, BodySpec, Field, signed_data, split_header
from mox.mailauth.dkim import (
    Keys,
    Verdict,
    body_spec,
    check_algorithm,
    check_record,
    hash_bodies,
    lookup_all,
    make_signature,
    verify_signature,
)
from mox.mailauth.dkimkey import KeyRecord, PrivateKey
from mox.mailauth.dkimsignature import (
    Signature,
    parse_algorithm,
    parse_signature_value,
    require_tags,
    signature_from_tags,
)
from mox.mailauth.headerwriter import HeaderWriter
from mox.mailauth.taglist import TagError, parse_number, parse_selector, parse_tag_domain, parse_tags

MAX_SETS = 50
_NAMES = ("arc-authentication-results", "arc-message-signature", "arc-seal")
# i=1; authserv-id …
_RESULTS = re.compile(rb"[^:]*:[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,4})[ \t\r\n]*;(.*)", re.DOTALL)
# RFC 8617 §5.1.1: fields that later hosts may change are not worth signing.
DEFAULT_HEADERS = (
    *("From", "To", "Cc", "Subject", "Date", "Message-Id", "In-Reply-To", "References", "Reply-To"),
    *("Mime-Version", "Content-Type", "Content-Transfer-Encoding", "DKIM-Signature"),
)


class ArcStatus(enum.StrEnum):
    """Of the chain, as in cv=. RFC 8617 §4.4."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class ArcSet:
    """One host's set: who sealed it, the chain's state it saw, and its results as text behind the instance."""

    instance: int
    domain: str
    selector: str
    cv: str
    results: str


class ArcResult(Struct, frozen=True):
    """The state of the chain, sets in order of instances (those that could be read).

    `oldest_pass`: the lowest instance whose message signature still verifies with all above it, 0 when all do.
    """

    status: ArcStatus
    sets: tuple[ArcSet, ...] = ()
    oldest_pass: int = 0
    authentic: bool = False
    problem: str = ""

    @property
    def can_be_sealed(self) -> bool:
        """Whether another set may be added. RFC 8617 §5.1.2."""
        return len(self.sets) < MAX_SETS and not (self.sets and self.sets[-1].cv == ArcStatus.FAIL)


@dataclass(frozen=True, slots=True)
class _Seal:
    instance: int
    key_type: str
    hash_name: str
    signature: bytes
    cv: str
    domain: Domain
    selector: str


@dataclass(frozen=True, slots=True)
class _Set:
    """A parsed set with its fields."""

    results_field: bytes
    message_field: bytes
    seal_field: bytes
    message: Signature
    seal: _Seal
    results: str

    @property
    def fields(self) -> tuple[bytes, bytes, bytes]:
        return self.results_field, self.message_field, self.seal_field

    def summary(self) -> ArcSet:
        seal = self.seal
        return ArcSet(seal.instance, seal.domain.ascii, seal.selector, seal.cv, self.results)


class _ChainError(Exception):
    """Why the chain fails."""


async def verify(resolver: Resolver, header: bytes, body: Body) -> ArcResult:
    """Validate the chain. Raises MalformedHeader. RFC 8617 §5.2."""
    fields = split_header(header)
    arc_fields = [field for field in fields if field.name in _NAMES]
    if not arc_fields:
        return ArcResult(ArcStatus.NONE)
    sets: list[_Set] = []
    try:
        sets = _parse_chain(arc_fields)
        oldest_pass, authentic = await _verify_chain(resolver, sets, header, body)
    except (_ChainError, TagError, Verdict) as err:
        return ArcResult(ArcStatus.FAIL, tuple(s.summary() for s in sets), problem=str(err))
    return ArcResult(ArcStatus.PASS, tuple(s.summary() for s in sets), oldest_pass, authentic)


def _parse_chain(fields: Sequence[Field]) -> list[_Set]:
    """Sets in order. Raises _ChainError and TagError. RFC 8617 §5.2 steps 1 and 3."""
    if len(fields) > 3 * MAX_SETS:
        raise _ChainError(f"more than {MAX_SETS} sets")
    by_place: dict[tuple[int, str], tuple[bytes, object]] = {}
    for field in fields:
        instance, parsed = _parse_field(field)
        if (instance, field.name) in by_place:
            raise _ChainError(f"instance {instance} has more than one {field.name}")
        by_place[instance, field.name] = field.raw, parsed
    count = max(instance for instance, _ in by_place)
    if len(by_place) != 3 * count:
        raise _ChainError("a field of a set is missing")
    sets = []
    for instance in range(1, count + 1):
        (results_field, results), (message_field, message), (seal_field, seal) = (
            by_place[instance, name] for name in _NAMES
        )
        assert isinstance(results, str) and isinstance(message, Signature) and isinstance(seal, _Seal)
        sets.append(_Set(results_field, message_field, seal_field, message, seal, results))
    return sets


def _parse_field(field: Field) -> tuple[int, object]:
    if field.name == "arc-authentication-results":
        found = _RESULTS.fullmatch(field.raw)
        if found is None:
            raise _ChainError("ARC-Authentication-Results without instance")
        return _instance(found[1].decode()), found[2].decode("utf-8", "surrogateescape").strip()
    tags = parse_tags(field.raw.partition(b":")[2].decode("utf-8", "surrogateescape"))
    instance = _instance(tags.pop("i", ""))
    if field.name == "arc-seal":
        return instance, _parse_seal(tags, instance)
    # RFC 8617 is silent on a missing c=; the public test suite takes it for the one algorithm that ARC itself uses.
    signature = signature_from_tags({"c": "relaxed/relaxed", **tags})
    if "arc-seal" in signature.headers:
        raise _ChainError("ARC-Message-Signature covers ARC-Seal")
    return instance, signature


def _parse_seal(tags: dict[str, str], instance: int) -> _Seal:
    """RFC 8617 §4.1.3."""
    require_tags(tags, ("a", "b", "cv", "d", "s"))
    if "h" in tags:
        raise _ChainError("ARC-Seal with h=")
    if "t" in tags:
        parse_number(tags["t"], 12)
    key_type, hash_name = parse_algorithm(tags["a"])
    cv = tags["cv"].lower()
    if cv not in list(ArcStatus):
        raise _ChainError("bad cv=")
    signature = parse_signature_value(tags["b"])
    return _Seal(instance, key_type, hash_name, signature, cv, parse_tag_domain(tags["d"]), parse_selector(tags["s"]))


def _instance(text: str) -> int:
    instance = parse_number(text, 4)
    if not 1 <= instance <= MAX_SETS:
        raise _ChainError("bad instance")
    return instance


async def _verify_chain(resolver: Resolver, sets: Sequence[_Set], header: bytes, body: Body) -> tuple[int, bool]:
    """(oldest pass, authentic). Raises _ChainError and Verdict. RFC 8617 §5.2 steps 2 to 6."""
    if sets[-1].seal.cv == ArcStatus.FAIL:
        raise _ChainError(f"instance {len(sets)} says that the chain had failed")
    for entry in sets:
        if entry.seal.cv != (ArcStatus.NONE if entry.seal.instance == 1 else ArcStatus.PASS):
            raise _ChainError(f"instance {entry.seal.instance} has the wrong cv={entry.seal.cv}")
        _check_message(entry.message)
    # The newest first: a chain that fails there costs no further look-ups, of names that strangers choose.
    keys = await lookup_all(resolver, _key_names(sets[-1:]))
    hashes = await hash_bodies(body, [body_spec(entry.message) for entry in sets])
    _verify_message(sets[-1], header, hashes[-1], keys)
    _verify_seal(sets, keys)
    keys = {**keys, **await lookup_all(resolver, _key_names(sets[:-1]) - keys.keys())}
    for count in range(len(sets) - 1, 0, -1):
        _verify_seal(sets[:count], keys)
    oldest = len(sets)
    while oldest > 1 and _passes(sets[oldest - 2], header, hashes[oldest - 2], keys):
        oldest -= 1
    authentic = all(isinstance(found, tuple) and found[1] for found in keys.values())
    return (0 if oldest == 1 else oldest), authentic


def _key_names(sets: Sequence[_Set]) -> set[tuple[str, str]]:
    seals = {(entry.seal.selector, entry.seal.domain.ascii) for entry in sets}
    return seals | {(entry.message.selector, entry.message.domain.ascii) for entry in sets}


def _verify_seal(sets: Sequence[_Set], keys: Keys) -> None:
    """The last seal of `sets`. Raises _ChainError and Verdict. RFC 8617 §5.2 step 6."""
    seal = sets[-1].seal
    record = _key(keys, seal.selector, seal.domain, seal.key_type, seal.hash_name)
    verify_signature(record.public_key, seal.hash_name, seal.signature, _sealed_data([s.fields for s in sets]))


def _key(keys: Keys, selector: str, domain: Domain, key_type: str, hash_name: str) -> KeyRecord:
    """Raises Verdict when there is no good key."""
    check_algorithm(key_type, hash_name)
    if hash_name == "sha1":
        raise _ChainError("sha1 is not secure")
    found = keys[selector, domain.ascii]
    if isinstance(found, Verdict):
        raise found
    check_record(found[0], key_type, hash_name)
    return found[0]


def _verify_message(entry: _Set, header: bytes, body_hash: tuple[bytes, int], keys: Keys) -> None:
    """Raises _ChainError and Verdict. RFC 8617 §5.2 step 4."""
    signature = entry.message
    record = _key(keys, signature.selector, signature.domain, signature.key_type, signature.hash_name)
    if body_hash[0] != signature.body_hash or (signature.length or 0) > body_hash[1]:
        raise _ChainError(f"body hash of instance {entry.seal.instance} does not match")
    data = signed_data(header, signature.headers, entry.message_field, signature.header_canon)
    verify_signature(record.public_key, signature.hash_name, signature.signature, data)


def _check_message(signature: Signature) -> None:
    """Whether hashes can be computed at all. Raises _ChainError and Verdict."""
    check_algorithm(signature.key_type, signature.hash_name)
    if not {signature.header_canon, signature.body_canon} <= {"simple", "relaxed"}:
        raise _ChainError("unknown canonicalization")


def _passes(entry: _Set, header: bytes, body_hash: tuple[bytes, int], keys: Keys) -> bool:
    try:
        _verify_message(entry, header, body_hash, keys)
    except (_ChainError, Verdict):
        return False
    return True


def _sealed_data(sets: Sequence[tuple[bytes, bytes, bytes]]) -> bytes:
    """What the seal of the last set signs: all sets in order, relaxed. RFC 8617 §5.1.1.3."""
    *before, (results, message, seal) = sets
    # Fields are taken from below, so the first set stands last.
    header = results + message + b"".join(field for fields in reversed(before) for field in fields) + b"\r\n"
    return signed_data(header, (*_NAMES * len(before), *_NAMES[:2]), seal, "relaxed")


@dataclass(frozen=True, slots=True)
class Sealer:
    """A key to seal with, published as for DKIM."""

    domain: Domain
    selector: str
    key: PrivateKey
    headers: Sequence[str] = DEFAULT_HEADERS

    @property
    def algorithm(self) -> str:
        """As in a=."""
        return "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"


async def seal(
    header: bytes, body: Body, sealer: Sealer, results: str, chain: ArcResult, now: float | None = None
) -> bytes:
    """The three fields of a new set, to be prepended, or nothing when no set may be added.

    `results` is the payload of Authentication-Results, `chain` what `verify` said of this message when it came in.
    Raises MalformedHeader. RFC 8617 §5.1.
    """
    if not chain.can_be_sealed:
        return b""
    fields = split_header(header)
    instance = len(chain.sets) + 1
    t = int(time.time() if now is None else now)
    ((body_hash, _),) = await hash_bodies(body, [BodySpec("relaxed", "sha256")])
    present = {field.name for field in fields}
    names = [name.lower() for name in sealer.headers if name.lower() in present]
    results_field = f"ARC-Authentication-Results: i={instance}; {results.lstrip()}\r\n".encode(
        "utf-8", "surrogateescape"
    )
    message_tags = [
        f"bh={base64.b64encode(body_hash).decode()}",
        "c=relaxed/relaxed",
        f"d={sealer.domain.ascii}",
        "h=" + ":".join(names),
        f"i={instance}",
        f"s={sealer.selector}",
        f"t={t}",
    ]
    unsigned = _render("ARC-Message-Signature", sealer, b"", message_tags)
    signature = make_signature(sealer.key, "sha256", signed_data(header, names, unsigned, "relaxed"))
    message_field = _render("ARC-Message-Signature", sealer, signature, message_tags)

    # A failed chain is not vouched for: the seal covers only its own set. RFC 8617 §5.1.2.
    before = _fields_of_sets(fields, instance - 1) if chain.status is ArcStatus.PASS else []
    seal_tags = [f"cv={chain.status}", f"d={sealer.domain.ascii}", f"i={instance}", f"s={sealer.selector}", f"t={t}"]
    unsigned = _render("ARC-Seal", sealer, b"", seal_tags)
    data = _sealed_data([*before, (results_field, message_field, unsigned)])
    seal_field = _render("ARC-Seal", sealer, make_signature(sealer.key, "sha256", data), seal_tags)
    return seal_field + message_field + results_field


def _fields_of_sets(fields: Sequence[Field], count: int) -> list[tuple[bytes, bytes, bytes]]:
    sets = _parse_chain([field for field in fields if field.name in _NAMES])
    return [entry.fields for entry in sets[:count]]


def _render(name: str, sealer: Sealer, signature: bytes, tags: Sequence[str]) -> bytes:
    writer = HeaderWriter(f"{name}:")
    writer.add(" ", f"a={sealer.algorithm};", "b=")
    writer.wrap(base64.b64encode(signature).decode())
    writer.add("", ";")
    for tag in tags:
        start, *rest = tag.split(":") if tag.startswith("h=") else [tag]
        writer.add(" ", start)
        writer.add("", *(f":{part}" for part in rest))
        if tag is not tags[-1]:
            writer.add("", ";")
    return bytes(writer)
