"""Tokens in subjects."""

import pytest

from mox.inbound.subjectpass import SubjectPassError, generate, verify

KEY, ADDRESS, NOW = "abcdefghijklmnop", "author@ö.example", 1_800_000_000


def test_token_is_good_for_its_address_and_time() -> None:
    token = generate(ADDRESS, KEY, NOW)
    assert len(token) == len("(pass:)") + 22
    verify(f"Re: hello {token}", ADDRESS, KEY, 3600, NOW + 3000)
    for subject, address, key, now in [
        ("no token", ADDRESS, KEY, NOW),
        (token, "other@ö.example", KEY, NOW),
        (token, ADDRESS, "x" * 16, NOW),
        (token, ADDRESS, KEY, NOW + 4000),
        ("(pass:AAAA)", ADDRESS, KEY, NOW),
        ("(pass:A)", ADDRESS, KEY, NOW),
        (f"(pass:_{token[7:]}", ADDRESS, KEY, NOW),
    ]:
        with pytest.raises(SubjectPassError):
            verify(subject, address, key, 3600, now)
