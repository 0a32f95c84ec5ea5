"""The DKIM-Signature field: parsing and rendering. RFC 6376 §3.5, RFC 8301, RFC 8463."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mox.dns.names import Domain, is_same_or_below
from mox.mailauth.headerwriter import HeaderWriter
from mox.mailauth.taglist import (
    TagError,
    decode_quoted_printable,
    parse_base64,
    parse_list,
    parse_number,
    parse_selector,
    parse_tag_domain,
    parse_tags,
)

FIELD = "DKIM-Signature"
HASH_SIZES = {"sha1": 20, "sha256": 32}
# Choosing fields takes time for each name; signers that seal many fields twice write about a hundred.
_MAX_NAMES = 500
_REQUIRED = ("a", "b", "bh", "d", "h", "s")


@dataclass(frozen=True, slots=True)
class Signature:
    """Values of the tags; times in Unix seconds, `signature` and `body_hash` decoded, header names in lower case.

    `key_type`, `hash_name`, `header_canon` and `body_canon` may be names that nobody knows. `identity_localpart` and
    `identity_domain` are the parts of i=, None when it lacks them.
    """

    key_type: str
    hash_name: str
    signature: bytes
    body_hash: bytes
    header_canon: str
    body_canon: str
    domain: Domain
    selector: str
    headers: tuple[str, ...]
    identity_localpart: str | None = None
    identity_domain: Domain | None = None
    length: int | None = None
    query_methods: tuple[str, ...] = ("dns/txt",)
    signed_at: int | None = None
    expires_at: int | None = None

    @property
    def algorithm(self) -> str:
        """As in a=."""
        return f"{self.key_type}-{self.hash_name}"

    @property
    def identity(self) -> str:
        """As in i=, empty when that is not given."""
        if self.identity_domain is None:
            return ""
        return f"{self.identity_localpart or ''}@{self.identity_domain.ascii}"

    @property
    def is_strictly_identified(self) -> bool:
        """Whether i= names the signing domain itself."""
        return self.identity_domain is None or self.identity_domain == self.domain


def parse_signature(field: bytes) -> Signature:
    """Parse a whole field. Raises TagError."""
    text = field.partition(b":")[2].decode("utf-8", "surrogateescape")
    tags = parse_tags(text)
    if tags.get("v") != "1":
        raise TagError("version is not 1")
    return signature_from_tags(tags)


def signature_from_tags(tags: Mapping[str, str]) -> Signature:
    """Values of the tags that DKIM-Signature and ARC-Message-Signature share, and of i=. Raises TagError."""
    require_tags(tags, _REQUIRED)
    key_type, hash_name = parse_algorithm(tags["a"])
    body_hash = parse_base64(tags["bh"])
    if len(body_hash) != HASH_SIZES.get(hash_name, len(body_hash)):
        raise TagError("body hash has the wrong size")
    header_canon, body_canon = parse_canon(tags.get("c", "simple"))
    domain = parse_tag_domain(tags["d"])
    localpart, identity_domain = _parse_identity(tags["i"], domain) if "i" in tags else (None, None)
    signed_at = parse_number(tags["t"], 12) if "t" in tags else None
    expires_at = parse_number(tags["x"], 12) if "x" in tags else None
    if signed_at is not None and expires_at is not None and signed_at >= expires_at:
        raise TagError("expires before it is signed")
    return Signature(
        key_type,
        hash_name,
        parse_signature_value(tags["b"]),
        body_hash,
        header_canon,
        body_canon,
        domain,
        parse_selector(tags["s"]),
        parse_header_names(tags["h"]),
        localpart,
        identity_domain,
        parse_number(tags["l"], 76) if "l" in tags else None,
        tuple(method.lower() for method in parse_list(tags.get("q", "dns/txt"))),
        signed_at,
        expires_at,
    )


def require_tags(tags: Mapping[str, str], names: Sequence[str]) -> None:
    """Raises TagError when one is missing."""
    missing = [name for name in names if name not in tags]
    if missing:
        raise TagError(f"tag {missing[0]} is missing")


def parse_algorithm(value: str) -> tuple[str, str]:
    """(key type, hash) of a=, in lower case. Raises TagError."""
    key_type, dash, hash_name = value.lower().partition("-")
    if not dash or not key_type or not hash_name:
        raise TagError(f"bad algorithm {value[:40]!r}")
    return key_type, hash_name


def parse_canon(value: str) -> tuple[str, str]:
    """(header, body) of c=, in lower case; the body's is "simple" when left out. RFC 6376 §3.5."""
    header, _, body = value.lower().partition("/")
    return header, body or "simple"


def parse_header_names(value: str) -> tuple[str, ...]:
    """Names of h=, in lower case; empty ones are left out. Raises TagError when there are too many."""
    names = tuple(name.lower() for name in parse_list(value) if name)
    if len(names) > _MAX_NAMES:
        raise TagError("too many names in h=")
    return names


def parse_signature_value(value: str) -> bytes:
    """b=. Raises TagError."""
    data = parse_base64(value)
    if not data:
        raise TagError("empty signature")
    return data


def _parse_identity(value: str, domain: Domain) -> tuple[str | None, Domain]:
    """sig-i-tag = %x69 [FWS] "=" [FWS] [ Local-part ] "@" domain-name"""
    localpart, at, name = decode_quoted_printable(value).rpartition("@")
    if not at:
        raise TagError("identity without @")
    identity_domain = parse_tag_domain(name)
    if not is_same_or_below(identity_domain.ascii, domain.ascii):
        raise TagError("identity is not in the signing domain")
    return localpart or None, identity_domain


def render_signature(signature: Signature) -> bytes:
    """The field, with CRLF; without a signature yet, b= is empty and last."""
    writer = start_signature(signature)
    writer.wrap(base64.b64encode(signature.signature).decode())
    return bytes(writer)


def start_signature(signature: Signature) -> HeaderWriter:
    """The field up to an empty b=, which is what is signed; the signature is to be wrapped behind it."""
    writer = HeaderWriter(f"{FIELD}: v=1;")
    writer.add(" ", f"d={signature.domain.ascii};", f"s={signature.selector};")
    if signature.identity_domain is not None:
        localpart = quote_identity(signature.identity_localpart or "")
        writer.add(" ", f"i={localpart}@{signature.identity_domain.ascii};")
    writer.add(" ", f"a={signature.algorithm};")
    if (signature.header_canon, signature.body_canon) != ("simple", "simple"):
        writer.add(" ", f"c={signature.header_canon}/{signature.body_canon};")
    if signature.signed_at is not None:
        writer.add(" ", f"t={signature.signed_at};")
    if signature.expires_at is not None:
        writer.add(" ", f"x={signature.expires_at};")
    if signature.length is not None:
        writer.add(" ", f"l={signature.length};")
    first, *rest = signature.headers
    writer.add(" ", f"h={first}")
    writer.add("", *(f":{name}" for name in rest))
    writer.add("", ";")
    writer.add(" ", f"bh={base64.b64encode(signature.body_hash).decode()};", "b=")
    return writer


def quote_identity(localpart: str) -> str:
    """dkim-quoted-printable of a localpart. RFC 6376 §2.11; non-ASCII stays as it is, RFC 8616 §5."""
    return "".join(
        char if char > "\x7f" or ("!" <= char <= "~" and char not in ";=") else f"={ord(char):02X}"
        for char in localpart
    )
