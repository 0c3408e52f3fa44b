"""What msgspec needs in order to decode a task's arguments and its result, built once a task."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from wsup.errors import TaskError

_NODES = (msgspec.inspect.Type, msgspec.inspect.Field)
#: Defaults of these types can't change, so a model may hold them as they are.
_CONSTANTS = (type(None), bool, int, float, str, bytes)


@dataclass(frozen=True, slots=True)
class Model:
    """The decoders of one task."""

    #: Arguments, as a Struct whose fields are the parameters in their order.
    decode: Callable[[str | bytes], Any]
    decode_lines: Callable[[bytes], list[Any]]
    #: The parameters, without **kwargs.
    names: frozenset[str]
    #: Arguments by name, not decoded any further …
    decode_raw: Callable[[str | bytes], dict[str, msgspec.Raw]]
    #: … and what **kwargs collects, one value at a time.
    decode_extra: Callable[[msgspec.Raw], Any]
    decode_result: Callable[[str | bytes], Any]


def build(
    task: str,
    function: Callable[..., Any],
    parameters: Sequence[inspect.Parameter],
    narrow: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> Model:
    """The model of a function. Raises TaskError for an annotation that can't be decoded into.

    `narrow` may make other annotations of the function's.
    """
    hints = narrow(_hints(task, function))
    for p in parameters:
        if trouble := _trouble(hints.get(p.name, Any)):
            raise TaskError(
                f"task {task}: argument {p.name!r}: {trouble}; annotate it with a type that JSON "
                "can be decoded into (a dataclass, a msgspec.Struct, a built-in type), or Any"
            )
    extras = [p.name for p in parameters if p.kind is p.VAR_KEYWORD]
    named = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    struct = _struct(named, hints, closed=not extras)
    decoder = msgspec.json.Decoder(struct)
    extra_type = hints.get(extras[0], Any) if extras else Any
    result = hints.get("return", Any)
    return Model(
        decode=decoder.decode,
        decode_lines=decoder.decode_lines,
        names=frozenset(p.name for p in named),
        decode_raw=msgspec.json.Decoder(dict[str, msgspec.Raw]).decode,
        decode_extra=msgspec.json.Decoder(extra_type).decode,
        # A result is JSON when it comes back; what it was can't always be made out of that.
        decode_result=msgspec.json.Decoder(Any if _trouble(result) else result).decode,
    )


def _struct(
    parameters: Sequence[inspect.Parameter], hints: Mapping[str, Any], *, closed: bool
) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    for number, p in enumerate(parameters):
        # Fields are called p0, p1, …: not every name of a parameter would do for a Struct's.
        names[f"p{number}"] = p.name
        hint = hints.get(p.name, Any)
        if p.kind is p.VAR_POSITIONAL:
            rest = types.GenericAlias(list, (hint,))
            fields.append((f"p{number}", rest, msgspec.field(default_factory=list)))
        else:
            fields.append((f"p{number}", hint, _default(p.default)))
    return msgspec.defstruct(
        "Arguments", fields, rename=names, kw_only=True, forbid_unknown_fields=closed, gc=False
    )


def _default(value: object) -> Any:
    """The very object that a plain call would use."""
    if value is inspect.Parameter.empty:
        return msgspec.NODEFAULT
    if type(value) in _CONSTANTS:
        return value
    return msgspec.field(default_factory=lambda: value)


def _hints(task: str, function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function, resolved; a result's may be unknown."""
    # Annotations are code, which may raise anything.
    with suppress(Exception):
        return typing.get_type_hints(function, include_extras=True)
    try:
        inner = inspect.unwrap(function)
        given = {k: v for k, v in inner.__annotations__.items() if k != "return"}
        bare: Any = types.SimpleNamespace(__annotations__=given)
        return typing.get_type_hints(bare, getattr(inner, "__globals__", {}), include_extras=True)
    except Exception as error:
        raise TaskError(
            f"task {task}: its annotations can't be resolved: {error}; a type that is imported "
            "only under TYPE_CHECKING, or defined inside a function, is not known when it runs"
        ) from None


def _trouble(hint: Any) -> str | None:
    """Why JSON can't be decoded into `hint`; None if it can."""
    try:
        msgspec.json.Decoder(hint)
        info = msgspec.inspect.type_info(hint)
    except Exception as error:  # whatever a user's type raises, it can't be used
        return str(error)
    foreign = _foreign(info)
    return f"{foreign!r} is not a type that JSON can carry" if foreign is not None else None


def _foreign(info: msgspec.inspect.Type) -> object:
    """A type somewhere in `info` that msgspec knows nothing of, or None."""
    seen: set[int] = set()
    todo: list[Any] = [info]
    while todo:
        node = todo.pop()
        if isinstance(node, msgspec.inspect.CustomType):
            return node.cls
        if isinstance(node, tuple):
            todo.extend(node)
        # Types are Structs of one another, in circles where a type contains itself.
        elif isinstance(node, _NODES) and id(node) not in seen:
            seen.add(id(node))
            todo.extend(getattr(node, name) for name in node.__struct_fields__)
    return None
