"""The sconf file format: lines of `Key: value`, one tab a level, typed by the schema.

The schema is msgspec structs: fields without default are required, maps are `dict[str, T]`, lists `list[T]`. A field's
documentation is the string in `Annotated[T, "…"]`; it becomes the comment above the key when a value is written.
"""

import typing
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class SconfError(Exception):
    """A file is not as it should be: `file:line: what`."""


class _Lines:
    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self.lines = text.split("\n")
        self.at = 0

    def fail(self, text: str, line: int | None = None) -> SconfError:
        return SconfError(f"{self.path}:{(self.at if line is None else line) + 1}: {text}")

    def next(self, level: int) -> str | None:
        """The next line of a block at `level` without its indent; None at the end of the block."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line and not line.lstrip().startswith("#"):
                break
            self.at += 1
        else:
            return None
        if not line.strip():
            raise self.fail("missing colon (the line has only white space; remove it)")
        prefix = "\t" * level
        return line[level:] if line.startswith(prefix) else None


def parse(kind: type[T], text: str, path: str) -> T:
    """A value of the struct type `kind`. Raises SconfError."""
    lines = _Lines(text, path)
    value = _struct(kind, lines, 0)
    if lines.next(0) is not None or lines.at < len(lines.lines):
        raise lines.fail("line belongs to no block; check its indent")
    return typing.cast(T, value)


def _key(lines: _Lines, line: str, known: set[str] | None) -> tuple[str, str]:
    key, colon, value = line.partition(":")
    if not colon:
        raise lines.fail("missing colon")
    if key != key.strip() or not key:
        raise lines.fail(f"bad key {key!r}; indent is one tab a level")
    if known is not None and key not in known:
        raise lines.fail(f"unknown key {key!r}; known here are {', '.join(sorted(known))}")
    if value and not value.startswith(" "):
        raise lines.fail("missing space after colon")
    return key, value[1:]


def _struct(kind: Any, lines: _Lines, level: int) -> Any:
    start = lines.at
    fields = {f.name: f for f in msgspec.structs.fields(kind)}
    found: dict[str, Any] = {}
    while (line := lines.next(level)) is not None:
        key, text = _key(lines, line, set(fields))
        if key in found:
            raise lines.fail(f"key {key!r} is there twice")
        found[key] = _value(fields[key].type, text, lines, level)
    for name, field in fields.items():
        if field.required and name not in found:
            raise lines.fail(f"missing required key {name!r} in this block", max(start - 1, 0))
    return kind(**found)


def _plain(kind: Any) -> Any:
    """Without Annotated and `| None`."""
    if typing.get_origin(kind) is typing.Annotated:
        return _plain(typing.get_args(kind)[0])
    arguments = typing.get_args(kind)
    if type(None) in arguments:
        return _plain(next(a for a in arguments if a is not type(None)))
    return kind


def _value(kind: Any, text: str, lines: _Lines, level: int) -> Any:
    kind = _plain(kind)
    origin = typing.get_origin(kind)
    if origin is None and not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        value = _scalar(kind, text, lines)
        lines.at += 1
        return value
    if text:
        raise lines.fail("the value starts on the next line, one level deeper")
    lines.at += 1
    if lines.next(level + 1) is None:
        raise lines.fail("expected indented lines", lines.at - 1)
    if origin is list:
        return _list(typing.get_args(kind)[0], lines, level + 1)
    if origin is dict:
        return _map(typing.get_args(kind)[1], lines, level + 1)
    return _struct(kind, lines, level + 1)


def _list(kind: Any, lines: _Lines, level: int) -> list[Any]:
    items = []
    while (line := lines.next(level)) is not None:
        if line != "-" and not line.startswith("- "):
            raise lines.fail("expected item: '- value'")
        items.append(_value(kind, line[2:], lines, level))
    return items


def _map(kind: Any, lines: _Lines, level: int) -> dict[str, Any]:
    items: dict[str, Any] = {}
    while (line := lines.next(level)) is not None:
        key, text = _key(lines, line, None)
        if key in items:
            raise lines.fail(f"key {key!r} is there twice")
        if text == "nil":
            items[key] = _plain(kind)()
            lines.at += 1
        else:
            items[key] = _value(kind, text, lines, level)
    return items


def _scalar(kind: Any, text: str, lines: _Lines) -> Any:
    if kind is str:
        return text
    if kind is bool:
        if text in ("true", "false"):
            return text == "true"
        raise lines.fail(f"{text!r} is not true or false")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise lines.fail(f"{text!r} is not a number") from None
    raise lines.fail(f"no way to read a {kind}")


def dump(value: msgspec.Struct, comments: bool = False) -> str:
    """The text of a struct; fields that have their default value are left out. With `comments` all fields are
    written, each under its documentation."""
    return "".join(f"{line}\n" for line in _dump_struct(value, 0, comments))


def _dump_struct(value: msgspec.Struct, level: int, comments: bool) -> list[str]:
    lines: list[str] = []
    indent = "\t" * level
    for field in msgspec.structs.fields(type(value)):
        item = getattr(value, field.name)
        if item is None or item == [] or item == {}:
            continue
        if not comments and not field.required and item == field.default:
            continue
        if comments:
            lines += [f"{indent}# {text}" for text in _documentation(type(value), field.name)]
        lines += _dump_item(f"{indent}{field.name}:", item, level, comments)
    return lines


def _documentation(kind: type, name: str) -> list[str]:
    hint = typing.get_type_hints(kind, include_extras=True)[name]
    metadata = getattr(hint, "__metadata__", ())
    return [line for item in metadata if isinstance(item, str) for line in item.split("\n")]


def _dump_item(head: str, item: Any, level: int, comments: bool) -> list[str]:
    deeper: Callable[[Any], list[str]] = lambda value: _dump_struct(value, level + 1, comments)  # noqa: E731
    indent = "\t" * (level + 1)
    if isinstance(item, msgspec.Struct):
        body = deeper(item)
        return [head, *body] if body else [f"{head} nil"]
    if isinstance(item, list):
        return [head, *(line for i in item for line in _dump_item(f"{indent}-", i, level + 1, comments))]
    if isinstance(item, dict):
        return [head, *(line for k, i in item.items() for line in _dump_item(f"{indent}{k}:", i, level + 1, comments))]
    text = str(item).lower() if isinstance(item, bool) else str(item)
    return [f"{head} {text}" if text else head]
