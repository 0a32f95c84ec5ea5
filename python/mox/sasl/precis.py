"""Passwords as people type them: the OpaqueString profile of PRECIS (RFC 8265 §4.2)."""

import unicodedata

# RFC 8264 §9.11, 9.12: controls, surrogates, private use and unassigned code points have no place in a password.
_REFUSED = {"Cc", "Cs", "Co", "Cn"}


def opaque_string(text: str) -> str:
    """The form in which two spellings of a password are equal. Raises ValueError for text that cannot be one."""
    spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in text)
    prepared = unicodedata.normalize("NFC", spaced)
    if not prepared:
        raise ValueError("empty password")
    if any(unicodedata.category(c) in _REFUSED for c in prepared):
        raise ValueError("password has a character that cannot be in one")
    return prepared
