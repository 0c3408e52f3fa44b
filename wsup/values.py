"""Python values as JSON, and what JSON can't carry."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

ENCODER = msgspec.json.Encoder()
#: What msgspec raises for a value that it can't encode.
REFUSALS = (TypeError, ValueError, OverflowError, RecursionError)
_PLAIN = (str, int, bool, type(None))


class Unfit(ValueError):
    """JSON can't carry this value. `where` is its place, such as "lines[2].price"; may be ""."""

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where


def to_json(value: object) -> bytes:
    """`value` as JSON, the only form in which wsup passes anything on. Raises Unfit."""
    try:
        data = ENCODER.encode(value)
    except REFUSALS as error:
        raise _unfit(value, error) from None
    # msgspec writes NaN and the infinities as null, and that would be a wrong value, silently.
    if b"null" in data:
        refuse_nan(value)
    return data


def refuse_nan(value: object, where: str = "") -> None:
    """Raise Unfit for a float within `value` that is no JSON number."""
    if isinstance(value, _PLAIN):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Unfit(f"JSON has no number {value}", where)
        return
    for place, inner in _inside(value):
        refuse_nan(inner, where + place)


def _inside(value: object) -> Iterator[tuple[str, object]]:
    """What a container contains, each with its place in it."""
    if isinstance(value, Mapping):
        yield from ((f".{key}", inner) for key, inner in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{index}]", inner) for index, inner in enumerate(value))
    else:
        yield from ((f".{name}", getattr(value, name, None)) for name in _fields(value))


def _fields(value: object) -> Iterable[str]:
    """The names of what msgspec encodes of an object: a Struct, a dataclass, an attrs class."""
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    if (fields := getattr(value, "__dataclass_fields__", None)) is not None:
        return tuple(fields)
    return [field.name for field in getattr(value, "__attrs_attrs__", ())]


def _unfit(value: object, error: Exception, where: str = "") -> Unfit:
    """`error` with the place of the innermost value that is to blame for it."""
    if isinstance(error, RecursionError):
        return Unfit("it is nested too deeply, or contains itself")
    for place, inner in _inside(value):
        try:
            ENCODER.encode(inner)
        except REFUSALS as closer:
            return _unfit(inner, closer, where + place)
    if isinstance(error, UnicodeEncodeError):
        return Unfit(f"{value!r:.60} holds a lone surrogate, which UTF-8 can't carry", where)
    return Unfit(f"{type(value).__qualname__} can't be encoded as JSON: {error}", where)


def load_any(text: str | None) -> Any:
    """JSON as Python's own types; None stands for null."""
    return None if text is None else msgspec.json.decode(text)
