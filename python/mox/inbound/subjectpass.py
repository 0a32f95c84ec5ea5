"""Tokens that let people through whose mail looks like junk: a refusal shows one, and with it in the subject the next
attempt is accepted. Machines do not read refusals. Pure."""

import base64
import binascii
import hashlib
import hmac
import re

VERSION = 0
_TOKEN = re.compile(r"\(pass:([A-Za-z0-9_-]+)\)")
_MAC_BYTES = 12
# The time is kept in units of 256 seconds, 28 bits of it.
_TIME_SHIFT = 8
_TIME_MASK = (1 << 28) - 1


class SubjectPassError(Exception):
    """There is no token, or it is not good; the text says why."""


class NoToken(SubjectPassError):
    """The subject has none."""


def generate(from_address: str, key: str, now_s: int) -> str:
    """A token for the author's address (domain in Unicode)."""
    start = ((VERSION << 28) | (now_s >> _TIME_SHIFT & _TIME_MASK)).to_bytes(4)
    text = base64.urlsafe_b64encode(start + _mac(start, from_address, key)).decode().rstrip("=")
    return f"(pass:{text})"


def verify(subject: str, from_address: str, key: str, period_s: float, now_s: int) -> None:
    """Look for a token in a decoded subject. Raises SubjectPassError, NoToken."""
    found = _TOKEN.search(subject)
    if found is None:
        raise NoToken("no token in the subject")
    try:
        data = base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4))
    except binascii.Error as err:
        raise SubjectPassError("token is not base64") from err
    if len(data) != 4 + _MAC_BYTES or data[0] >> 4 != VERSION:
        raise SubjectPassError("token of unknown form")
    if not hmac.compare_digest(data[4:], _mac(data[:4], from_address, key)):
        raise SubjectPassError("token is for another address, or false")
    made_s = (int.from_bytes(data[:4]) & _TIME_MASK) << _TIME_SHIFT
    if now_s - made_s > period_s:
        raise SubjectPassError("token is expired")


def _mac(start: bytes, from_address: str, key: str) -> bytes:
    return hmac.digest(key.encode(), start + from_address.encode(), hashlib.sha256)[:_MAC_BYTES]
