"""The words of a response (RFC 9051 §9): atoms, numbers, strings, lists."""

import re
from collections.abc import Callable
from typing import TypeVar

from mox._rust import SequenceSet
from mox.imap.client.reader import ProtocolError

T = TypeVar("T")

MAX_DEPTH = 200
MAX_SET = 10_000_000

_ATOM = re.compile(rb"[^\x00-\x20()\"{]+")
_NUMBER = re.compile(rb"\d+")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S)
_LITERAL = re.compile(rb"~?\{(\d+)\}\r?\n")
_ESCAPE = re.compile(rb"\\(.)", re.S)


class Scanner:
    """A cursor on one response."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.depth = 0

    def fail(self, what: str) -> ProtocolError:
        """An error that shows where it is."""
        return ProtocolError(f"expected {what} at {self.data[self.at : self.at + 40]!r}")

    def peek(self, text: bytes) -> bool:
        """`text` comes next."""
        return self.data.startswith(text, self.at)

    def take(self, text: bytes) -> bool:
        """Skip `text` if it comes next."""
        found = self.peek(text)
        self.at += len(text) if found else 0
        return found

    def expect(self, text: bytes) -> None:
        """Skip `text`. Raises ProtocolError."""
        if not self.take(text):
            raise self.fail(repr(text))

    def space(self) -> None:
        """One space."""
        self.expect(b" ")

    def end(self) -> None:
        """Nothing is left. Raises ProtocolError."""
        if self.at != len(self.data):
            raise self.fail("the end")

    def _match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        found = pattern.match(self.data, self.at)
        if found is None:
            raise self.fail(what)
        self.at = found.end()
        return found

    def atom(self) -> str:
        """Anything up to a space, parenthesis, quote or brace; with brackets."""
        return self._match(_ATOM, "an atom")[0].decode("utf-8", "replace")

    def word(self, pattern: bytes) -> str:
        """What matches."""
        return self._match(re.compile(pattern), pattern.decode())[0].decode("utf-8", "replace")

    def number(self) -> int:
        """A number."""
        return int(self._match(_NUMBER, "a number")[0])

    def nil(self) -> bool:
        """Skip NIL if it comes next."""
        if self.data[self.at : self.at + 3].upper() != b"NIL" or self.data[self.at + 3 : self.at + 4] not in b" )":
            return False
        self.at += 3
        return True

    def string(self) -> bytes:
        """Quoted or literal."""
        if self.peek(b'"'):
            return _ESCAPE.sub(rb"\1", self._match(_QUOTED, "a quoted string")[1])
        size = int(self._match(_LITERAL, "a string")[1])
        data = self.data[self.at : self.at + size]
        self.at += size
        if len(data) != size:
            raise self.fail("a whole literal")
        return data

    def text(self) -> str:
        """A string, decoded."""
        return self.string().decode("utf-8", "replace")

    def nbytes(self) -> bytes | None:
        """A string or NIL."""
        return None if self.nil() else self.string()

    def nstring(self) -> str | None:
        """A string or NIL, decoded."""
        return None if self.nil() else self.text()

    def astring_bytes(self) -> bytes:
        """An atom or a string."""
        if self.peek(b'"') or self.peek(b"{") or self.peek(b"~{"):
            return self.string()
        return self._match(_ATOM, "an atom or string")[0]

    def astring(self) -> str:
        """The same, decoded."""
        return self.astring_bytes().decode("utf-8", "replace")

    def listed(self, item: Callable[[], T]) -> list[T]:
        """`(item item …)`, perhaps empty."""
        self.expect(b"(")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ProtocolError("nested too deeply")
        out: list[T] = []
        while not self.take(b")"):
            if out:
                self.space()
            out.append(item())
        self.depth -= 1
        return out

    def sequence(self) -> list[int]:
        """Numbers of a set, in the order it is written."""
        text = self.word(rb"[0-9,:]+")
        try:
            SequenceSet(text)
        except ValueError as err:
            raise self.fail("a set of numbers") from err
        out: list[int] = []
        for piece in text.split(","):
            first, _, last = piece.partition(":")
            low, high = sorted((int(first), int(last or first)))
            if len(out) + high - low > MAX_SET:
                raise ProtocolError("set too large")
            out.extend(range(low, high + 1))
        return out
