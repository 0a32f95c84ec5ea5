"""SPF records: parsing and rendering. RFC 7208 §4.5-4.6, §5, §6 and the grammar of §12."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from mox.dns.names import IPAddress
from mox.mailauth.spfmacro import MacroError, MacroString, parse_macro_string

# modifier = name "=" macro-string; name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE | re.DOTALL)
_DIRECTIVE = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?=[:/]|$)(.*)", re.IGNORECASE | re.DOTALL)
_NUMBER = r"(0|[1-9][0-9]{0,2})"
_DUAL_CIDR = re.compile(rf"(.*?)(?:/{_NUMBER})?(?://{_NUMBER})?", re.DOTALL)
_DOMAIN_END = re.compile(
    r"(?:\.(?:[a-z0-9]*[a-z][a-z0-9]*|[a-z0-9]+-[a-z0-9-]*[a-z0-9])\.?|%\{[^}]*\}|%%|%_|%-)$", re.IGNORECASE
)
# RFC 7208 §3.4 advises 450 octets; the longest in use have a few thousand.
_MAX_RECORD = 16 * 1024
_MAX_DOMAIN_END = 80
_IP4 = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")


class SpfSyntaxError(ValueError):
    """A TXT record that claims to be SPF and is malformed."""


@dataclass(frozen=True, slots=True)
class Directive:
    """A qualifier (`+-~?`) and a mechanism.

    `domain`: the domain-spec, empty for the current domain. `network`: of ip4 and ip6. `prefix4`, `prefix6`: of a, mx.
    """

    qualifier: str
    mechanism: str
    domain: MacroString = ()
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    prefix4: int = 32
    prefix6: int = 128
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.qualifier}{self.mechanism}{self.argument}"

    def covers(self, ip: IPAddress, candidate: IPAddress) -> bool:
        """Whether `ip` is within the prefix of `candidate`."""
        if ip.version != candidate.version:
            return False
        drop = 32 - self.prefix4 if ip.version == 4 else 128 - self.prefix6
        return int(ip) >> drop == int(candidate) >> drop


@dataclass(frozen=True, slots=True)
class Record:
    """A parsed record; `redirect` and `explanation` are None when absent, `others` are unknown modifiers."""

    directives: tuple[Directive, ...] = ()
    redirect: MacroString | None = None
    explanation: MacroString | None = None
    redirect_text: str = ""
    explanation_text: str = ""
    others: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        terms = ["v=spf1", *(str(d).removeprefix("+") for d in self.directives)]
        if self.redirect is not None:
            terms.append(f"redirect={self.redirect_text}")
        if self.explanation is not None:
            terms.append(f"exp={self.explanation_text}")
        return " ".join([*terms, *(f"{name}={value}" for name, value in self.others)])


def is_spf(text: str) -> bool:
    """Whether a TXT record is an SPF record at all. RFC 7208 §4.5."""
    return text[:6].lower() == "v=spf1" and text[6:7] in ("", " ")


@lru_cache(maxsize=4096)
def parse_record(text: str) -> Record:
    """Parse a TXT record. Raises SpfSyntaxError. RFC 7208 §4.6."""
    if not is_spf(text):
        raise SpfSyntaxError("does not begin with v=spf1")
    if len(text) > _MAX_RECORD:
        raise SpfSyntaxError("record too long")
    if not text.isascii():
        raise SpfSyntaxError("holds non-ASCII characters")
    directives: list[Directive] = []
    modifiers: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    try:
        for term in filter(None, text[6:].split(" ")):
            modifier = _MODIFIER.fullmatch(term)
            if modifier is None:
                directives.append(_parse_directive(term))
            elif (name := modifier[1].lower()) not in ("redirect", "exp"):
                parse_macro_string(modifier[2])
                others.append((modifier[1], modifier[2]))
            elif name in modifiers:
                raise SpfSyntaxError(f"more than one {name}=")
            else:
                modifiers[name] = modifier[2]
        redirect, explanation = (
            _parse_domain_spec(modifiers[name]) if name in modifiers else None for name in ("redirect", "exp")
        )
    except MacroError as err:
        raise SpfSyntaxError(str(err)) from err
    texts = modifiers.get("redirect", ""), modifiers.get("exp", "")
    return Record(tuple(directives), redirect, explanation, *texts, tuple(others))


def _parse_directive(term: str) -> Directive:
    found = _DIRECTIVE.fullmatch(term)
    if found is None:
        raise SpfSyntaxError(f"unknown mechanism in {term!r}")
    qualifier, mechanism, argument = found[1] or "+", found[2].lower(), found[3]
    match mechanism:
        case "all":
            if argument:
                raise SpfSyntaxError(f"all with an argument: {term!r}")
            return Directive(qualifier, mechanism)
        case "include" | "exists":
            if not argument.startswith(":"):
                raise SpfSyntaxError(f"{mechanism} without domain")
            return Directive(qualifier, mechanism, _parse_domain_spec(argument[1:]), argument=argument)
        case "ptr":
            return Directive(qualifier, mechanism, _parse_optional_domain(argument), argument=argument)
        case "a" | "mx":
            domain, prefix4, prefix6 = _split_cidr(argument)
            spec = _parse_optional_domain(domain)
            return Directive(qualifier, mechanism, spec, None, prefix4, prefix6, argument)
        case _:
            return Directive(qualifier, mechanism, network=_parse_network(mechanism, argument), argument=argument)


def _parse_optional_domain(argument: str) -> MacroString:
    if not argument:
        return ()
    if not argument.startswith(":"):
        raise SpfSyntaxError(f"unexpected {argument!r}")
    return _parse_domain_spec(argument[1:])


def _parse_domain_spec(text: str) -> MacroString:
    """domain-spec = macro-string domain-end; domain-end = ( "." toplabel [ "." ] ) / macro-expand"""
    # The end alone: the search would take quadratic time in a hostile text.
    if not _DOMAIN_END.search(text[-_MAX_DOMAIN_END:]):
        raise SpfSyntaxError(f"domain {text!r} does not end in a top-level label or macro")
    return parse_macro_string(text)


def _split_cidr(argument: str) -> tuple[str, int, int]:
    """dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]"""
    found = _DUAL_CIDR.fullmatch(argument)
    assert found is not None, "every string matches"
    prefix4, prefix6 = int(found[2] or 32), int(found[3] or 128)
    if prefix4 > 32 or prefix6 > 128:
        raise SpfSyntaxError(f"prefix length out of range in {argument!r}")
    return found[1], prefix4, prefix6


def _parse_network(mechanism: str, argument: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    address, slash, length = argument.removeprefix(":").partition("/")
    longest = 32 if mechanism == "ip4" else 128
    if not argument.startswith(":") or (slash and not re.fullmatch(_NUMBER, length)) or int(length or 0) > longest:
        raise SpfSyntaxError(f"bad network in {mechanism}{argument}")
    try:
        if mechanism == "ip4":
            if not _IP4.fullmatch(address):
                raise ValueError
            return ipaddress.IPv4Network((address, int(length or longest)), strict=False)
        if "%" in address:
            raise ValueError
        return ipaddress.IPv6Network((address, int(length or longest)), strict=False)
    except ValueError as err:
        raise SpfSyntaxError(f"bad address in {mechanism}{argument}") from err
