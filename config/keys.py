"""What can be said of each setting, made of what stands in `settings.py`."""

from functools import cache
from typing import Any, NamedTuple, get_args

import msgspec
from msgspec import inspect

from .settings import Settings


class Key(NamedTuple):
    """What can be said of one setting, for help texts and error messages."""

    name: str
    type: Any
    default: object
    description: str
    #: What a value must be: "a number of seconds from 0 to 86400".
    expects: str
    #: What stands for the value in help texts: "SECONDS".
    metavar: str


@cache
def keys() -> dict[str, Key]:
    """Every setting by name, in the order of the Struct."""
    return {field.name: _key(field) for field in msgspec.structs.fields(Settings)}


def _key(field: msgspec.structs.FieldInfo) -> Key:
    shape = inspect.type_info(field.type)
    schema: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    if isinstance(shape, inspect.Metadata):
        schema, extra, shape = shape.extra_json_schema or {}, shape.extra or {}, shape.type
    unit = extra.get("unit")
    expects, metavar = "text", "TEXT"
    if isinstance(shape, inspect.IntType | inspect.FloatType):
        noun = "a whole number" if isinstance(shape, inspect.IntType) else "a number"
        expects = f"{noun}{f' of {unit}' if unit else ''} from {shape.ge} to {shape.le}"
        if shape.multiple_of:
            expects += f" that {shape.multiple_of} divides"
        metavar = (unit or "number").upper()
    elif isinstance(shape, inspect.LiteralType):
        values = get_args(get_args(field.type)[0])  # those of `shape` are sorted
        expects, metavar = f"one of {', '.join(values)}", "|".join(values)
    return Key(
        name=field.name,
        type=field.type,
        default=field.default,
        description=schema["description"],
        expects=extra.get("expects", expects),
        metavar=extra.get("metavar", metavar),
    )
