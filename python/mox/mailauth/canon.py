"""Header fields and bodies in the form that DKIM and ARC sign; the work is done in Rust (`rust/dkimcanon`).

RFC 6376 §3.4, §3.7.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from mox import _rust

MAX_FIELDS = 10_000


class MalformedHeader(ValueError):
    """The header section is none that can be signed or verified."""


class BodySpec(NamedTuple):
    """What a signature wants hashed: canonicalization, hash, and value of `l=`."""

    canon: str
    algorithm: str
    length: int | None = None


class Body(Protocol):
    """A message that can hash its body, as `StagedMessage` does; `size` in octets."""

    @property
    def size(self) -> int: ...

    def body_hashes(self, specs: Sequence[BodySpec]) -> Sequence[tuple[bytes, int]]:
        """For each of `specs` the hash, and how many octets the whole canonical body has."""


class BytesBody:
    """A body in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def body_hashes(self, specs: Sequence[BodySpec]) -> Sequence[tuple[bytes, int]]:
        return _rust.body_hashes(self._data, specs)


class Field(NamedTuple):
    """A header field: name in lower case, and all of it with its last CRLF."""

    name: str
    raw: bytes


def split_header(header: bytes) -> list[Field]:
    """Fields of a header section that ends with an empty line. Raises MalformedHeader."""
    try:
        fields = _rust.split_fields(header)
    except ValueError as err:
        raise MalformedHeader(str(err)) from err
    if len(fields) > MAX_FIELDS:
        raise MalformedHeader(f"more than {MAX_FIELDS} fields")
    return [Field(name.lower(), raw) for name, raw in fields]


def signed_data(header: bytes, names: Sequence[str], signature: bytes, canon: str) -> bytes:
    """What a signature signs: the chosen fields from below, then itself without the value of `b=`. RFC 6376 §3.7.

    `header` has passed `split_header`.
    """
    return _rust.signed_data(header, names, signature, canon)
