"""Organizational domains by the public suffix list. RFC 7489 §3.2; only the ICANN part, erratum 6729."""

from functools import lru_cache

from publicsuffixlist import PublicSuffixList


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)


def load() -> None:
    """Read the list, which takes a tenth of a second; else the first message waits for it."""
    _suffixes()


@lru_cache(maxsize=16384)
def organizational_domain(domain: str) -> str:
    """The public suffix of `domain` (ASCII, lower case) and one label more; a public suffix is returned as it is."""
    return _suffixes().privatesuffix(domain) or domain


def is_public_suffix(domain: str) -> bool:
    """Whether names directly under `domain` belong to different organizations."""
    return organizational_domain("x." + domain) == "x." + domain
