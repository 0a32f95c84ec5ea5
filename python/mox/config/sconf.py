"""Reading the sconf file format: lines of `Key: value`, one tab a level, typed by the schema (`mox.config.schema`).

Every problem of a file is reported, each as `file:line: what`, with the line it stands in.
`mox.config.sconf_write` writes the format.
"""

import re
import typing
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from mox.config import durations, schema

T = TypeVar("T", bound=msgspec.Struct)

# After this many the rest is most likely a consequence of the first ones.
MAX_PROBLEMS = 20
_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INT64 = 1 << 63


class SconfError(Exception):
    """A file is not as it should be: one `file:line: what` a line."""


class _Problem(Exception):
    """What is wrong with the current line."""


class _Lines:
    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self.lines = text.split("\n")
        self.at = 0
        self.problems: list[str] = []

    def report(self, text: str, line: int) -> None:
        self.problems.append(f"{self.path}:{line + 1}: {text}")
        if len(self.problems) == MAX_PROBLEMS:
            raise SconfError("\n".join(self.problems))

    def skip_to_content(self) -> str | None:
        """Move to the next line that is neither empty nor a comment; None at the end of the file."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line and not line.lstrip(" \t").startswith("#"):
                return line
            self.at += 1
        return None

    def next(self, level: int) -> str | None:
        """The next line of a block at `level` without its indent; None at the end of the block."""
        line = self.skip_to_content()
        if line is None or not line.startswith("\t" * level):
            return None
        return line[level:]

    def skip_item(self, level: int) -> None:
        """Move past the current line and everything that is deeper."""
        self.at += 1
        while self.next(level + 1) is not None:
            self.at += 1


def parse(kind: type[T], text: str, path: str) -> T:
    """A value of the struct type `kind`. Raises SconfError with every problem found."""
    lines = _Lines(text, path)
    value = _struct(kind, lines, 0, 0)
    if lines.problems:
        raise SconfError("\n".join(lines.problems))
    return typing.cast(T, value)


def _split(line: str) -> tuple[str, str]:
    """Key and value of a line without its indent."""
    _refuse_carriage_return(line)
    key, colon, value = line.partition(":")
    if not colon:
        hint = "" if line.strip() else "; the line has only white space, remove it"
        raise _Problem(f"missing colon{hint}")
    if not key:
        raise _Problem("empty key")
    if key != key.strip():
        raise _Problem(f"unknown key {key!r}: it has white space around it; indent is exactly one tab a level")
    if value and not value.startswith(" "):
        raise _Problem("missing space after colon")
    return key, value[1:]


def _refuse_carriage_return(line: str) -> None:
    if line.endswith("\r"):
        raise _Problem("the line ends in a carriage return; save the file with Unix line ends")


def _struct(kind: Any, lines: _Lines, level: int, start: int) -> Any:
    known = schema.fields(kind)
    found: dict[str, Any] = {}
    while (line := lines.next(level)) is not None:
        at = lines.at
        try:
            key, text = _split(line)
            if key not in known:
                raise _Problem(f"unknown key {key!r}; known here are {', '.join(known)}")
            if key in found:
                raise _Problem(f"duplicate key {key!r}")
            found[key] = schema.zero(known[key].kind)
            found[key] = _value(known[key].kind, text, lines, level)
        except _Problem as err:
            _recover(lines, str(err), at, level)
    for name, field in known.items():
        if name not in found:
            if field.is_required:
                lines.report(f"missing required key {name!r}", start)
            found[name] = schema.zero(field.kind) if field.is_required else field.default
    return kind(**found)


def _recover(lines: _Lines, text: str, at: int, level: int) -> None:
    lines.report(text, at)
    lines.at = at
    lines.skip_item(level)


def _value(kind: Any, text: str, lines: _Lines, level: int) -> Any:
    if not schema.is_block(kind):
        value = _scalar(kind, text)
        lines.at += 1
        return value
    if text == "nil" and not schema.is_struct(kind):
        # How an empty map or list that must be there is written; other programs have no way to say it.
        lines.at += 1
        return schema.zero(kind)
    if text:
        raise _Problem("the value starts on the next line, one level deeper")
    start = lines.at
    lines.at += 1
    if lines.next(level + 1) is None:
        raise _Problem("expected indented lines below this key; leave the key out if it is empty")
    match typing.get_origin(kind):
        case None:
            return _struct(kind, lines, level + 1, start)
        case origin if origin is list:
            return _list(schema.element(kind), lines, level + 1)
        case _:
            return _map(schema.element(kind), lines, level + 1)


def _list(kind: Any, lines: _Lines, level: int) -> list[Any]:
    items = []
    while (line := lines.next(level)) is not None:
        at = lines.at
        try:
            _refuse_carriage_return(line)
            if line != "-" and not line.startswith("- "):
                raise _Problem("expected item: `- value`")
            items.append(_value(kind, line[2:], lines, level))
        except _Problem as err:
            _recover(lines, str(err), at, level)
    return items


def _map(kind: Any, lines: _Lines, level: int) -> dict[str, Any]:
    items: dict[str, Any] = {}
    while (line := lines.next(level)) is not None:
        at = lines.at
        try:
            key, text = _split(line)
            if key in items:
                raise _Problem(f"duplicate key {key!r}")
            items[key] = schema.zero(kind)
            if text == "nil":
                lines.at += 1
            else:
                items[key] = _value(kind, text, lines, level)
        except _Problem as err:
            _recover(lines, str(err), at, level)
    return items


def _scalar(kind: Any, text: str) -> Any:
    if kind is str:
        return text
    if kind is bool:
        if text in ("true", "false"):
            return text == "true"
        raise _Problem(f"{text!r} is not true or false")
    if kind is timedelta:
        try:
            return durations.parse(text)
        except durations.DurationError as err:
            raise _Problem(str(err)) from None
    if kind is int:
        if _INT.fullmatch(text) and -_INT64 <= int(text[:25]) < _INT64 and len(text) <= 25:
            return int(text)
        raise _Problem(f"{text!r} is not a whole number of at most 64 bits")
    if _FLOAT.fullmatch(text):
        return float(text)
    raise _Problem(f"{text!r} is not a number")
