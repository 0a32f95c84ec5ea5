"""What a configuration type says about itself: fields, their order, documentation, and zero values.

The types are frozen msgspec structs. A field without default is required in the file; maps are `dict[str, T]`, lists
`list[T]`, durations `timedelta`. `Annotated[T, "…"]` holds the documentation of a field.
"""

import typing
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a block. `kind` is the plain type: a struct, `list[T]`, `dict[str, T]` or a scalar."""

    name: str
    kind: Any
    doc: str
    is_required: bool
    default: Any
    is_nullable: bool


def is_struct(kind: Any) -> bool:
    """The value is a block of named fields."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def is_block(kind: Any) -> bool:
    """The value takes lines of its own, one level deeper."""
    return is_struct(kind) or typing.get_origin(kind) in (list, dict)


def element(kind: Any) -> Any:
    """The type of the items of a list, or of the values of a map."""
    return typing.get_args(kind)[-1]


@cache
def fields(kind: type[msgspec.Struct]) -> dict[str, Field]:
    """The fields of a struct by name, in the order of the file."""
    hints = typing.get_type_hints(kind, include_extras=True)
    found = {}
    for item in msgspec.structs.fields(kind):
        plain, doc = _split(hints[item.name])
        default = None if item.required else _default(item)
        found[item.name] = Field(item.name, plain, doc, item.required, default, _is_nullable(hints[item.name]))
    return found


def _default(item: msgspec.structs.FieldInfo) -> Any:
    return item.default if item.default_factory is msgspec.NODEFAULT else item.default_factory()


def _split(hint: Any) -> tuple[Any, str]:
    """The plain type without `Annotated` and `| None`, and the documentation."""
    doc = ""
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        doc = next((extra for extra in extras if isinstance(extra, str)), "")
    arguments = typing.get_args(hint)
    if type(None) in arguments:
        hint = next(a for a in arguments if a is not type(None))
    return hint, doc


def _is_nullable(hint: Any) -> bool:
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    return type(None) in typing.get_args(hint)


def zero(kind: Any) -> Any:
    """The value of `nil`: empty, no, nothing, or the defaults of a struct with zero values for what it requires."""
    if is_struct(kind):
        return kind(**{f.name: zero(f.kind) for f in fields(kind).values() if f.is_required})
    origin = typing.get_origin(kind)
    if origin is not None:
        return origin()
    return timedelta() if kind is timedelta else kind()
