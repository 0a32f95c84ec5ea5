"""CRAM-MD5 (RFC 2195) from stored states of MD5 instead of the password.

HMAC begins both of its hashes with one block made of the key. The states after that block are enough to compute a
digest, and are all that is kept. Python's hashlib cannot be started from a state, hence MD5 (RFC 1321) here.
"""

import hashlib
import hmac
import math
import os
import re
import struct
import time

import msgspec

_BLOCK = 64
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_SINES = tuple(int(abs(math.sin(i + 1)) * 2**32) for i in range(64))
_SHIFTS = (7, 12, 17, 22) * 4 + (5, 9, 14, 20) * 4 + (4, 11, 16, 23) * 4 + (6, 10, 15, 21) * 4
_MASK = 0xFFFFFFFF
_RESPONSE = re.compile(rb"(\S(?:.*\S)?) ([0-9a-f]{32})", re.DOTALL)

State = tuple[int, int, int, int]


class CramSecrets(msgspec.Struct, frozen=True):
    """What is stored for a password: MD5's state after HMAC's inner and outer key block."""

    inner: bytes
    outer: bytes


def derive(password: str) -> CramSecrets:
    """Secrets of a password."""
    key = password.encode()
    key = hashlib.md5(key, usedforsecurity=False).digest() if len(key) > _BLOCK else key
    key = key.ljust(_BLOCK, b"\0")
    inner, outer = (_compress(_START, bytes(b ^ pad for b in key)) for pad in (0x36, 0x5C))
    return CramSecrets(struct.pack("<4I", *inner), struct.pack("<4I", *outer))


def make_challenge(hostname: str) -> bytes:
    """A challenge never used before."""
    return f"<{int.from_bytes(os.urandom(8))}.{time.time_ns()}@{hostname}>".encode()


def parse_response(data: bytes) -> tuple[bytes, bytes] | None:
    """(user, hexadecimal digest), None for bad syntax."""
    found = _RESPONSE.fullmatch(data)
    return (found[1], found[2]) if found else None


def verify(secrets: CramSecrets, challenge: bytes, digest: bytes) -> bool:
    """The digest was made with the password."""
    inner = _finish(secrets.inner, challenge)
    return hmac.compare_digest(_finish(secrets.outer, inner).hex().encode(), digest)


def _finish(state: bytes, data: bytes) -> bytes:
    """MD5 of a key block, whose state is given, and `data`."""
    length = (_BLOCK + len(data)) * 8
    padded = data + b"\x80" + b"\0" * ((55 - len(data)) % _BLOCK) + struct.pack("<Q", length)
    current: State = struct.unpack("<4I", state)
    for at in range(0, len(padded), _BLOCK):
        current = _compress(current, padded[at : at + _BLOCK])
    return struct.pack("<4I", *current)


def _compress(state: State, block: bytes) -> State:
    """RFC 1321 §3.4"""
    words = struct.unpack("<16I", block)
    a, b, c, d = state
    for i in range(64):
        if i < 16:
            mixed, at = (b & c) | (~b & d), i
        elif i < 32:
            mixed, at = (d & b) | (~d & c), (5 * i + 1) % 16
        elif i < 48:
            mixed, at = b ^ c ^ d, (3 * i + 5) % 16
        else:
            mixed, at = c ^ (b | (~d & _MASK)), (7 * i) % 16
        total = (a + mixed + _SINES[i] + words[at]) & _MASK
        turned = (total << _SHIFTS[i] | total >> (32 - _SHIFTS[i])) & _MASK
        a, d, c, b = d, c, b, (b + turned) & _MASK
    return ((state[0] + a) & _MASK, (state[1] + b) & _MASK, (state[2] + c) & _MASK, (state[3] + d) & _MASK)
