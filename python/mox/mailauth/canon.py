"""Canonical form and hashes of what DKIM and ARC sign. RFC 6376 §3.4, §3.7."""

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(?:[^\r\n]|\r(?!\n)|(?<!\r)\n|\r\n(?=[ \t]))*\r\n")


class MalformedHeader(ValueError):
    """The header section is none that can be signed or verified."""


class BodySpec(NamedTuple):
    """What a signature wants hashed: canonicalization, hash, and value of `l=`."""

    canon: str
    algorithm: str
    length: int | None = None


class BodyHash(NamedTuple):
    """The hash, and how many octets the whole canonical body has."""

    digest: bytes
    length: int


class Body(Protocol):
    """A message body that can be hashed; `size` in octets."""

    @property
    def size(self) -> int: ...

    def hash_bodies(self, specs: Sequence[BodySpec]) -> list[BodyHash]:
        """One hash for each of `specs`."""


class BytesBody:
    """A body in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def hash_bodies(self, specs: Sequence[BodySpec]) -> list[BodyHash]:
        return [_hash_body(self._data, spec) for spec in specs]


class Field(NamedTuple):
    """A header field: name in lower case, and all of it with its last CRLF."""

    name: str
    raw: bytes


def split_header(header: bytes) -> list[Field]:
    """Fields of a header section that ends with an empty line. Raises MalformedHeader."""
    fields: list[Field] = []
    at = 0
    while not header.startswith(b"\r\n", at):
        found = _FIELD.match(header, at)
        if found is None:
            raise MalformedHeader("no field or empty line")
        fields.append(Field(found[1].decode().lower(), found[0]))
        at = found.end()
    return fields


def canon_header(field: bytes, canon: str) -> bytes:
    """One field; a CRLF at its end is kept. RFC 6376 §3.4.1, §3.4.2."""
    if canon == "simple":
        return field
    name, _, value = field.partition(b":")
    end = b"\r\n" if field.endswith(b"\r\n") else b""
    value = re.sub(rb"[ \t]+", b" ", value.removesuffix(b"\r\n").replace(b"\r\n", b"")).strip(b" ")
    return name.rstrip(b" \t").lower() + b":" + value + end


def without_signature(field: bytes) -> bytes:
    """The field without the value of `b=`."""
    return re.sub(rb"([:;][ \t\r\n]*b[ \t\r\n]*=)[^;]*?(\r\n\Z|;|\Z)", rb"\1\2", field, count=1)


def signed_data(fields: Sequence[Field], names: Sequence[str], signature: bytes, canon: str) -> bytes:
    """What a signature signs: the chosen fields from below, then itself without `b=`. RFC 6376 §3.7, §5.4.2."""
    left: dict[str, list[bytes]] = {}
    for field in fields:
        left.setdefault(field.name, []).append(field.raw)
    chosen = [left[name].pop() for name in names if left.get(name)]
    chosen.append(without_signature(signature).removesuffix(b"\r\n"))
    return b"".join(canon_header(field, canon) for field in chosen)


def _hash_body(body: bytes, spec: BodySpec) -> BodyHash:
    lines = body.split(b"\r\n")
    if spec.canon == "relaxed":
        lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    text = b"".join(line + b"\r\n" for line in lines)
    if not text and spec.canon == "simple":
        text = b"\r\n"
    data = text if spec.length is None else text[: spec.length]
    return BodyHash(hashlib.new(spec.algorithm, data).digest(), len(text))
