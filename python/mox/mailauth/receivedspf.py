"""The Received-SPF field: rendering and parsing. RFC 7208 §9.1."""

import re
from functools import lru_cache

from msgspec import Struct

from mox.mailauth.headerwriter import HeaderWriter
from mox.mailauth.spf import SpfStatus

FIELD = "Received-SPF"
_MAX_PROBLEM = 67
_COMMENT_SPECIALS = re.compile(r"([()\\])")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_ATEXT = r'[^\x00-\x20"(),.:;<>@\[\\\]\x7f]'
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_COMMENT = re.compile(r"\(((?:[^()\\]|\\.)*)\)", re.DOTALL)
# key-value-pair = key [CFWS] "=" ( dot-atom / quoted-string )
_PAIR = re.compile(
    r"""[ \t\r\n]*([A-Za-z][A-Za-z0-9_.-]*)[ \t\r\n]*="""
    r"""[ \t\r\n]*("(?:[^"\\]|\\.)*"|[^\s;"]*)[ \t\r\n]*(?:;|\Z)""",
    re.DOTALL,
)
_END = re.compile(r"[ \t\r\n;]*\Z")


class ReceivedSpfError(ValueError):
    """Not a Received-SPF value."""


class ReceivedSpf(Struct, frozen=True):
    """Values of the field; `envelope_from` as address, `identity` "mailfrom", "helo" or empty."""

    result: SpfStatus
    comment: str = ""
    client_ip: str = ""
    envelope_from: str = ""
    helo: str = ""
    problem: str = ""
    mechanism: str = ""
    receiver: str = ""
    identity: str = ""

    def __str__(self) -> str:
        pairs = [
            f"client-ip={_value(self.client_ip)}",
            f"envelope-from={_quoted(self.envelope_from)}",
            f"helo={_value(self.helo)}",
        ]
        if self.problem:
            pairs.append(f"problem={_quoted(self.problem[:_MAX_PROBLEM])}")
        if self.mechanism:
            pairs.append(f"mechanism={_quoted(self.mechanism)}")
        pairs += [f"receiver={_value(self.receiver)}", f"identity={_value(self.identity)}"]
        writer = HeaderWriter(f"{FIELD}:")
        writer.add(" ", self.result.value)
        if self.comment:
            escaped = _COMMENT_SPECIALS.sub(r"\\\1", _CONTROLS.sub(" ", self.comment))
            writer.add(" ", f"({escaped})")
        writer.add(" ", *(f"{pair};" for pair in pairs[:-1]), pairs[-1])
        return str(writer)


def envelope_address(localpart: str, domain: str) -> str:
    """An address with its localpart quoted where that is needed. RFC 5321 §4.1.2."""
    return f"{_value(localpart)}@{domain}"


@lru_cache(maxsize=1024)
def _value(text: str) -> str:
    return text if _DOT_ATOM.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    escaped = _CONTROLS.sub(" ", text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse(text: str) -> ReceivedSpf:
    """Parse a field, with or without its name; unknown keys are ignored. Raises ReceivedSpfError."""
    name, colon, rest = text.partition(":")
    value = rest if colon and name.strip().lower() == FIELD.lower() else text
    found = re.match(r"[ \t\r\n]*([A-Za-z]+)[ \t\r\n]*", value)
    if found is None or found[1].lower() not in list(SpfStatus):
        raise ReceivedSpfError("no SPF result")
    at = found.end()
    comment = ""
    if parenthesis := _COMMENT.match(value, at):
        comment, at = re.sub(r"\\(.)", r"\1", parenthesis[1]), parenthesis.end()
    pairs = _parse_pairs(value, at)
    keys = ("client-ip", "envelope-from", "helo", "problem", "mechanism", "receiver", "identity")
    return ReceivedSpf(SpfStatus(found[1].lower()), comment, *(pairs.get(key, "") for key in keys))


def _parse_pairs(text: str, at: int) -> dict[str, str]:
    pairs: dict[str, str] = {}
    while not _END.match(text, at):
        found = _PAIR.match(text, at)
        if found is None:
            raise ReceivedSpfError(f"not a key and value: {text[at : at + 20]!r}")
        raw = found[2]
        pairs[found[1].lower()] = re.sub(r"\\(.)", r"\1", raw[1:-1], flags=re.DOTALL) if raw[:1] == '"' else raw
        at = found.end()
    return pairs
