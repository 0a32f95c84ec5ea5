"""JSON requests into types, by the rules that clients of mox rely on (spec/webapi.md section 3).

Keys match exactly, else without case; unknown ones are errors; null leaves the empty value; integers are integers of
64 bits; what follows the first JSON value is ignored; the last of several equal keys wins.
"""

import json
import re
import types
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)
T = TypeVar("T", bound=Struct)
_BLANKS = " \t\r\n"


class DecodeError(Exception):
    """The request is not what its type asks for; the text says where."""


def _no_constant(name: str) -> Any:
    raise DecodeError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_no_constant)


def decode(text: str, kind: type[T]) -> T:
    """The first JSON value of `text` as `kind`. Raises DecodeError."""
    try:
        value, _ = _decoder.raw_decode(text.lstrip(_BLANKS))
    except json.JSONDecodeError as err:
        raise DecodeError(f"invalid JSON: {err}") from err
    except (RecursionError, ValueError) as err:
        raise DecodeError(f"invalid JSON: {err}") from err
    if value is None:
        value = {}
    found = _convert(value, kind, kind.__name__)
    assert isinstance(found, kind)
    return found


def parse_time(text: str) -> datetime:
    """A time of RFC 3339 §5.6, exact to a microsecond. Raises DecodeError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise DecodeError(f"{text[:40]!r} is not a time like 2006-01-02T15:04:05Z")
    year, month, day, hour, minute, second, fraction, utc, sign, zone_hours, zone_minutes = match.groups()
    offset = timedelta() if utc else timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    try:
        zone = timezone(-offset if sign == "-" else offset)
        micros = int(((fraction or "") + "000000")[:6])
        return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micros, zone)
    except ValueError as err:
        raise DecodeError(f"{text[:40]!r} is not a time: {err}") from err


@cache
def _fields(kind: type[Struct]) -> tuple[dict[str, Any], dict[str, str]]:
    """Types by name, and names by their case-folded form."""
    hints = get_type_hints(kind)
    return hints, {name.casefold(): name for name in hints}


def _convert(value: Any, kind: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _convert(value, arguments[0], where)
    if origin in (Union, types.UnionType):
        return _convert(value, next(a for a in arguments if a is not type(None)), where)
    if origin is list:
        return [_item(v, arguments[0], where) for v in _expect(value, list, where)]
    if origin is dict:
        items = _expect(value, dict, where).items()
        return {_text(k): _item(v, arguments[1], f"{where}.{k}") for k, v in items}
    if origin is tuple:
        # Pairs tolerate shorter and longer lists.
        given = _expect(value, list, where)[: len(arguments)]
        values = [_item(v, argument, where) for v, argument in zip(given, arguments, strict=False)]
        return tuple(values + [""] * (len(arguments) - len(values)))
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _struct(_expect(value, dict, where), kind, where)
    return _scalar(value, kind, where)


_ZERO: dict[Any, Any] = {str: "", int: 0, bool: False}


def _item(value: Any, kind: Any, where: str) -> Any:
    """An element of a list or map; null is its empty value."""
    if value is not None:
        return _convert(value, kind, where)
    return kind() if isinstance(kind, type) and issubclass(kind, Struct) else _ZERO.get(kind)


def _struct(value: dict[str, Any], kind: type[Struct], where: str) -> Struct:
    hints, folded = _fields(kind)
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = key if key in hints else folded.get(key.casefold())
        if name is None:
            raise DecodeError(f"json: unknown field {key[:100]!r} in {where}")
        if item is not None:
            found[name] = _convert(item, hints[name], f"{where}.{name}")
    return kind(**found)


def _scalar(value: Any, kind: Any, where: str) -> Any:
    if kind is str:
        return _text(_expect(value, str, where))
    if kind is bool:
        return _expect(value, bool, where)
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise DecodeError(f"{where} must be an integer")
        if not -(2**63) <= value < 2**63:
            raise DecodeError(f"{where} is out of the range of integers")
        return value
    assert kind is datetime, kind
    return parse_time(_expect(value, str, where))


def _expect(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        names = {list: "a list", dict: "an object", str: "a string", bool: "true or false"}
        raise DecodeError(f"{where} must be {names[kind]}")
    return value


def _text(value: str) -> str:
    """Unpaired surrogates become U+FFFD, so that the text can be written as UTF-8."""
    return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
