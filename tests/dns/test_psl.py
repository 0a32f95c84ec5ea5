"""Organizational domains, with the public suffix list's own tests."""

import pytest

from mox.dns import psl
from mox.dns.names import parse_domain
from tests.conftest import DATA


def published() -> list[tuple[str, str | None]]:
    if not (DATA / "public-suffix/tests.txt").exists():
        return []
    lines = (DATA / "public-suffix/tests.txt").read_text().splitlines()
    pairs = [line.split() for line in lines if line and not line.startswith("//")]
    # Empty and dotted names are no domains; `uk.com` is a rule of the private part, which does not count here.
    names = [pair for pair in pairs if pair[0] != "null" and not pair[0].startswith(".") and "uk.com" not in pair[0]]
    return [(domain, None if expected == "null" else expected) for domain, expected in names]


@pytest.mark.parametrize(
    ("domain", "expected"), [p for p in published() if not p[0].startswith(".") and p[0] != "null"]
)
def test_published_cases(domain: str, expected: str | None) -> None:
    name = parse_domain(domain).ascii
    wanted = name if expected is None else parse_domain(expected).ascii
    assert psl.organizational_domain(name) == wanted


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("x.ignored.example.com", "example.com"),
        ("a.b.github.io", "github.io"),
        ("a.b.c.kawasaki.jp", "b.c.kawasaki.jp"),
        ("a.city.kawasaki.jp", "city.kawasaki.jp"),
        ("localhost", "localhost"),
        ("com", "com"),
        ("a.b.unknown", "b.unknown"),
    ],
    ids=["plain", "private-part-is-ignored", "wildcard", "exception", "one-label", "suffix", "no-rule"],
)
def test_organizational_domain(domain: str, expected: str) -> None:
    assert psl.organizational_domain(domain) == expected


@pytest.mark.parametrize(("domain", "expected"), [("com", True), ("co.uk", True), ("example.com", False), ("zz", True)])
def test_public_suffixes(domain: str, expected: bool) -> None:
    assert psl.is_public_suffix(domain) == expected
