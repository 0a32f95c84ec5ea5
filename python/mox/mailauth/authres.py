"""The Authentication-Results field: rendering and parsing. RFC 8601.

The parser accepts what mail systems write beyond the grammar: a final `;`, results with `_`, bare LF.
"""

import re
from functools import lru_cache
from typing import NoReturn

from msgspec import Struct

from mox.mailauth.headerwriter import HeaderWriter

FIELD = "Authentication-Results"
_MUST_QUOTE = re.compile(r'[\x00-\x20\x7f()<>,;:\\"/\[\]?=]')
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_COMMENT_SPECIALS = re.compile(r"([()\\])")
_MAX_COMMENT_DEPTH = 16
# Far more than any system writes; ARC carries fields of strangers.
_MAX_METHODS = 200


class AuthResultsError(ValueError):
    """Not an Authentication-Results value."""


class AuthProperty(Struct, frozen=True):
    """`type.property=value (comment)`. `is_address`: an @ in the value needs no quotes."""

    type: str
    property: str
    value: str
    is_address: bool = False
    comment: str = ""


class AuthMethod(Struct, frozen=True):
    """`method=result (comment) reason=… properties`; `version` of the method, empty for the default."""

    method: str
    result: str
    comment: str = ""
    reason: str = ""
    properties: tuple[AuthProperty, ...] = ()
    version: str = ""


class AuthResults(Struct, frozen=True):
    """What the host `hostname` found out. Without methods it says "none"."""

    hostname: str
    methods: tuple[AuthMethod, ...] = ()
    comment: str = ""
    version: str = ""

    def __str__(self) -> str:
        """The field, one method a line, with CRLF."""
        return f"{FIELD}:{self.payload}\r\n"

    @property
    def payload(self) -> str:
        """What follows the name and colon, folded; ARC puts it behind its instance (RFC 8617 §4.1.1)."""
        writer = HeaderWriter("")
        if self.comment:
            writer.add(" ", _render_comment(self.comment))
        host = _quote(self.hostname) + (f" {self.version}" if self.version else "")
        writer.add(" ", f"{host};")
        if not self.methods:
            writer.add(" ", "none")
        for number, method in enumerate(self.methods, 1):
            writer.newline()
            _write_method(writer, method, ";" if number < len(self.methods) else "")
        return str(writer).removesuffix("\r\n")


def _write_method(writer: HeaderWriter, method: AuthMethod, end: str) -> None:
    version = f"/{method.version}" if method.version else ""
    tokens = [f"{method.method}{version}={method.result}"]
    if method.comment and (method.reason or method.properties):
        tokens.append(_render_comment(method.comment))
    if method.reason:
        tokens.append(f"reason={_quote(method.reason)}")
    for prop in method.properties:
        tokens.append(f"{prop.type}.{prop.property}={_quote(prop.value, prop.is_address)}")
        if prop.comment:
            tokens.append(_render_comment(prop.comment))
    tokens[-1] += end
    writer.add("", tokens[0])
    writer.add(" ", *tokens[1:])


@lru_cache(maxsize=1024)
def _quote(value: str, is_address: bool = False) -> str:
    value = _CONTROLS.sub(" ", value)
    if value and not _MUST_QUOTE.search(value) and (is_address or "@" not in value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@lru_cache(maxsize=1024)
def _render_comment(text: str) -> str:
    escaped = _COMMENT_SPECIALS.sub(r"\\\1", _CONTROLS.sub(" ", text))
    return f"({escaped})"


def parse(text: str) -> AuthResults:
    """Parse a field, with or without its name. Raises AuthResultsError."""
    name, colon, value = text.partition(":")
    parser = _Parser(value if colon and name.strip().lower() == FIELD.lower() else text)
    return parser.parse_all()


# Values of properties in the wild hold @, / and : without quotes.
_LOOSE_TOKEN = re.compile(r"[^\x00-\x20\x7f()<>,;\\\"\[\]]+|\[[^\]\s]*\]")
_KEYWORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
_DIGITS = re.compile(r"[0-9]{1,9}")
_SPACE = re.compile(r"[ \t\r\n]+")
_COMMENT_TEXT = re.compile(r"[^()\\]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class _Parser:
    """Recursive descent over the value."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def parse_all(self) -> AuthResults:
        """authres-payload = [CFWS] authserv-id [ CFWS authres-version ] ( no-result / 1*resinfo ) [CFWS]"""
        comment = self._cfws()
        hostname = self._value()
        comment = self._cfws() or comment
        version = self._take(_DIGITS) or ""
        self._cfws()
        methods: list[AuthMethod] = []
        while not self._at_end():
            self._expect(";")
            self._cfws()
            if self._at_end():
                break
            method = self._parse_method(allow_none=not methods)
            if method is None:
                break
            methods.append(method)
            if len(methods) > _MAX_METHODS:
                raise AuthResultsError("too many results")
        self._cfws()
        if not self._at_end():
            self._fail("unexpected text")
        return AuthResults(hostname, tuple(methods), comment, version)

    def _parse_method(self, allow_none: bool) -> AuthMethod | None:
        """resinfo = [CFWS] ";" methodspec [ CFWS reasonspec ] [ CFWS 1*propspec ]; None for "none" alone."""
        name = self._keyword("method")
        self._cfws()
        version = ""
        if self._skip("/"):
            self._cfws()
            version = self._take(_DIGITS) or self._fail("expected a version")
            self._cfws()
        if allow_none and name.lower() == "none" and self._at_end():
            return None
        self._expect("=")
        self._cfws()
        result = self._keyword("result")
        comment = self._cfws()
        reason = ""
        properties: list[AuthProperty] = []
        while not self._at_end() and self._peek() != ";":
            word = self._keyword("property")
            self._cfws()
            if word.lower() == "reason" and not properties and self._skip("="):
                self._cfws()
                reason = self._value()
                self._cfws()
                continue
            properties.append(self._parse_property(word))
        return AuthMethod(name.lower(), result.lower(), comment, reason, tuple(properties), version)

    def _parse_property(self, ptype: str) -> AuthProperty:
        """propspec = ptype [CFWS] "." [CFWS] property [CFWS] "=" pvalue"""
        self._expect(".")
        self._cfws()
        name = self._keyword("property")
        self._cfws()
        self._expect("=")
        self._cfws()
        is_quoted = self._peek() == '"'
        value = self._value(may_be_empty=True)
        if is_quoted and self._peek() == "@":
            value += self._take(_LOOSE_TOKEN) or ""
        return AuthProperty(ptype.lower(), name.lower(), value, "@" in value, self._cfws())

    def _cfws(self) -> str:
        """Skip white space and comments; the text of the first comment."""
        first = ""
        while True:
            self._take(_SPACE)
            if not self._skip("("):
                return first
            text = self._comment()
            first = first or text

    def _comment(self) -> str:
        parts: list[str] = []
        depth = 1
        while True:
            if text := self._take(_COMMENT_TEXT):
                parts.append(text)
                continue
            char = self._next()
            if char == "\\":
                parts.append(self._next())
                continue
            depth += 1 if char == "(" else -1
            if depth == 0:
                return _SPACE.sub(" ", "".join(parts)).strip()
            if depth > _MAX_COMMENT_DEPTH:
                self._fail("comments too deep")
            parts.append(char)

    def _value(self, may_be_empty: bool = False) -> str:
        if quoted := _QUOTED.match(self._text, self._at):
            self._at = quoted.end()
            return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
        value = self._take(_LOOSE_TOKEN)
        if value is None and not may_be_empty:
            self._fail("expected a value")
        return value or ""

    def _keyword(self, what: str) -> str:
        return self._take(_KEYWORD) or self._fail(f"expected a {what}")

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _at_end(self) -> bool:
        return self._at >= len(self._text)

    def _next(self) -> str:
        char = self._peek() or self._fail("comment without end")
        self._at += 1
        return char

    def _skip(self, char: str) -> bool:
        if self._peek() != char:
            return False
        self._at += 1
        return True

    def _expect(self, char: str) -> None:
        if not self._skip(char):
            self._fail(f"expected {char!r}")

    def _fail(self, text: str) -> NoReturn:
        raise AuthResultsError(f"{text} at offset {self._at}: {self._text[self._at : self._at + 20]!r}")
