"""Arguments: bound to a signature, checked, and carried over as their types."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import pytest

from wsup import ArgumentsError, ArgumentsTooLarge, ResultError, TaskError
from wsup.signature import Signature

if TYPE_CHECKING:
    from fractions import Fraction

MOST = 10_000


def carried(function: Callable[..., Any], *args: object, **kwargs: object) -> Any:
    """What the function gives when its arguments go the way of a job."""
    signature = Signature("shop.task", function)
    return signature.call(dumped(signature, *args, **kwargs))


def dumped(signature: Signature, *args: object, **kwargs: object) -> str:
    return signature.dump(signature.bind(args, kwargs), MOST).decode()


def pay(order: int, amount: float, note: str = "none") -> tuple[int, float, str]:
    return order, amount, note


def everything(
    a: int, /, b: int = 2, *rest: int, flag: bool = False, **more: date
) -> tuple[Any, ...]:
    return a, b, rest, flag, more


def anything(a, b=None):  # type: ignore[no-untyped-def]
    return a, b


# what arrives ---------------------------------------------------------------------------------


def test_arguments_travel_by_name_as_one_object() -> None:
    assert dumped(Signature("t", pay), 1, 2.5, note="x") == '{"order":1,"amount":2.5,"note":"x"}'


def test_defaults_are_those_of_the_code_that_runs_the_job() -> None:
    assert dumped(Signature("t", pay), 1, 2.5) == '{"order":1,"amount":2.5}'
    assert carried(pay, 1, 2.5) == (1, 2.5, "none")


def test_a_default_arrives_as_the_object_that_it_is() -> None:
    sentinel: Any = object()

    def task(a: Any = sentinel, *, b: Any = sentinel) -> bool:
        return a is sentinel and b is sentinel

    assert carried(task)


@pytest.mark.parametrize(
    ("args", "kwargs", "arrived"),
    [
        ((1,), {}, (1, 2, (), False, {})),
        ((1, 3, 4, 5), {"flag": True}, (1, 3, (4, 5), True, {})),
        ((1,), {"due": date(2026, 1, 2)}, (1, 2, (), False, {"due": date(2026, 1, 2)})),
    ],
)
def test_every_kind_of_parameter(
    args: tuple[int, ...], kwargs: dict[str, Any], arrived: tuple[object, ...]
) -> None:
    assert carried(everything, *args, **kwargs) == arrived


@dataclass
class Line:
    price: Decimal
    parent: Line | None = None


class Order(msgspec.Struct):
    id: uuid.UUID
    lines: list[Line]


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Line, Line(Decimal("1.10"), Line(Decimal(2)))),
        (Order, Order(uuid.UUID(int=5), [Line(Decimal("3.00"))])),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (timedelta, timedelta(days=1, seconds=2)),
        (Colour, Colour.RED),
        (dict[int, set[str]], {1: {"a", "b"}}),
        (bytes, b"\0\xff"),
        (int | None, None),
        (float, 1e308),
        (int, 2**70),
        (str, "\0\t\n\\ ü 😀"),
        (Literal["a"], "a"),
        (Annotated[int, msgspec.Meta(ge=0)], 0),
    ],
)
def test_values_arrive_as_what_they_were(kind: Any, value: object) -> None:
    def task(a: object) -> object:
        return a

    task.__annotations__["a"] = kind
    assert carried(task, value) == value


def test_an_annotation_may_name_what_is_defined_later() -> None:
    def task(a: Later) -> int:
        return a.x

    assert carried(task, Later(3)) == 3


class Later(msgspec.Struct):
    x: int


def test_without_annotations_json_types_arrive() -> None:
    assert carried(anything, [1, "a"], {"b": None}) == ([1, "a"], {"b": None})


# what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((1, "2.5"), {}, "argument 'amount': Expected `float`, got `str`"),
        ((1,), {}, "argument 'amount' is missing"),
        ((1, 2.5), {"paid": 1}, "unknown argument 'paid'; it takes order, amount, note"),
        ((1, 2.5), {"order": 1}, "argument 'order' is given twice"),
        ((1, 2.5, "a", "b"), {}, "takes 3 positional arguments, 4 were given"),
        ((1, math.nan), {}, "argument 'amount': JSON has no number nan"),
        ((1, 2.5, "\ud800"), {}, r"argument 'note': '\ud800' holds a lone surrogate"),
    ],
)
def test_what_does_not_fit_is_named(
    args: tuple[Any, ...], kwargs: dict[str, Any], says: str
) -> None:
    with pytest.raises(ArgumentsError) as caught:
        carried(pay, *args, **kwargs)
    assert "task shop.task" in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"x": [1, math.inf]}, "argument 'a.x[1]': JSON has no number inf"),
        ([Later(1), Line(math.nan)], "argument 'a[1].price': JSON has no number nan"),  # type: ignore[arg-type]
        ([{"k": object()}], "argument 'a[0].k': object can't be encoded as JSON"),
        ({(1, 2): 3}, "Only dicts with str-like or number-like keys"),
        (msgspec.Raw(b"{broken"), "JSON is malformed"),
    ],
)
def test_untyped_values_that_json_cannot_carry_are_found(value: object, says: str) -> None:
    with pytest.raises(ArgumentsError) as caught:
        carried(anything, value)
    assert says in str(caught.value)


def test_a_value_that_contains_itself() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ArgumentsError, match="contains itself"):
        carried(anything, circle)


def test_a_place_deep_in_an_argument_is_told() -> None:
    def task(order: Order) -> None: ...

    with pytest.raises(ArgumentsError, match=r"argument 'order.lines\[0\].price': Expected"):
        carried(task, {"id": str(uuid.UUID(int=1)), "lines": [{"price": []}]})


def test_what_kwargs_collect_is_checked_too() -> None:
    with pytest.raises(ArgumentsError, match="argument 'due': Invalid RFC3339 encoded date"):
        carried(everything, 1, due="tomorrow")


def test_a_null_that_is_no_nan_passes() -> None:
    assert carried(anything, None, "null") == (None, "null")


def test_too_large() -> None:
    with pytest.raises(ArgumentsTooLarge, match=r"take 10,008 bytes of JSON, the limit is 10,000"):
        carried(anything, "x" * MOST)


def test_arguments_that_came_in_otherwise_are_checked_when_the_job_runs() -> None:
    signature = Signature("shop.task", pay)
    for text in ('{"order":1}', "[]", "{", '{"order":1,"amount":"x"}', ""):
        with pytest.raises(ArgumentsError, match=r"task shop\.task"):
            signature.call(text)


def test_blanks_of_raw_json_do_not_survive() -> None:
    raw = msgspec.Raw(b'{\n\t"x":\r1 }')
    assert "\n" not in dumped(Signature("t", anything), raw)
    assert carried(anything, raw) == ({"x": 1}, None)


# many -----------------------------------------------------------------------------------------


def many(function: Callable[..., Any], items: list[dict[str, object]]) -> list[bytes]:
    return Signature("shop.task", function).dump_many(items, MOST, 100)


def test_many_are_dumped_as_one_would_be() -> None:
    items: list[dict[str, object]] = [
        {"a": value}
        for value in list[object]((1, None, "null", "\n\\", msgspec.Raw(b"[\n1]"), [], "ü"))
    ]
    signature = Signature("t", anything)
    assert signature.dump_many(items, MOST, 0) == [signature.dump(item, MOST) for item in items]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"a": math.nan}, "argument 'a': JSON has no number nan"),
        ({"a": object()}, "argument 'a': object can't be encoded"),
        ({"b": 1}, "argument 'a' is missing"),
        ({"a": 1, "c": 1}, "unknown argument 'c'"),
        ({"a": "x" * MOST}, "bytes of JSON"),
        ({"a": "\ud800"}, "lone surrogate"),
    ],
)
def test_the_bad_one_of_many_is_named(bad: dict[str, object], says: str) -> None:
    with pytest.raises(ArgumentsError, match=r"item 101: task shop\.task") as caught:
        many(anything, [{"a": None}, bad, {"a": 1}])
    assert says in str(caught.value)


# declarations ---------------------------------------------------------------------------------


class Foreign:
    """Nothing that msgspec knows."""


def test_an_annotation_that_json_cannot_become_is_found_before_any_job() -> None:
    def task(a: list[dict[str, Foreign]]) -> None: ...

    with pytest.raises(TaskError, match=r"task t: argument 'a': .*Foreign"):
        Signature("t", task).prepare()


def test_a_union_that_json_cannot_tell_apart() -> None:
    def task(a: Line | Order) -> None: ...

    with pytest.raises(TaskError, match="task t: argument 'a': Type unions may not"):
        Signature("t", task).prepare()


def test_an_annotation_that_exists_only_for_type_checkers() -> None:
    def task(a: Fraction) -> None: ...

    with pytest.raises(TaskError, match="can't be resolved: name 'Fraction' is not defined"):
        Signature("t", task).prepare()


def test_a_result_annotation_need_not_be_known() -> None:
    def task() -> Fraction: ...  # type: ignore[empty-body]

    assert Signature("t", task).load_result("[1]") == [1]


# results --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (date, '"2026-01-02"', date(2026, 1, 2)),
        (Foreign, "1", 1),
        (None, None, None),
        (Any, '{"a": 1}', {"a": 1}),
    ],
)
def test_a_result_comes_back_as_annotated(kind: Any, text: str | None, value: object) -> None:
    def task() -> None: ...

    task.__annotations__["return"] = kind
    assert Signature("t", task).load_result(text) == value


def test_a_result_that_is_not_what_was_annotated() -> None:
    def task() -> int: ...  # type: ignore[empty-body]

    with pytest.raises(ResultError, match="task t: the result is not what the annotation says"):
        Signature("t", task).load_result('"x"')
