"""Macros of SPF: parsing and expansion of macro-strings. RFC 7208 §7."""

import re
import time
from dataclasses import dataclass
from urllib.parse import quote

from mox.dns.names import MAX_NAME, IPAddress

_DOMAIN_TOKEN = re.compile(r"%\{([A-Za-z])([0-9]*)(r?)([.\-+,/_=]*)\}|(%%)|(%_)|(%-)|([!-$&-~]+)", re.IGNORECASE)
_TEXT_TOKEN = re.compile(_DOMAIN_TOKEN.pattern.replace("[!-$", "[ -$"), re.IGNORECASE)
_MAX_LENGTH = 8 * 1024
_LETTERS = frozenset("slodiphv")
_TEXT_LETTERS = frozenset("crt")
# RFC 3986 §2.3, as RFC 7208 §7.3 asks for upper-case letters.
_UNRESERVED = "-._~"


class MacroError(ValueError):
    """Not a macro-string."""


@dataclass(frozen=True, slots=True)
class Macro:
    """`%{letter keep r delimiters}`; `keep` 0: all labels. `is_escaped`: written with an upper-case letter."""

    letter: str
    keep: int
    is_reversed: bool
    delimiters: str
    is_escaped: bool


MacroString = tuple[str | Macro, ...]


@dataclass(frozen=True, slots=True)
class MacroValues:
    """What macros stand for. `domain` is the one whose record is evaluated; `helo` is a name or an address literal."""

    ip: IPAddress
    localpart: str
    sender_domain: str
    domain: str
    helo: str
    receiver: str = "unknown"


def parse_macro_string(text: str, is_text: bool = False) -> MacroString:
    """Split `text`; `is_text` allows spaces and the letters of explanations. Raises MacroError. RFC 7208 §7.1."""
    if len(text) > _MAX_LENGTH:
        raise MacroError("macro-string too long")
    token = _TEXT_TOKEN if is_text else _DOMAIN_TOKEN
    letters = _LETTERS | _TEXT_LETTERS if is_text else _LETTERS
    parts: list[str | Macro] = []
    at = 0
    while at < len(text):
        found = token.match(text, at)
        if found is None:
            raise MacroError(f"bad macro or character at {text[at : at + 10]!r}")
        at = found.end()
        letter, digits, is_reversed, delimiters, percent, space, _, literal = found.groups()
        if letter is not None:
            if letter.lower() not in letters or (digits and int(digits[:9]) == 0):
                raise MacroError(f"bad macro {found[0]!r}")
            keep = int(digits[:9]) if digits else 0
            parts.append(Macro(letter.lower(), keep, bool(is_reversed), delimiters or ".", letter.isupper()))
        elif literal is not None:
            parts.append(literal)
        else:
            parts.append("%" if percent else " " if space else "%20")
    return tuple(parts)


def uses_letter(string: MacroString, letter: str) -> bool:
    """Whether a macro of that letter occurs."""
    return any(isinstance(part, Macro) and part.letter == letter for part in string)


def expand(string: MacroString, values: MacroValues, validated_name: str) -> str:
    """The text; `validated_name` is what `%{p}` stands for (empty when the string has none). RFC 7208 §7.3."""
    parts: list[str] = []
    for part in string:
        if isinstance(part, str):
            parts.append(part)
            continue
        value = _value(part.letter, values, validated_name)
        value = _transform(value, part)
        parts.append(quote(value, safe=_UNRESERVED) if part.is_escaped else value)
    return "".join(parts)


def expand_domain(string: MacroString, values: MacroValues, validated_name: str) -> str:
    """As `expand`, for a DNS name: no final dot, labels dropped from the left until it fits. RFC 7208 §7.3."""
    name = expand(string, values, validated_name).removesuffix(".")
    while len(name) > MAX_NAME and "." in name:
        name = name.partition(".")[2]
    return name


def _value(letter: str, values: MacroValues, validated_name: str) -> str:
    match letter:
        case "s":
            return f"{values.localpart}@{values.sender_domain}"
        case "l":
            return values.localpart
        case "o":
            return values.sender_domain
        case "d":
            return values.domain
        case "i":
            return dotted_ip(values.ip)
        case "p":
            return validated_name
        case "v":
            return "in-addr" if values.ip.version == 4 else "ip6"
        case "h":
            return values.helo
        case "c":
            return str(values.ip)
        case "r":
            return values.receiver
        case _:
            return str(int(time.time()))


def dotted_ip(ip: IPAddress) -> str:
    """IPv4 as usual, IPv6 as dotted nibbles (in upper case, as the test suite has it). RFC 7208 §7.3."""
    return str(ip) if ip.version == 4 else ".".join(ip.packed.hex().upper())


def _transform(value: str, macro: Macro) -> str:
    if not macro.keep and not macro.is_reversed and macro.delimiters == ".":
        return value
    labels = re.split(f"[{re.escape(macro.delimiters)}]", value)
    if macro.is_reversed:
        labels.reverse()
    return ".".join(labels[-macro.keep :] if macro.keep else labels)
