"""A task's signature as a msgspec model: how arguments are bound, checked, sent and received.

Arguments travel by name, as one JSON object. They are checked where they are enqueued by decoding
them exactly as the subworker will.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from wsup.errors import ArgumentsError, ArgumentsTooLarge, ResultError, TaskError
from wsup.model import Model, build
from wsup.values import ENCODER, REFUSALS, Unfit, refuse_nan, to_json

#: The place in a message of msgspec: "… - at `$.lines[2].price`", "… - at `key` in `$.prices`".
_PLACE: Final = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`$")
_MISSING: Final = re.compile(r"Object missing required field `([^`]*)`$")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `([^`]*)`$")
#: Blanks that COPY would take for the end of a column or of a row. JSON has them only between
#: tokens, and msgspec writes none; they come in with a `msgspec.Raw` of the user's.
_BLANKS: Final = bytes.maketrans(b"\t\n\r", b"   ")


class Signature:
    """The signature of one task's function.

    Annotations are resolved by `prepare`, or at the first use, so that they may name what is
    defined further down. Raises TaskError for a function that has no signature.
    """

    def __init__(self, task: str, function: Callable[..., Any]) -> None:
        self.task = task
        self._function = function
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError) as error:
            raise TaskError(f"task {task}: {function!r} can't be a task: {error}") from None
        names: defaultdict[object, list[str]] = defaultdict(list)
        for p in parameters:
            names[p.kind].append(p.name)
        self._parameters = tuple(parameters)
        self._positional = [
            *names[inspect.Parameter.POSITIONAL_ONLY],
            *names[inspect.Parameter.POSITIONAL_OR_KEYWORD],
        ]
        self._keyword = names[inspect.Parameter.KEYWORD_ONLY]
        #: The names of *args and **kwargs, if it has them.
        self._rest: str | None = next(iter(names[inspect.Parameter.VAR_POSITIONAL]), None)
        self._extras: str | None = next(iter(names[inspect.Parameter.VAR_KEYWORD]), None)
        self._flat = not (self._keyword or self._rest or self._extras)
        self._bare = not self._parameters
        self._built: Model | None = None

    def prepare(self) -> Model:
        """Resolve the annotations. Raises TaskError for one that JSON can't be turned into."""
        if self._built is None:
            self._built = self._build()
        return self._built

    def _build(self) -> Model:
        return build(self.task, self._function, self._parameters)

    # receiving --------------------------------------------------------------------------------

    def call(self, text: str) -> Any:
        """Call the function with arguments out of JSON. Raises ArgumentsError if they don't fit."""
        if self._bare and text == "{}":
            return self._function()
        values = self._load(text)
        if self._flat:
            return self._function(*astuple(values))
        args, kwargs = self._spread(astuple(values), text)
        return self._function(*args, **kwargs)

    def load_result(self, text: str | None) -> Any:
        """A result out of JSON, as the function's annotation has it. Raises ResultError."""
        if text is None:
            return None
        try:
            return self.prepare().decode_result(text)
        except msgspec.DecodeError as error:
            raise ResultError(
                f"task {self.task}: the result is not what the annotation says: {error}"
            ) from None

    def _load(self, data: str | bytes) -> Any:
        try:
            return (self._built or self.prepare()).decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise self._misfit(str(error)) from None

    def _spread(
        self, values: tuple[Any, ...], text: str | bytes
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        count = len(self._positional)
        args = values[:count]
        if self._rest is not None:
            args += tuple(values[count])
            count += 1
        kwargs = dict(zip(self._keyword, values[count:], strict=True))
        if self._extras is not None:
            kwargs |= self._load_extras(text)
        return args, kwargs

    def _load_extras(self, text: str | bytes) -> dict[str, Any]:
        """What **kwargs collects: the JSON object's other keys."""
        model = self.prepare()
        extras: dict[str, Any] = {}
        for name, raw in model.decode_raw(text).items():
            if name not in model.names:
                try:
                    extras[name] = model.decode_extra(raw)
                except msgspec.DecodeError as error:
                    raise self._misfit(str(error), name) from None
        return extras

    # sending ----------------------------------------------------------------------------------

    def bind(self, args: Sequence[object], kwargs: dict[str, object]) -> dict[str, object]:
        """Arguments by name, as a call would bind them. Raises ArgumentsError.

        What is missing, unknown or of a wrong type is found by `dump`.
        """
        values = dict(zip(self._positional, args))  # noqa: B905  (it may well be shorter)
        if len(args) > len(self._positional):
            if self._rest is None:
                raise ArgumentsError(
                    f"task {self.task} takes {len(self._positional)} positional arguments, "
                    f"{len(args)} were given"
                )
            values[self._rest] = args[len(self._positional) :]
        if kwargs:
            for name in values:
                if name in kwargs:
                    raise ArgumentsError(f"task {self.task}: argument {name!r} is given twice")
            values.update(kwargs)
        return values

    def dump(self, values: Mapping[str, object], most: int) -> bytes:
        """Arguments as JSON of at most `most` bytes, known to fit. Raises ArgumentsError."""
        try:
            data = to_json(values)
        except Unfit as error:
            raise self._misfit(error.what, error.where.lstrip(".")) from None
        if b"\n" in data or b"\t" in data or b"\r" in data:
            data = data.translate(_BLANKS)
        if len(data) > most:
            raise ArgumentsTooLarge(
                f"task {self.task}: the arguments take {len(data):,} bytes of JSON, the limit is "
                f"{most:,}; store them elsewhere and pass a key, or raise max_args"
            )
        self._load(data)
        if self._extras is not None:
            self._load_extras(data)
        return data

    def dump_many(
        self, items: Sequence[Mapping[str, object]], most: int, first: int
    ) -> list[bytes]:
        """`dump` for many, at a fraction of the cost. `first` is the number of the first one."""
        try:
            return self._dump_fast(items, most)
        except (*REFUSALS, msgspec.DecodeError):
            pass  # which of them is at fault is found one by one
        lines = []
        for number, values in enumerate(items, first):
            try:
                lines.append(self.dump(values, most))
            except ArgumentsError as error:
                raise type(error)(f"item {number}: {error}") from None
        return lines

    def _dump_fast(self, items: Sequence[Mapping[str, object]], most: int) -> list[bytes]:
        data = ENCODER.encode_lines(items)
        if b"null" in data:
            refuse_nan(items)
        lines = data.split(b"\n")
        del lines[-1]
        odd = len(lines) != len(items) or b"\t" in data or b"\r" in data
        if odd or self._extras is not None or max(map(len, lines)) > most:
            raise ValueError("to be looked at one by one")
        self.prepare().decode_lines(data)
        return lines

    def _misfit(self, what: str, name: str = "") -> ArgumentsError:
        """The error for a message of msgspec, in terms of the task's arguments."""
        task = f"task {self.task}"
        if missing := _MISSING.match(what):
            return ArgumentsError(f"{task}: argument {missing[1]!r} is missing")
        if unknown := _UNKNOWN.match(what):
            takes = ", ".join(p.name for p in self._parameters) or "none"
            return ArgumentsError(f"{task}: unknown argument {unknown[1]!r}; it takes {takes}")
        if place := _PLACE.search(what):
            what = what[: place.start()]
            name = f"{name}.{place[1]}" if name and place[1] else name or place[1]
        if name:
            return ArgumentsError(f"{task}: argument {name!r}: {what}")
        return ArgumentsError(f"{task}: arguments: {what}")
