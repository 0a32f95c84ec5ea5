"""Transparent gzip of answers (spec/web-tls.md section 13); `mox._rust.accepts_gzip` has the negotiation."""

import gzip

LEVEL = 1
# Below this a compressed answer is not worth the work.
MIN_BYTES = 860

_TYPES = frozenset(
    "application/csv application/javascript application/json application/x-javascript application/xml "
    "image/vnd.microsoft.icon image/x-icon font/ttf font/eot font/otf font/opentype".split()
)


def is_compressible(content_type: str) -> bool:
    """Text and the like."""
    media = content_type.partition(";")[0].strip().lower()
    return media.startswith("text/") or media.endswith(("+json", "+xml")) or media in _TYPES


def compressed(body: bytes) -> bytes:
    """In gzip format."""
    return gzip.compress(body, LEVEL, mtime=0)
